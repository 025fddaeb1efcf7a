"""Every hyperparameter of the search, in one frozen object, so that an experiment changes one and nothing else.

Three of them stand ready: for a scorer that costs far more than the search's own arithmetic (a large network on a
CPU), for one that costs about as much (the same on a GPU), and for one that costs less (the embedded scorers).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

GRADIENT_COST = 3
"""Evaluations that a gradient counts as: the forward pass, and twice as much for the backward pass."""
MAX_OTHERS = 5
"""Results of hard mode besides the best, at most."""
OTHER_COST = 4
"""Evaluations that each of them takes, more or less: to drop steps, and to predict its score."""


@dataclass(frozen=True)
class MutationConfig:
    """How recipes are varied. The probabilities leave the rest, up to 1, to crossovers."""

    insert: float = 0.30
    """Probability of one more step."""
    perturb_all: float = 0.35
    """Probability that all values of a recipe move."""
    perturb_one: float = 0.15
    """Probability that the values of one step move."""
    drop: float = 0.06
    """Probability of one step less."""
    all_sizes: tuple[float, float] = (0.02, 0.3)
    """Smallest and largest standard deviation by which all values move, as a part of their ranges; log-uniform."""
    one_sizes: tuple[float, float] = (0.05, 1.0)
    """Smallest and largest standard deviation by which the values of one step move, likewise."""


@dataclass(frozen=True)
class FeatureConfig:
    """What the surrogate sees of a candidate's picture."""

    detail_weight: float = 4.0
    """Weight of fine detail, which is faint, beside colors."""


@dataclass(frozen=True)
class SurrogateConfig:
    """The Gaussian process."""

    length_scale: float = 0.12
    """Distance of features over which an objective changes."""
    noises: tuple[float, ...] = (1e-6, 1e-4, 1e-2)
    """Variances of the noise to choose from, as parts of the whole variance."""
    refit_growth: float = 1.25
    """The noise is chosen anew when there are so many times more scores than the last time,"""
    refit_rounds: int = 50
    """The noise is chosen anew every so many rounds, at the latest."""


@dataclass(frozen=True)
class SearchConfig:
    """The tree and the rounds in which it asks for scores."""

    min_round: int = 2
    """Fewest recipes in a round."""
    min_round_without_gradients: int = 8
    """Fewest where only scores teach."""
    max_round: int = 32
    """Most recipes in a round: few while each teaches much, more later, when a proposal costs as much as a score."""
    round_share: int = 12
    """A round is one part in so many of all that was scored before."""
    use_gradients: bool = True
    """Whether gradients are asked for where the scorer has them."""
    initial: int = 16
    """Scores of random recipes before there is a surrogate."""
    generations: int = 5
    """Generations of children that the surrogate screens before any is scored."""
    children: int = 48
    """Children in a generation."""
    parents: int = 12
    """Nodes that have children, each with another sequence of ops."""
    parent_scale: float = 4.0
    """Mean of the exponential distribution of a parent's rank."""
    survivors: int = 16
    """Screened children that become parents themselves."""
    finalists: int = 64
    """Screened children from which a round is selected."""
    unscreened: float = 8
    """One recipe in so many is any child of a good node, whatever the surrogate predicts: it may be wrong."""
    sideways: float = 10
    """In hard mode one recipe in so many comes from the best of a direction (see `directions`) that lags behind."""
    sideways_children: int = 16
    """Children of it that are screened for each of these."""
    side_starts: int = 1
    """In hard mode, chains that are tried first for each direction, in place of random ones."""
    kappa: float = 0.7
    """Weight of the predicted standard deviation in the upper confidence bound (N. Srinivas et al., 2010)."""
    probe: float = 0.03
    """How far along each value a gradient is trusted, as a part of the value's range."""
    max_nodes: int = 512
    """Nodes kept, the best ones, so that hours of search don't fill the memory."""
    max_scores: int = 400
    """Scores that the surrogate learns from: the best half, and the newest."""
    max_remembered: int = 20_000
    """Recipes remembered as proposed before, so that none is scored twice."""
    patience: int = 240
    """Evaluations without a real improvement after which a search without a given budget ends."""
    trim_every: int = 500
    """Evaluations after which free memory is given back to the system."""
    mutation: MutationConfig = MutationConfig()
    features: FeatureConfig = FeatureConfig()
    surrogate: SurrogateConfig = SurrogateConfig()


EXPENSIVE = SearchConfig()
"""For a scorer that costs far more than a proposal."""
GPU = replace(EXPENSIVE, min_round=8, generations=3)
"""For one that costs about as much."""
CHEAP = replace(EXPENSIVE, min_round=16, generations=1, use_gradients=False)
"""For one that costs less; a gradient would cost more than it tells."""
