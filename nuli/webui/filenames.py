"""`[nuli_score]` in the host's patterns for file names."""

from __future__ import annotations

from typing import Any

from modules import images

try:
    from modules.images import NOTHING_AND_SKIP_PREVIOUS_TEXT as NOTHING
except ImportError:  # SD.Next's name for it
    from modules.image.namegen import NOTHING

from .. import infotext


def add() -> None:
    """Register the pattern. The host's list outlives a reload of its pages; adding it again changes nothing."""
    images.FilenameGenerator.replacements["nuli_score"] = score


def score(generator: Any) -> Any:
    """The score of the picture that is being saved; nothing, nor the text before it, where there is none.

    File names are sorted by it, so where `tone` judged, whose figures can't compare pictures, it is that of `taste`.
    """
    entries = getattr(generator.p, "extra_generation_params", None) or {}
    if infotext.AFTER in entries and entries.get(infotext.SCORER) == "tone":
        from ..enhancer import score

        return f"{score(generator.image, scorer='taste')[0]:.3f}"
    return entries.get(infotext.AFTER) or NOTHING
