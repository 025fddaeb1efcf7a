"""The critic's networks, and what good pictures of a kind look like: how both are learned from features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

HEADS = 5
HIDDEN = 128
DROPOUT = 0.3
BLIND = 0.2
"""Part of the features that a network doesn't get to see, each time others."""
STEPS = 900
BATCH = 256
RATE = 2e-3
DECAY = 0.05
NOISE = 0.15
"""Standard deviation of what is added to the standardised features."""
RIDGE = 0.05
"""Regularization of the regression, as a part of the number of samples."""


REAL, WILD, SPOILT, FOUND = range(4)
"""Kinds of samples: pictures as people make them; what wild chains of ops make of them; badly exposed, tinted, hazy
ones; and what searches found."""
SHARES = {REAL: 0.5, WILD: 0.25, FOUND: 0.25}
"""Of each kind, its part of a batch; where nothing was found yet, wild ones take that part too. Spoilt ones are not
learned from: it made figures rank pictures better, and searches find pictures that an independent critic refuses more
often (`bench/judge.py`)."""


@dataclass(frozen=True)
class Samples:
    """N views of pictures, as features."""

    features: Tensor
    """[N,F], not standardised."""
    kind: Tensor
    """[N]."""
    picture: Tensor
    """[N], the number of the picture that it was made of."""

    def __len__(self) -> int:
        return len(self.features)

    def of(self, kind: int) -> Samples:
        return self.take(self.kind == kind)

    def take(self, index: Tensor) -> Samples:
        return Samples(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def join(parts: list[Samples]) -> Samples:
    return Samples(*(torch.cat([getattr(p, name) for p in parts]) for name in Samples.__dataclass_fields__))


def scale_of(samples: Samples) -> dict[str, Tensor]:
    """Mean and deviation of the features of what is real."""
    found = samples.of(REAL).features
    return {"mean": found.mean(0), "deviation": found.std(0) + 1e-3}


def standardised(features: Tensor, scale: dict[str, Tensor]) -> Tensor:
    return ((features - scale["mean"]) / scale["deviation"]).clamp(-6, 6)


def train(samples: Samples, scale: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The weights of all networks. Each leaves out every HEADS-th picture."""
    heads = [_train_one(samples.take(samples.picture % HEADS != k), scale, HEADS * seed + k) for k in range(HEADS)]
    return {name: torch.stack([head[name] for head in heads]) for name in heads[0]}


def _train_one(samples: Samples, scale: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    x, y = standardised(samples.features, scale), (samples.kind == REAL).float()
    torch.manual_seed(seed)
    first, last = nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
    net = nn.Sequential(nn.Dropout(BLIND), first, nn.GELU(), nn.Dropout(DROPOUT), last)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    members = {kind: (samples.kind == kind).nonzero().flatten() for kind in SHARES}
    counts = {kind: round(share * BATCH) for kind, share in SHARES.items()}
    if not len(members[FOUND]):
        counts[WILD] += counts.pop(FOUND)
    for _ in range(STEPS):
        drawn = [members[kind][torch.randint(len(members[kind]), (n,), generator=g)] for kind, n in counts.items()]
        index = torch.cat(drawn)
        seen = x[index] + NOISE * torch.randn(len(index), x.shape[1], generator=g)
        loss = F.binary_cross_entropy_with_logits(net(seen)[:, 0], y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    named = {"weight0": first.weight, "bias0": first.bias, "weight1": last.weight, "bias1": last.bias}
    return {name: value.detach() for name, value in named.items()}


def calibrated(weights: dict[str, Tensor], real: Tensor) -> dict[str, Tensor]:
    """The same networks with their figures on another scale, by the figures [N] of real pictures that they never saw:
    80 % of such pictures get more than 0, half of them more than 1."""
    low, middle = torch.quantile(real, torch.tensor([0.2, 0.5]))
    unit = middle - low
    return weights | {"weight1": weights["weight1"] / unit, "bias1": (weights["bias1"] - low) / unit}


def learn_usual(features: Tensor, measures: Tensor) -> dict[str, Tensor]:
    """Ridge regression from standardised features [N,F] of pictures, spoilt or not, to the logarithms of the measures
    [N,4] that the unspoilt ones have."""
    y = measures.log()
    bias = y.mean(0)
    x = features.double()
    inner = x.mT @ x + RIDGE * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    weight = torch.linalg.solve(inner, x.mT @ (y - bias).double()).mT.float()
    return {
        "usual_weight": weight,
        "usual_bias": bias,
        "usual_range": torch.quantile(y, torch.tensor([0.05, 0.95]), 0),
    }


def area(real: Tensor, other: Tensor) -> float:
    """Area under the ROC curve: how often a real picture's figure is higher than another's."""
    both = torch.cat([real, other])
    rank = both.argsort().argsort().float() + 1
    return ((rank[: len(real)].sum() - len(real) * (len(real) + 1) / 2) / (len(real) * len(other))).item()
