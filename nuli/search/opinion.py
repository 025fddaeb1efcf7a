"""A second opinion: what a scorer that took no part in a search says of its result."""

from __future__ import annotations

from ..recipe import Recipe
from ..result import Opinion
from ..scoring.protocol import Scorer
from ..scoring.registry import members
from ..scoring.taste import Taste
from ..scoring.vivid import Vivid
from .evaluator import Evaluator
from .loop import Search


def second_opinion(search: Search, recipe: Recipe) -> Opinion | None:
    """What `taste` says of a search's result, or `vivid` where that one judged; None where both took part.

    Both are embedded and compare pictures. Each picture is judged by itself, so that change alone earns nothing.
    """
    judge: Scorer
    # one that judged among others took part, too
    judged = members(search.scorer.name)
    if "taste" not in judged and search.critic is None:
        judge = Taste.load(search.device)
    elif "vivid" not in judged:
        judge = Vivid()
    else:
        return None
    original, full = search.evaluator.original, search.evaluator.scale.full
    scores = []
    for frame in (original, search.evaluator.frames([recipe])):
        [evaluation] = Evaluator(frame, full, judge, guard_weight=0).score_frames(frame)
        scores.append(evaluation.score)
    return Opinion(judge.name, *scores)
