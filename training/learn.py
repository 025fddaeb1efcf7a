"""Networks that predict corrections: how one is trained."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn as nn
from pool import Pool
from torch import Tensor

from nuli.imaging.color import color_difference, to_lab
from nuli.scoring.tone import PARAMETERS, bound_correction, correct

HIDDEN = 64
DROPOUT = 0.3
STEPS = 700
"""More of them fit the photos better and other photos worse."""
BLIND = 0.5
"""Part of the features that a network doesn't get to see, each time others."""
BATCH = 96
RATE = 2e-3
DECAY = 0.02
NOISE = 0.05
"""Standard deviation of what is added to the standardised statistics."""
PIXELS = 256
"""Of each thumbnail, at every step others: as good as all of them, and much quicker."""
UNTOUCHED = 1.5
"""Weight of the samples that nothing was done to."""


def network(inputs: int) -> nn.Sequential:
    hidden = [nn.Dropout(BLIND), nn.Linear(inputs, HIDDEN), nn.GELU(), nn.Dropout(DROPOUT)]
    hidden += [nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Dropout(DROPOUT)]
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


def train(pool: Pool, inputs: Tensor, seed: int) -> nn.Sequential:
    """A network for inputs [N,I] of the samples: the mean distance of the corrected pictures is made small."""
    torch.manual_seed(seed)
    good = torch.cat([to_lab(x) for x in pool.good.split(512)])
    net = network(inputs.shape[1])
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    for _ in range(STEPS):
        index = torch.randint(0, len(pool), (BATCH,))
        places = torch.randperm(good[0, 0].numel())[:PIXELS]
        samples = pool.take(index)
        samples = replace(samples, spoilt=only(samples.spoilt, places))
        seen = inputs[index]
        seen = seen + NOISE * torch.randn_like(seen)
        weights = 1 + samples.untouched * (UNTOUCHED - 1)
        loss = (weights * distances(samples, bound_correction(net(seen)), only(good[index], places))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()
