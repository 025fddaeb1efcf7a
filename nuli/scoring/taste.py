"""`taste`: hard mode's embedded scorer. It asks for a striking picture that somebody could have made.

Striking: as `vivid` measures it, but beside what good pictures of that kind have, so that a quiet picture need not
become loud. Could have been made: by a critic, small networks that have learned to tell pictures as people make them
from pictures that went through random chains of ops, and from those that searches found when they maximised this very
score. `training/` makes them, and lists their pictures.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..imaging.frames import FRAME, subsample
from .backbone import Backbone
from .embedded import load_embedded
from .vivid import WEIGHTS as MEASURE_WEIGHTS
from .vivid import measures

WEIGHTS = Path(__file__).with_name("taste.safetensors")
SHA256 = ""
LIVELY = (1.7, 1.3, 1.0, 1.35)
"""How much more colourful, contrasty, light and detailed than good pictures of its kind a picture is at its best."""
GREY = 0.02
"""Colourfulness below which a picture is black and white."""
GREY_SHARE = 0.8
"""The part of colour's marks that black and white gets: without colours a picture can be striking as well."""
REAL = 1.0
"""The critic's figure that half of all good pictures reach; 80 % reach 0."""
DOUBT = 4.0
"""Points that a picture loses for each by which the critic's figure falls short of what is asked,"""
SOFTNESS = 0.25
"""and how far from there that begins."""
LENIENCE = 0.5
"""How much of what a picture itself falls short of REAL by is forgiven what is made of it: a cartoon need not become a
photograph."""
BATCH = 4
"""Views at once on a CPU, whose cache holds what becomes of a few."""


class Taste:
    name = "taste"
    licence = "Apache-2.0"
    input_size = FRAME
    view_mode = "subsampled"
    differentiable = True
    cheap = True
    score_range = (0.0, 10.0)

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """
        Args:
            weights: mean and deviation [F] of the features; weight0 [K,H,F], bias0 [K,H], weight1 [K,1,H] and
                bias1 [K,1] of K networks; usual_weight [4,F] and usual_bias [4], which give the logarithms of the
                measures that good pictures of a kind have, and usual_range [2,4], between which those lie.
        """
        self._weights = weights
        self._backbone = Backbone.load(weights["mean"].device)

    @classmethod
    def load(cls, device: str | torch.device = "cpu") -> Taste:
        """Load the weights that ship with the package. Raises WeightsError."""
        return cls({key: value.to(device, torch.float32) for key, value in load_embedded(WEIGHTS, SHA256).items()})

    def features(self, views: Tensor) -> Tensor:
        """The networks' input [N,F] for views [N,3,H,W]: every second pixel of frames."""
        found = self._backbone.features(views)
        return ((found - self._weights["mean"]) / self._weights["deviation"]).clamp(-6, 6)

    def judge(self, features: Tensor) -> Tensor:
        """The critic's figures [N]: those of the network that doubts the most."""
        w = self._weights
        hidden = torch.baddbmm(w["bias0"][:, None], features.expand(len(w["weight0"]), -1, -1), w["weight0"].mT)
        figures = torch.baddbmm(w["bias1"][:, None], F.gelu(hidden), w["weight1"].mT)
        return figures[..., 0].amin(0)

    def usual(self, features: Tensor) -> Tensor:
        """The measures [N,4] that good pictures of that kind have."""
        w = self._weights
        low, high = w["usual_range"]
        return torch.addmm(w["usual_bias"], features, w["usual_weight"].mT).clamp(low, high).exp()

    def bind(self, original: Tensor):
        """Score candidates by themselves, except that it is the original that tells which kind of picture it is."""
        with torch.no_grad():
            own = self.features(subsample(original.float()))
            best = self.usual(own) * own.new_tensor(LIVELY)
            asked = REAL - LENIENCE * (REAL - self.judge(own)).clamp(min=0)

        def score(views: Tensor) -> Tensor:
            views = views.float()
            short = SOFTNESS * F.softplus((asked - self.judge(self.features(views))) / SOFTNESS)
            return liveliness(measures(views), best) - DOUBT * short

        if original.device.type == "cpu":
            return lambda views: torch.cat([score(few) for few in views.split(BATCH)])
        return score


def liveliness(found: Tensor, best: Tensor) -> Tensor:
    """0..10 [N] for measures [N,4], by what would be best, [1,4]."""
    ratio = found / best
    # 1 at the best value, the same at half and at twice it, 0 at nothing
    marks = 2 * ratio / (1 + ratio**2)
    grey = GREY_SHARE * torch.exp(-((found[:, :1] / GREY) ** 2))
    colour = marks[:, :1] + grey * (1 - marks[:, :1])
    return 10 * torch.cat([colour, marks[:, 1:]], 1) @ found.new_tensor(MEASURE_WEIGHTS)
