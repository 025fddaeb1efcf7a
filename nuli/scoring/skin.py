"""Where a picture shows skin, as far as colour can tell: the same for dark and for light skin.

In the logarithms of linear light, shading moves all three channels alike, melanin moves them along one line, and blood
along another (N. Tsumura et al., "Image-based skin color and texture analysis/synthesis by extracting hemoglobin and
melanin information in the skin", SIGGRAPH 2003). So the two log ratios of neighbouring channels say what is skin, and
how light it is says nothing. The ceilings of both keep out what has the same hue and too much chroma: red paint,
bricks, oranges, grass. Sand, wood and fur of skin's own colour can't be told from it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..imaging.color import to_linear

RED_GREEN = (0.2, 1.4)
"""Log ratios of linear red to green that skin has: pale skin near the first, ruddy and sunlit skin near the other.
In CIELAB's terms: hue angles of about 25 to 75 degrees, at a chroma from 8 up to what the lightness allows of skin."""
GREEN_BLUE = (0.03, 1.3)
"""Those of green to blue, likewise."""
SOFTNESS = 0.04
"""How softly these ends are."""
LIGHT = (0.008, 0.85)
"""Linear green of skin: darker is noise, and lighter a highlight."""
LIGHT_SOFTNESS = 0.15
"""How softly those are, in logarithms."""
NOISE = 0.002
"""Linear light added before the logarithms: nearly black has no ratios."""


def skin_map(x: Tensor) -> Tensor:
    """How likely each pixel of [N,3,h,w], RGB 0..1, is skin -> [N,1,h,w] in 0..1, smooth."""
    red, green, blue = (to_linear(x) + NOISE).log().split(1, 1)
    ratios = _between(red - green, RED_GREEN, SOFTNESS) * _between(green - blue, GREEN_BLUE, SOFTNESS)
    low, high = torch.tensor(LIGHT).log().tolist()
    return ratios * _between(green, (low, high), LIGHT_SOFTNESS)


def _between(x: Tensor, ends: tuple[float, float], softness: float) -> Tensor:
    """About 1 between two ends, about 0 outside of them, a half at each."""
    return torch.sigmoid((x - ends[0]) / softness) * torch.sigmoid((ends[1] - x) / softness)
