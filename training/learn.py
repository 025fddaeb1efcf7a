"""Networks that predict corrections: how one is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn as nn
import torch.nn.functional as F
from pool import Pool
from torch import Tensor

from nuli.imaging.color import color_difference, to_lab
from nuli.scoring.tone import PARAMETERS, bound_correction, correct

HIDDEN = 64
BATCH = 96
RATE = 2e-3
DECAY = 0.02
NOISE = 0.05
"""Standard deviation of what is added to the standardised statistics."""
PIXELS = 256
"""Of each thumbnail, at every step others: as good as all of them, and much quicker."""


@dataclass(frozen=True)
class School:
    """How a network is taught. Networks of different schools err in different ways: where they agree it is less often a
    matter of the training pictures' style."""

    photos_only: bool
    components: int
    """Principal components of the backbone's features that the network gets to see."""
    blind: float
    """Part of its input that a network doesn't get to see, each time others."""
    dropout: float
    steps: int
    """More of them fit the pictures better and other pictures worse."""
    untouched: float
    """Weight of the samples that nothing was done to."""


SCHOOLS = (
    School(False, 40, 0.5, 0.3, 700, 1.5),
    School(False, 200, 0.3, 0.2, 1400, 3.0),
    School(True, 200, 0.5, 0.3, 1000, 1.5),
)


def network(inputs: int, school: School) -> nn.Sequential:
    hidden = [nn.Dropout(school.blind), nn.Linear(inputs, HIDDEN), nn.GELU(), nn.Dropout(school.dropout)]
    hidden += [nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Dropout(school.dropout)]
    last = nn.Linear(HIDDEN, PARAMETERS)
    nn.init.zeros_(last.weight)  # begin with no correction
    nn.init.zeros_(last.bias)
    return nn.Sequential(*hidden, last)


def only(x: Tensor, places: Tensor) -> Tensor:
    """Some pixels of thumbnails [N,3,h,w] -> [N,3,1,K]."""
    return x.flatten(2)[:, :, None, places]


def distances(samples: Pool, values: Tensor, good: Tensor) -> Tensor:
    """[N]: how far corrected samples are from what they were, `good` [N,3,h,w] in CIELAB."""
    return color_difference(to_lab(correct(samples.spoilt, values, samples.gains, samples.ends)), good)


def train(pool: Pool, inputs: Tensor, school: School, seed: int) -> list[Tensor]:
    """Weights and biases of a network for inputs [N,I] of the samples: the mean distance of the corrected pictures is
    made small."""
    torch.manual_seed(seed)
    good = torch.cat([to_lab(x) for x in pool.good.split(512)])
    known = pool.features.shape[1] + school.components
    net = network(known, school)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, school.steps)
    for _ in range(school.steps):
        index = torch.randint(0, len(pool), (BATCH,))
        places = torch.randperm(good[0, 0].numel())[:PIXELS]
        samples = pool.take(index)
        samples = replace(samples, spoilt=only(samples.spoilt, places))
        seen = inputs[index, :known]
        seen = seen + NOISE * torch.randn_like(seen)
        weights = 1 + samples.untouched * (school.untouched - 1)
        loss = (weights * distances(samples, bound_correction(net(seen)), only(good[index], places))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    first, *others = (value.detach() for value in net.parameters())
    return [F.pad(first, (0, inputs.shape[1] - known)), *others]
