"""The evaluator: recipes in, objectives out. The only place where candidates meet the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import DeviceMemoryError, ScoreError, is_out_of_memory
from ..imaging.frames import each, scorer_view, stacked, subsample
from ..ops.pipeline import apply_chains, apply_chains_subsampled, scale_of
from ..ops.registry import apply_op, get_op, measure_statistics
from ..ops.step import Step
from ..recipe import Recipe
from ..scoring.kept import Kept, keeps
from ..scoring.limits import WATCHED, thinned, wall
from ..scoring.penalties import NAMES, Guards
from ..scoring.protocol import Scorer
from ..scoring.taste import Taste
from ..threads import parallel_map, run_multithreaded, split_evenly
from .config import GRADIENT_COST, FeatureConfig
from .features import features, thumbnail
from .fixed import NONE_FIXED, Fixed

if TYPE_CHECKING:
    from ..scoring.protocol import Score

FEATURE_BATCH = 16
"""Thumbnails that features are computed of at once: a processor's cache holds what becomes of so many."""
SMALLEST_PIECE = 2
"""Candidates that are worth a thread."""
GUARDS = (*NAMES, "realism")
"""The guards, in the order of their figures."""
NOT_FINITE = "the scorer returned a score that is not a finite number; try another scorer"


@dataclass(frozen=True)
class Evaluation:
    """What one candidate is worth."""

    score: float
    """The scorer's own figure."""
    penalty: float
    """What the guards take off, in the scorer's units."""
    parts: tuple[float, ...] = ()
    """What each of GUARDS takes off; empty where there are none."""

    @property
    def objective(self) -> float:
        return self.score - self.penalty


class Evaluator:
    """Scores recipes on one picture; or on several, each by its mean over them.

    Args:
        frame: the untouched picture's frame [1,3,h,w] (see `imaging.frames`), on the device to work on; of K pictures
            [K,3,h,w]. In all that follows N frames are those of N/K recipes, and K in a row those of one recipe.
        full: short side of the full-size picture, in pixels.
        scorer: scores the candidates.
        mode: "soft" or "hard", whose guards to use.
        guard_weight: of all guards together; 0 switches them off. A scorer that has a target needs none.
        critic: one more guard: holds candidates to its realism.
        fixed: steps that go with every recipe.
        mask: where the pictures may be changed [K,1,h,w], 0..1 (see `imaging.mask`): what is scored is the picture
            changed there only, and limits are of that part.
        anchor: makes of frames [K,3,h,w] every second pixel as `tone` would correct them: guards leave the way there
            free.
    """

    @torch.inference_mode(False)  # a host that calls us in that mode would get a picture without gradients
    def __init__(
        self,
        frame: Tensor,
        full: float,
        scorer: Scorer,
        mode: str = "soft",
        guard_weight: float = 1.0,
        critic: Taste | None = None,
        fixed: Fixed = NONE_FIXED,
        mask: Tensor | None = None,
        anchor: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        frame = frame.clone() if frame.is_inference() else frame
        self.original = frame
        self.scale = scale_of(frame, full)
        self.fixed, self._mask = fixed, mask
        self.changeable = 1.0 if mask is None else mask.mean().item()
        """The part of the pictures that may be changed."""
        self.unit = (scorer.score_range[1] - scorer.score_range[0]) / 10
        """A tenth of the scorer's range."""
        self.evaluations = 0
        """Candidates scored so far."""
        self.pictures = len(frame)
        self.batch = max(1, (8 if frame.device.type == "cpu" else 64) // self.pictures)
        """Candidates scored at once; halved for good when memory runs out."""
        self._view_mode = getattr(scorer, "view_mode", "crop")
        self._size = scorer.input_size
        self._in_pieces = getattr(scorer, "cheap", False) and frame.device.type == "cpu"
        self._thumbnail = thumbnail(frame)
        self.baseline = frame = self.frames([Recipe()]) if fixed else frame
        """What the fixed steps make of the frame: what the user asked for is no change to hold against a candidate, and
        none to undo."""
        self.has_target = getattr(scorer, "has_target", False)
        self._weight = 0.0 if self.has_target else guard_weight * self.unit
        with self._memory():
            self._score = bind_each(scorer.bind, frame if self._view_mode == "subsampled" else self._view(frame))
        guarded = self._guarded_part(frame)
        nothing: Sequence[Tensor | None] = [None] * len(frame)
        anchors = nothing if anchor is None else self._composed_subsampled(anchor(frame)).split(1)
        masks = nothing if mask is None else self._guarded_part(mask).split(1)
        parts = zip(guarded.split(1), anchors, masks, strict=True) if self._weight else ()
        self.guards = [Guards(picture, mode, corrected, allowed) for picture, corrected, allowed in parts]
        """Those of each picture; empty where there are none."""
        self.limits = [guards.limits for guards in self.guards] if mode == "soft" else []
        """What each picture's result must keep to, likewise."""
        self.kept = [Kept(picture) for picture in each(frame)] if keeps(scorer, mode, guard_weight) else []
        """What is to be left as it is of each picture; empty where nothing is."""
        self._lacking = bind_each(critic.bind_guard, self._seen_by_critic(guarded)) if critic else None

    def _view(self, frames: Tensor) -> Tensor:
        return scorer_view(frames, self._view_mode, self._size)

    def _guarded_part(self, frames: Tensor) -> Tensor:
        """What penalties are computed of: where the scorer looks at every second pixel only, they do too."""
        return subsample(frames) if self._view_mode == "subsampled" else frames

    def _seen_by_critic(self, guarded: Tensor) -> Tensor:
        return guarded if self._view_mode == "subsampled" else subsample(guarded)

    @torch.no_grad()
    def score_frames(self, frames: Tensor) -> list[Evaluation]:
        """Score frames [N,3,h,w] as they are. Counts as N/K evaluations."""
        with self._memory():
            return self._counted(self._score_views(self._view(frames), self._guarded_part(frames)))

    def _counted(self, found: list[Evaluation]) -> list[Evaluation]:
        self.evaluations += len(found)
        return found

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Tell of memory that isn't there for even one candidate. Raises DeviceMemoryError."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            where, advice = self.original.device.type, "free some, or choose the device cpu (--device cpu)"
            raise DeviceMemoryError(f"no memory on {where} for a single candidate; {advice}") from None

    def _score_views(self, views: Tensor, guarded: Tensor) -> list[Evaluation]:
        """Score frames by their views, and by their guarded parts."""
        scored = self._score(views) if self._in_pieces else run_multithreaded(self._score_at_once, views)
        scores = checked(scored, len(views) // self.pictures).float()
        if not torch.isfinite(scores).all():
            raise ScoreError(NOT_FINITE)
        if not self._weight:
            return [Evaluation(score, 0.0) for score in scores.tolist()]
        penalties = self._penalize(guarded)
        rows = torch.cat([scores[:, None], penalties.sum(1, keepdim=True), penalties], 1).tolist()
        return [Evaluation(score, penalty, tuple(parts)) for score, penalty, *parts in rows]

    @torch.no_grad()  # a thread has a mode of its own
    def _score_at_once(self, views: Tensor) -> Tensor:
        return self._score(views)

    def _penalize(self, guarded: Tensor) -> Tensor:
        """What each of GUARDS takes off, [N,G]."""
        views = guarded.unflatten(0, (-1, self.pictures)).unbind(1) if self.pictures > 1 else [guarded]
        found = [guards(view.contiguous()) for guards, view in zip(self.guards, views, strict=True)]
        penalties = torch.stack(found).mean(0)
        costs = [wall(kept.reach(view)) for kept, view in zip(self.kept, views, strict=False) if kept]
        if costs:
            penalties[:, NAMES.index("drift")] += torch.stack(costs).sum(0) / self.pictures
        lacking = self._lacking(self._seen_by_critic(guarded)) if self._lacking else torch.zeros_like(penalties[:, 0])
        return self._weight * torch.cat([penalties, lacking[:, None]], 1)

    def gradient(self, steps: tuple[Step, ...]) -> tuple[Evaluation, list[float]] | None:
        """Score a chain, with the gradient of its objective with respect to its values. Counts as GRADIENT_COST.

        What the steps measure in the picture is held fixed. None where the scorer has no gradient, or memory ran out.
        """
        return run_multithreaded(self._gradient, steps)

    @torch.inference_mode(False)
    def _gradient(self, steps: tuple[Step, ...]) -> tuple[Evaluation, list[float]] | None:
        frame, rows = self.original, []
        try:
            with torch.enable_grad():
                for step in self.fixed.around(steps):
                    op = get_op(step.op)
                    rows.append(frame.new_tensor([step.values]).requires_grad_())
                    measured = measure_statistics(op, frame.detach(), self.pictures)
                    frame = apply_op(op, frame, rows[-1].expand(self.pictures, -1), measured, self.scale)
                rows = rows[len(self.fixed.first) :][: len(steps)]
                frame = self._composed(frame, self.original, self._mask)
                score = self._score(self._view(frame)).float()
                if not score.requires_grad:
                    return None
                parts = self._penalize(self._guarded_part(frame)) if self._weight else 0 * score[:, None]
                penalty = parts.sum(1)
                gradients = torch.autograd.grad((score - penalty).sum(), rows, allow_unused=True)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        if not torch.isfinite(score).all():
            raise ScoreError(NOT_FINITE)
        self.evaluations += GRADIENT_COST
        parts = tuple(parts[0].tolist()) if self._weight else ()
        whole = [torch.zeros_like(r) if g is None else g for r, g in zip(rows, gradients, strict=True)]
        return Evaluation(score.item(), penalty.item(), parts), torch.cat(whole, 1)[0].nan_to_num(0, 0, 0).tolist()

    def evaluate(self, recipes: Sequence[Recipe]) -> Iterator[list[Evaluation]]:
        """Score recipes in order, one batch per turn, so that the caller can stop in between."""
        remaining = iter(recipes)
        while batch := list(islice(remaining, self.batch)):
            yield self._evaluate_batch(batch)

    def objectives(self, recipes: Sequence[Recipe]) -> list[float]:
        """The objectives of recipes, in order."""
        return [evaluation.objective for batch in self.evaluate(recipes) for evaluation in batch]

    def _evaluate_batch(self, recipes: list[Recipe]) -> list[Evaluation]:
        """One batch, in halves when it is too large for the memory."""
        if len(recipes) == 1:
            with self._memory():
                return self._evaluate_at_once(recipes)
        try:
            return self._evaluate_at_once(recipes)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # outside of the except block: the traceback would keep the failed batch's memory alive
        self.batch = len(recipes) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return [evaluation for part in self.evaluate(recipes) for evaluation in part]

    def _evaluate_at_once(self, recipes: list[Recipe]) -> list[Evaluation]:
        pieces = split_evenly(recipes, SMALLEST_PIECE) if self._in_pieces else [recipes]
        found = parallel_map(self._evaluate_piece, pieces)
        return self._counted([evaluation for piece in found for evaluation in piece])

    @torch.no_grad()  # a thread has a mode of its own
    def _evaluate_piece(self, recipes: Sequence[Recipe]) -> list[Evaluation]:
        if self._view_mode != "subsampled":
            frames = self.frames(recipes)
            return self._score_views(self._view(frames), self._guarded_part(frames))
        views = self.subsampled(recipes)
        return self._score_views(views, views)

    @torch.no_grad()
    def subsampled(self, recipes: Sequence[Recipe]) -> Tensor:
        """Every second pixel in both directions of the frames that the recipes make."""
        made = torch.cat(apply_chains_subsampled(self.original, self._chains(recipes), self.scale))
        return self._composed_subsampled(made)

    @torch.no_grad()
    def frames(self, recipes: Sequence[Recipe]) -> Tensor:
        """The frames [N,3,h,w] that the recipes make."""
        frames = [self.original] * len(recipes)
        made = torch.cat(apply_chains(frames, self._chains(recipes), self.scale))
        return self._composed(made, self.original, self._mask)

    def hold(self, recipe: Recipe) -> bool:
        """Whether each picture's frame keeps within its limits with a recipe. Costs no evaluation."""
        frames = self.frames([recipe]).split(1) if self.limits or any(self.kept) else ()
        limited = zip(self.limits, frames, strict=True) if self.limits else ()
        return all(one.hold(thinned(frame, WATCHED)) for one, frame in limited) and self._left_by(frames)

    def keep(self, recipe: Recipe) -> bool:
        """Whether a recipe leaves of each picture what is to be kept. Costs no evaluation."""
        return self._left_by(self.frames([recipe]).split(1) if any(self.kept) else ())

    def _left_by(self, frames: Sequence[Tensor]) -> bool:
        """Whether these frames, one of each picture, leave what is to be kept."""
        return all(bool(one.reach(frame) <= 1) for one, frame in zip(self.kept, frames, strict=False) if one)

    @torch.no_grad()
    def thumbnails(self, recipes: Sequence[Recipe]) -> Tensor:
        """The thumbnails [N,3,h,w] that the recipes make: of several pictures one, in which they lie one below the
        other. Costs no evaluation."""
        scale = scale_of(self._thumbnail, self.scale.full)
        made = torch.cat(apply_chains([self._thumbnail] * len(recipes), self._chains(recipes), scale))
        if self._mask is not None:
            made = self._composed(made, self._thumbnail, thumbnail(self._mask))
        return stacked(made, self.pictures) if self.pictures > 1 else made

    def _chains(self, recipes: Sequence[Recipe]) -> list[tuple[Step, ...]]:
        return [self.fixed.around(recipe.steps) for recipe in recipes]

    def _composed_subsampled(self, made: Tensor) -> Tensor:
        """`_composed` for every second pixel of candidates."""
        return made if self._mask is None else self._composed(made, subsample(self.original), subsample(self._mask))

    def _composed(self, made: Tensor, originals: Tensor, mask: Tensor | None) -> Tensor:
        """Candidates [N*K,3,h,w] where the mask [K,1,h,w] lets them be seen, the originals [K,3,h,w] elsewhere."""
        if mask is None:
            return made
        count = len(made) // self.pictures
        if self.pictures > 1:
            originals, mask = originals.repeat(count, 1, 1, 1), mask.repeat(count, 1, 1, 1)
        return torch.lerp(originals, made, mask)

    def features(self, recipes: Sequence[Recipe], config: FeatureConfig) -> Tensor:
        """The features [N,F] of what recipes make, float64 on the CPU. Costs no evaluation."""
        batches = self.thumbnails(recipes).split(FEATURE_BATCH)
        return torch.cat([features(batch, config) for batch in batches]).cpu().double()


def bind_each(bind: Callable[[Tensor], Score], originals: Tensor) -> Score:
    """What scores candidates made from K pictures [K,3,H,W]: their views [N*K,3,H,W], K in a row of one candidate, to
    the mean [N] of the scores that each gets beside its own original."""
    if len(originals) == 1:
        return bind(originals)
    scores = [bind(original) for original in originals.split(1)]
    count = len(scores)

    def mean(views: Tensor) -> Tensor:
        if all(score == scores[0] for score in scores):  # of a scorer that looks at candidates alone
            return checked(scores[0](views), len(views)).unflatten(0, (-1, count)).mean(1)
        parts = [part.contiguous() for part in views.unflatten(0, (-1, count)).unbind(1)]
        return torch.stack([checked(score(v), len(v)) for score, v in zip(scores, parts, strict=True)]).mean(0)

    return mean


def checked(scores: Tensor, count: int) -> Tensor:
    """A scorer's answer to `count` views. Raises ScoreError where it isn't a tensor of as many scores."""
    if not isinstance(scores, Tensor) or scores.shape != (count,) or scores.is_complex():
        got = f"{tuple(scores.shape)} of {scores.dtype}" if isinstance(scores, Tensor) else type(scores).__name__
        raise ScoreError(f"the scorer must return one score per view, a tensor [{count}]; it gave {got}")
    return scores
