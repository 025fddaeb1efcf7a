"""Three pictures of each kind that soft mode must not develop, whoever scores: paper, screens, borders, noise, pixel
art and logos, black and white. Each holds to its rule as it is, and as a JPEG."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pictures import as_jpeg
from PIL import Image, ImageDraw, ImageOps

import nuli


class Drabness:
    """An adversary: the darker, the flatter and the less coloured, the better."""

    name, licence = "drabness", "MIT"
    input_size, view_mode = 224, "crop"
    score_range = (0.0, 10.0)

    def bind(self, original: torch.Tensor):
        return lambda x: 10 * (1 - x.mean((1, 2, 3)) - x.std((1, 2, 3)) - (x.amax(1) - x.amin(1)).mean((1, 2)))


SCORERS = pytest.mark.parametrize("scorer", ["tone", "vivid", Drabness()], ids=["tone", "vivid", "drabness"])


def enhanced(image: Image.Image, scorer, **options) -> np.ndarray:
    result = nuli.enhance(image, scorer=scorer, evaluations=40, seed=0, device="cpu", **options)
    return np.asarray(result.image.convert("RGB")).astype(int)


def colours_of(image: Image.Image, least: float = 0.02) -> list[tuple[int, ...]]:
    """The colours that take a part of a drawing."""
    counts = image.getcolors(image.width * image.height)
    return [colour for count, colour in counts if count >= least * image.width * image.height]


def became(colour: tuple[int, ...], image: Image.Image, result: np.ndarray) -> np.ndarray:
    """What a colour of a drawing is in the result, in the middle."""
    return np.median(result[(np.asarray(image) == colour).all(-1)], 0)


# ---- paper


def form() -> Image.Image:
    """A form with a table and a coloured stamp on pure white."""
    image = Image.new("RGB", (620, 880), (255,) * 3)
    pen = ImageDraw.Draw(image)
    for row in range(14):
        pen.rectangle((50, 120 + 44 * row, 570, 164 + 44 * row), outline=(60, 60, 60), width=2)
        pen.text((64, 134 + 44 * row), f"{row + 1}. Name, street, town and date of birth", (20, 20, 20))
    pen.ellipse((420, 740, 560, 850), outline=(180, 30, 40), width=6)
    return image


def score() -> Image.Image:
    """Staves and notes, all of thin lines."""
    image = Image.new("RGB", (900, 640), (253,) * 3)
    pen = ImageDraw.Draw(image)
    for stave in range(6):
        for line in range(5):
            pen.line((40, 50 + 100 * stave + 9 * line, 860, 50 + 100 * stave + 9 * line), (0, 0, 0))
        for x in np.random.default_rng(stave).integers(60, 840, 24):
            y = 50 + 100 * stave + int(x) % 36
            pen.ellipse((int(x), y, int(x) + 11, y + 8), (0, 0, 0))
            pen.line((int(x) + 11, y + 4, int(x) + 11, y - 28), (0, 0, 0), 2)
    return image


def newspaper() -> Image.Image:
    """Columns of small print, with hardly any room between, on yellowish paper."""
    image = Image.new("RGB", (700, 900), (246, 243, 233))
    pen = ImageDraw.Draw(image)
    for column in range(4):
        for line in range(70):
            pen.text((24 + 168 * column, 24 + 12 * line), "and so it was said then by all", (40, 38, 36))
    return image


PAPERS = {"form": (form, (255,) * 3), "score": (score, (253,) * 3), "newspaper": (newspaper, (246, 243, 233))}


@SCORERS
@pytest.mark.parametrize("save", [Image.Image.copy, as_jpeg], ids=["png", "jpeg"])
@pytest.mark.parametrize("kind", PAPERS)
def test_paper_stays(kind, save, scorer):
    make, paper = PAPERS[kind]
    image = make()
    result = enhanced(save(image), scorer)[(np.asarray(image) == paper).all(-1)]
    assert result.mean() >= np.mean(paper) - 2
    assert abs(np.median(result, 0) - np.median(result) - np.subtract(paper, np.median(paper))).max() <= 3


# ---- screens


def editor() -> Image.Image:
    image = Image.new("RGB", (1280, 800), (30, 30, 30))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, 260, 800), (37, 37, 37))
    pen.rectangle((0, 776, 1280, 800), (0, 122, 204))
    rng = np.random.default_rng(0)
    for line in range(44):
        colour = [(212,) * 3, (86, 156, 214), (206, 145, 120), (106, 153, 85)][line % 4]
        pen.text((300 + 24 * int(rng.integers(0, 4)), 20 + 17 * line), "return [value for value in values]", colour)
    return image


def settings() -> Image.Image:
    image = Image.new("RGB", (540, 1000), (242,) * 3)
    pen = ImageDraw.Draw(image)
    for row in range(9):
        pen.rectangle((20, 60 + 100 * row, 520, 144 + 100 * row), (255,) * 3)
        pen.rectangle((36, 76 + 100 * row, 88, 128 + 100 * row), [(255, 59, 48), (0, 122, 255), (52, 199, 89)][row % 3])
        pen.text((110, 96 + 100 * row), f"Setting {row}", (0, 0, 0))
    return image


def darkroom() -> Image.Image:
    """An image editor in middle grey, with a picture in it."""
    image = Image.new("RGB", (1200, 760), (83,) * 3)
    pen = ImageDraw.Draw(image)
    pen.rectangle((960, 0, 1200, 760), (66,) * 3)
    for row in range(20):
        pen.text((980, 20 + 36 * row), "Levels ------o------ 42", (220,) * 3)
    rows, columns = np.mgrid[0:1:300j, 0:1:400j]
    picture = np.stack([60 + 120 * rows, 90 + 60 * columns, 130 - 90 * rows], -1)
    picture += np.random.default_rng(0).normal(0, 12, picture.shape)
    image.paste(Image.fromarray(picture.clip(0, 255).astype(np.uint8)), (280, 220))
    return image


@SCORERS
@pytest.mark.parametrize("save", [Image.Image.copy, as_jpeg], ids=["png", "jpeg"])
@pytest.mark.parametrize("make", [editor, settings, darkroom])
def test_screens_stay(make, save, scorer):
    image = make()
    result = enhanced(save(image), scorer)
    for colour in colours_of(image, 0.03):
        there = became(colour, image, result)
        assert abs(there - colour).max() <= 3
        if len(set(colour)) == 1:
            assert np.ptp(there) <= 1


# ---- borders


def dull(photo: Image.Image) -> Image.Image:
    return photo.point(lambda level: round(20 + 0.5 * level))


def polaroid(photo: Image.Image):
    image = Image.new("RGB", (photo.width + 40, photo.height + 110), (250, 248, 242))
    image.paste(dull(photo), (20, 20))
    ImageDraw.Draw(image).text((60, photo.height + 60), "Lake, August 1994", (60, 60, 110))
    return image, (250, 248, 242)


def one_bar(photo: Image.Image):
    image = Image.new("RGB", (photo.width + 60, photo.height), (128, 128, 128))
    image.paste(dull(photo), (0, 0))
    return image, (128, 128, 128)


def blue_bars(photo: Image.Image):
    image = Image.new("RGB", (photo.width, photo.height + 100), (20, 40, 90))
    image.paste(dull(photo), (0, 50))
    return image, (20, 40, 90)


@SCORERS
@pytest.mark.parametrize("make", [polaroid, one_bar, blue_bars])
def test_borders_stay(photo, make, scorer):
    image, colour = make(photo)
    there = np.median(enhanced(image, scorer)[(np.asarray(image) == colour).all(-1)], 0)
    assert (there >= np.subtract(colour, 3)).all()
    assert abs(there - colour).max() <= (3 if max(colour) < 212 else 5)  # white may get whiter


# ---- noise


def noise(mean, sigma, tilt=0.0, tint=1.0) -> Image.Image:
    rng = np.random.default_rng(1)
    grain = rng.normal(0, sigma, (400, 600, 1)) * (1 - tint) + rng.normal(0, sigma, (400, 600, 3)) * tint
    pixels = np.asarray(mean) + np.linspace(0, tilt, 400)[:, None, None] + grain
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


@SCORERS
@pytest.mark.parametrize("save", [Image.Image.copy, as_jpeg], ids=["png", "jpeg"])
@pytest.mark.parametrize(
    "options", [((40,) * 3, 16, 0, 1), ((96, 140, 205), 3, 6, 0.3), ((118,) * 3, 2, 0, 0)], ids=["night", "sky", "card"]
)
def test_noise_stays(options, save, scorer):
    image = save(noise(*options))
    assert enhanced(image, scorer).std((0, 1)).max() <= 1.7 * np.asarray(image).std((0, 1)).max()


# ---- pixel art and logos


def scene() -> Image.Image:
    pixels = np.full((60, 80, 3), (92, 148, 252), np.uint8)
    pixels[48:], pixels[48:50] = (200, 76, 12), (0, 168, 0)
    for x in np.random.default_rng(2).integers(0, 70, 8):
        pixels[x % 20 + 2 : x % 20 + 5, x : x + 9] = 252
        pixels[38:48, x : x + 4] = (0, 120, 0)
    return Image.fromarray(pixels).resize((640, 480), Image.Resampling.NEAREST)


def logo() -> Image.Image:
    """With smooth edges: it has hundreds of colours."""
    image = Image.new("RGB", (1600, 1000), (236, 240, 241))
    pen = ImageDraw.Draw(image)
    pen.ellipse((200, 150, 900, 850), (44, 62, 80))
    pen.polygon([(700, 850), (1100, 200), (1450, 850)], (231, 76, 60))
    return image.resize((640, 400), Image.Resampling.LANCZOS)


def emblem() -> Image.Image:
    """A dim one on dark ground, every colour near the next."""
    image = Image.new("RGB", (1600, 1600), (24, 26, 38))
    pen = ImageDraw.Draw(image)
    for step, colour in enumerate([(52, 40, 66), (84, 58, 70), (120, 88, 66), (44, 84, 80)]):
        pen.ellipse((150 + 160 * step, 150 + 160 * step, 1450 - 160 * step, 1450 - 160 * step), colour)
    return image.resize((500, 500), Image.Resampling.BICUBIC)


@SCORERS
@pytest.mark.parametrize("save", [Image.Image.copy, as_jpeg], ids=["png", "jpeg"])
@pytest.mark.parametrize("make", [scene, logo, emblem])
def test_palettes_stay(make, save, scorer):
    image = make()
    result = enhanced(save(image), scorer)
    for colour in colours_of(image):
        assert abs(became(colour, image, result) - colour).max() <= 3


# ---- black and white


@SCORERS
def test_black_and_white_gets_no_colour(photo, scorer):
    grey = dull(photo).convert("L").convert("RGB")
    for image in (grey, as_jpeg(grey, 60), grey.convert("L")):
        assert np.ptp(enhanced(image, scorer), -1).max() == 0


def matrix(photo: Image.Image) -> Image.Image:
    """Sepia as most programs make it."""
    weights = [[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]]
    return Image.fromarray((np.asarray(photo) @ np.transpose(weights)).clip(0, 255).astype(np.uint8))


def albumen(photo: Image.Image) -> Image.Image:
    return ImageOps.colorize(photo.convert("L"), "#1c120a", "#ffeccb", mid="#8a6f4d")


def cyanotype(photo: Image.Image) -> Image.Image:
    return ImageOps.colorize(photo.convert("L"), "#0a1420", "#f4fbff", mid="#6f8796")


@SCORERS
@pytest.mark.parametrize("save", [Image.Image.copy, as_jpeg], ids=["png", "jpeg"])
@pytest.mark.parametrize("tone", [matrix, albumen, cyanotype])
def test_a_tone_stays(photo, tone, save, scorer):
    """What is equally light has the colour that it had."""
    image = save(tone(dull(photo)))
    before, after = np.asarray(image).astype(int), enhanced(image, scorer)
    shades = [[np.median(x[abs(x.mean(-1) - level) < 8], 0) for x in (before, after)] for level in (70, 100, 130)]
    shades = [pair for pair in shades if np.isfinite(pair).all()]
    assert len(shades) >= 2
    for one, other in shades:
        assert abs((other - other.mean()) - (one - one.mean())).max() <= 6
