"""The tree and the simplification, driven without pictures or scorers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from nuli.ops.registry import OPS, get_op, select_ops
from nuli.ops.step import Step
from nuli.recipe import Recipe
from nuli.search.config import EXPENSIVE, SurrogateConfig
from nuli.search.plan import GradientRequest, GradientResponse, ScoreRequest, ScoreResponse, opened, plan_search
from nuli.search.simplify import simplify
from nuli.search.surrogate import Surrogate, select_batch
from nuli.search.tree import Tree


def objective(recipe: Recipe) -> float:
    """Best at contrast 1.2 and temperature 0.05; every other step costs the more, the more it does."""
    reached = {"contrast": 1.0, "temperature": 0.0}
    cost = 0.0
    for step in recipe.steps:
        if step.op == "contrast":
            reached["contrast"] *= step.values[0]
        elif step.op == "temperature":
            reached["temperature"] += step.values[0]
        else:
            cost += describe([Recipe((step,))]).abs().sum().item()
    return -abs(reached["contrast"] - 1.2) - 2 * abs(reached["temperature"] - 0.05) - cost


def describe(recipes: Sequence[Recipe]) -> Tensor:
    """As far as `objective` can see: how far each parameter was turned in all, the ranges taken as 1."""
    places = {(o.name, i): 0.0 for o in OPS.values() for i in range(len(o.params))}
    rows = []
    for recipe in recipes:
        row = dict(places)
        for step in recipe.steps:
            op = get_op(step.op)
            for i, (param, value) in enumerate(zip(op.params, step.values, strict=True)):
                row[step.op, i] += (value - param.identity) / (param.hard[1] - param.hard[0])
        rows.append(list(row.values()))
    return torch.tensor(rows, dtype=torch.float64)


def drive(tree: Tree, evaluations: int) -> list[Recipe]:
    asked: list[Recipe] = []
    while len(asked) < evaluations:
        recipes = tree.ask(16)
        tree.tell(recipes, [objective(r) for r in recipes])
        asked += recipes
    return asked


def tree_of(seed: int, mode: str = "soft", max_steps: int = 6) -> Tree:
    return Tree(select_ops(mode), mode, max_steps, seed, objective(Recipe()), describe)


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_the_two_steps_that_matter(seed: int) -> None:
    tree = tree_of(seed)
    drive(tree, 300)
    assert tree.best.objective > -0.02  # the untouched picture has -0.3


def test_the_same_seed_asks_the_same_questions() -> None:
    assert drive(tree_of(7), 200) == drive(tree_of(7), 200)
    assert drive(tree_of(7), 200) != drive(tree_of(8), 200)


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_what_it_asks_is_new_in_range_and_short_enough(mode: str) -> None:
    asked = drive(tree_of(1, mode, max_steps=3), 400)
    assert len(set(asked)) == len(asked)
    allowed = {o.name: o for o in select_ops(mode)}
    for recipe in asked:
        assert 1 <= len(recipe) <= 3
        assert recipe.without_noops() == recipe
        for step in recipe.steps:
            for value, (low, high) in zip(step.values, allowed[step.op].ranges(mode), strict=True):
                assert low - 1e-4 <= value <= high + 1e-4


def test_its_best_never_gets_worse_and_its_memory_is_bounded() -> None:
    tree = tree_of(2)
    best = tree.best.objective
    for _ in range(60):
        recipes = tree.ask(16)
        tree.tell(recipes, [objective(r) for r in recipes])
        assert tree.best.objective >= best
        best = tree.best.objective
    assert len(tree._nodes) <= EXPENSIVE.max_nodes


def test_it_goes_on_when_only_a_part_was_scored() -> None:
    tree = tree_of(3)
    recipes = tree.ask(16)
    tree.tell(recipes, [objective(r) for r in recipes[:5]])
    assert len(tree.ask(16)) == 16


def test_a_single_op_is_enough() -> None:
    tree = Tree(select_ops("soft", "contrast"), "soft", 6, 0, objective(Recipe()), describe)
    drive(tree, 100)
    assert tree.best.objective == pytest.approx(-0.1, abs=0.01)


def test_simplify_drops_what_adds_nothing_and_tells_what_the_rest_is_worth() -> None:
    useful = Step("contrast", (1.2,)), Step("temperature", (0.05,))
    padded = Recipe((Step("blur", (0.001,)), useful[0], Step("tint", (0.01,)), useful[1]))

    def evaluate(recipes: list[Recipe]) -> list[float]:
        return [objective(r) for r in recipes]

    recipe, parts = simplify(padded, objective(padded), evaluate, 0.01, -9.0, lambda count, first: True)
    assert recipe == Recipe(useful)
    assert parts == pytest.approx((0.2, 0.1))


def test_simplify_joins_steps_of_one_op() -> None:
    split = Recipe.from_line("nuli1 contrast=1.1 temperature=0.02 contrast=1.0909 temperature=0.03")

    def evaluate(recipes: list[Recipe]) -> list[float]:
        return [objective(r) for r in recipes]

    recipe, parts = simplify(split, objective(split), evaluate, 0.01, -9.0, lambda count, first: True)
    assert [s.op for s in recipe.steps] in (["contrast", "temperature"], ["temperature", "contrast"])
    assert objective(recipe) == pytest.approx(0, abs=0.001)
    assert sorted(parts) == pytest.approx([0.1, 0.2], abs=0.001)


def test_simplify_makes_one_pass_when_time_is_up() -> None:
    padded = Recipe((Step("blur", (0.001,)), Step("tint", (0.01,)), Step("contrast", (1.2,))))
    recipe, parts = simplify(
        padded, objective(padded), lambda rs: [objective(r) for r in rs], 0.01, -9.0, lambda n, first: first
    )
    assert len(recipe) == 2
    assert parts == ()


def test_simplify_keeps_above_the_floor() -> None:
    steps = tuple(Step(name, (0.1,)) for name in ("shadows", "highlights", "vibrance", "temperature", "tint"))

    def evaluate(recipes: list[Recipe]) -> list[float]:
        return [0.02 * len(r) for r in recipes]

    recipe, _ = simplify(Recipe(steps), 0.1, evaluate, 0.02 + 1e-9, 0.05, lambda count, first: True)
    assert len(recipe) == 3


def gradient(steps: tuple[Step, ...]) -> GradientResponse:
    """The gradient of `objective`, by differences; steps that change nothing cost nothing here."""
    components = []
    for i, step in enumerate(steps):
        for j in range(len(step.values)):
            around = []
            for by in (-0.001, 0.001):
                values = (*step.values[:j], step.values[j] + by, *step.values[j + 1 :])
                around.append(objective(Recipe((*steps[:i], Step(step.op, values), *steps[i + 1 :])).without_noops()))
            components.append((around[1] - around[0]) / 0.002)
    return GradientResponse(objective(Recipe(steps).without_noops()), tuple(components))


def test_a_plan_starts_where_it_is_told_and_stays_within_ranges_and_lengths() -> None:
    allowed = {o.name: o for o in select_ops("soft", "contrast,temperature,shadows")}
    tree = Tree(tuple(allowed.values()), "soft", 2, 0, objective(Recipe()), describe)
    start = Recipe.from_line("nuli1 contrast=1.1")
    plan = plan_search(tree, [start], tuple(allowed.values()), True)
    request, gradients = next(plan), 0
    assert request == ScoreRequest((start,))
    for _ in range(30):
        chains = [r.steps for r in request.recipes] if isinstance(request, ScoreRequest) else [request.steps]
        for step in (s for steps in chains for s in steps):
            for value, (low, high) in zip(step.values, allowed[step.op].ranges("soft"), strict=True):
                assert low - 1e-4 <= value <= high + 1e-4
        if isinstance(request, ScoreRequest):
            assert all(1 <= len(r) <= 2 for r in request.recipes)
            request = plan.send(ScoreResponse(tuple(objective(r) for r in request.recipes)))
        else:
            gradients += 1
            assert {s.op for s in request.steps} == set(allowed)
            request = plan.send(gradient(request.steps))
    assert gradients > 1
    assert tree.best.objective > -0.05  # contrast 1.1 alone has -0.2


def test_gradients_spare_evaluations() -> None:
    """A scalar product of all parameters: nothing that chance finds soon, and a gradient tells it at once."""
    way = torch.linspace(-1, 1, describe([Recipe()]).shape[1], dtype=torch.float64)
    chosen = select_ops("soft", "light")

    def along(recipe: Recipe) -> float:
        return float(describe([recipe])[0] @ way)

    def gradient_along(steps: tuple[Step, ...]) -> GradientResponse:
        base, components = along(Recipe(steps).without_noops()), []
        for i, step in enumerate(steps):
            for j, value in enumerate(step.values):
                by = -0.001 if value > get_op(step.op).identity[j] else 0.001  # never out of the range
                values = (*step.values[:j], value + by, *step.values[j + 1 :])
                components.append((along(Recipe((*steps[:i], Step(step.op, values), *steps[i + 1 :]))) - base) / by)
        return GradientResponse(base, tuple(components))

    reached = []
    for differentiable in (False, True):
        tree = Tree(chosen, "soft", 4, 0, 0.0, describe)
        plan, spent = plan_search(tree, [], chosen, differentiable), 0
        request = next(plan)
        while spent < 24:
            if isinstance(request, ScoreRequest):
                spent += len(request.recipes)
                request = plan.send(ScoreResponse(tuple(along(r) for r in request.recipes)))
            else:
                spent += 3
                request = plan.send(gradient_along(request.steps))
        reached.append(tree.best.objective)
    assert reached[1] > 1.1 * reached[0] > 0


def test_a_plan_goes_on_where_there_is_no_gradient() -> None:
    tree = tree_of(0)
    plan = plan_search(tree, [], select_ops("soft"), True)
    assert isinstance(next(plan), GradientRequest)
    request = plan.send(None)
    for _ in range(10):
        assert isinstance(request, ScoreRequest)
        request = plan.send(ScoreResponse(tuple(objective(r) for r in request.recipes)))


def test_opening_adds_only_what_changes_nothing() -> None:
    recipe = Recipe.from_line("nuli1 contrast=1.1 contrast=1.2")
    chain = opened(recipe, select_ops("soft"))
    assert Recipe(chain).without_noops() == recipe
    assert {s.op for s in chain} == {o.name for o in select_ops("soft")}


def test_the_surrogate_knows_what_it_saw_and_is_unsure_of_what_is_far() -> None:
    rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 30
    heights = torch.sin(30 * rows[:, 0]) + rows[:, 1]
    surrogate = Surrogate(SurrogateConfig())
    surrogate.fit(rows[:30], heights[:30])
    means, covariances = surrogate.predict(rows)
    assert (means[:30] - heights[:30]).abs().max() < 0.02
    assert (means[30:] - heights[30:]).abs().mean() < 0.2 * heights.std()
    assert covariances.diagonal()[:30].max() < covariances.diagonal()[30:].min()
    _, variance = surrogate.predict(torch.full((1, 3), 3.0, dtype=torch.float64))
    assert variance.item() > 10 * covariances.diagonal().max()


def test_the_surrogate_bears_equal_features_and_equal_scores() -> None:
    rows = torch.zeros(5, 3, dtype=torch.float64)
    for heights in (torch.zeros(5, dtype=torch.float64), torch.tensor([0, 0, 0, 0, 1e-9], dtype=torch.float64)):
        surrogate = Surrogate(SurrogateConfig())
        surrogate.fit(rows, heights)
        means, covariances = surrogate.predict(rows + 0.1)
        assert means.isfinite().all() and covariances.isfinite().all()


def test_choosing_spreads_over_what_is_not_alike() -> None:
    """Two that are nearly the same are not chosen together while a third is unsure."""
    means = torch.tensor([1.0, 0.99, 0.9], dtype=torch.float64)
    covariances = torch.tensor([[1, 0.999, 0], [0.999, 1, 0], [0, 0, 1]], dtype=torch.float64)
    assert select_batch(means, covariances, 2, 1.0) == [0, 2]
    assert select_batch(means, covariances, 2, 0.0) == [0, 1]
    assert sorted(select_batch(means, covariances, 9, 1.0)) == [0, 1, 2]
