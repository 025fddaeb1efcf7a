"""The nodes as they are offered: what goes in, what comes out, in words. Nothing here knows ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass

from ..options import INPUTS
from ..search.config import MAX_OTHERS
from .widgets import Widget, more_widget, option_widget

CATEGORY = "NUl Enhance"
EACH, TOGETHER = "each", "one recipe for all"
_MASK, _MATCH = INPUTS
_EVALUATIONS = (
    "most candidates to score: the same number and seed give the same picture again; 0: no limit but the seconds"
)
_SECONDS = "longest time to search; 0: none where there are evaluations, else automatic"


@dataclass(frozen=True)
class Socket:
    """What is connected to a node, or comes out of it."""

    name: str
    kind: str
    """IMAGE, MASK, STRING or FLOAT."""
    help: str


MASK = Socket(_MASK.name, "MASK", _MASK.help)


@dataclass(frozen=True)
class Node:
    """One kind of node."""

    id: str
    run: str
    """The function of `work` that does it."""
    title: str
    help: str
    inputs: tuple[Socket, ...]
    shown: tuple[str | Widget, ...]
    """The widgets; options by their names."""
    outputs: tuple[Socket, ...]
    optional: tuple[Socket, ...] = ()
    """What may be connected besides."""
    lists: bool = False
    """Whether it takes whole lists of batches, and gives one: pictures of several sizes."""
    has_more: bool = True
    """Whether all other options may be given, too."""

    @property
    def widgets(self) -> tuple[Widget, ...]:
        """In their order. Made anew each time: presets and scorers come and go."""
        shown = tuple(option_widget(one) if isinstance(one, str) else one for one in self.shown)
        return (*shown, more_widget(tuple(widget.name for widget in shown))) if self.has_more else shown


def _budget(evaluations: int) -> tuple[Widget, Widget]:
    return option_widget("evaluations", default=evaluations, help=_EVALUATIONS), option_widget("seconds", help=_SECONDS)


ENHANCE = Node(
    "NUlEnhance",
    "enhance",
    "NUl Enhance",
    "Makes pictures better by a search for the chain of adjustments that a scorer likes best. Nothing is generated: "
    "the recipe tells every step. A picture that nothing clearly improves stays bit by bit as it is.",
    (Socket("image", "IMAGE", "the pictures to enhance"),),
    (
        "mode",
        "preset",
        "strength",
        *_budget(300),
        "scorer",
        "ops",
        "guards",
        "seed",
        Widget(
            "batch",
            "COMBO",
            EACH,
            "of several pictures: each gets its own recipe, or all get one, so that frames of a video don't flicker",
            choices=(EACH, TOGETHER),
        ),
    ),
    (
        Socket("image", "IMAGE", "the pictures enhanced"),
        Socket("recipe", "STRING", "what was done, for NUl Apply Recipe; of several pictures a list"),
        Socket("score", "FLOAT", "the scorer's figure for the result; of several pictures their mean"),
    ),
    (MASK, Socket("reference", "IMAGE", _MATCH.help)),
)
APPLY = Node(
    "NUlApplyRecipe",
    "apply",
    "NUl Apply Recipe",
    "Does to pictures what a recipe says, without a search.",
    (Socket("image", "IMAGE", "the pictures to change"),),
    (
        Widget("recipe", "STRING", "", "a recipe, or a list of as many as there are pictures", multiline=True),
        "strength",
    ),
    (Socket("image", "IMAGE", "the pictures changed"),),
    (MASK,),
    has_more=False,
)
SCORE = Node(
    "NUlScore",
    "score",
    "NUl Score",
    "Sorts pictures, the best first, and keeps as many as you want.",
    (Socket("image", "IMAGE", "the pictures to compare"),),
    (
        Widget("keep", "INT", 0, "how many to keep; 0: all", 0, 4096, 1),
        "scorer",
    ),
    (
        Socket("image", "IMAGE", "the pictures kept, the best first"),
        Socket("score", "FLOAT", "the best one's score"),
        Socket("report", "STRING", "a line for each picture kept: its rank, its score, and which one it was"),
    ),
    lists=True,
    has_more=False,
)
VARIATIONS = Node(
    "NUlVariations",
    "variations",
    "NUl Variations",
    "Several results of one search that look different, the best first: in hard mode anything striking, in soft mode "
    "the same gentler and bolder.",
    (Socket("image", "IMAGE", "the picture; of several each in turn"),),
    (
        Widget("count", "INT", 4, "how many at most", 1, MAX_OTHERS + 1, 1),
        option_widget("mode", default="hard"),
        "preset",
        *_budget(400),
        "scorer",
        "ops",
        "seed",
    ),
    (
        Socket("image", "IMAGE", "the results"),
        Socket("recipes", "STRING", "what was done to each, a list for NUl Apply Recipe"),
        Socket("score", "FLOAT", "the best one's score"),
    ),
    (MASK,),
)
NODES = (ENHANCE, APPLY, SCORE, VARIATIONS)
