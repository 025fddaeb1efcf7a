"""What one user has in front of them: a picture, the steps on it, and what is known about them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import RecipeError
from ..hosting import Slot
from ..imaging.frames import make_frame, make_mask, to_pixels, to_tensor
from ..imaging.mask import with_mask
from ..imaging.photo import Photo, Source, load_photo, to_image
from ..infotext import entries, to_text
from ..ops.neutral import LOCKED
from ..ops.pipeline import apply_steps, chain_statistics, scale_of
from ..ops.registry import LUT, get_op
from ..ops.render import render_rows
from ..ops.step import Step
from ..options import Amounts, Options
from ..recipe import Recipe
from ..result import Opinion, Result
from ..scoring.protocol import Scorer
from ..scoring.registry import SCORERS
from ..search.evaluator import Evaluator
from .store import VIEWS

PREVIEW = 1024
"""Long side of the preview, in pixels."""
UNDO = 50
"""Changes that can be undone."""


@dataclass(frozen=True)
class Row:
    """One step and whether it is switched on."""

    step: Step
    on: bool = True
    found: tuple[float, ...] | None = None
    """The values that it began with, where they have been changed since."""
    neutral: bool = False
    """Whether it makes a neutral place grey."""

    @property
    def asked(self) -> bool:
        """Whether the user asked for it as it is: amounts leave it alone, as those of a search do."""
        return self.neutral or self.step.op.startswith(LUT)

    @property
    def first(self) -> tuple[float, ...]:
        """The values that it began with: those that the search found, or those that change nothing."""
        return self.step.values if self.found is None else self.found


@dataclass(frozen=True, eq=False)
class View:
    """The picture as large as a screen shows it, and the frame that steps measure."""

    photo: Photo
    """With the mask, where there is one."""
    bare: Photo
    """Without."""
    frame: Tensor
    small: np.ndarray
    """[h,w,3], 8 bits."""
    mask: np.ndarray | None
    """[h,w], the mask at that size, 0..1; None: all may change."""
    alpha: Image.Image | None
    short: int
    """The short side of the full-size picture, in pixels."""

    @property
    def size(self) -> int:
        """In bytes."""
        photo, meta = self.photo, self.photo.meta
        arrays = (photo.pixels, photo.alpha, photo.mask, self.small, self.mask)
        more = len(meta.exif) + len(meta.icc) + len(meta.xmp) + len(meta.segments)
        return sum(a.nbytes for a in arrays if a is not None) + 4 * self.frame.numel() + more


@dataclass(frozen=True, eq=False)
class Candidate:
    """One result of a search, and what that search said."""

    recipe: Recipe
    before: float
    after: float
    trace: tuple[tuple[int, float, float], ...]
    evaluations: int
    seconds: float
    notes: tuple[str, ...]
    chains: tuple[tuple[tuple[str, ...], float], ...]
    direction: str = ""
    distance: float = 0.0
    """Direction and distance from the original, as the search told them."""


@dataclass(frozen=True, eq=False)
class Session:
    """Immutable, so that a handler that fails leaves everything as it was; only the slot is shared."""

    handle: str
    """The key of its View in `VIEWS`."""
    rows: tuple[Row, ...] = ()
    amounts: Amounts = field(default_factory=Amounts)
    scorer: str = ""
    """Which one judged; empty before the first search."""
    options: Options = field(default_factory=Options)
    """The options of the search."""
    candidates: tuple[Candidate, ...] = ()
    """The results to pick from, the best first; all of one search."""
    chosen: int = 0
    after: float | None = None
    """The score of what is shown; None where nobody has judged it."""
    opinion: Opinion | None = None
    """What a scorer thinks that took no part in the search; of the result as found."""
    held: tuple[str, ...] = ()
    """What guards decided in that search, in words."""
    masked: bool = False
    """Whether a mask limits what may change."""
    neutral_at: str = ""
    """The last neutral place, as "x,y"."""
    history: tuple[tuple[tuple[Row, ...], Amounts, float | None], ...] = ()
    """Rows, amounts and score before each change."""
    touched: str = ""
    """What the last change was made with: one slider that moves on and on is one change to undo."""
    slot: Slot = field(default_factory=Slot)
    """Where its search runs."""

    @property
    def view(self) -> View:
        """Raises ImageError where the picture was put away, to make room for those of others."""
        return VIEWS.get(self.handle)

    @property
    def recipe(self) -> Recipe:
        """What is applied: the steps that are on, amounts included."""
        return applied(self.rows, self.amounts)

    @property
    def before(self) -> float | None:
        return self.candidates[self.chosen].before if self.candidates else None


def applied(rows: Sequence[Row], amounts: Amounts) -> Recipe:
    """The steps that are on, at these amounts."""
    chains = (Recipe((row.step,)).scaled(1.0 if row.asked else amounts).steps for row in rows if row.on)
    return Recipe(tuple(itertools.chain.from_iterable(chains))).without_noops()


def open_picture(image: Image.Image | Photo) -> Session:
    """A session for a picture. Raises ImageError."""
    photo = load_photo(image)
    height, width = photo.pixels.shape[:2]
    factor = min(1.0, PREVIEW / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    pixels = photo.pixels if photo.pixels.dtype == np.uint8 else (photo.pixels // 257).astype(np.uint8)
    whole = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    alpha = None
    if photo.alpha is not None:
        top = np.iinfo(photo.alpha.dtype).max
        alpha = Image.fromarray((photo.alpha // (top // 255)).astype(np.uint8)).resize(size)
    small = np.array(whole.resize(size, Image.Resampling.LANCZOS))
    frame, mask = make_frame(photo.pixels, photo.alpha), _small_mask(photo, size)
    view = View(photo, replace(photo, mask=None), frame, small, mask, alpha, min(height, width))
    return Session(VIEWS.put(view, view.size))


def masked(session: Session, source: Source | None, feather: float) -> Session:
    """The session with its picture changed only where a mask says so, everywhere for None; what a search without that
    mask had to say is gone. Raises ImageError."""
    view = session.view
    photo = view.bare if source is None else with_mask(view.bare, source, feather)
    height, width = view.small.shape[:2]
    view = replace(view, photo=photo, mask=_small_mask(photo, (width, height)))
    handle = VIEWS.put(view, view.size)
    VIEWS.drop(session.handle)
    gone = {"candidates": (), "after": None, "opinion": None, "held": ()}
    return replace(session, handle=handle, masked=photo.mask is not None, **gone)


def _small_mask(photo: Photo, size: tuple[int, int]) -> np.ndarray | None:
    if photo.mask is None:
        return None
    whole = Image.fromarray((photo.mask // 257).astype(np.uint8))
    return np.array(whole.resize(size, Image.Resampling.BOX)).astype(np.float32) / 255


@torch.no_grad()
def preview(session: Session, recipe: Recipe | None = None) -> Image.Image:
    """The picture as it would be saved, at the size of a screen; on the CPU, so that no job is disturbed."""
    view, steps = session.view, (session.recipe if recipe is None else recipe).without_noops().steps
    small = view.small
    if steps:
        measured = chain_statistics(view.frame, steps, scale_of(view.frame, view.short))
        x = to_tensor(small)
        x = apply_steps(x, steps, measured, scale_of(x, view.short))
        small = to_pixels(x, np.uint8)
        if view.mask is not None:
            small = np.rint(view.small + view.mask[..., None] * (small - view.small.astype(np.float32))).astype(
                np.uint8
            )
    image = Image.fromarray(small)
    if view.alpha is not None:
        image.putalpha(view.alpha)
    if profile := view.photo.meta.icc:
        image.info["icc_profile"] = profile
    return image


def full_size(session: Session, device: str, stop: Callable[[], bool] = lambda: False) -> Image.Image:
    """The picture with its steps, at its own size, with all metadata. Raises NuliError, once `stop` says True too."""
    photo = session.view.photo
    return to_image(photo, render_rows(photo, session.recipe.steps, device, stop=stop))


def with_result(session: Session, result: Result, options: Options) -> Session:
    """The session with the result of a search for which all amounts were 1."""
    r = result
    search = r.trace, r.evaluations, r.seconds, r.notes, r.chains
    best, *others = (
        Candidate(one.recipe, r.score_before, score, *search, one.direction, one.distance)
        for one, score in ((r, r.score_after), *((other, other.score) for other in r.others))
    )
    found = replace(
        session, scorer=r.scorer, options=options, candidates=(best, *others), opinion=r.opinion, held=r.held
    )
    return choose(found, 0)


def choose(session: Session, index: int) -> Session:
    """Take one of the results."""
    return with_changes(replace(session, chosen=index), rows=found_rows(session, session.candidates[index]))


def found_rows(session: Session, candidate: Candidate) -> tuple[Row, ...]:
    """The steps of one of the results."""
    kept = LOCKED if session.options.neutral else ()  # such a search has none of these of its own
    return tuple(Row(step, neutral=step.op in kept) for step in candidate.recipe.steps)


def with_changes(
    session: Session, rows: tuple[Row, ...] | None = None, amounts: Amounts | None = None, by: str = ""
) -> Session:
    """The session with other steps or other amounts, and a way back.

    Args:
        by: what makes the change, such as a slider: several in a row by the same are undone together.
    """
    rows = session.rows if rows is None else rows
    amounts = session.amounts if amounts is None else amounts
    if (rows, amounts) == (session.rows, session.amounts):
        return session
    Recipe(tuple(row.step for row in rows))  # complains where there are too many
    history = session.history
    if not by or by != session.touched:
        history = (*history, (session.rows, session.amounts, session.after))[-UNDO:]
    return replace(session, rows=rows, amounts=amounts, after=None, history=history, touched=by)


def revert(session: Session) -> Session:
    if not session.history:
        return session
    *history, (rows, amounts, after) = session.history
    return replace(session, rows=rows, amounts=amounts, after=after, history=tuple(history), touched="")


def rescored(session: Session) -> Session:
    """The session with the score of what it shows: the search's own, or a new one where the scorer is built in."""
    if not session.candidates:
        return session
    candidate = session.candidates[session.chosen]
    if session.recipe == candidate.recipe:
        return replace(session, after=candidate.after)
    info = SCORERS.get(session.scorer)
    if info is None or info.is_large:
        return session  # a large network is not loaded for a moved slider
    view, scorer = session.view, _built_in(session.scorer)
    evaluator = Evaluator(view.frame, view.short, scorer, guard_weight=0, mask=make_mask(view.photo))
    [before], [after] = evaluator.score_frames(view.frame), evaluator.score_frames(evaluator.frames([session.recipe]))
    return replace(session, after=candidate.before + after.score - before.score)


@lru_cache(maxsize=4)
def _built_in(name: str) -> Scorer:
    return SCORERS[name].load(Options(), torch.device("cpu"), [])


def infotext(session: Session) -> str:
    """The complete infotext: the source's own, where it has one, and ours. Raises ImageError."""
    # blended in after the search
    options = replace(session.options, **{name: round(value, 4) for name, value in asdict(session.amounts).items()})
    ours = entries(session.recipe, options, session.scorer, session.before, session.after)
    return complete_infotext(session.view.photo, ours)


def complete_infotext(photo: Photo, entries: Mapping[str, str]) -> str:
    """The photo's own infotext, where it has one, and these entries."""
    ours = to_text(entries)
    theirs = dict(photo.meta.text).get("parameters", "").rstrip()
    # an older recipe of ours stays: what was applied before is part of the picture's history
    return f"{theirs}, {ours}" if theirs else ours


def new_row(name: str) -> Row:
    """A step of that op which changes nothing yet. Raises RecipeError."""
    if not name:
        raise RecipeError("choose the step to add first")
    return Row(Step(name, get_op(name).identity))


def lut_option(session: Session) -> str:
    """The option `lut` for the next search: the LUT among the steps, "" without."""
    lut = next((row.step for row in reversed(session.rows) if row.on and row.step.op.startswith(LUT)), None)
    return f"{lut.op.removeprefix(LUT)}={lut.values[0]:g}" if lut else ""
