"""Chains applied to a picture's colours: what comes out is what comes out pixel by pixel."""

from __future__ import annotations

import random
from weakref import ref

import numpy as np
import pytest
import torch
from PIL import Image

from nuli.errors import StoppedError
from nuli.heap import give_back
from nuli.imaging.frames import make_frame, to_pixels, to_tensor
from nuli.imaging.photo import Photo, load_photo
from nuli.ops.palette import FEWEST, Palette, Recoloured, has_palette
from nuli.ops.pipeline import apply_steps, chain_statistics, scale_of
from nuli.ops.registry import OPS, Scale
from nuli.ops.render import render, render_rows
from nuli.ops.step import Step
from nuli.recipe import Recipe


@pytest.fixture(scope="module")
def large(photo: Image.Image) -> Photo:
    """A photo with enough pixels for a palette."""
    return load_photo(photo.resize((700, 500), Image.Resampling.BICUBIC))


def pixel_by_pixel(photo: Photo, steps: tuple[Step, ...]) -> np.ndarray:
    """A chain applied to all pixels at once, without tiles or palettes."""
    short = min(photo.pixels.shape[:2])
    with torch.no_grad():
        statistics = chain_statistics(frame := make_frame(photo.pixels), steps, scale_of(frame, short))
        x = apply_steps(to_tensor(photo.pixels), steps, statistics, Scale(short, short))
    return to_pixels(x, photo.pixels.dtype).astype(int)


def random_chain(rng: random.Random) -> tuple[Step, ...]:
    ops = rng.sample(list(OPS.values()), rng.randint(1, 5))
    return tuple(Step(op.name, tuple(rng.uniform(*limits) for limits in op.ranges("hard"))) for op in ops)


@pytest.mark.parametrize("seed", range(30))
def test_any_chain_comes_out_as_pixel_by_pixel(large: Photo, seed: int) -> None:
    assert has_palette(large.pixels)
    steps = random_chain(random.Random(seed))
    assert np.abs(render(large, steps, "cpu").astype(int) - pixel_by_pixel(large, steps)).max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_greys_are_exact(large: Photo, kind: type) -> None:
    grey = large.pixels[..., :1].astype(kind) * (1 if kind == np.uint8 else 257)
    for line in ("nuli1 gamma=0.8/1 contrast=1.2", "nuli1 temperature=0.1 sharpness=1.5 saturation=1.2"):
        steps = Recipe.parse(line).steps
        photo = load_photo(grey)
        made = render(photo, steps, "cpu")
        assert made.dtype == kind
        assert np.abs(made.astype(int) - pixel_by_pixel(photo, steps)).max() <= 1


def test_every_colour_finds_its_own(large: Photo) -> None:
    """Of a palette each colour gets its replacement, whichever part is asked for, and in whichever order."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (520, 530, 3), np.uint8)
    palette = Palette(pixels)
    assert len(palette.codes) == len(np.unique(pixels.reshape(-1, 3), axis=0))
    for new in (palette.colours[:, ::-1] ^ 255, (palette.colours / np.float32(255)).astype(np.float32)):
        whole = pixels[..., ::-1] ^ 255 if new.dtype == np.uint8 else pixels / np.float32(255)
        replaced = Recoloured(palette, np.ascontiguousarray(new))
        assert replaced.shape == pixels.shape and replaced.dtype == new.dtype
        assert np.array_equal(np.asarray(replaced), whole)
        assert np.array_equal(replaced[7:9], whole[7:9])
        assert np.array_equal(replaced[519:520, 529:530], whole[519:, 529:])


def test_two_at_a_time_do_not_share_a_table(large: Photo) -> None:
    palette = Palette(large.pixels)
    one, two = Recoloured(palette, palette.colours), Recoloured(palette, palette.colours ^ 255)
    assert np.array_equal(np.asarray(one), large.pixels)
    assert np.array_equal(np.asarray(two), large.pixels ^ 255)
    del one
    three = Recoloured(palette, palette.colours & 15)
    assert np.array_equal(np.asarray(two), large.pixels ^ 255)
    assert np.array_equal(np.asarray(three), large.pixels & 15)


def test_few_pixels_need_no_palette(photo: Image.Image) -> None:
    pixels = np.asarray(photo)
    assert pixels[..., 0].size < FEWEST and not has_palette(pixels)


def test_looking_for_colours_can_be_stopped(large: Photo) -> None:
    """And what was marked by then does not stay."""
    asked: list[int] = []
    steps = Recipe.parse("nuli1 contrast=1.2").steps
    with pytest.raises(StoppedError):
        render_rows(large, steps, "cpu", stop=lambda: asked.append(1) or len(asked) > 2)
    assert len(Palette(large.pixels).codes) == len(np.unique(large.pixels.reshape(-1, 3), axis=0))


def test_one_spare_table_is_kept_until_memory_is_given_back(large: Photo) -> None:
    palette = Palette(large.pixels)
    tables = [ref(Recoloured(palette, palette.colours)._table)]
    several = [Recoloured(palette, palette.colours) for _ in range(4)]  # as that many threads have
    tables += [ref(one._table) for one in several]
    del several
    assert len({id(table()) for table in tables} - {id(None)}) == 1
    assert any(Recoloured(palette, palette.colours)._table is table() for table in tables)
    give_back()
    assert not any(table() is not None for table in tables)
