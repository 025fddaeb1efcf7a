"""The backbone of the embedded scorers: the first eleven blocks of EfficientNet-Lite0, frozen.

Architecture: M. Tan and Q. Le, "EfficientNet", ICML 2019, in the Lite variant of Google's TPU repository (ReLU6, no
squeeze and excitation). The weights were learned from ImageNet; `training/backbone.py` cuts them out of the published
file, folds the batch normalization into the convolutions, and rounds them to half precision.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .embedded import load_embedded

WEIGHTS = Path(__file__).with_name("backbone.safetensors")
SHA256 = "e839b7913b38156cc4e9526422eaaa8d4364fa6a2b22fe73601a48533b0a270d"
BLOCKS = (
    # kernel, stride, channels out, expansion
    (3, 1, 16, 1),
    (3, 2, 24, 6),
    (3, 1, 24, 6),
    (5, 2, 40, 6),
    (5, 1, 40, 6),
    (3, 2, 80, 6),
    (3, 1, 80, 6),
    (3, 1, 80, 6),
    (5, 1, 112, 6),
    (5, 1, 112, 6),
    (5, 1, 112, 6),
)
TAPS = (0, 2, 4, 7, 10)
"""The blocks whose channels are looked at: the last ones of each size and width."""
FEATURES = 2 * sum(BLOCKS[i][2] for i in TAPS)


class Backbone:
    """Statistics of what a convolutional network sees in pictures."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """
        Args:
            weights: of every convolution, "stem.weight" and so on, [out,in,K,K], and "stem.bias" [out].
        """
        self._weights = {
            name: w.contiguous(memory_format=torch.channels_last) if w.ndim == 4 else w for name, w in weights.items()
        }

    @classmethod
    @lru_cache(4)
    @torch.inference_mode(False)  # gradients may flow through it later, whatever mode a host loads it in
    def load(cls, device: torch.device) -> Backbone:
        """Load the weights that ship with the package. Raises WeightsError."""
        return cls({key: value.to(device, torch.float32) for key, value in load_embedded(WEIGHTS, SHA256).items()})

    def features(self, x: Tensor) -> Tensor:
        """Means and deviations of channels, [N,FEATURES], of views [N,3,H,W] in 0..1 of any size."""
        x = (x * 255 - 127) / 128
        x = F.relu6(self._convolve(x.contiguous(memory_format=torch.channels_last), "stem", 3, 2))
        found = []
        for i, (kernel, stride, channels, expansion) in enumerate(BLOCKS):
            y = F.relu6(self._convolve(x, f"{i}.expand")) if expansion > 1 else x
            y = F.relu6(self._convolve(y, f"{i}.depth", kernel, stride, y.shape[1]))
            y = self._convolve(y, f"{i}.project")
            x = x + y if stride == 1 and x.shape[1] == channels else y
            if i in TAPS:
                flat = x.permute(0, 2, 3, 1).flatten(1, 2)
                mean = flat.mean(1, keepdim=True)
                found += [mean[:, 0], ((flat - mean).square().mean(1) + 1e-6).sqrt()]
        return torch.cat(found, 1)

    def _convolve(self, x: Tensor, name: str, kernel: int = 1, stride: int = 1, groups: int = 1) -> Tensor:
        """A convolution that pads as TensorFlow does ("same"): where it can't be even, more at the right and below."""
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        if before != after:
            x, before = F.pad(x, (before, after, before, after)), 0
        return F.conv2d(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], stride, before, 1, groups)
