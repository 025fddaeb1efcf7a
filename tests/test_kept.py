"""What soft mode keeps: paper and screens, flat colours, exact greys, the quiet of a picture of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pictures import as_jpeg
from PIL import Image, ImageDraw

import nuli
from nuli.imaging.frames import make_frame
from nuli.imaging.photo import Photo
from nuli.scoring.kept import Kept, has_few_colours
from nuli.scoring.tone import CORRECTION, keep

LEVELS = 3
"""Of 255, that what is kept may move."""


def page(paper, ink, size=(480, 640), lines=22) -> Image.Image:
    image = Image.new("RGB", size, paper)
    pen = ImageDraw.Draw(image)
    for line in range(lines):
        pen.text((40, 40 + 24 * line), "The quick brown fox jumps over the lazy dog " * 2, ink)
    return image


def window(ground, panel, text, accent) -> Image.Image:
    image = Image.new("RGB", (800, 520), ground)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, 180, 520), panel)
    pen.rectangle((560, 440, 760, 490), accent)
    for line in range(14):
        pen.text((20, 20 + 34 * line), f"menu item {line}", text)
        pen.text((210, 20 + 34 * line), "lorem ipsum dolor sit amet " * 2, text)
    return image


def noise(mean, sigma, tilt=0.0) -> Image.Image:
    rng = np.random.default_rng(0)
    slope = np.linspace(0, tilt, 360)[:, None, None]
    pixels = np.asarray(mean) + slope + rng.normal(0, sigma, (360, 480, 3))
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def sprite(cells, scale) -> Image.Image:
    """Pixel art of eight colours."""
    palette = np.array(
        [
            (20, 12, 28),
            (68, 36, 52),
            (48, 52, 109),
            (78, 74, 78),
            (133, 76, 48),
            (52, 101, 36),
            (208, 70, 72),
            (1, 1, 9),
        ]
    )
    art = palette[np.random.default_rng(0).integers(0, 8, (cells, cells))].astype(np.uint8)
    return Image.fromarray(art).resize((cells * scale,) * 2, Image.Resampling.NEAREST)


def enhanced(image: Image.Image, **options) -> np.ndarray:
    result = nuli.enhance(image, evaluations=40, seed=0, **options)
    return np.asarray(result.image.convert("RGB")).astype(int)


def moved(image: Image.Image, colour, **options) -> float:
    """How far an area of that very colour moves at most, in levels."""
    where = (np.asarray(image) == colour).all(-1)
    return abs(enhanced(image, **options)[where].mean(0) - colour).max()


def shaded() -> Image.Image:
    """A scanned page: the light falls off to one corner, and the sensor has noise."""
    pixels = np.asarray(page((240, 240, 240), (30, 30, 30))).astype(float)
    shade = np.linspace(1, 0.92, 640)[:, None, None] * np.linspace(1, 0.97, 480)[None, :, None]
    pixels = pixels * shade + np.random.default_rng(0).normal(0, 2, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("paper", "ink"),
    [((255,) * 3, (0,) * 3), ((252,) * 3, (40,) * 3), ((250, 247, 240), (20,) * 3), ((225,) * 3, (0,) * 3)],
)
def test_paper_stays_as_light_as_it_is(paper, ink):
    assert moved(page(paper, ink), paper) <= LEVELS


def test_a_shaded_scan_gets_no_darker():
    image = shaded()
    paper = np.asarray(image).min(-1) > 200
    assert enhanced(image)[paper].mean() >= np.asarray(image)[paper].mean() - LEVELS


def test_line_art_stays_on_white():
    image = Image.new("RGB", (500, 400), "white")
    pen = ImageDraw.Draw(image)
    for points in np.random.default_rng(0).integers(10, 390, (30, 3, 2)):
        pen.line([tuple(point) for point in points.tolist()], (0, 0, 0), 3)
    assert moved(image, (255, 255, 255)) <= LEVELS


@pytest.mark.parametrize("ground", [18, 30, 60, 128, 243])
def test_a_screen_keeps_its_greys_and_its_accents(ground):
    panel, text = min(ground + 15, 255), 220 if ground < 128 else 20
    image = window((ground,) * 3, (panel,) * 3, (text,) * 3, (0, 122, 204))
    result = enhanced(image)
    for colour in ((ground,) * 3, (panel,) * 3, (0, 122, 204)):
        where = (np.asarray(image) == colour).all(-1)
        assert abs(result[where].mean(0) - colour).max() <= LEVELS
    grey = (np.asarray(image) == ground).all(-1)
    assert np.ptp(result[grey].mean(0)) <= 1


@pytest.mark.parametrize(
    ("mean", "sigma", "tilt"),
    [((128,) * 3, 1.2, 0), ((90,) * 3, 0.7, 0), ((12,) * 3, 2, 0), ((60,) * 3, 6, 0), ((110, 150, 200), 1.5, 10)],
)
def test_noise_is_not_spread(mean, sigma, tilt):
    image = noise(mean, sigma, tilt)
    assert enhanced(image).std() <= 1.8 * np.asarray(image).std()


@pytest.mark.parametrize(("cells", "scale"), [(16, 20), (32, 8), (64, 1), (64, 5)])
def test_pixel_art_keeps_its_palette(cells, scale):
    image = sprite(cells, scale)
    assert abs(enhanced(image) - np.asarray(image)).max() <= 1


@pytest.mark.parametrize("colour", [(255, 255, 255), (250, 248, 242), (120, 30, 40), (90, 90, 90)])
def test_a_border_keeps_its_colour(photo, colour):
    image = Image.new("RGB", (photo.width + 30, photo.height + 60), colour)
    image.paste(photo.point(lambda level: level // 2), (15, 15))
    assert moved(image, colour) <= LEVELS


def test_a_logo_keeps_its_colours():
    image = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 20, 280, 280), (60, 70, 160, 255))
    pen.rectangle((100, 100, 200, 200), (200, 190, 40, 255))
    visible = np.asarray(image)[..., 3] == 255
    assert abs(enhanced(image) - np.asarray(image)[..., :3])[visible].max() <= 1


class Darkness:
    """An adversary: the darker, the better."""

    name, licence = "darkness", "MIT"
    input_size, view_mode = 224, "crop"
    score_range = (0.0, 10.0)

    def bind(self, original: torch.Tensor):
        return lambda views: 10 * (1 - views.mean((1, 2, 3)))


def test_no_scorer_darkens_paper():
    image = page((250,) * 3, (30,) * 3)
    assert moved(image, (250,) * 3, scorer=Darkness()) <= LEVELS


def test_without_guards_a_scorer_has_its_way():
    image = page((250,) * 3, (30,) * 3)
    assert moved(image, (250,) * 3, scorer=Darkness(), guards="off") > LEVELS


def under(photo: Image.Image, colour: int, part: float) -> np.ndarray:
    """A photo's pixels under a sky of one colour, which ends at a skyline."""
    pixels = np.array(photo)
    ends = np.random.default_rng(0).integers(0, len(pixels) // 4, pixels.shape[1] // 20 + 1).repeat(20)
    rows = np.arange(len(pixels))[:, None] < len(pixels) * part - ends[: pixels.shape[1]]
    pixels[rows] = colour
    return pixels


def test_a_photo_has_nothing_to_keep(photo):
    """Not even where its sky is white, or black."""
    assert not Kept(make_frame(np.asarray(photo)))
    for part in (0.3, 0.5, 0.7):
        assert not Kept(make_frame(under(photo, 255, min(part, 0.5))))
        assert not Kept(make_frame(under(photo, 0, part)))


def test_few_colours(photo):
    assert has_few_colours(Photo(np.asarray(sprite(64, 1))))
    assert not has_few_colours(Photo(np.asarray(photo)))
    grey = photo.convert("L").point(lambda level: level // 8 + 60)  # an underexposed photo has few levels
    assert not has_few_colours(Photo(np.asarray(grey)[..., None]))


def test_the_reach_has_gradients_everywhere():
    frame = make_frame(np.asarray(page((252,) * 3, (30,) * 3)))
    flat = torch.full_like(frame, 0.5)
    for original in (frame, flat):
        candidate = original.clone().requires_grad_()
        Kept(original).reach(candidate).sum().backward()
        assert torch.isfinite(candidate.grad).all()


def sky(low, high, size=(480, 320)) -> Image.Image:
    """A photo's smooth sky, wall or studio backdrop, in which there is something with detail."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : 1 : size[1] * 1j, 0 : 1 : size[0] * 1j]
    shade = ((rows + 0.4 * (columns - 0.5) ** 2) / 1.1)[..., None]
    pixels = np.asarray(low) * (1 - shade) + np.asarray(high) * shade + rng.normal(0, 0.5, (*shade.shape[:2], 3))
    pixels[200:, 180:300] = rng.normal(70, 30, (120, 120, 1)) + np.asarray([20, 0, -20])
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


SKIES = [
    ((150, 185, 190), (178, 208, 210)),
    ((30, 60, 110), (50, 90, 150)),
    ((14, 15, 18), (30, 28, 26)),
    ((90,) * 3, (112,) * 3),
]


@pytest.mark.parametrize("quality", [50, 70, 85])
@pytest.mark.parametrize(("low", "high"), SKIES)
def test_a_smooth_background_in_a_jpeg_is_no_drawing(low, high, quality):
    """A JPEG makes it flat, block by block."""
    frame = make_frame(np.asarray(as_jpeg(sky(low, high), quality)))
    assert Kept(frame).holds(frame * 1.3)


@pytest.mark.parametrize("quality", [50, 85])
def test_a_drawing_in_a_jpeg_keeps_its_colours(quality):
    image = Image.new("RGB", (600, 400), (120, 190, 235))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 270, 600, 400), (90, 170, 80))
    pen.ellipse((430, 40, 530, 140), (250, 220, 90), (20, 20, 20), 4)
    pen.rectangle((100, 160, 280, 300), (200, 90, 70), (20, 20, 20), 4)
    image = as_jpeg(image, quality)
    assert abs(enhanced(image) - np.asarray(image)).mean() <= 1


def test_what_the_user_asks_for_is_not_held_back():
    image = window((60,) * 3, (75,) * 3, (220,) * 3, (200, 60, 40))
    darker = image.point(lambda level: round(level * 0.8))
    assert (
        abs(enhanced(darker, match=image) - np.asarray(image)).mean()
        < 0.3 * abs(np.asarray(darker) - np.asarray(image, int)).mean()
    )


def test_a_correction_leaves_out_what_moves_paper():
    """Darkening goes, a page's levels are stretched nevertheless."""
    given = {("exposure", "stops"): -0.1, ("temperature", "shift"): 0.1, ("auto_level", "amount"): 0.4}
    values = torch.tensor([[given.get((op, name), 0.0) for op, name, _ in CORRECTION]])
    left = keep(values, make_frame(np.asarray(page((255,) * 3, (90,) * 3))))[0].tolist()
    found = {(op, name): value for (op, name, _), value in zip(CORRECTION, left, strict=True) if value}
    assert found == {("auto_level", "amount"): pytest.approx(0.4)}
    assert not keep(values, make_frame(np.asarray(window((60,) * 3, (75,) * 3, (220,) * 3, (200, 60, 40))))).any()


@pytest.mark.parametrize("colour", [(255, 255, 255), (16, 16, 16), (0, 0, 0)])
def test_a_border_keeps_back_nothing_of_the_picture(photo, colour):
    image = Image.new("RGB", (photo.width + 40, photo.height + 120), colour)
    image.paste(photo.point(lambda level: level // 2), (20, 20))
    frame = make_frame(np.asarray(image))
    assert Kept(frame).holds((frame * 1.4).clamp(0, 1))
