"""The ops against Pillow and torchvision, against finite differences, and against themselves at other sizes."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageOps

from nuli.errors import OptionError
from nuli.imaging.color import luma
from nuli.imaging.frames import make_frame, to_tensor
from nuli.imaging.photo import Photo
from nuli.ops import registry
from nuli.ops import render as rendering
from nuli.ops.detail import box_kernel, box_sums, convolve
from nuli.ops.grain import white_noise
from nuli.ops.light import CUTOFF
from nuli.ops.registry import OPS, Op, Scale, apply_op, get_op, select_ops
from nuli.recipe import Recipe

ALL = list(OPS.values())
names = pytest.mark.parametrize("op", ALL, ids=lambda o: o.name)


def run(name: str, x: torch.Tensor, *values: float, full: float | None = None) -> torch.Tensor:
    op = get_op(name)
    stats = op.statistics(x) if op.statistics else None
    short = min(x.shape[2:])
    return apply_op(op, x, x.new_tensor([values]), stats, Scale(short, full or short))


def middling(op: Op, part: float = 0.6) -> list[float]:
    """Values well away from identity and from the ends of the ranges."""
    return [
        p.identity + part * ((p.hard[1] if p.hard[1] != p.identity else p.hard[0]) - p.identity)
        if not p.shapes
        else p.hard[0] + part * (p.hard[1] - p.hard[0])
        for p in op.params
    ]


def levels_apart(made: torch.Tensor, expected: Image.Image, border: int = 0) -> float:
    wanted = torch.from_numpy(np.array(expected)).permute(2, 0, 1).float()
    apart = ((made[0] * 255).round() - wanted).abs()
    return float(apart[:, border : apart.shape[1] - border, border : apart.shape[2] - border].max())


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.2, 2.0])
def test_enhancements_are_pillows(photo: Image.Image, photo_tensor: torch.Tensor, factor: float) -> None:
    for name, pillow in (
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ):
        assert levels_apart(run(name, photo_tensor, factor), pillow(photo).enhance(factor)) <= 1, name


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.5, 2.0])
def test_sharpness_is_pillows(photo: Image.Image, photo_tensor: torch.Tensor, factor: float) -> None:
    # Pillow leaves the outermost pixels as they are
    assert levels_apart(run("sharpness", photo_tensor, factor), ImageEnhance.Sharpness(photo).enhance(factor), 1) <= 2


def test_tone_curves_are_pillows(photo: Image.Image, photo_tensor: torch.Tensor) -> None:
    cut = (CUTOFF, CUTOFF)
    for made, expected in (
        (run("invert", photo_tensor, 1), ImageOps.invert(photo)),
        (run("equalize", photo_tensor, 1, 1), ImageOps.equalize(photo)),
        (run("auto_level", photo_tensor, 1, 1), ImageOps.autocontrast(photo, cut)),
        (run("auto_level", photo_tensor, 1, 0), ImageOps.autocontrast(photo, cut, preserve_tone=True)),
    ):
        assert levels_apart(made, expected) <= 1


@pytest.mark.parametrize("threshold", [40, 128, 255])
def test_solarize_is_pillows(photo: Image.Image, photo_tensor: torch.Tensor, threshold: int) -> None:
    assert levels_apart(run("solarize", photo_tensor, threshold / 255), ImageOps.solarize(photo, threshold)) <= 1


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(photo: Image.Image, photo_tensor: torch.Tensor, bits: int) -> None:
    assert levels_apart(run("posterize", photo_tensor, bits), ImageOps.posterize(photo, bits)) <= 1


def test_gamma_and_hue_are_torchvisions(photo_tensor: torch.Tensor) -> None:
    tv = pytest.importorskip("torchvision.transforms.functional")
    for gamma, gain in ((0.7, 1.0), (1.4, 1.1), (2.5, 0.8)):
        expected = tv.adjust_gamma(photo_tensor, gamma, gain)
        assert (run("gamma", photo_tensor, gamma, gain) - expected).abs().max() * 255 <= 2
    for turn in (-0.5, -0.2, 0.1, 0.33):
        expected = tv.adjust_hue(photo_tensor, turn)
        assert (run("hue", photo_tensor, turn) - expected).abs().max() * 255 <= 2


def test_exposure_is_linear_light() -> None:
    grey = torch.full((1, 3, 4, 4), 0.5)
    # sRGB 0.5 is 0.2140 in linear light; twice that is 0.4281, sRGB 0.6858 (IEC 61966-2-1)
    assert run("exposure", grey, 1.0).mean() == pytest.approx(0.6858, abs=1e-3)


@names
def test_identity_changes_nothing(op: Op, photo_tensor: torch.Tensor) -> None:
    made = run(op.name, photo_tensor, *op.identity)
    assert (made - photo_tensor).abs().max() < 2e-6


@names
def test_every_value_in_range_gives_a_picture(op: Op, photo_tensor: torch.Tensor) -> None:
    for end in (0, 1):
        made = run(op.name, photo_tensor, *(p.hard[end] for p in op.params))
        assert made.shape == photo_tensor.shape
        assert torch.isfinite(made).all() and made.min() >= 0 and made.max() <= 1


def test_chains_of_extremes_stay_finite(photo_tensor: torch.Tensor) -> None:
    rng = random.Random(0)
    for _ in range(60):
        x = photo_tensor[..., ::3, ::3]
        for op in rng.choices(ALL, k=4):
            values = torch.tensor([[float(rng.choice([*p.hard, rng.uniform(*p.hard)])) for p in op.params]])
            x = apply_op(op, x, values, op.statistics(x) if op.statistics else None, Scale(100, 700))
            assert torch.isfinite(x).all(), op.name


@names
def test_soft_ranges_lie_in_hard_ones_and_hold_identity(op: Op) -> None:
    for p in op.params:
        assert p.hard[0] <= p.soft[0] <= p.soft[1] <= p.hard[1]
        assert p.soft[0] <= p.identity <= p.soft[1]
        assert p.soft == (p.identity, p.identity) or op.soft


@names
def test_a_batch_equals_its_pictures_one_by_one(op: Op) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(5, 3, 40, 56, generator=generator)
    low = torch.tensor([p.hard[0] for p in op.params])
    high = torch.tensor([p.hard[1] for p in op.params])
    values = low + (high - low) * torch.rand(5, len(op.params), generator=generator)
    stats = op.statistics(x) if op.statistics else None
    together = apply_op(op, x, values, stats, Scale(40, 400))
    for i in range(5):
        one = apply_op(op, x[i : i + 1], values[i : i + 1], None if stats is None else stats[i : i + 1], Scale(40, 400))
        torch.testing.assert_close(together[i : i + 1], one, atol=2e-5, rtol=0)


@pytest.mark.parametrize("op", [o for o in ALL if o.differentiable], ids=lambda o: o.name)
def test_gradients(op: Op) -> None:
    generator = torch.Generator().manual_seed(3)
    # away from 0 and 1, where results are clipped and have no slope
    x = 0.35 + 0.3 * torch.rand(2, 3, 5, 6, generator=generator, dtype=torch.float64)
    values = torch.tensor([middling(op, 0.15), middling(op, 0.2)], dtype=torch.float64)
    stats = op.statistics(x) if op.statistics else None

    def function(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return apply_op(op, x, values, stats, Scale(5, 20))

    assert torch.autograd.gradcheck(function, (x.requires_grad_(), values.requires_grad_()))


@names
def test_what_is_not_flagged_differentiable_has_no_slope(op: Op, photo_tensor: torch.Tensor) -> None:
    values = torch.tensor([middling(op)], requires_grad=True)
    stats = op.statistics(photo_tensor) if op.statistics else None
    made = apply_op(op, photo_tensor, values, stats, Scale(300, 300))
    slope = torch.autograd.grad(made.sum(), values, allow_unused=True)[0] if made.requires_grad else None
    has_slope = slope is not None and bool((slope != 0).any())
    assert has_slope == op.differentiable


@pytest.mark.parametrize(
    "name,values",
    [("sharpness", (1.8,)), ("sharpness", (0.2,)), ("blur", (0.002,)), ("blur", (0.01,)), ("glow", (0.8, 0.01))],
)
@pytest.mark.parametrize("full", [500, 3000])
def test_a_small_view_shows_what_the_full_picture_gets(
    photo: Image.Image, name: str, values: tuple[float, ...], full: int
) -> None:
    def shrink(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, (224, 280), mode="bicubic", antialias=True).clamp(0, 1)

    large = torch.from_numpy(np.array(photo.resize((full * 5 // 4, full), Image.Resampling.BICUBIC)))
    large = large.permute(2, 0, 1)[None].float() / 255
    in_full = shrink(run(name, large, *values)) - shrink(large)
    in_view = run(name, shrink(large), *values, full=full) - shrink(large)
    effect = in_full.square().mean().sqrt()
    assert (in_view - in_full).square().mean().sqrt() <= 0.2 * effect + 1e-4


@pytest.mark.parametrize("width,passes", [(1.2, 1), (3.0, 1), (4.7, 3), (40.0, 3)])
def test_running_sums_equal_the_kernel(photo_tensor: torch.Tensor, width: float, passes: int) -> None:
    summed = photo_tensor
    for _ in range(passes):
        summed = box_sums(summed, width)
    kernel = box_kernel(torch.tensor([width]), passes, Scale(300, 300))
    border = passes * int(width / 2 + 1)  # at the edges the two repeat different pixels
    apart = (summed - convolve(photo_tensor, kernel)).abs()[..., border:-border, border:-border]
    assert apart.max() < 2e-4


def test_statistics_of_flat_and_black_pictures_are_harmless() -> None:
    for value in (0.0, 0.5, 1.0):
        flat = torch.full((1, 3, 8, 8), value)
        for op in ALL:
            made = run(op.name, flat, *middling(op))
            assert torch.isfinite(made).all(), op.name
        assert torch.equal(run("auto_level", flat, 1, 0), flat)
        assert torch.allclose(run("equalize", flat, 1, 1), flat)


def test_select_narrows_by_group_op_and_mode() -> None:
    def chosen(mode: str, text: str) -> set[str]:
        return {o.name for o in select_ops(mode, text)}

    soft = chosen("soft", "all")
    assert {"exposure", "contrast", "vibrance", "sharpness", "auto_level", "equalize"} <= soft
    assert not soft & {"hue", "invert", "solarize", "posterize", "channel_mix", "split_tone", "glow"}
    assert chosen("hard", "all") == set(OPS) - {"grain"} == chosen("hard", "all,-grain")
    assert chosen("hard", "all,grain") == set(OPS) and chosen("hard", "grain") == {"grain"}
    assert chosen("hard", "art") == {n for n in OPS if OPS[n].group == "art" and n != "grain"}
    assert chosen("soft", "light") == {n for n in soft if OPS[n].group == "light"}
    assert chosen("soft", "light, -equalize,sharpness") == chosen("soft", "light") - {"equalize"} | {"sharpness"}
    assert chosen("hard", "-art") == {n for n in OPS if OPS[n].group != "art"} == chosen("hard", "all,grain,-art")
    for mode, text in (("soft", "lihgt"), ("soft", "art"), ("hard", "light,-light")):
        with pytest.raises(OptionError):
            select_ops(mode, text)


def test_a_hosts_autocast_changes_nothing(photo_tensor: torch.Tensor) -> None:
    for op in ALL:
        values = middling(op)
        plain = run(op.name, photo_tensor, *values)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(run(op.name, photo_tensor, *values), plain), op.name


def test_a_second_op_of_one_name_is_refused() -> None:
    def contrast(x: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
        return x * amount

    before = OPS["contrast"]
    with pytest.raises(ValueError, match="'contrast' already"):
        registry.op("light", registry.Param("amount", 1, (0, 1), (0, 1)))(contrast)
    assert OPS["contrast"] is before


def test_grain_is_a_matter_of_the_place() -> None:
    noise = white_noise(-5, 7, 400, 300, torch.zeros(1))
    assert noise.shape == (1, 1, 400, 300)
    assert abs(noise.mean()) < 0.01 and noise.std() == pytest.approx(1, abs=0.01)
    assert torch.equal(noise[..., 100:150, 20:60], white_noise(95, 27, 50, 40, torch.zeros(1)))
    for down, across in ((0, 1), (1, 0), (1, 1), (0, 64), (256, 0)):  # no pattern
        shifted = noise[..., down:, across:] * noise[..., : 400 - down, : 300 - across]
        assert abs(shifted.mean()) < 0.015


def test_grain_does_not_show_where_tiles_meet(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    large = Photo(np.array(photo.resize((900, 600))))
    steps = Recipe.parse("nuli1 exposure=0.2 grain=0.6/0.002 sharpness=1.3").steps
    made = []
    for side in (2048, 512, 200, 200):
        monkeypatch.setattr(rendering, "_TILE", side)
        made.append(rendering.render(large, steps, "cpu").astype(int))
    assert np.array_equal(made[2], made[3])
    for other in made[1:3]:
        assert (other != made[0]).mean() < 1e-3 and np.abs(other - made[0]).max() <= 1


@pytest.mark.parametrize("size", [0.0005, 0.001, 0.004])
def test_grain_keeps_the_light_and_is_as_strong_in_small_views(photo: Image.Image, size: float) -> None:
    pixels = np.array(photo.resize((2000, 1330), Image.Resampling.BICUBIC))
    x = to_tensor(pixels)
    noise = run("grain", x, 0.5, size) - x
    assert noise.mean().abs() < 0.001
    grey = luma(x)
    tones = [noise.mean(1)[(grey[:, 0] > low) & (grey[:, 0] < high)].std() for low, high in ((0.4, 0.6), (0.05, 0.1))]
    assert tones[0] == pytest.approx(0.06, rel=0.05) and 0.2 < tones[1] / tones[0] < 0.4
    view = make_frame(pixels)
    seen = run("grain", view, 0.5, size, full=1330) - view
    there = F.interpolate(noise, view.shape[2:], mode="bicubic", antialias=True)
    assert seen.std() == pytest.approx(float(there.std()), rel=0.25)


def test_larger_grain_is_coarser(photo_tensor: torch.Tensor) -> None:
    def coarseness(size: float) -> float:
        n = run("grain", photo_tensor, 0.5, size, full=300) - photo_tensor
        return float((n[..., 1:] * n[..., :-1]).mean() / n.square().mean())

    assert coarseness(0.0005) + 0.2 < coarseness(0.002) + 0.1 < coarseness(0.004)
