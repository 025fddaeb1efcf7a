"""TIFFs that count from white to black: what they show is what is read, in all layouts that Pillow opens."""

import struct

import numpy as np
import pytest
from PIL import Image, features

from nuli.errors import ImageError
from nuli.imaging.photo import load_photo, save_photo


def tiff(values, photometric, bits, order="<", tiled=False, orientation=1):
    """An uncompressed TIFF of greys [H,W], written by hand: Pillow itself writes none that count from white."""
    height, width = values.shape
    kind = {8: "u1", 16: order + "u2"}.get(bits)
    data = np.packbits(values.astype(bool), axis=1).tobytes() if bits == 1 else values.astype(kind).tobytes()
    if tiled:
        tile = np.zeros((32, 64), values.dtype)
        tile[:height, :width] = values
        data = tile.astype(kind).tobytes()
    fields = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    fields += [(274, 3, orientation), (277, 3, 1)]
    start = 8 + 2 + 12 * (len(fields) + (4 if tiled else 3)) + 4
    if tiled:
        fields += [(322, 3, 64), (323, 3, 32), (324, 4, start), (325, 4, len(data))]
    else:
        fields += [(273, 4, start), (278, 3, height), (279, 4, len(data))]
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(fields))
    for tag, field, value in sorted(fields):
        out += struct.pack(order + ("HHIHxx" if field == 3 else "HHII"), tag, field, 1, value)
    return out + bytes(4) + data


RAMP = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_white_is_zero_shows_the_same(tmp_path, bits, tiled, orientation):
    if bits == 1 and tiled:
        pytest.skip("one bit lies in strips here")
    top = (1 << bits) - 1
    values = RAMP % 2 if bits == 1 else RAMP % 256 if bits == 8 else RAMP * 60
    black = load_photo(tiff(values, 1, bits, tiled=tiled, orientation=orientation))
    white = load_photo(tiff(top - values, 0, bits, tiled=tiled, orientation=orientation))
    assert np.array_equal(black.pixels, white.pixels) and black.pixels.dtype == white.pixels.dtype
    again = load_photo(save_photo(white, white.pixels, tmp_path / "a.tif"))
    assert np.array_equal(again.pixels, white.pixels)


@pytest.mark.skipif(not features.check("libtiff"), reason="Pillow without libtiff")
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_white_is_zero_compressed(tmp_path, compression):
    path = tmp_path / "a.tif"
    Image.fromarray(65_535 - RAMP).save(path, compression=compression)
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
    data[place] = 0
    assert np.array_equal(load_photo(bytes(data)).pixels[..., 0], RAMP)


def test_big_endian_is_never_a_negative():
    try:
        pixels = load_photo(tiff(65_535 - RAMP, 0, 16, ">")).pixels[..., 0]
    except ImageError:
        return  # Pillow does not know this layout
    assert np.array_equal(pixels, RAMP)
