"""White balance: grey stays, a cast goes, and what was measured in the frame holds at full size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nuli.imaging.color import to_linear, to_srgb
from nuli.imaging.frames import make_frame
from nuli.ops.registry import Scale, apply_op, get_op, measure_statistics
from nuli.ops.white_balance import LUMINANCE, apply_gains, locus, white_gains
from nuli.recipe import Recipe

OP = get_op("white_balance")
shares = st.floats(0, 1)
ratios = st.floats(-0.8, 0.8)


def run(x: torch.Tensor, *values: float, stats: torch.Tensor | None = None) -> torch.Tensor:
    stats = OP.statistics(x) if stats is None else stats
    return apply_op(OP, x, x.new_tensor([values]), stats, Scale(8, 8))


def chart(seed: int, grey: bool = False) -> torch.Tensor:
    """Fields of random colours [1,3,24,32], a light grey one in the middle."""
    x = 0.1 + 0.5 * torch.rand(1, 1 if grey else 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    x[:, :, 2:4, 2:5] = 0.8
    return x.expand(1, 3, -1, -1).repeat_interleave(4, 2).repeat_interleave(4, 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), shares, shares, shares)
def test_grey_pictures_stay(seed: int, amount: float, edges: float, daylight: float) -> None:
    x = chart(seed, grey=True)
    assert torch.allclose(run(x, amount, edges, 0.0), x, atol=1e-5)
    # lights are looked for on the locus: nearly
    assert torch.allclose(run(x, amount, edges, daylight), x, atol=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), shares, shares)
def test_no_amount_changes_nothing(seed: int, edges: float, daylight: float) -> None:
    x = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(run(x, 0.0, edges, daylight), x, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(ratios, ratios)
def test_gains_are_those_of_linear_light(red: float, blue: float) -> None:
    x = torch.linspace(0, 1, 1024).expand(1, 3, 1, -1)
    logs = torch.tensor([red, 0.0, blue]).view(1, 3, 1, 1)
    gains = logs.exp()
    gains = gains / (gains * torch.tensor(LUMINANCE).view(3, 1, 1)).sum(1, keepdim=True)
    exact = to_srgb(to_linear(x) * gains).clamp(0, 1)
    made = apply_gains(x, logs).clamp(0, 1)
    assert (made - exact).abs().max() < 0.003
    assert (made - exact).abs()[..., 128:].max() < 1e-4
    assert (made.diff(dim=3) >= -1e-6).all()
    # the luminance of grey is kept, unless a channel clips
    light = to_linear(x * 0.5)
    luminance = (to_linear(to_srgb(light * gains)) * torch.tensor(LUMINANCE).view(3, 1, 1)).sum(1)
    assert torch.allclose(luminance, light[:, 0], atol=1e-4)


@pytest.mark.parametrize("mireds", [60.0, 110.0, 220.0, 300.0])
@pytest.mark.parametrize("edges,daylight", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_a_white_patch_under_a_cast_comes_out_neutral(mireds: float, edges: float, daylight: float) -> None:
    light = (locus(torch.tensor([mireds])) - locus(torch.tensor([154.0])))[0]
    cast = torch.stack([light[0], torch.tensor(0.0), light[1]]).view(1, 3, 1, 1)
    # white on a black ground, so that every method can see it
    x = torch.full((1, 3, 48, 64), 0.02)
    x[..., 12:36, 16:48] = 0.65
    bad = apply_gains(x, cast).clamp(0, 1)
    made = run(bad, 1.0, edges, daylight)
    before, after = (float(v[..., 24, 32].amax() - v[..., 24, 32].amin()) for v in (bad, made))
    assert before > 0.1 and after < (0.02 if daylight == 0 else 0.35 * before)


def test_one_strong_colour_moves_shades_of_grey_more_than_daylight() -> None:
    x = torch.full((1, 3, 48, 64), 0.6)
    x[:, 1:, :20] = 0.1
    grey, _, day = white_gains(x)[0].abs().amax(1)
    assert day < 0.5 * grey


def test_gradient_in_the_amount_is_the_finite_difference() -> None:
    x = chart(3).double() * torch.tensor([0.9, 0.7, 0.5]).view(1, 3, 1, 1)
    stats, step = OP.statistics(x), 1e-5
    values = torch.tensor([[0.4, 0.3, 0.6]], dtype=torch.float64, requires_grad=True)
    made = apply_op(OP, x, values, stats, Scale(8, 8)).square().sum()
    slope = torch.autograd.grad(made, values)[0][0]
    for i in range(3):
        ends = []
        for sign in (-1, 1):
            moved = values.detach().clone()
            moved[0, i] += sign * step
            ends.append(float(apply_op(OP, x, moved, stats, Scale(8, 8)).square().sum()))
        assert float(slope[i]) == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-4, abs=1e-6)


def test_the_frames_statistics_are_used_at_full_size(photo: Image.Image) -> None:
    large = photo.resize((photo.width * 3, photo.height * 3), Image.Resampling.BICUBIC)
    pixels = np.array(large)
    pixels[:, :, 2] = pixels[:, :, 2] // 2
    stats = measure_statistics(OP, make_frame(pixels))
    full = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    expected = (run(full, 0.9, 0.2, 0.4, stats=stats)[0].permute(1, 2, 0) * 255).round().numpy()
    made = Recipe.from_line("nuli1 white_balance=0.9/0.2/0.4").apply(Image.fromarray(pixels), device="cpu")
    assert np.abs(np.asarray(made, np.float32) - expected).max() <= 1
