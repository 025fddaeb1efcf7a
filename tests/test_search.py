"""The tree and the simplification, driven without pictures or scorers."""

from __future__ import annotations

import pytest

from nuli import ops
from nuli.recipe import Recipe, Step
from nuli.search.polish import explore
from nuli.search.simplify import simplify
from nuli.search.tree import NODES, Tree


def objective(recipe: Recipe) -> float:
    """Best at contrast 1.2 and temperature 0.05; every other step costs a little."""
    reached = {"contrast": 1.0, "temperature": 0.0}
    cost = 0.0
    for step in recipe.steps:
        if step.op == "contrast":
            reached["contrast"] *= step.values[0]
        elif step.op == "temperature":
            reached["temperature"] += step.values[0]
        else:
            cost += 0.1
    return -abs(reached["contrast"] - 1.2) - 2 * abs(reached["temperature"] - 0.05) - cost


def drive(tree: Tree, evaluations: int) -> list[Recipe]:
    asked: list[Recipe] = []
    while len(asked) < evaluations:
        recipes = tree.ask(16)
        tree.tell(recipes, [objective(r) for r in recipes])
        asked += recipes
    return asked


def tree_of(seed: int, mode: str = "soft", max_steps: int = 6) -> Tree:
    return Tree(ops.select(mode), mode, max_steps, seed, objective(Recipe()))


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_the_two_steps_that_matter(seed: int) -> None:
    tree = tree_of(seed)
    drive(tree, 600)
    assert tree.best.objective > -0.02  # the untouched picture has -0.3


def test_the_same_seed_asks_the_same_questions() -> None:
    assert drive(tree_of(7), 200) == drive(tree_of(7), 200)
    assert drive(tree_of(7), 200) != drive(tree_of(8), 200)


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_what_it_asks_is_new_in_range_and_short_enough(mode: str) -> None:
    asked = drive(tree_of(1, mode, max_steps=3), 400)
    assert len(set(asked)) == len(asked)
    allowed = {o.name: o for o in ops.select(mode)}
    for recipe in asked:
        assert 1 <= len(recipe) <= 3
        assert recipe.active() == recipe
        for step in recipe.steps:
            for value, (low, high) in zip(step.values, allowed[step.op].ranges(mode), strict=True):
                assert low - 1e-4 <= value <= high + 1e-4


def test_its_best_never_gets_worse_and_its_memory_is_bounded() -> None:
    tree = tree_of(2)
    best = tree.best.objective
    for _ in range(150):
        recipes = tree.ask(16)
        tree.tell(recipes, [objective(r) for r in recipes])
        assert tree.best.objective >= best
        best = tree.best.objective
    assert len(tree._nodes) <= NODES


def test_it_goes_on_when_only_a_part_was_scored() -> None:
    tree = tree_of(3)
    recipes = tree.ask(16)
    tree.tell(recipes, [objective(r) for r in recipes[:5]])
    assert len(tree.ask(16)) == 16


def test_a_single_op_is_enough() -> None:
    tree = Tree(ops.select("soft", "contrast"), "soft", 6, 0, objective(Recipe()))
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


def test_simplify_makes_one_pass_when_time_is_up() -> None:
    padded = Recipe((Step("blur", (0.001,)), Step("tint", (0.01,)), Step("contrast", (1.2,))))
    recipe, parts = simplify(
        padded, objective(padded), lambda rs: [objective(r) for r in rs], 0.01, -9.0, lambda n, first: first
    )
    assert len(recipe) == 2
    assert parts == ()


def test_simplify_keeps_above_the_floor() -> None:
    steps = tuple(Step("contrast", (1 + i / 100,)) for i in range(1, 6))

    def evaluate(recipes: list[Recipe]) -> list[float]:
        return [0.02 * len(r) for r in recipes]

    recipe, _ = simplify(Recipe(steps), 0.1, evaluate, 0.02 + 1e-9, 0.05, lambda count, first: True)
    assert len(recipe) == 3


def slope(steps: tuple[Step, ...]) -> tuple[float, list[float]]:
    """Of `objective`, by differences; steps that change nothing cost nothing here."""
    slopes = []
    for i, step in enumerate(steps):
        for j in range(len(step.values)):
            around = []
            for by in (-0.001, 0.001):
                values = (*step.values[:j], step.values[j] + by, *step.values[j + 1 :])
                around.append(objective(Recipe((*steps[:i], Step(step.op, values), *steps[i + 1 :])).active()))
            slopes.append((around[1] - around[0]) / 0.002)
    return objective(Recipe(steps).active()), slopes


@pytest.mark.parametrize("max_steps", [2, 6])
def test_a_plan_climbs_within_ranges_and_lengths(max_steps: int) -> None:
    names = "contrast,temperature,shadows"
    allowed = {o.name: o for o in ops.select("soft", names)}
    tree = Tree(tuple(allowed.values()), "soft", max_steps, 0, objective(Recipe()))
    plan = explore(tree, [Recipe.from_line("nuli1 contrast=1.1")], tuple(allowed.values()), "soft", max_steps, True, 16)
    asked, climbed = next(plan), 0
    assert asked == [Recipe.from_line("nuli1 contrast=1.1")]
    for _ in range(40):
        if isinstance(asked, list):
            assert all(len(r) <= max_steps for r in asked)
            asked = plan.send([objective(r) for r in asked])
            continue
        climbed += 1
        for step in asked:
            for value, (low, high) in zip(step.values, allowed[step.op].ranges("soft"), strict=True):
                assert low - 1e-4 <= value <= high + 1e-4
        asked = plan.send(slope(asked))
    assert climbed > 20
    assert tree.best.objective > -0.15  # contrast 1.1 alone has -0.2


def test_a_plan_goes_on_with_the_tree_where_there_are_no_slopes() -> None:
    tree = tree_of(0)
    plan = explore(tree, [], ops.select("soft"), "soft", 6, True, 16)
    assert isinstance(next(plan), tuple)
    asked = plan.send(None)
    for _ in range(20):
        assert isinstance(asked, list)
        asked = plan.send([objective(r) for r in asked])
