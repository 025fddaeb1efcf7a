"""The evaluator: recipes in, scores out. The only place where candidates meet the device."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from . import looks, ops, render, views
from .errors import DeviceMemoryError, ScoreError
from .recipe import Recipe, Step
from .scoring import guards
from .scoring.protocol import Scorer
from .search.explore import COST

LOOKS = 16
"""Small frames that are looked at at once: a processor's cache holds what becomes of so many."""
NOT_FINITE = "the scorer returned a score that is not a finite number; try another scorer"


@dataclass(frozen=True)
class Judged:
    """What the evaluator thinks of one candidate."""

    score: float
    """The scorer's own figure."""
    penalty: float
    """What the guards take off, in the scorer's units."""

    @property
    def objective(self) -> float:
        return self.score - self.penalty


class Evaluator:
    """Scores recipes on one picture.

    Args:
        frame: the untouched picture's frame [1,3,h,w] (see `views`), on the device to work on.
        full: short side of the full-size picture, in pixels.
        scorer: judges the candidates.
        mode: "soft" or "hard", whose guards to use.
        guard_weight: of all guards together; 0 switches them off. An anchored scorer needs none.
    """

    @torch.inference_mode(False)  # a host that calls us in that mode would get a picture that knows no slopes
    def __init__(self, frame: Tensor, full: int, scorer: Scorer, mode: str = "soft", guard_weight: float = 1.0) -> None:
        frame = frame.clone() if frame.is_inference() else frame
        self.original = frame
        self.scale = render.scale_of(frame, full)
        self.unit = (scorer.score_range[1] - scorer.score_range[0]) / 10
        self.evaluations = 0
        """Candidates scored so far."""
        self.batch = 8 if frame.device.type == "cpu" else 64
        """Candidates scored at once; halved for good when memory runs out."""
        self._framing = getattr(scorer, "framing", "crop")
        self._size = scorer.input_size
        self.anchored = getattr(scorer, "anchored", False)
        self._mode, self._weight = mode, 0.0 if self.anchored else guard_weight * self.unit
        self._score = scorer.bind(frame if self._framing == "thinned" else self._view(frame))
        self._small = looks.shrink(frame)
        self._untouched: Judged | None = None  # as the larger frame shows it

    def _view(self, frames: Tensor) -> Tensor:
        return views.view_of(frames, self._framing, self._size)

    @torch.no_grad()
    def judge(self, frames: Tensor) -> list[Judged]:
        """Score frames [N,3,h,w] as they are. Counts as N evaluations."""
        return self._judge(self._view(frames), frames)

    def _judge(self, seen: Tensor, frames: Tensor) -> list[Judged]:
        """The same by their views; without guards nobody looks at the frames."""
        scores = self._score(seen)
        if not isinstance(scores, Tensor) or scores.shape != (len(seen),):
            got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ScoreError(f"the scorer must return one score per view, a tensor [{len(seen)}]; it gave {got}")
        if not torch.isfinite(scores).all():
            raise ScoreError(NOT_FINITE)
        penalties = (
            guards.penalty(frames, self.original, self._mode, self._weight)
            if self._weight
            else torch.zeros_like(scores)
        )
        self.evaluations += len(seen)
        pairs = torch.stack([scores.float(), penalties.float()], 1).tolist()
        return [Judged(*pair) for pair in pairs]

    @torch.no_grad()
    def judge_finely(self, fine: Tensor, recipe: Recipe, before: Judged) -> Judged:
        """Judge a recipe on a larger frame of the picture, which shows more of its detail.

        The steps go by what they measure in the usual frame, as they will at full size. The first time it takes
        2 evaluations, then 1.

        Args:
            fine: the untouched picture's larger frame [1,3,h,w], always the same.
            before: what `judge` said of the usual frame; the answer is relative to it.
        """
        measured = render.measure_steps(self.original, recipe.steps, self.scale)
        made = render.run_steps(fine, recipe.steps, measured, render.scale_of(fine, self.scale.full))
        if self._untouched is None:
            both = views.shrink_to(torch.cat([fine, made]), self.original)
            self._untouched, judged = self.judge(both)
        else:
            [judged] = self.judge(views.shrink_to(made, self.original))
        untouched = self._untouched
        return Judged(
            before.score + judged.score - untouched.score, before.penalty + judged.penalty - untouched.penalty
        )

    @torch.inference_mode(False)
    def slope(self, steps: tuple[Step, ...]) -> tuple[Judged, list[float]] | None:
        """Judge a chain, and tell how steeply its objective rises along each of its values. Counts as COST.

        What the steps measure in the picture is held fixed. None where the scorer lets no gradient through,
        or memory ran out.
        """
        frame, rows = self.original, []
        try:
            with torch.enable_grad():
                for step in steps:
                    op = ops.get(step.op)
                    rows.append(frame.new_tensor([step.values]).requires_grad_())
                    frame = ops.run(op, frame, rows[-1], ops.measure(op, frame.detach()), self.scale)
                score = self._score(self._view(frame)).float()
                if not score.requires_grad:
                    return None
                penalty = guards.penalty(frame, self.original, self._mode, self._weight) if self._weight else 0 * score
                found = torch.autograd.grad((score - penalty).sum(), rows, allow_unused=True)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            return None
        if not torch.isfinite(score).all():
            raise ScoreError(NOT_FINITE)
        self.evaluations += COST
        slopes = torch.cat([torch.zeros_like(r) if g is None else g for r, g in zip(rows, found, strict=True)], 1)
        return Judged(score.item(), penalty.item()), slopes[0].nan_to_num(0, 0, 0).tolist()

    def evaluate(self, recipes: Sequence[Recipe]) -> Iterator[list[Judged]]:
        """Score recipes in order, one batch per turn, so that the caller can stop in between."""
        waiting = iter(recipes)
        while batch := list(islice(waiting, self.batch)):
            yield self._fitting(batch)

    def _fitting(self, recipes: list[Recipe]) -> list[Judged]:
        """One batch, in halves when it is too large for the memory."""
        try:
            return self._make_and_judge(recipes)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(recipes) == 1:
                where = self.original.device.type
                advice = "free some, or choose the device cpu (--device cpu)"
                raise DeviceMemoryError(f"no memory on {where} for a single candidate; {advice}") from None
        # outside of the except block: the traceback would keep the failed batch's memory alive
        self.batch = len(recipes) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return [judged for part in self.evaluate(recipes) for judged in part]

    @torch.no_grad()
    def _make_and_judge(self, recipes: list[Recipe]) -> list[Judged]:
        if self._framing != "thinned" or self._weight:
            return self.judge(self.frames(recipes))
        seen = torch.cat(render.run_chains_thinned(self.original, [r.steps for r in recipes], self.scale))
        return self._judge(seen, seen)

    @torch.no_grad()
    def frames(self, recipes: Sequence[Recipe]) -> Tensor:
        """The frames [N,3,h,w] that the recipes make."""
        frames = [self.original] * len(recipes)
        return torch.cat(render.run_chains(frames, [r.steps for r in recipes], self.scale))

    @torch.no_grad()
    def glance(self, recipes: Sequence[Recipe]) -> Tensor:
        """What recipes make of the picture, in small: [N,3,h,w]. Costs no evaluation."""
        scale = render.scale_of(self._small, self.scale.full)
        return torch.cat(render.run_chains([self._small] * len(recipes), [r.steps for r in recipes], scale))

    def look(self, recipes: Sequence[Recipe]) -> Tensor:
        """The same as rows [N,F], float64 on the CPU (see `looks.rows`)."""
        few = self.glance(recipes).split(LOOKS)
        return torch.cat([looks.rows(frames) for frames in few]).cpu().double()


def trim() -> None:
    """Give free memory back to the system, where the C library can: hours of batches of all sizes scatter it."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # glibc alone has it
            ctypes.CDLL(None).malloc_trim(0)


def _is_out_of_memory(error: Exception) -> bool:
    """CUDA has an error of its own; the CPU, MPS and CUDA's libraries only say so."""
    said = str(error).lower()
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or any(
        words in said for words in ("out of memory", "can't allocate memory", "alloc_failed")
    )
