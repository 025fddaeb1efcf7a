"""What a scorer is. Any object with these attributes can be passed to `nuli.enhance(scorer=...)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from ..errors import OptionError, shown

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..ops.registry import Op
    from ..recipe import Recipe

    Score = Callable[[Tensor], Tensor]

ViewMode = Literal["crop", "whole", "subsampled"]
VIEW_MODES = get_args(ViewMode)


class Scorer(Protocol):
    name: str
    """What the user calls it; saved beside the scores that it gave."""
    licence: str
    """SPDX name of the licence of its weights ("" without weights)."""
    input_size: int
    """S: the short side, in pixels, of the views that it scores (but for `subsampled`)."""
    view_mode: ViewMode
    """`crop`: views are the square centre crop [N,3,S,S]. `whole`: the whole frame, its short side S,
    [N,3,H,W]. `subsampled`: every second pixel of the frame in both directions, which are made in a quarter of the
    time; `bind` gets all of them. Without this attribute it is `crop`."""
    has_target: bool
    """Whether the best score stands for one definite picture near the original. Such a scorer needs no guards,
    and a search is over once it gives the top of its range. Without this attribute it is False."""
    faithful: bool
    """Whether that picture is what the user asked for: then what hardly shows is left out only where it hardly counts
    either. Without this attribute it is False."""
    differentiable: bool
    """Whether gradients flow from the scores to the views."""
    cheap: bool
    """Whether it costs less to score a view than to make it: the search then thinks less about what to try, never asks
    for gradients, and on a CPU several threads score pieces of a batch at the same time, each with one torch thread.
    Another scorer is called by one thread at a time, with torch's own threads. Without this attribute it is False."""
    score_range: tuple[float, float]
    """The span that scores usually fall in; margins and guards are measured in tenths of it."""
    networks: Sequence[nn.Module]
    """What of it takes memory worth speaking of, for a host that moves networks between devices by itself. Without this
    attribute there is nothing."""
    known_as: str
    """What a saved search calls it, where the name doesn't tell what its scores depend on, such as a reference. Without
    this attribute it is the name."""

    def bind(self, original: Tensor) -> Score:
        """Prepare to score candidates made from one picture.

        Args:
            original: the untouched picture's view (for `subsampled` its whole frame), [1,3,H,W], float32 RGB 0..1, on
                the device to use.
        Returns:
            A function from views [N,3,H,W] in 0..1 to scores [N], float32, higher is better.
        """
        ...

    def starts(self, original: Tensor, ops: Sequence[Op], mode: str, max_steps: int) -> list[Recipe]:
        """Recipes to begin a search with. A scorer without this method begins with what `tone` predicts.

        Args:
            original: the untouched picture's frame [1,3,h,w]; of several that get one recipe [K,3,h,w].
            ops: what may be used.
            mode: "soft" or "hard".
            max_steps: how long a recipe may be.
        """
        ...

    def notes(self, original: Tensor) -> list[str]:
        """What the user should know of how a picture is judged, by its frame as for `starts`. A scorer may lack this
        method."""
        ...


def check_scorer(scorer: Any) -> None:
    """Raise OptionError, which says what is missing, for an object that can't be used as a Scorer."""
    numbers = (int, float)

    def is_range(value: Any) -> bool:
        pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(v, numbers) for v in value)
        return pair and math.isfinite(value[1] - value[0]) and value[0] < value[1]

    wanted = (
        ("name", "text", lambda value: isinstance(value, str) and value != ""),
        ("input_size", "a whole number of pixels", lambda value: isinstance(value, int) and value > 0),
        ("score_range", "two numbers, the lower one first", is_range),
        ("bind", "a method", callable),
    )
    wrong = [f"{name} ({what})" for name, what, is_right in wanted if not is_right(getattr(scorer, name, None))]
    if getattr(scorer, "view_mode", "crop") not in VIEW_MODES:
        wrong.append(f"view_mode ({', '.join(VIEW_MODES)}, or none)")
    if isinstance(scorer, type) or len(wrong) == len(wanted):
        raise OptionError(f"a scorer is a name, or an object as nuli.Scorer describes it, not {shown(scorer)}")
    if wrong:
        raise OptionError(f"the scorer {shown(getattr(scorer, 'name', scorer))} has no usable {', '.join(wrong)}")


def known_as(scorer: Scorer) -> str:
    """What a saved search calls a scorer."""
    return getattr(scorer, "known_as", scorer.name)
