"""Guards: nothing at identity, smooth, and on the side of the picture."""

from __future__ import annotations

import pytest
import torch

from nuli.scoring.penalties import cast, clipping, drift, light, penalize

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


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_black_is_finite(photo_tensor: torch.Tensor, mode: str) -> None:
    black = torch.zeros_like(photo_tensor)
    assert torch.isfinite(penalize(black, photo_tensor, mode, 1.0)).all()
    assert torch.isfinite(penalize(photo_tensor, black, mode, 1.0)).all()
