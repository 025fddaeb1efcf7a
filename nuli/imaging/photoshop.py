"""Photoshop's image resources, as they stand in JPEG and in TIFF. (Adobe Photoshop File Formats Specification)"""

from __future__ import annotations

from collections.abc import Iterator

PREFIX = b"Photoshop 3.0\0"
_PREVIEWS = {1033, 1036, 1058, 1059, 1060}
"""Thumbnails, and EXIF and XMP once more, which may hold others."""
_PLACES = {1032, 1050, *range(2000, 3000), 7000, 7001}
"""Guides, slices and paths: places in the stored pixels."""


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes, from the signature to the padding, of each resource that is whole."""
    place = 0
    while place + 12 <= len(data) and data[place : place + 4] in (b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa"):
        name = place + 6
        size = name + (data[name] + 2) // 2 * 2
        content = size + 4
        end = content + int.from_bytes(data[size:content], "big")
        if len(data) < end:
            return
        end = min(len(data), end + (end - content) % 2)
        yield int.from_bytes(data[place + 4 : place + 6], "big"), data[place:end]
        place = end


def kept_resources(data: bytes, turned: bool) -> tuple[bytes, tuple[str, ...]]:
    """The resources without previews of the old picture and, where the pixels are turned, without places in them.

    Also what was lost, in words.
    """
    resources = [(number, resource) for number, resource in _resources(data) if number not in _PREVIEWS]
    kept = [resource for number, resource in resources if not (turned and number in _PLACES)]
    return b"".join(kept), ("Photoshop's paths, guides and slices",) * (len(kept) < len(resources))
