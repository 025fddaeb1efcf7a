"""What a search came to: its best recipe, held to the limits, simplified, without what nobody sees, and given up where
it gains nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..recipe import Recipe
from .evaluator import Evaluation
from .loop import FINAL, Search
from .simplify import carried, simplify
from .visibility import KEPT, KEPT_FAITHFULLY, leave_out_invisible

Predict = Callable[[Recipe], Evaluation]
"""The evaluation that a recipe will get at full size. Costs an evaluation."""
Hold = Callable[[Recipe], bool]
"""Whether the full-size picture with a recipe keeps within the limits. Costs no evaluation."""
HALVINGS = 5
"""How exactly it is found out how much of a recipe does."""


@dataclass(frozen=True)
class Conclusion:
    """The recipe that a search ends with."""

    recipe: Recipe
    """As found: before the search's amounts."""
    scaled: Recipe
    """As it is to be applied, amounts included; empty where nothing that gains enough was found."""
    predicted: Evaluation
    """What that will get at full size; the untouched picture's evaluation where it is empty."""
    contributions: tuple[float, ...]
    """For each of its steps, what the objective loses without it; empty where the budget ended before, and at other
    amounts in soft mode."""
    careful: bool
    """Whether the budget allowed predictions; without any, `predicted` is what the frame got."""
    held: float = 1.0
    """How much of the recipe the limits left, 1 all."""


def conclude(search: Search, predict: Predict, hold: Hold) -> Conclusion:
    """Simplify what a search that has ended found, drop what is invisible, and see whether it gains enough."""
    amounts, before = search.amounts, search.before
    # of the smallest budgets nothing is left but to score the result
    careful = search.budget.remaining_evaluations(0) >= (3 if amounts.as_found else FINAL)
    recipe, best, least = search.recipe, search.best, before.objective
    if search.saved and search.resumed:
        least = search.resumed[1].objective
        if best is search.resumed[0]:  # nothing better was found: the same result again
            recipe, best = search.saved.recipe, search.resumed[1]
    if careful:
        recipe, best = _settle(search, recipe, best)
    recipe, contributions = _simplified(search, recipe, best, least)
    scaled, predicted = recipe.scaled(amounts), before
    if len(scaled):
        predicted = predict(recipe) if careful else best
    if not len(scaled) or not gains(search, predicted.objective, search.margin):
        return Conclusion(recipe, Recipe(), before, (), careful)
    held = _share(scaled, hold)
    if held < 1:
        scaled = scaled.scaled(held)
    if not amounts.as_found or held < 1:
        predicted, contributions = predict(scaled) if careful and len(scaled) else predicted, ()
    if careful and len(scaled) and (not amounts.as_found or not search.saved or recipe != search.saved.recipe):
        shorter, predicted = _visible(search, scaled, predicted, predict, hold, least)
        contributions = carried(scaled, contributions, shorter)
        recipe, scaled = shorter if amounts.as_found else recipe, shorter
    return Conclusion(recipe, scaled, predicted, contributions, careful, held)


def gains(search: Search, objective: float, least: float) -> bool:
    """Whether a change gains anything, and at least so much."""
    gain = objective - search.before.objective
    return gain > 0 and gain >= least


def _share(recipe: Recipe, hold: Hold) -> float:
    """How much of a recipe keeps within the limits."""
    if hold(recipe):
        return 1.0
    least, most = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        least, most = (middle, most) if hold(recipe.scaled(middle)) else (least, middle)
    return least


def _settle(search: Search, recipe: Recipe, best: Evaluation) -> tuple[Recipe, Evaluation]:
    """The best recipe; where it gains nothing at the amounts asked for, another good one that does."""
    amounts = search.amounts
    if amounts.as_found or not len(recipe):
        return recipe, best
    [objective] = search.evaluator.objectives([recipe.scaled(amounts)])
    nodes = search.tree.best_of_each_chain(search.config.parents)
    nodes = [node for node in nodes if gains(search, node.objective, search.margin)]
    nodes = nodes[: search.budget.remaining_evaluations(FINAL + 1)]
    nodes = nodes[: search.budget.affordable]
    if not nodes or gains(search, objective, 0):
        return recipe, best
    objectives = search.evaluator.objectives([node.recipe.scaled(amounts) for node in nodes])
    node = nodes[max(range(len(nodes)), key=objectives.__getitem__)]
    [evaluation] = search.evaluator.score_frames(search.evaluator.frames([node.recipe]))
    return node.recipe, evaluation


def _simplified(search: Search, recipe: Recipe, best: Evaluation, least: float) -> tuple[Recipe, tuple[float, ...]]:
    """The recipe without steps that add nothing, and what each step of it contributes."""
    gain = best.objective - search.before.objective
    # all steps that are dropped together may cost a tenth of the gain, and never the margin
    floor = max(search.before.objective + max(0.9 * gain, min(search.margin, gain)), least)
    budget, limit = search.budget, search.budget.evaluations

    def may_go_on(count: int, first: bool) -> bool:
        # the first pass may be a batch late, but not one evaluation too many
        fits = limit is None or search.evaluator.evaluations + count + FINAL <= limit
        return fits and (budget.affordable >= count if first else budget.remaining(count + FINAL) > 0)

    return simplify(recipe, best.objective, search.evaluator.objectives, search.margin / 2, floor, may_go_on)


def _visible(
    search: Search, recipe: Recipe, predicted: Evaluation, predict: Predict, hold: Hold, least: float
) -> tuple[Recipe, Evaluation]:
    """The recipe as applied, without what doesn't show in the picture, as far as most of the gain stays.

    Args:
        predicted: what the full-size picture with it will get.
        least: what must be reached to be no worse than a saved search's result.
    """
    gain, full = predicted.objective - search.before.objective, search.amounts.as_found
    kept = KEPT_FAITHFULLY if getattr(search.scorer, "faithful", False) else KEPT
    floor = search.before.objective + max(kept * gain, min(search.margin if full else 0, gain))
    check = full and search.resumed is not None
    cost = 2 if check else 1
    for number, shorter in enumerate(reversed(leave_out_invisible(search.evaluator, recipe))):
        # one may be a little late
        remaining = search.budget.remaining(1) if number else search.budget.remaining_evaluations(1)
        if remaining < cost or search.budget.stopped:
            break
        if not hold(shorter):
            continue
        evaluation = predict(shorter)
        if evaluation.objective >= floor and (not check or search.evaluator.objectives([shorter])[0] >= least):
            return shorter, evaluation
    return recipe, predicted
