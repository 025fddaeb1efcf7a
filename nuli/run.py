"""One enhancement, from the untouched picture to the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial

import numpy as np
from PIL import Image
from torch import Tensor

from . import ops, render, scoring, views
from .archive import Archive
from .budget import Budget
from .evaluator import Evaluator, Judged, trim
from .imageio import Photo
from .options import Options
from .others import COST as COST_OF_OTHER
from .others import find_others
from .recipe import Recipe
from .result import Event, Other, Result
from .resume import resume
from .saved import SavedSearch, record
from .scoring import Scorer, guards
from .scoring.tone import Tone
from .search.explore import BRISK, CAREFUL, COST, QUICK, explore
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


class Run:
    """The best recipe so far, and all that is needed to find a better one.

    Call `resume`, `search` and `finish`, in this order.
    """

    def __init__(
        self,
        photo: Photo,
        settings: Options,
        scorer: Scorer,
        stop: Callable[[], bool],
        others: int = 0,
        known: SavedSearch | None = None,
    ) -> None:
        self.unasked = settings.seconds is None and settings.evaluations is None
        """Whether nobody gave a budget."""
        seconds = scoring.default_seconds(scorer.name) if self.unasked else settings.seconds
        self.budget = Budget(seconds, settings.evaluations, stop)
        self.photo, self.settings, self.scorer = photo, settings, scorer
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
        self.trace = [(1, self.budget.elapsed, self.before.score)]
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
        self.budget.begin(lambda: self.evaluator.evaluations)

    @property
    def reserve(self) -> int:
        """Evaluations kept back for the end: simplifying, scoring the result, and in hard mode the other results."""
        whole = 3 * self.settings.max_steps + FINAL + (COST_OF_OTHER * OTHERS if self.settings.mode == "hard" else 0)
        limit = self.budget.evaluations
        return whole if limit is None else min(whole, limit // 4 + FINAL)

    def search(self) -> Iterator[Event]:
        reserve = self.reserve
        tree = self.tree
        gained, gained_at, trimmed_at = self.before.objective, 1, 0
        if not self.settings.strength or self.done or self.budget.stop():
            return
        # the prediction is tried even where loading took all the time
        starts = self.suggestions()[: self.budget.allowed(reserve)]
        quick = getattr(self.scorer, "quick", False)
        pace = QUICK if quick else CAREFUL if self.device.type == "cpu" else BRISK
        slopes = getattr(self.scorer, "differentiable", False) and not quick
        plan = explore(tree, starts, self.ops, slopes, pace)
        asked = next(plan, None)
        room = len(starts) or self.budget.room(reserve)
        while asked and room:
            told: list[float] | tuple[float, list[float]] | None = None
            if isinstance(asked, list):
                told = []
                for batch in self.evaluator.evaluate(asked[:room]):
                    for recipe, judged in zip(asked[len(told) :], batch, strict=False):
                        self.offer(recipe, judged)
                    told += [judged.objective for judged in batch]
                    yield self.event()
                    if not self.budget.room(reserve):
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
            room = self.budget.room(reserve)
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
        steps, allowed = self.settings.max_steps, self.budget.allowed(FINAL)
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
            self.trace.append((self.evaluator.evaluations, self.budget.elapsed, judged.score))

    def event(self) -> Event:
        frame = partial(self.evaluator.frames, [self.recipe])
        return Event(
            self.evaluator.evaluations,
            self.budget.elapsed,
            self.before.score,
            self.best.score,
            self.recipe,
            self.budget.progress,
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
            seconds=self.budget.elapsed,
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
        nodes = [node for node in self.tree.kinds() if self.gains(node.objective, self.margin)]
        nodes = nodes[: self.budget.allowed(FINAL + 1)]
        if not nodes or self.gains(judged, 0):
            return
        scaled = self.objectives([node.recipe.scaled(strength) for node in nodes])
        node = nodes[max(range(len(nodes)), key=scaled.__getitem__)]
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
            self.budget.room,
            min(self.wanted, self.budget.allowed(0)),
        )
        return tuple(Other(self.photo, recipe, judged.score, self.device) for recipe, judged in found)

    def may_simplify(self, count: int, first: bool) -> bool:
        """Whether a pass of `count` evaluations fits; the first one may be a batch late, but not one too many."""
        limit = self.budget.evaluations
        fits = limit is None or self.evaluator.evaluations + count + FINAL <= limit
        return fits and (first or self.budget.room(count + FINAL) > 0)

    def predict(self, recipe: Recipe) -> Judged:
        """What the full picture will get: judged on a larger frame, which holds more of its detail."""
        return self.evaluator.judge_finely(self.fine, recipe, self.before)

    def foretell(self, recipe: Recipe) -> Judged:
        """The same, in less detail where time is up: so many of these as a batch has take no longer than a batch."""
        if self.budget.room(1):
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
