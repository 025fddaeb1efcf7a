"""The one door: a picture in, progress, a better picture out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from . import imageio, ops, render, scoring, views
from .archive import Archive
from .evaluator import Evaluator, Judged, trim
from .imageio import Photo
from .options import Options, options_from
from .others import COST as COST_OF_OTHER
from .others import find_others
from .recipe import Recipe
from .result import Event, Other, Result
from .resume import resume
from .saved import SavedSearch, open_search, record
from .scoring import Scorer, guards
from .scoring.tone import Tone
from .search.explore import COST, MOST, explore
from .search.gallery import OTHERS
from .search.simplify import simplify
from .search.tree import Tree

PATIENCE = 240
"""Evaluations without a real improvement after which a search ends where nobody said how long it may take."""
TRIM = 500
"""Evaluations after which memory is given back."""
CHAINS = 60
"""Sequences of ops that a result tells of."""
FINAL = 5
"""Evaluations that it takes at most to predict the result's score, and to score the result."""
Source = str | os.PathLike[str] | Image.Image | np.ndarray | Photo


def enhance(source: Source, **options: Any) -> Result:
    """Enhance a picture; see `enhance_iter` for the arguments."""
    for item in enhance_iter(source, **options):
        result = item
    return result


def enhance_iter(
    source: Source,
    *,
    scorer: str | Scorer = "auto",
    folders: Sequence[str | os.PathLike[str]] = (),
    stop: Callable[[], bool] = lambda: False,
    others: int = OTHERS,
    known: SavedSearch | str | os.PathLike[str] | None = None,
    **options: Any,
) -> Iterator[Event | Result]:
    """Enhance a picture, telling how it goes.

    Args:
        source: a path, a PIL image, an array [H,W,3] (8 or 16 bits, or float 0..1), or a loaded Photo.
        scorer: a scorer's name, or any object that satisfies `nuli.Scorer`.
        folders: where weights may lie, besides the usual caches.
        stop: asked after every batch; once it says True, the best so far becomes the result.
        others: how many other results hard mode tells of at most; the best one is the same for any number.
        known: a saved search (`Result.search`, or the file that it was saved to) to go on from, of the same
            picture, scorer, mode and guards. Its best is judged again, the rest is believed. The budget and the
            evaluations told are those of this search alone; the random numbers are others than before.
        options: the fields of `nuli.Options`.
    Yields:
        An Event after every batch, and the Result at the end.
    Raises:
        NuliError: for a source, option, scorer or saved search that can't be used.
    """
    name = scorer if isinstance(scorer, str) else "auto"
    settings = options_from({**options, "scorer": name})
    ops.select(settings.mode, settings.ops)  # complain before the picture and the weights are loaded
    if known is not None:
        known = open_search(known)
        judge = scoring.pick(name, settings.mode, folders) if isinstance(scorer, str) else scorer
        known.check_options(judge.name, settings.mode, settings.guards)
    photo = source if isinstance(source, Photo) else imageio.load(source)
    if known is not None:
        known.check_picture(photo)
    loaded = load_scorer(settings, folders) if isinstance(scorer, str) else scorer
    run = _Run(photo, settings, loaded, stop, others, known)
    run.resume()
    yield from run.search()
    yield run.finish()


def score(
    sources: Sequence[Source],
    scorer: str | Scorer = "auto",
    folders: Sequence[str | os.PathLike[str]] = (),
    **options: Any,
) -> list[float]:
    """Each picture's own score, in order.

    Args:
        options: those fields of `nuli.Options` that concern a scorer: device, precision, mirror.
    Raises:
        NuliError: for a source, option, or scorer that can't be used.
    """
    settings = options_from({**options, "scorer": scorer if isinstance(scorer, str) else "auto"})
    judge = load_scorer(settings, folders) if isinstance(scorer, str) else scorer
    scores = []
    for source in sources:
        photo = source if isinstance(source, Photo) else imageio.load(source)
        frame = views.make_frame(photo.pixels, photo.alpha, render.pick_device(settings.device))
        [judged] = Evaluator(frame, min(photo.pixels.shape[:2]), judge, guard_weight=0).judge(frame)
        scores.append(judged.score)
    return scores


def load_scorer(settings: Options, folders: Sequence[str | os.PathLike[str]] = ()) -> Scorer:
    """The scorer that the options name, on the device that they name."""
    device = render.pick_device(settings.device)
    return scoring.pick(settings.scorer, settings.mode, folders).load(settings, device, [Path(f) for f in folders])


class _Run:
    """One enhancement: the best recipe so far and what has been spent on it."""

    def __init__(
        self,
        photo: Photo,
        settings: Options,
        scorer: Scorer,
        stop: Callable[[], bool],
        others: int = 0,
        known: SavedSearch | None = None,
    ) -> None:
        self.start = time.perf_counter()
        self.photo, self.settings, self.scorer, self.stop = photo, settings, scorer, stop
        self.seconds = settings.seconds
        self.unasked = self.seconds is None and settings.evaluations is None
        """Whether nobody gave a budget."""
        if self.unasked:
            self.seconds = scoring.default_seconds(scorer.name)
        self.notes = list(photo.notes)
        self.device = render.pick_device(settings.device)
        self.ops = ops.select(settings.mode, settings.ops)
        frame = views.make_frame(photo.pixels, photo.alpha, self.device)
        if settings.mode == "soft" and views.is_grey(frame):
            self.ops = tuple(o for o in self.ops if o.group != "colour")
            self.notes.append("a grey picture: colours are left alone")
        short, weight = min(photo.pixels.shape[:2]), guards.WEIGHTS[settings.guards]
        self.evaluator = Evaluator(frame, short, scorer, settings.mode, weight)
        self.margin = settings.margin * self.evaluator.unit
        [self.before] = self.evaluator.judge(frame)
        self.recipe, self.best = Recipe(), self.before
        self.trace = [(1, self.elapsed, self.before.score)]
        # to ask the questions of the search before once more would be a waste
        seed = settings.seed + (known.evaluations << 32 if known else 0)
        look, steps = self.evaluator.look, settings.max_steps
        self.tree = Tree(self.ops, settings.mode, steps, seed, self.before.objective, look)
        self.known = known
        hard = settings.mode == "hard"
        self.wanted = others if hard else 0
        self.archive = Archive(self.evaluator, self.before.objective) if hard else None
        self.ended: tuple[Judged, Judged] | None = None
        """Of the search that this one goes on from: its best, and what it ended with."""
        self.prepared = self.elapsed

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.start

    @property
    def progress(self) -> float:
        by_time = self.elapsed / self.seconds if self.seconds else 0.0
        limit = self.settings.evaluations
        return min(1.0, max(by_time, self.evaluator.evaluations / limit if limit else 0.0))

    def room(self, reserve: int) -> int:
        """Evaluations that the budget still allows, `reserve` kept back; 0 when stopped or out of time."""
        if self.stop():
            return 0
        each = (self.elapsed - self.prepared) / max(1, self.evaluator.evaluations - 1)
        # of a short time, or with a slow scorer, most is still for the search
        if self.seconds is not None and self.elapsed + min(reserve * each, 0.3 * self.seconds) >= self.seconds:
            return 0
        return self.allowed(reserve)

    def allowed(self, reserve: int) -> int:
        """The same, whatever the time."""
        limit = self.settings.evaluations
        return MOST if limit is None else max(0, limit - self.evaluator.evaluations - reserve)

    @property
    def reserve(self) -> int:
        """Evaluations kept back for the end: simplifying, scoring the result, and in hard mode the other results."""
        whole = 3 * self.settings.max_steps + FINAL + (COST_OF_OTHER * OTHERS if self.settings.mode == "hard" else 0)
        limit = self.settings.evaluations
        return whole if limit is None else min(whole, limit // 4 + FINAL)

    def search(self) -> Iterator[Event]:
        reserve = self.reserve
        tree = self.tree
        gained, gained_at, trimmed_at = self.before.objective, 1, 0
        if not self.settings.strength or self.done or self.stop():
            return
        # the prediction is tried even where loading took all the time
        starts = self.suggestions()[: self.allowed(reserve)]
        slopes = getattr(self.scorer, "differentiable", False)
        plan = explore(tree, starts, self.ops, slopes, getattr(self.scorer, "quick", False))
        asked = next(plan, None)
        room = len(starts) or self.room(reserve)
        while asked and room:
            told: list[float] | tuple[float, list[float]] | None = None
            if isinstance(asked, list):
                told = []
                for batch in self.evaluator.evaluate(asked[:room]):
                    for recipe, judged in zip(asked[len(told) :], batch, strict=False):
                        self.offer(recipe, judged)
                    told += [judged.objective for judged in batch]
                    yield self.event()
                    if not self.room(reserve):
                        break
            elif room >= COST and (found := self.evaluator.slope(asked)):
                judged, slope = found
                self.offer(Recipe(asked).active(), judged)
                told = judged.objective, slope
                yield self.event()
            if self.best.objective > gained + self.margin / 10:
                gained, gained_at = self.best.objective, self.evaluator.evaluations
            if self.evaluator.evaluations >= trimmed_at + TRIM:
                trim()
                trimmed_at = self.evaluator.evaluations
            room = self.room(reserve)
            if self.done or (self.unasked and self.evaluator.evaluations >= gained_at + PATIENCE):
                room = 0
            if not room and isinstance(asked, list):
                tree.tell(asked, told)  # nothing is lost, and no time spent on what to ask next
                break
            try:
                asked = plan.send(told) if room else None
            except StopIteration:  # no ideas left
                break

    def resume(self) -> None:
        """Take over what a saved search knows."""
        if self.known is None or not self.settings.strength:
            return
        steps, allowed = self.settings.max_steps, self.allowed(FINAL)
        ended, note = resume(self.known, self.evaluator, self.tree, self.ops, steps, allowed, self.offer)
        if ended is not None and ended.objective > self.before.objective:
            self.ended = self.best, ended
        for node in self.tree.nodes() if self.archive else ():
            self.archive.add(node.recipe, node.objective)
        self.notes.append(note)

    def suggestions(self) -> list[Recipe]:
        """What `tone` predicts for the picture, as far as the options allow: a start for every scorer."""
        judge = self.scorer if isinstance(self.scorer, Tone) else Tone.load(self.device)
        allowed = {o.name for o in self.ops}
        steps = [s for s in judge.recipe(self.evaluator.original).steps if s.op in allowed]
        whole = Recipe(tuple(steps[: self.settings.max_steps]))
        starts = [] if not len(whole) else [whole] if self.evaluator.anchored else [whole, whole.scaled(0.5)]
        known = {recipe for recipe, _ in self.known.nodes} if self.known else set()
        return [recipe for recipe in starts if recipe not in known]

    @property
    def done(self) -> bool:
        """Whether there is nothing to search with, or nothing left to find."""
        top = self.scorer.score_range[1]
        return not self.ops or (self.evaluator.anchored and self.best.objective >= top - self.margin)

    def offer(self, recipe: Recipe, judged: Judged) -> None:
        if self.archive:
            self.archive.add(recipe, judged.objective)
        if judged.objective > self.best.objective:
            self.recipe, self.best = recipe, judged
            self.trace.append((self.evaluator.evaluations, self.elapsed, judged.score))

    def event(self) -> Event:
        frame = partial(self.evaluator.frames, [self.recipe])
        return Event(
            self.evaluator.evaluations,
            self.elapsed,
            self.before.score,
            self.best.score,
            self.recipe,
            self.progress,
            lambda: Image.fromarray(views.to_pixels(frame(), np.uint8)),
        )

    def finish(self) -> Result:
        least = self.before.objective
        if self.known and self.ended:
            least = self.ended[1].objective
            if self.best is self.ended[0]:  # nothing better was found: the same result again
                self.recipe, self.best = self.known.recipe, self.ended[1]
        self.settle()
        gain = self.best.objective - self.before.objective
        # all steps that are dropped together may cost a tenth of the gain, and never the margin
        floor = max(self.before.objective + max(0.9 * gain, min(self.margin, gain)), least)
        recipe, contributions = simplify(
            self.recipe, self.best.objective, self.objectives, self.margin / 2, floor, self.may_simplify
        )
        strength = self.settings.strength
        scaled = recipe.scaled(strength)
        pixels, predicted, after = self.photo.pixels, self.before, self.before
        if len(scaled) and self.gains((predicted := self.predict(recipe)).objective, self.margin):
            if strength != 1:
                predicted, contributions = self.predict(scaled), ()
            pixels = render.render(self.photo, scaled, self.device, self.evaluator.original)
            [after] = self.evaluator.judge(views.make_frame(pixels, self.photo.alpha, self.device))
        # the margin is for the correction as found: a part of it need only gain
        if not self.gains(after.objective, self.margin if strength == 1 else 0):
            scaled, contributions, pixels = Recipe(), (), self.photo.pixels
            predicted = after = self.before
        looks = self.archive.best() if self.archive else []
        others = self.others(recipe, looks) if len(scaled) and self.wanted else ()
        return Result(
            photo=self.photo,
            pixels=pixels,
            recipe=scaled,
            score_before=self.before.score,
            score_after=after.score,
            score_predicted=predicted.score,
            contributions=contributions,
            scorer=self.scorer.name,
            evaluations=self.evaluator.evaluations,
            seconds=self.elapsed,
            trace=tuple(self.trace),
            notes=tuple(self.notes),
            chains=tuple((ops, best - self.before.objective) for ops, best in self.tree.chains()[:CHAINS]),
            others=others,
            _search=self.record(recipe, looks),
        )

    def settle(self) -> None:
        """Where the best recipe gains nothing at the strength asked for, take another good one that does."""
        strength = self.settings.strength
        if strength == 1 or not len(self.recipe):
            return
        [judged] = self.objectives([self.recipe.scaled(strength)])
        others = [node for node in self.tree.kinds() if self.gains(node.objective, self.margin)]
        others = others[: self.allowed(FINAL + 1)]
        if not others or self.gains(judged, 0):
            return
        scaled = self.objectives([node.recipe.scaled(strength) for node in others])
        node = others[max(range(len(others)), key=scaled.__getitem__)]
        [self.best] = self.evaluator.judge(self.evaluator.frames([node.recipe]))
        self.recipe = node.recipe

    def record(self, recipe: Recipe, looks: list[tuple[Recipe, float]]) -> Callable[[], SavedSearch]:
        """What there is to save, made when asked for: the picture's fingerprint takes a moment."""
        settings, nodes = self.settings, [(node.recipe, node.objective) for node in self.tree.nodes()]
        evaluations = self.evaluator.evaluations
        if self.known is not None:  # what this search was not allowed to use is kept as well
            evaluations += self.known.evaluations
            nodes = [*self.known.nodes, *nodes]
            recipe = recipe if len(recipe) else self.known.recipe
        kind = self.scorer.name, settings.mode, settings.guards
        return partial(record, self.photo, *kind, evaluations, recipe, nodes, looks)

    def others(self, chosen: Recipe, looks: list[tuple[Recipe, float]]) -> tuple[Other, ...]:
        """In hard mode, what else the search found that is good and looks different."""
        found = find_others(
            self.evaluator,
            looks,
            chosen,
            self.before.objective,
            self.settings.strength,
            self.margin,
            self.foretell,
            self.room,
            min(self.wanted, self.allowed(0)),
        )
        return tuple(Other(self.photo, recipe, judged.score, self.device) for recipe, judged in found)

    def may_simplify(self, count: int, first: bool) -> bool:
        """Whether a pass of `count` evaluations fits; the first one may be a batch late, but not one too many."""
        limit = self.settings.evaluations
        fits = limit is None or self.evaluator.evaluations + count + FINAL <= limit
        return fits and (first or self.room(count + FINAL) > 0)

    def predict(self, recipe: Recipe) -> Judged:
        """What the full picture will get: judged on a larger frame, which holds more of its detail."""
        return self.evaluator.judge_finely(self.fine, recipe, self.before)

    def foretell(self, recipe: Recipe) -> Judged:
        """The same, in less detail where time is up: so many of these as a batch has take no longer than a batch."""
        if self.room(1):
            return self.predict(recipe)
        [judged] = self.evaluator.judge(self.evaluator.frames([recipe]))
        return judged

    @cached_property
    def fine(self) -> Tensor:
        return views.make_frame(self.photo.pixels, self.photo.alpha, self.device, views.FINE)

    def gains(self, objective: float, least: float) -> bool:
        """Whether a change gains anything, and at least so much."""
        gain = objective - self.before.objective
        return gain > 0 and gain >= least

    def objectives(self, recipes: list[Recipe]) -> list[float]:
        return [judged.objective for batch in self.evaluator.evaluate(recipes) for judged in batch]
