"""A referee that takes no part in any enhancement: NIMA with MobileNet, trained on AVA's photos and their ratings.

H. Talebi, P. Milanfar: NIMA: Neural Image Assessment. IEEE Transactions on Image Processing 27 (2018) 3998-4011. The
weights are idealo's (github.com/idealo/image-quality-assessment, Apache-2.0), a Keras file, read here with h5py and run
with torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from recover import to_bytes
from torch import Tensor

SIZE = 224
BLOCKS = 13
HALVING = {2, 4, 6, 12}
"""Blocks whose depthwise convolution has stride 2, as the first layer has."""
EPSILON = 1e-3
MARKS = torch.arange(1.0, 11.0)


class Referee:
    """Mean mark, 1 to 10, that AVA's raters would give."""

    def __init__(self, file: Path) -> None:
        """
        Raises:
            ValueError: h5py is missing, or the file isn't that network's.
        """
        try:
            import h5py
        except ImportError as error:
            raise ValueError("the referee's weights are an HDF5 file; to read it: pip install h5py") from error
        try:
            with h5py.File(file) as weights:
                self._w = {name: _layer(weights, name) for name in _names()}
        except (OSError, KeyError) as error:
            raise ValueError(f"{file} holds no weights of NIMA's MobileNet: {error}") from error

    def score(self, x: np.ndarray) -> float:
        """The mark of a picture [H,W,3] in 0..1, squeezed to a square as in training."""
        image = Image.fromarray(to_bytes(x)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        view = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            return float(self.marks(view)[0] @ MARKS)

    def marks(self, x: Tensor) -> Tensor:
        """Views [N,3,224,224] in -1..1 -> the share of raters that give 1 to 10, [N,10]."""
        x = self._normalise("conv1", F.conv2d(_pad(x, 2), self._w["conv1"]["kernel"], stride=2))
        for i in range(1, BLOCKS + 1):
            stride, kernel = 2 if i in HALVING else 1, self._w[f"conv_dw_{i}"]["depthwise_kernel"]
            x = F.conv2d(_pad(x, stride), kernel, stride=stride, groups=len(kernel))
            x = self._normalise(f"conv_dw_{i}", x)
            x = self._normalise(f"conv_pw_{i}", F.conv2d(x, self._w[f"conv_pw_{i}"]["kernel"]))
        dense = self._w["dense_1"]
        return F.linear(x.mean((2, 3)), dense["kernel"], dense["bias"]).softmax(1)

    def _normalise(self, name: str, x: Tensor) -> Tensor:
        w = self._w[f"{name}_bn"]
        mean, variance = w["moving_mean"], w["moving_variance"]
        return F.batch_norm(x, mean, variance, w["gamma"], w["beta"], eps=EPSILON).clamp(0, 6)


def _names() -> list[str]:
    convolutions = ["conv1", *(f"conv_{kind}_{i}" for i in range(1, BLOCKS + 1) for kind in ("dw", "pw"))]
    return [*convolutions, *(f"{name}_bn" for name in convolutions), "dense_1"]


def _layer(weights, name: str) -> dict[str, Tensor]:
    """A layer's arrays by their names, in torch's order of axes."""
    found = {}
    for key, array in weights[name][name].items():
        w = torch.from_numpy(np.asarray(array, np.float32))
        if key.startswith("depthwise"):
            w = w.permute(2, 3, 0, 1)  # from height, width, channel, 1
        elif w.ndim == 4:
            w = w.permute(3, 2, 0, 1)  # from height, width, in, out
        elif w.ndim == 2:
            w = w.T
        found[key.partition(":")[0]] = w.contiguous()
    return found


def _pad(x: Tensor, stride: int) -> Tensor:
    """A pixel all around; at stride 2 at the end alone, which is Keras' "same" for an even size."""
    return F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
