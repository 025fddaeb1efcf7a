"""Several scorers as one: their mean, or the least that any of them gains."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..imaging.frames import FRAME, scorer_view
from .protocol import Scorer, known_as

if TYPE_CHECKING:
    from .protocol import Score


def names_in(text: str) -> list[str]:
    """The names in "laion+tone". Some metrics' names have a plus sign of their own, at the end or before no letter."""
    return re.split(r"\+(?=[a-zA-Z])", text)


class Ensemble:
    """A `Scorer` made of others, each in tenths of its own range.

    `mean`: the mean of what they give, 0 to 10. `least`: what the least convinced one gains over the untouched picture,
    which has 0 itself: a candidate is only as good as all of them find it.

    Args:
        kind: "mean" or "least".
        parts: two or more.
    """

    input_size = FRAME
    view_mode = "whole"
    score_range = (0.0, 10.0)

    def __init__(self, kind: str, parts: Sequence[Scorer]) -> None:
        self._kind, self._parts = kind, tuple(parts)
        self.name = f"{kind}:{'+'.join(part.name for part in parts)}"
        self.known_as = f"{kind}:{'+'.join(map(known_as, parts))}"
        self.licence = " AND ".join(dict.fromkeys(part.licence for part in parts if part.licence))
        self.differentiable = all(part.differentiable for part in parts)
        self.cheap = all(getattr(part, "cheap", False) for part in parts)

    @property
    def networks(self) -> list[nn.Module]:
        return [network for part in self._parts for network in getattr(part, "networks", ())]

    def bind(self, original: Tensor) -> Score:
        views = [_view_of(part) for part in self._parts]
        scores = []
        for part, view in zip(self._parts, views, strict=True):
            subsampled = getattr(part, "view_mode", "crop") == "subsampled"
            scores.append(part.bind(original if subsampled else view(original)))

        def marks(frames: Tensor) -> Tensor:
            """[P,N], in tenths of each range, from its lower end."""
            found = []
            for part, view, score in zip(self._parts, views, scores, strict=True):
                low, high = part.score_range
                found.append((score(view(frames)).float() - low) * (10 / (high - low)))
            return torch.stack(found)

        if self._kind == "mean":
            return lambda frames: marks(frames).mean(0)
        with torch.no_grad():
            before = marks(original)
        return lambda frames: (marks(frames) - before).amin(0)


def _view_of(part: Scorer) -> Callable[[Tensor], Tensor]:
    """What makes a part's views of frames [N,3,h,w]."""
    return lambda frames: scorer_view(frames, getattr(part, "view_mode", "crop"), part.input_size)
