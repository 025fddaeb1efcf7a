"""What the nodes do, on tensors: all that they need of ComfyUI is a Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import enhancer, infotext
from ..errors import RecipeError
from ..look import Look
from ..options import Amounts, Options
from ..recipe import Recipe
from ..result import Event, Result
from ..scoring.protocol import Scorer
from ..series import Series, enhance_together, spread
from .specs import EACH, ENHANCE, SCORE, VARIATIONS
from .tensors import Batch, Picture, item
from .widgets import options_of

Preview = Callable[[], Image.Image]
TOLD = 8
"""Lines that a node shows at most."""
SEARCHING = "searching..."
"""Told first. The page lays words over a preview that came before them; and those of the last run are to go."""


@dataclass(frozen=True)
class Runtime:
    """What the program that runs the nodes does for them."""

    device: Callable[[], str]
    """The torch device to work on."""
    load_scorer: Callable[[Options], Scorer]
    """The scorer that options name, ready on its device. Raises NuliError."""
    check: Callable[[], None] = lambda: None
    """Raises what ends the node where the user wants that."""
    show: Callable[[float, Preview | None], None] = lambda done, preview: None
    """Show how much of the work is done, 0..1, and what it looks like."""
    tell: Callable[[str], None] = lambda text: None
    """Show on the node what was done, in words."""

    def stopped(self) -> bool:
        """What searches and renderings ask now and then: it ends them by what `check` raises."""
        self.check()
        return False

    def picture_done(self, part: int, parts: int, lines: Sequence[str]) -> None:
        """Show that one picture of several is done, and the last lines of what was done so far."""
        self.show((part + 1) / parts, None)
        self.tell("\n".join(lines[-TOLD:]))

    def show_event(self, part: int, parts: int, event: Event) -> None:
        """Show how far the search of one picture of several is."""
        self.show((part + event.progress) / parts, lambda: event.preview)


def enhance(
    runtime: Runtime,
    image: Tensor,
    batch: str = EACH,
    mask: Tensor | None = None,
    reference: Tensor | None = None,
    **values: Any,
) -> tuple[Tensor, str, float]:
    """The batch enhanced, the recipe (of several pictures a JSON list), and the score, or the mean of several."""
    options = options_of(values, ENHANCE.widgets, device=runtime.device())
    runtime.tell(SEARCHING)
    pictures = Batch(image, mask, options.feather)
    # a reference is a scorer of its own
    scorer = runtime.load_scorer(options) if reference is None else None
    if batch != EACH and len(pictures) > 1:
        return _enhance_together(runtime, pictures, options, scorer, reference)
    made, recipes, scores, told = torch.empty(image.shape), [], [], []
    for i, picture in enumerate(pictures):
        show = partial(runtime.show_event, i, len(pictures))
        match = None if reference is None else item(reference, i, 4).numpy()
        how = {"scorer": scorer, "stop": runtime.stopped, "progress": show}
        result = enhancer.enhance(picture.photo, options, **how, match=match, others=0)
        made[i] = _looking(runtime, picture, Look(result.recipe, None))
        recipes.append(result.recipe)
        scores.append(result.score_after)
        told.append(_words(result))
        runtime.picture_done(i, len(pictures), told)
    text = recipes[0].to_line() if len(recipes) == 1 else _listed(recipes)
    return made, text, sum(scores) / len(scores)


def _enhance_together(
    runtime: Runtime, pictures: Batch, options: Options, scorer: Scorer | None, reference: Tensor | None
) -> tuple[Tensor, str, float]:
    series = enhance_together(
        [pictures[i].photo for i in spread(len(pictures))],
        options,
        scorer=scorer,
        stop=runtime.stopped,
        progress=partial(runtime.show_event, 0, 2),
        match=None if reference is None else item(reference, 0, 4).numpy(),
    )
    runtime.tell(_words(series))
    made = torch.empty(pictures.images.shape)
    for i, picture in enumerate(pictures):
        made[i] = _looking(runtime, picture, series.look)
        runtime.show(0.5 + (i + 1) / len(pictures) / 2, None)
    return made, json.dumps(series.look.to_dict()), series.score_after


def apply(
    runtime: Runtime, image: Tensor, recipe: str, strength: float = 1.0, mask: Tensor | None = None
) -> tuple[Tensor]:
    """The batch with a recipe, or each picture with its own. Raises RecipeError."""
    pictures = Batch(image, mask, Options().feather)
    looks = _looks(recipe)
    if len(looks) not in (1, len(pictures)):
        raise RecipeError(f"{len(looks)} recipes for {len(pictures)} pictures: give one, or one for each")
    made = torch.empty(image.shape)
    for i, picture in enumerate(pictures):
        made[i] = _looking(runtime, picture, looks[min(i, len(looks) - 1)].scaled(Amounts(strength)))
        runtime.show((i + 1) / len(pictures), None)
    return (made,)


def score(
    runtime: Runtime, image: Sequence[Tensor], keep: int = 0, **values: Any
) -> tuple[list[Tensor], list[float], list[str]]:
    """The pictures of all batches, the best first: as one batch where they are of one size, else each as its own."""
    # it is to compare pictures, and `tone` can't
    options = options_of(values, SCORE.widgets, device=runtime.device(), mode="hard")
    batches = [Batch(images) for images in image]
    scorer, found = runtime.load_scorer(options), []
    for batch in batches:
        for picture in batch:
            runtime.check()
            found += [(one, picture.frame) for one in enhancer.score(picture.photo, scorer, options=options)]
            runtime.show(len(found) / sum(map(len, batches)), None)
    order = sorted(range(len(found)), key=lambda i: -found[i][0])[: keep or None]
    lines = [f"{rank}. {found[i][0]:.3f}  picture {i + 1}" for rank, i in enumerate(order, 1)]
    runtime.tell("\n".join(lines[:TOLD]))
    kept = [found[i][1] for i in order]
    alike = len({frame.shape for frame in kept}) == 1
    sorted_batches = [torch.stack(kept)] if alike else [frame[None] for frame in kept]
    return sorted_batches, [found[order[0]][0]], ["\n".join(lines)]


def variations(
    runtime: Runtime, image: Tensor, count: int = 4, mask: Tensor | None = None, **values: Any
) -> tuple[Tensor, str, float]:
    """For each picture so many results at most, the best first; their recipes as a JSON list; the best score."""
    options = options_of(values, VARIATIONS.widgets, device=runtime.device())
    runtime.tell(SEARCHING)
    pictures, scorer = Batch(image, mask, options.feather), runtime.load_scorer(options)
    made, recipes, scores, told = [], [], [], []
    for i, picture in enumerate(pictures):
        show = partial(runtime.show_event, i, len(pictures))
        how = {"scorer": scorer, "stop": runtime.stopped, "progress": show}
        result = enhancer.enhance(picture.photo, options, **how, others=count - 1)
        found = [result.recipe, *(other.recipe for other in result.others)]
        made += [_looking(runtime, picture, Look(recipe, None)) for recipe in found]
        recipes += found
        scores.append(result.score_after)
        told += [_words(result), *(f"{other.score:.2f}: {', '.join(other.recipe.words())}" for other in result.others)]
        runtime.picture_done(i, len(pictures), told)
    return torch.stack(made), _listed(recipes), max(scores)


def _looking(runtime: Runtime, picture: Picture, look: Look) -> Tensor:
    """A picture [H,W,C] with a look, where its mask lets it; the very frame where that does nothing."""
    pixels = look.rows(picture.photo, runtime.device(), runtime.stopped)
    return picture.frame if pixels is picture.photo.pixels else picture.replaced(np.asarray(pixels))


def _words(done: Result | Series) -> str:
    """What was done, in a line, and what the user should know besides."""
    if done.changed:
        line = f"{done.scorer} {done.score_before:.2f} → {done.score_after:.2f}: {', '.join(done.recipe.words())}"
    else:
        line = f"{done.scorer} {done.score_before:.2f}: nothing makes it clearly better; left as it is"
    return "; ".join([line, *done.notes])


def _listed(recipes: Sequence[Recipe]) -> str:
    """Several recipes as text: a JSON list of their lines, one on each line for whoever reads it."""
    return json.dumps([recipe.to_line() for recipe in recipes], indent=0)


def _looks(text: str) -> list[Look]:
    """What a text says to do: a recipe, with what it measured where it tells that, or a list of recipes. Raises
    RecipeError."""
    text = text.strip()
    if not text.startswith("["):
        return [_look(text)]
    try:
        lines = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"not a list of recipes: {error}") from None
    if not lines or not all(isinstance(line, str) for line in lines):
        raise RecipeError("a list of recipes holds their texts, at least one: this one doesn't")
    return [_look(line) for line in lines]


def _look(text: str) -> Look:
    recipe = infotext.recipe_in(text)
    return Look.from_json(text) if '"statistics"' in text else Look(recipe, None)
