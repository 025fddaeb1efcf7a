"""Bars, frames and Polaroid borders: where the picture within them is, and that nothing is measured of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import as_jpeg
from PIL import Image, ImageDraw

import nuli
from nuli.imaging.borders import inner, inners, shared, without_borders
from nuli.imaging.frames import FRAME, make_frame, subsample
from nuli.ops.registry import get_op, measure_statistics
from nuli.scoring.tone import CORRECTION, Tone

LEVELS = [name for name, _, _ in CORRECTION].index("auto_level")

SIDES = {
    "letterbox": (0.14, 0.14, 0, 0),
    "pillars": (0, 0, 0.2, 0.2),
    "top": (0.1, 0, 0, 0),
    "bottom": (0, 0.1, 0, 0),
    "left": (0, 0, 0.15, 0),
    "right": (0, 0, 0, 0.15),
    "frame": (0.06, 0.06, 0.06, 0.06),
    "Polaroid": (0.06, 0.25, 0.06, 0.06),
}
"""Parts of the picture's height and width above, below, before and behind it."""
COLOURS = {
    "black": (0, 0, 0),
    "video black": (16, 16, 16),
    "white": (255,) * 3,
    "cream": (247, 243, 232),
    "red": (140, 30, 40),
}


def bordered(image: Image.Image, colour, sides) -> tuple[Image.Image, tuple[int, ...]]:
    """A picture within borders, and how many pixels of them there are on each side."""
    parts = zip(sides, (image.height, image.height, image.width, image.width), strict=True)
    above, below, before, behind = borders = tuple(round(part * side) for part, side in parts)
    whole = Image.new("RGB", (image.width + before + behind, image.height + above + below), colour)
    whole.paste(image, (before, above))
    return whole, borders


def found(image: Image.Image) -> np.ndarray:
    """How many pixels of the picture are left out above, below, before and behind."""
    view = subsample(make_frame(np.asarray(image)))
    height, width = view.shape[2:]
    rows, columns = inner(view) or (slice(0, height), slice(0, width))
    cut = (rows.start, height - rows.stop, columns.start, width - columns.stop)
    return np.array(cut) * image.height / height


@pytest.mark.parametrize("quality", [None, 70])
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("sides", SIDES)
def test_borders_are_found(photo, sides, colour, quality):
    image, borders = bordered(photo, COLOURS[colour], SIDES[sides])
    cut = found(image if quality is None else as_jpeg(image, quality))
    for pixels, there in zip(cut, borders, strict=True):
        assert there - 4 <= pixels <= there + 14 if there else pixels == 0


def test_a_caption_is_a_part_of_its_border(photo):
    image, borders = bordered(photo, (250, 250, 250), SIDES["Polaroid"])
    ImageDraw.Draw(image).text((image.width // 3, image.height - borders[1] // 2), "Summer 1989", (40, 40, 90))
    assert (found(image) >= np.array(borders) - 4).all()


def test_frames_within_frames(photo):
    white, inside = bordered(photo, (255,) * 3, SIDES["frame"])
    black, outside = bordered(white, (0,) * 3, SIDES["pillars"])
    assert (found(black) >= np.add(inside, outside) - 6).all()


def test_a_photo_is_whole(photo, shared_photos):
    ordinary = [Image.open(file).convert("RGB") for file in shared_photos]
    cut = [found(as_jpeg(image, 70)) for image in (photo, *ordinary)]
    assert sum(sides.any() for sides in cut) <= 1  # one has a black edge of its own


def gradient(direction: int) -> Image.Image:
    levels = np.broadcast_to(np.linspace(0, 255, 300)[:, None, None], (300, 300, 3))
    return Image.fromarray(np.swapaxes(levels, 0, direction).round().astype(np.uint8))


def night() -> Image.Image:
    """A black sky with a street's lights below, and roofs of many heights."""
    rng = np.random.default_rng(0)
    pixels = np.zeros((320, 480, 3))
    for left in range(0, 480, 24):
        top = int(rng.integers(150, 260))
        pixels[top:, left : left + 24] = rng.uniform(10, 90, (320 - top, 24, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def backdrop() -> Image.Image:
    """A product on pure white."""
    pixels = np.full((400, 400, 3), 255, np.uint8)
    pixels[150:330, 120:300] = np.random.default_rng(0).integers(20, 200, (180, 180, 3))
    return Image.fromarray(pixels)


@pytest.mark.parametrize("image", [gradient(0), gradient(1), night(), backdrop(), Image.new("RGB", (90, 70), "white")])
def test_what_is_no_border_stays(image):
    assert not found(image).any()


def test_so_little_is_never_left(photo):
    image, _ = bordered(photo, (255,) * 3, (2, 2, 0, 0))
    assert not found(image).any()


def test_without_borders_a_frame_is_the_pictures(photo):
    plain = make_frame(np.asarray(photo))
    assert without_borders(plain) is plain
    image, _ = bordered(photo, (140, 30, 40), SIDES["Polaroid"])
    seen = without_borders(make_frame(np.asarray(image)))
    assert min(seen.shape[2:]) == FRAME
    assert abs(seen.mean((2, 3)) - plain.mean((2, 3))).max() < 0.02


@pytest.mark.parametrize("name", ["auto_level", "white_balance", "equalize"])
@pytest.mark.parametrize("colour", COLOURS)
def test_nothing_is_measured_of_them(photo, name, colour):
    pale = photo.point(lambda level: round(60 + 0.5 * level))
    image, _ = bordered(pale, COLOURS[colour], SIDES["letterbox"])
    plain, seen = (measure_statistics(get_op(name), make_frame(np.asarray(x))) for x in (pale, image))
    assert abs(plain - seen).max() < 0.06


def test_of_several_what_all_have(photo):
    wide, narrow = (bordered(photo, (0,) * 3, (part, part, 0, 0))[0].resize((300, 300)) for part in (0.1, 0.2))
    frames = torch.cat([make_frame(np.asarray(image)) for image in (wide, narrow)])
    boxes = inners(subsample(frames))
    assert shared(boxes) == boxes[0]
    assert shared([*boxes, None]) is None
    together = measure_statistics(get_op("auto_level"), frames, 2)
    assert torch.equal(together[0], together[1])


@pytest.mark.parametrize("colour", ["black", "white"])
def test_levels_are_stretched_within_a_letterbox(photo, colour):
    pale = photo.point(lambda level: round(80 + 0.4 * level))
    image, (above, below, *_) = bordered(pale, COLOURS[colour], SIDES["letterbox"])
    recipe = nuli.Recipe.from_line("nuli1 auto_level=1/0")
    alone, within = (np.asarray(recipe.apply(x)).astype(int) for x in (pale, image))
    assert abs(within[above:-below] - alone).mean() < 6


@pytest.mark.parametrize("colour", ["black", "white"])
def test_a_correction_is_predicted_from_the_picture_within(photo, colour):
    dark = photo.point(lambda level: round(0.4 * level))
    image, _ = bordered(dark, COLOURS[colour], SIDES["letterbox"])
    tone = Tone.load()
    alone, within = (tone.correction(make_frame(np.asarray(x)))[0, LEVELS].item() for x in (dark, image))
    assert alone > 0.1 and within == pytest.approx(alone, abs=0.1)


def test_the_file_of_the_tests_has_none(photo_path: Path):
    with Image.open(photo_path) as image:
        assert not found(image.convert("RGB")).any()
