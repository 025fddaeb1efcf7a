"""Guards: nothing at identity, smooth, and on the side of the picture."""

from __future__ import annotations

import pytest
import torch

from nuli.scoring.limits import BOUNDS, FOOT, Limits
from nuli.scoring.penalties import NAMES, WALLS, Guards, cast, clipping, drift, light
from nuli.scoring.tone import Tone

ALL = [light, clipping, drift, cast]


@pytest.mark.parametrize("guard", ALL)
def test_identity_is_free_and_no_edge_is_sharp(guard, photo_tensor: torch.Tensor) -> None:
    assert guard(photo_tensor, photo_tensor).item() == pytest.approx(0, abs=1e-9)
    for target in (torch.zeros_like(photo_tensor), torch.ones_like(photo_tensor), photo_tensor.flip(1)):

        def largest_step(count: int, target: torch.Tensor = target) -> float:
            path = (torch.lerp(photo_tensor, target, 0.9 * i / count) for i in range(count + 1))
            costs = torch.cat([guard(picture, photo_tensor) for picture in path])
            assert torch.isfinite(costs).all() and (costs >= 0).all()
            return costs.diff().abs().max().item()

        # twice as many steps are half as large; a jump would stay as it is
        assert largest_step(200) <= 0.7 * largest_step(100) + 1e-6


def test_darkening_costs_and_a_dark_picture_may_be_lifted(photo_tensor: torch.Tensor) -> None:
    night = photo_tensor * 0.2
    assert light(photo_tensor * 0.6, photo_tensor) > 0.5
    assert light(night * 1.6, night) == 0
    assert light(night * 0.6, night) > 0.5


def test_new_clipping_costs_and_old_clipping_does_not(photo_tensor: torch.Tensor) -> None:
    burnt = (photo_tensor * 2).clamp(max=1)
    assert clipping(burnt, photo_tensor) > 0.5
    assert clipping(burnt, burnt) == 0
    assert clipping(((photo_tensor - 0.5) * 2 + 0.5).clamp(0, 1), photo_tensor) > 0.5


def test_a_cast_costs_and_its_removal_does_not(photo_tensor: torch.Tensor) -> None:
    grey = photo_tensor.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    warm = (grey * torch.tensor([1.15, 1.0, 0.85]).view(1, 3, 1, 1)).clamp(0, 1)
    assert cast(warm, grey) > 0.3
    assert cast(grey, warm) < 0.1 * cast(warm, grey)


def test_each_guard_has_a_name_and_soft_mode_has_walls_on_top(photo_tensor: torch.Tensor) -> None:
    pictures = torch.cat([photo_tensor, photo_tensor * 0.9, (photo_tensor * 1.3).clamp(max=1), photo_tensor.flip(1)])
    soft, hard = (Guards(photo_tensor, mode)(pictures) for mode in ("soft", "hard"))
    assert soft.shape == hard.shape == (4, len(NAMES))
    assert max(soft[0].abs().max(), hard[0].abs().max()) < 1e-9
    plain = torch.stack([guard(pictures, photo_tensor) for guard in ALL], 1)
    assert (soft[:, :4] >= plain - 1e-5).all()
    torch.testing.assert_close(hard[:, :2], 0.25 * plain[:, :2])
    assert hard[:, 2:].abs().max() == 0
    assert set(WALLS.values()) < set(NAMES)


def moved(picture: torch.Tensor, measure: str, size: float) -> torch.Tensor:
    """A picture changed in one way, the more the larger the size."""
    grey = picture.mean(1, keepdim=True)
    return {
        "light": lambda: picture * (1 - size),
        "clipped": lambda: torch.where(picture.amax(1, keepdim=True) > 1 - size, torch.ones_like(picture), picture),
        "chroma": lambda: grey + (1 + 4 * size) * (picture - grey),
        "difference": lambda: picture + size,
        "skin hue": lambda: picture * torch.tensor([1.0, 1 - size, 1.0]).view(1, 3, 1, 1),
        "skin light": lambda: picture * (1 + size),
    }[measure]().clamp(0, 1)


@pytest.mark.parametrize("measure", BOUNDS)
def test_no_wall_has_an_edge_and_each_is_higher_than_a_range(measure: str, photo_tensor: torch.Tensor) -> None:
    # a patch of a face's colour, so that there is something to protect
    picture = 0.9 * photo_tensor[..., ::5, ::5]
    picture[:, :, 10:25, 10:25] = 0.5 * picture[:, :, 10:25, 10:25] + torch.tensor([0.4, 0.26, 0.2])[:, None, None]
    limits, index = Limits(picture), [*BOUNDS].index(measure)
    path = torch.cat([moved(picture, measure, 0.4 * i / 300) for i in range(301)])
    reached, cost = limits.reach(path)[:, index], limits.walls(path)[:, index]
    assert reached[0] == pytest.approx(0, abs=1e-4)
    assert reached.max() > 1.5
    assert (cost[reached <= FOOT] == 0).all()
    assert (cost[reached >= 1] > 10).all()
    if measure != "clipped":  # which pixels are is a matter of steps
        steep = cost.diff().abs() / reached.diff().abs().clamp(min=1e-6)
        assert steep[reached.diff().abs() > 1e-4].max() < 200
    assert limits.hold(path[:1])
    assert not limits.hold(path[-1:])


def test_the_way_to_what_tone_predicts_is_free(photo_tensor: torch.Tensor) -> None:
    dark = photo_tensor * 0.45
    anchor = Tone.load().corrected(dark)
    assert anchor.mean() > 1.12 * dark.mean()
    plain, anchored = Limits(dark[..., ::2, ::2]), Limits(dark[..., ::2, ::2], anchor)
    half = torch.lerp(dark[..., ::2, ::2], anchor, 0.5)
    assert not plain.hold(anchor)
    assert anchored.reach(anchor).max() <= 1 + 1e-4
    assert anchored.hold(half)
    beyond = dark[..., ::2, ::2] + 2 * (anchor - dark[..., ::2, ::2])
    assert not anchored.hold(beyond.clamp(0, 1))
    assert not anchored.hold(dark[..., ::2, ::2] * 0.8)  # the other way is as far as ever


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_black_is_finite(photo_tensor: torch.Tensor, mode: str) -> None:
    for before, after in ((photo_tensor, 0 * photo_tensor), (0 * photo_tensor, photo_tensor)):
        assert torch.isfinite(Guards(before, mode)(after)).all()
        steps = after.clone().requires_grad_()
        Guards(before, mode)(steps).sum().backward()
        assert torch.isfinite(steps.grad).all()
