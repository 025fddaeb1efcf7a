"""The map of skin: of all tones alike, and not of what only has the same hue."""

from __future__ import annotations

import pytest
import torch

from nuli.scoring.limits import Limits
from nuli.scoring.skin import skin_map

# sRGB of skin in daylight, from light to dark
SKIN = [(241, 204, 180), (224, 172, 140), (198, 134, 103), (160, 105, 80), (120, 75, 56), (92, 56, 40), (60, 38, 30)]
OTHERS = {
    "red car": (190, 20, 25),
    "brick": (178, 74, 52),
    "orange": (240, 140, 20),
    "grass": (90, 130, 50),
    "sky": (110, 160, 220),
    "snow": (235, 238, 242),
    "grey": (128, 128, 128),
    "black": (2, 1, 1),
}


def patch(*colors: tuple[int, int, int]) -> torch.Tensor:
    """[1,3,8,8*n]: stripes of colors."""
    stripes = [torch.tensor(color).view(1, 3, 1, 1).expand(-1, -1, 8, 8) / 255 for color in colors]
    return torch.cat(stripes, 3)


def test_skin_of_all_tones_is_as_likely() -> None:
    likely = [skin_map(patch(color)).mean().item() for color in SKIN]
    assert min(likely) > 0.8
    assert max(likely) - min(likely) < 0.2


def test_how_light_it_is_says_nothing() -> None:
    """In shade skin keeps its ratios of linear light."""
    linear = (patch((198, 134, 103)) ** 2.2)[..., :1, :1]
    shades = torch.cat([(linear * share) ** (1 / 2.2) for share in (1.5, 1, 0.5, 0.25, 0.12)])
    likely = skin_map(shades).flatten()
    assert likely.min() > 0.8
    assert likely.max() - likely.min() < 0.2


@pytest.mark.parametrize("name", OTHERS)
def test_what_has_too_much_chroma_or_none_is_not_skin(name: str) -> None:
    assert skin_map(patch(OTHERS[name])).max() < 0.05


def test_the_map_is_smooth() -> None:
    ends = patch((190, 20, 25)), patch((198, 134, 103))
    way = torch.cat([torch.lerp(*ends, i / 500) for i in range(501)]).requires_grad_()
    likely = skin_map(way)
    assert ((likely >= 0) & (likely <= 1)).all()
    assert likely[:, 0, 0, 0].diff().abs().max() < 0.05
    likely.sum().backward()
    assert torch.isfinite(way.grad).all()


@pytest.mark.parametrize("color", SKIN)
def test_the_light_and_the_hue_of_skin_are_held_more_firmly_than_the_rest(color: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    scene = 0.4 + 0.3 * torch.rand(1, 1, 112, 168).expand(-1, 3, -1, -1)
    face = scene.clone()
    face[:, :, 30:70, 60:100] = patch(color)[:, :, :1, :1]
    lighter, turned = face.clone(), face.clone()
    lighter[:, :, 30:70, 60:100] *= 1.08
    turned[:, :, 30:70, 60:100] *= torch.tensor([1.0, 0.85, 1.0]).view(3, 1, 1)
    limits = Limits(face)
    assert limits.hold(face)
    assert not limits.hold(lighter)
    assert limits.measure(lighter)["skin light"] == pytest.approx(0.08, abs=0.005)
    assert limits.measure(turned)["skin hue"] != pytest.approx(0, abs=2)
    # the same change where there is no skin costs nothing
    bare, plain = Limits(scene), scene.clone()
    plain[:, :, 30:70, 60:100] *= 1.08
    assert bare.measure(plain)["skin light"] == pytest.approx(0, abs=2e-3)
    assert bare.walls(plain)[0, -2:].tolist() == [0, 0]
