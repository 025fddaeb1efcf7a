"""`taste`: hard mode's embedded scorer. It asks for a striking picture that somebody could have made.

Striking: as `vivid` measures it, but beside what good pictures of that kind have, so that a quiet picture need not
become loud. Could have been made: by a critic, small networks that have learned to tell pictures as people make them
from pictures that went through random chains of ops, and from those that searches found when they maximised this very
score. `training/` makes them, and lists their pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..imaging.color import color_difference, to_lab
from ..imaging.frames import FRAME, subsample
from .backbone import Backbone
from .embedded import load_embedded
from .vivid import WEIGHTS as MEASURE_WEIGHTS
from .vivid import measures

if TYPE_CHECKING:
    from .protocol import Score

WEIGHTS = Path(__file__).with_name("taste.safetensors")
SHA256 = "1b51fef0d7eb521cdb9cbec227ce1c6c6ee4ca72e0a104786e88ccbba57540f6"
LIVELY = (2.1, 1.5, 1.0, 1.45)
"""How much more colourful, contrasty, light and detailed than good pictures of its kind a picture is at its best."""
GREY = 0.02
"""Colourfulness below which a picture is black and white."""
GREY_SHARE = 0.3
"""The part of colour's marks that black and white gets: without colours a picture can be striking as well."""
CHANGE = 1.0
"""Points for being another picture: hard mode that shows nothing is not wanted."""
FAR = 12.0
"""Mean color difference from the original at which three quarters of them are earned."""
ENOUGH = 3.0
"""The realism from which on more earns nothing; half of all good pictures reach 1, and 80 % reach 0. A search finds
what the critic errs on, so that it is asked for more than most pictures have."""
COST = 12.0
"""Points that a picture loses where its realism falls short, times the logarithm of 1 + how much."""
SPAN = 10.0
"""So many points fewer than 10 are a score of 10 / e: never below 0, and near the best a point is a point."""
SOFTNESS = 0.25
"""How far before it falls short that begins."""
LENIENCE = 0.5
"""How much of what a picture itself lacks of ENOUGH is forgiven what is made of it: a cartoon need not become a
photograph."""
BATCH = 4
"""Views at once on a CPU."""


class Taste:
    name = "taste"
    licence = "Apache-2.0"
    input_size = FRAME
    view_mode = "subsampled"
    differentiable = True
    cheap = True
    score_range = (0.0, 10.0)

    def __init__(self, weights: dict[str, Tensor], enough: float = ENOUGH, cost: float = COST) -> None:
        """
        Args:
            weights: mean and deviation [F] of the features; weight0 [K,H,F], bias0 [K,H], weight1 [K,1,H] and
                bias1 [K,1] of K networks; usual_weight [4,F] and usual_bias [4], which give the logarithms of the
                measures that good pictures of a kind have, and usual_range [2,4], between which those lie.
            enough, cost: as ENOUGH and COST.
        """
        self._weights, self._enough, self._cost = weights, enough, cost
        self._backbone = Backbone.load(weights["mean"].device)

    @classmethod
    @torch.inference_mode(False)  # gradients may flow through it later, whatever mode a host loads it in
    def load(cls, device: str | torch.device = "cpu") -> Taste:
        """Load the weights that ship with the package. Raises WeightsError."""
        return cls({key: value.to(device, torch.float32) for key, value in load_embedded(WEIGHTS, SHA256).items()})

    def features(self, views: Tensor) -> Tensor:
        """The networks' input [N,F] for views [N,3,H,W]: every second pixel of frames."""
        found = self._backbone.features(views)
        return ((found - self._weights["mean"]) / self._weights["deviation"]).clamp(-6, 6)

    def realism(self, features: Tensor) -> Tensor:
        """How much features [N,F] are those of a picture that somebody could have made, [N]: the lowest figure that any
        of the networks gives."""
        w = self._weights
        hidden = torch.baddbmm(w["bias0"][:, None], features.expand(len(w["weight0"]), -1, -1), w["weight0"].mT)
        figures = torch.baddbmm(w["bias1"][:, None], F.gelu(hidden), w["weight1"].mT)
        return figures[..., 0].amin(0)

    def usual(self, features: Tensor) -> Tensor:
        """The measures [N,4] that good pictures of that kind have."""
        w = self._weights
        low, high = w["usual_range"]
        return torch.addmm(w["usual_bias"], features, w["usual_weight"].mT).clamp(low, high).exp()

    def asked(self, features: Tensor, lenience: float = LENIENCE) -> Tensor:
        """The realism that is asked of what is made of a picture, by its own features [1,F]."""
        return self._enough - lenience * (self._enough - self.realism(features)).clamp(min=0)

    def cost(self, features: Tensor, asked: Tensor) -> Tensor:
        """The points [N] that are lost for falling short of the realism asked, smooth, and never quite 0."""
        return self._cost * torch.log1p(SOFTNESS * F.softplus((asked - self.realism(features)) / SOFTNESS))

    def bind(self, original: Tensor):
        """Score candidates by themselves, and a little by how far they are from the original, which also tells which
        kind of picture it is."""
        with torch.no_grad():
            small = subsample(original.float())
            own = self.features(small)
            best = self.usual(own) * own.new_tensor(LIVELY)
            asked = self.asked(own)
            lab = to_lab(subsample(small))

        def score(views: Tensor) -> Tensor:
            views = views.float()
            change = torch.tanh(color_difference(to_lab(subsample(views)), lab) / FAR) - 1
            points = liveliness(measures(views), best) + CHANGE * change - self.cost(self.features(views), asked)
            return 10 * torch.exp((points - 10) / SPAN)

        return _in_batches(score, original)

    def bind_guard(self, original: Tensor):
        """A penalty, in points, for scorers that know less of pictures: from views [1,3,h,w] of the original, then
        [N,3,h,w] of candidates, to [N]: what they lack of its realism."""
        with torch.no_grad():
            own = self.features(original.float())
            asked = self.asked(own, 1.0)
            free = self.cost(own, asked)

        def penalty(views: Tensor) -> Tensor:
            return (self.cost(self.features(views.float()), asked) - free).clamp(min=0)

        return _in_batches(penalty, original)


def _in_batches(function: Score, original: Tensor) -> Score:
    """The same function, on a CPU a few views at a time, for its cache holds no more."""
    if original.device.type != "cpu":
        return function
    return lambda views: torch.cat([function(few) for few in views.split(BATCH)])


def liveliness(found: Tensor, best: Tensor) -> Tensor:
    """0..10 [N] for measures [N,4], by what would be best, [1,4]."""
    ratio = found / best
    # 1 at the best value, the same at half and at twice it, 0 at nothing
    marks = 2 * ratio / (1 + ratio**2)
    grey = GREY_SHARE * torch.exp(-((found[:, :1] / GREY) ** 2))
    colour = marks[:, :1] + grey * (1 - marks[:, :1])
    return 10 * torch.cat([colour, marks[:, 1:]], 1) @ found.new_tensor(MEASURE_WEIGHTS)
