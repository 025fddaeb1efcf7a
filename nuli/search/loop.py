"""The search loop: a budget is spent on what the plan asks for, and the best recipe so far is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from ..checkpoint import SavedSearch
from ..devices import pick_device
from ..heap import give_back
from ..imaging.frames import each, is_grey, is_toned, to_pixels
from ..imaging.photo import Photo
from ..ops.registry import select_ops
from ..options import AS_FOUND, Options
from ..recipe import Recipe
from ..result import Event
from ..scoring.kept import has_few_colours, keeps
from ..scoring.penalties import WEIGHTS
from ..scoring.protocol import Scorer, known_as
from ..scoring.registry import default_seconds, members
from ..scoring.taste import Taste
from ..scoring.tone import Tone
from .archive import Archive
from .budget import Budget
from .config import CHEAP, EXPENSIVE, GPU, GRADIENT_COST, MAX_OTHERS, OTHER_COST, SearchConfig
from .directions import starts as side_starts
from .evaluator import Evaluation, Evaluator
from .fixed import NONE_FIXED, Fixed
from .plan import GradientResponse, Plan, Request, Response, ScoreRequest, ScoreResponse, plan_search
from .sample import Sample, make_frames, make_masks
from .tree import Tree

FINAL = 5
"""Evaluations that it takes at most to predict the result's score, and to score the result."""
RESCORED = 16
"""The best of a saved search that are scored again where its other objectives can't be trusted."""
SEVERAL_TARGETS = 64
"""Evaluations without a real improvement after which a search on several pictures ends whose scorer has a target."""


class Search:
    """One search on one picture, or on several that get one recipe: its state, and the loop that changes it.

    Args:
        pictures: the picture; or samples of all of them. Of several none is looked for that goes another direction,
            and without a given budget there is the time of as many searches.
        options: all options of the enhancement.
        scorer: scores the candidates.
        stop: asked after every batch; once it says True, the search ends.
        saved: a saved search to go on from, of the same picture, scorer, mode and guards.
        config: hyperparameters; by default those that suit the scorer's cost.
        fixed: steps that go with every recipe. All recipes here are those without them.
    """

    def __init__(
        self,
        pictures: Photo | Sequence[Sample],
        options: Options,
        scorer: Scorer,
        stop: Callable[[], bool],
        saved: SavedSearch | None = None,
        config: SearchConfig | None = None,
        fixed: Fixed = NONE_FIXED,
    ) -> None:
        self.unlimited = options.seconds is None and options.evaluations is None
        """Whether nobody gave a budget."""
        self.samples = [Sample.of(pictures)] if isinstance(pictures, Photo) else list(pictures)
        several = len(self.samples) > 1
        seconds = default_seconds(scorer.name) * len(self.samples) if self.unlimited else options.seconds
        self.budget = Budget(seconds, options.evaluations, stop)
        self.options, self.scorer, self.saved = options, scorer, saved
        self.trusted = saved is None or not untold(saved, scorer, options)
        """Whether the saved search's objectives can be compared with this one's."""
        hard = options.mode == "hard"
        self.amounts = AS_FOUND if hard else options.amounts
        """What of that which is found is applied in the end."""
        self.bounds = options.amounts if hard else AS_FOUND
        """How much of the ranges is searched. In hard mode amounts limit what may be found, so that all that is told of
        is what will be seen; in soft mode they are a part of what is found, and it stays the same correction."""
        self.notes = list(dict.fromkeys(note for sample in self.samples for note in sample.photo.notes))
        self.device = pick_device(options.device)
        chosen = select_ops(options.mode, options.ops, options.lock)
        self.ops = tuple(op for op in chosen if options.amounts.of(op.group) and op.name not in fixed.locked)
        frame = make_frames(self.samples, self.device)
        mask = make_masks(self.samples, self.device)
        if mask is not None and not mask.any():
            self.ops = ()  # nothing would change
        reach = min(1.0, max((self.bounds.of(op.group) for op in self.ops), default=1.0))
        weight = WEIGHTS[options.guards]
        keeping = keeps(scorer, options.mode, weight)
        grey = not hard and is_grey(frame)
        if grey or (keeping and all(is_toned(one) for one in each(frame))):
            self.ops = tuple(o for o in self.ops if o.group != "colour")
            self.notes.append(f"a {'grey' if grey else 'toned'} picture: colours are left alone")
        if keeping and all(has_few_colours(sample.photo) for sample in self.samples):
            self.ops = ()
            self.notes.append("a picture of few colours: its palette is kept")
        # large and small pictures of one series are judged at a size between
        short = sum(sample.short for sample in self.samples) / len(self.samples)
        guarded = weight and not getattr(scorer, "has_target", False)
        judged = judged_with(scorer, options)
        self.critic = Taste.load(self.device) if judged["realism"] == "on" else None
        """What holds candidates to its realism."""
        self.tone = scorer if isinstance(scorer, Tone) else Tone.load(self.device)
        """Where to begin, and how far guards leave the way free."""
        anchor = self.tone.corrected if options.mode == "soft" and guarded else None
        self.evaluator = Evaluator(frame, short, scorer, options.mode, weight, self.critic, fixed, mask, anchor)
        if hasattr(scorer, "notes"):
            self.notes += scorer.notes(frame)
        self.margin = options.margin * self.evaluator.unit * self.evaluator.changeable * reach
        """What a change must gain to be made: where a mask or amounts leave less to change, there is less to gain."""
        [self.untouched] = [self.before] = self.evaluator.score_frames(frame)
        """The pictures' own evaluation, and what there is to gain from: that of the fixed steps alone."""
        self.trace = [(1, self.budget.elapsed, self.before.score)]
        if fixed:
            [self.before] = self.evaluator.score_frames(self.evaluator.frames([Recipe()]))
            self.trace.append((2, self.budget.elapsed, self.before.score))
        self.recipe, self.best = Recipe(), self.before
        self.liked = self.recipe, self.best
        """The candidate that the scorer itself gave most."""
        cheap = getattr(scorer, "cheap", False)
        self.config = config or (CHEAP if cheap else EXPENSIVE if self.device.type == "cpu" else GPU)
        apart = hard and not several
        self.archive = Archive(self.evaluator, self.before.objective, self.bounds) if apart else None
        # beside a definite picture there is nothing to look for
        varied = hard and not self.evaluator.has_target and self.config.sideways > 0
        sideways = self.archive if varied else None
        # a saved search began with them
        starts = side_starts(self.config.side_starts) if varied and not saved else []
        starts = [start.scaled(self.bounds) for start in starts]
        self.patience = self.config.patience if self.unlimited else sys.maxsize
        """Evaluations without a real improvement after which the search ends."""
        if several and self.evaluator.has_target:
            # one recipe reaches no picture's target, but what comes nearest to all of them is soon found
            self.patience = SEVERAL_TARGETS
        self.tree = Tree(
            self.ops,
            options.mode,
            options.max_steps,
            # the same random numbers as the saved search had would propose the same recipes
            options.seed + (saved.evaluations << 32 if saved else 0),
            self.before.objective,
            partial(self.evaluator.features, config=self.config.features),
            self.config,
            starts,
            sideways,
            self.bounds,
        )
        self.resumed: tuple[Evaluation, Evaluation] | None = None
        """The saved search's best node, and the recipe that it ended with, scored again."""
        self.budget.begin(lambda: self.evaluator.evaluations)

    def events(self) -> Iterator[Event]:
        """Search until the budget is spent or nothing is left to find, with an event after every batch."""
        self._resume()
        if self._is_done() or self.budget.stop():
            return
        reserve = self._reserve()
        # a start is tried even where loading took all the time
        starts = self._starts()[: self.budget.remaining_evaluations(reserve)]
        plan = plan_search(self.tree, starts, self.ops, getattr(self.scorer, "differentiable", False))
        request = next(plan, None)
        remaining = len(starts) or self.budget.remaining(reserve)
        improved_to, improved_at, trimmed_at = self.before.objective, 1, 0
        while request and remaining:
            response: Response = None
            if isinstance(request, ScoreRequest):
                objectives: list[float] = []
                for batch in self.evaluator.evaluate(request.recipes[:remaining]):
                    for recipe, evaluation in zip(request.recipes[len(objectives) :], batch, strict=False):
                        self._offer(recipe, evaluation)
                    objectives += [evaluation.objective for evaluation in batch]
                    yield self._event()
                    if not self.budget.remaining(reserve):
                        break
                response = ScoreResponse(tuple(objectives))
            elif remaining >= GRADIENT_COST and (scored := self.evaluator.gradient(request.steps)):
                evaluation, gradient = scored
                self._offer(Recipe(request.steps).without_noops(), evaluation)
                response = GradientResponse(evaluation.objective, tuple(gradient))
                yield self._event()
            spent = self.evaluator.evaluations
            if self.best.objective > improved_to + self.margin / 10:
                improved_to, improved_at = self.best.objective, spent
            if spent >= trimmed_at + self.config.trim_every:
                give_back()
                trimmed_at = spent
            remaining = self.budget.remaining(reserve)
            if self._is_done() or spent >= improved_at + self.patience:
                remaining = 0
            if remaining:
                request = _answer(plan, response)
            elif isinstance(request, ScoreRequest):
                # nothing is lost, and no time spent on what to ask next
                self.tree.tell(request.recipes, objectives)

    def _reserve(self) -> int:
        """Evaluations kept back for the end: simplifying, scoring the result, and in hard mode the other results."""
        whole = 3 * self.options.max_steps + FINAL + (OTHER_COST * MAX_OTHERS if self.archive else 0)
        limit = self.budget.evaluations
        # of the smallest budget one is for the untouched picture, one for a candidate
        return whole if limit is None else min(whole, limit // 4 + FINAL, limit - 2)

    def _starts(self) -> list[Recipe]:
        """What the scorer would begin with, or, where it has no idea of its own, what `tone` predicts."""
        offering = self.scorer if hasattr(self.scorer, "starts") else self.tone
        offered = offering.starts(self.evaluator.baseline, self.ops, self.options.mode, self.options.max_steps)
        starts = [recipe for recipe in (recipe.scaled(self.bounds) for recipe in offered) if len(recipe)]
        if not self.evaluator.has_target:
            starts += [recipe.scaled(0.5) for recipe in starts]
        scored = {recipe for recipe, _ in self.saved.nodes} if self.saved else set()
        return [recipe for recipe in starts if recipe not in scored]

    def _is_done(self) -> bool:
        """Whether there is nothing to search with, or nothing left to find."""
        top = self.scorer.score_range[1]
        return not self.ops or (self.evaluator.has_target and self.best.objective >= top - self.margin)

    def _offer(self, recipe: Recipe, evaluation: Evaluation) -> None:
        if self.archive:
            self.archive.add(recipe, evaluation.objective)
        if evaluation.score > self.liked[1].score:
            self.liked = recipe, evaluation
        if evaluation.objective > self.best.objective:
            self.recipe, self.best = recipe, evaluation
            self.trace.append((self.evaluator.evaluations, self.budget.elapsed, evaluation.score))

    def _event(self) -> Event:
        frame = partial(self.evaluator.frames, [self.recipe])
        return Event(
            self.evaluator.evaluations,
            self.budget.elapsed,
            self.untouched.score,
            self.best.score,
            self.evaluator.fixed.whole(self.recipe),
            self.budget.progress,
            lambda: Image.fromarray(to_pixels(frame(), np.uint8)),
        )

    def _resume(self) -> None:
        """Tell the tree what a saved search found out, as far as the ops, steps and amounts in use allow.

        Its best node and the recipe that it ended with are scored again; the other objectives are trusted, where the
        saved search tells all that they depend on.
        """
        saved = self.saved
        if saved is None or not self.ops:
            return

        def usable(recipe: Recipe) -> bool:
            return len(recipe) > 0 and self.tree.fits(recipe)

        trusted = {recipe: objective for recipe, objective in saved.nodes if usable(recipe)}
        ended = [saved.recipe] if usable(saved.recipe) else []
        again = list(dict.fromkeys([*[*trusted][:1], *ended]))
        if not self.trusted:
            most = self.budget.remaining_evaluations(self._reserve()) // 2 if self.budget.evaluations else RESCORED
            again = list(dict.fromkeys([*again, *[*trusted][: min(most, RESCORED)]]))
            trusted = {}
            self.notes.append("the saved search does not tell how it judged: its best were scored again")
        if len(again) > self.budget.remaining_evaluations(FINAL):
            self.notes.append("too few evaluations to go on from the saved search")
            return
        batches = self.evaluator.evaluate(again)
        scored = dict(zip(again, (evaluation for batch in batches for evaluation in batch), strict=True))
        for recipe, evaluation in scored.items():
            self._offer(recipe, evaluation)
        objectives = {recipe: evaluation.objective for recipe, evaluation in scored.items()}
        if trusted:
            # another device or precision moves all figures by about as much
            moved = objectives[again[0]] - trusted[again[0]]
            objectives = {recipe: objective + moved for recipe, objective in trusted.items()} | objectives
        self.tree.tell([*objectives], [*objectives.values()])
        self.notes.append(f"goes on from a search of {saved.evaluations} evaluations")
        ended = scored.get(saved.recipe)
        if ended is not None and ended.objective > self.before.objective:
            self.resumed = self.best, ended
        for node in self.tree.nodes() if self.archive else ():
            self.archive.add(node.recipe, node.objective)


def judged_with(scorer: Scorer, options: Options) -> dict[str, str]:
    """What the objectives of a search depend on besides its picture, in the words of the options."""
    guarded = WEIGHTS[options.guards] and not getattr(scorer, "has_target", False)
    return {
        "scorer": known_as(scorer),
        "mode": options.mode,
        "guards": options.guards,
        "realism": "on" if guarded and needs_critic(options, scorer.name) else "off",
        "mirror": options.mirror if "laion" in members(scorer.name) else "off",
    }


def untold(saved: SavedSearch, scorer: Scorer, options: Options) -> list[str]:
    """What might have made a saved search's objectives others than those of a search now, and it doesn't tell."""
    mirrored = judged_with(scorer, replace(options, mirror="on"))
    critical = judged_with(scorer, replace(options, realism="on"))
    matters = {"realism": critical["realism"] == "on", "mirror": mirrored["mirror"] == "on"}
    return [name for name, does in matters.items() if does and getattr(saved, name) is None]


def needs_critic(options: Options, scorer: str) -> bool:
    """Whether what a scorer wants in hard mode is to be held to the realism that `taste` asks for."""
    if options.mode == "soft" or options.realism == "off" or scorer == "taste":
        return False
    return options.realism == "on" or scorer != "vivid"


def _answer(plan: Plan, response: Response) -> Request | None:
    """The plan's next request; None where it has no ideas left."""
    try:
        return plan.send(response)
    except StopIteration:
        return None
