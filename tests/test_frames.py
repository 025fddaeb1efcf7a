"""Frames and views: what CLIP's own preprocessing makes of the same picture, sizes, and odd shapes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from nuli.imaging import frames
from nuli.imaging import reduce as reducing
from nuli.imaging.frames import is_grey, is_toned, make_frame, scorer_view, to_pixels, to_tensor


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (224, 224), (100, 80), (1500, 900)])
def test_the_crop_is_what_clip_sees(photo: Image.Image, size: tuple[int, int]) -> None:
    clip = pytest.importorskip("clip.clip")
    image = photo.resize(size, Image.Resampling.BICUBIC)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    theirs = clip._transform(224)(image) * deviation + mean
    ours = scorer_view(make_frame(np.array(image)), "crop", 224)[0]
    assert ours.shape == theirs.shape
    # Pillow rounds to 8 bits, once per direction
    assert (ours - theirs).abs().max() * 255 < 2
    assert (ours - theirs).abs().mean() * 255 < 0.4


@pytest.mark.parametrize(
    "shape,expected",
    [
        ((3000, 4000), (224, 298)),
        ((4000, 3000), (298, 224)),
        ((1, 1), (224, 224)),
        ((10, 30000), (224, 896)),
        ((30000, 10), (896, 224)),
        ((224, 224), (224, 224)),
    ],
)
def test_frame_sizes(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    frame = make_frame(np.full((*shape, 3), 128, np.uint8))
    assert frame.shape == (1, 3, *expected)
    torch.testing.assert_close(frame, torch.full_like(frame, 128 / 255), atol=1e-4, rtol=0)


def test_bands_do_not_show(monkeypatch: pytest.MonkeyPatch, photo: Image.Image) -> None:
    pixels = np.array(photo.resize((1000, 1600)))
    whole = make_frame(pixels)
    monkeypatch.setattr(frames, "_BAND", 5000)
    monkeypatch.setattr(reducing, "_BAND", 5000)
    torch.testing.assert_close(make_frame(pixels), whole)


def test_a_thread_of_pixels_is_shortened_before_it_is_widened(
    monkeypatch: pytest.MonkeyPatch, photo: Image.Image
) -> None:
    pixels = np.array(photo.resize((20, 4000)))
    alpha = np.linspace(0, 255, 4000).astype(np.uint8)[:, None].repeat(20, 1)
    usual = [make_frame(pixels), make_frame(pixels, alpha)]
    monkeypatch.setattr(frames, "_WIDENED", 100_000)
    for before, after in zip(usual, (make_frame(pixels), make_frame(pixels, alpha)), strict=True):
        torch.testing.assert_close(after, before, atol=1.5 / 255, rtol=0)  # overshoots are cut off in another order


def test_large_pictures_are_reduced_to_means(photo: Image.Image) -> None:
    """Every kind of pixels, and sizes that are no multiple: as numpy's own means."""
    rng = np.random.default_rng(0)
    for kind, channels in ((np.uint8, 3), (np.uint8, 1), (np.uint16, 3), (np.uint16, 1)):
        pixels = rng.integers(0, np.iinfo(kind).max, (1347, 1600, channels), kind, endpoint=True)
        small, none = reducing.reduce(pixels)
        blocks = pixels[:1346].reshape(673, 2, 800, 2, channels).astype(float).mean((1, 3))
        assert none is None and small.dtype == kind
        assert np.abs(small - blocks).max() <= 0.5
    few = np.array(photo)
    assert reducing.reduce(few)[0] is few


def test_reduced_colours_count_as_much_as_they_are_opaque() -> None:
    pixels = np.zeros((1400, 1400, 3), np.uint8)
    pixels[::2] = 200
    alpha = np.zeros((1400, 1400), np.uint8)
    alpha[::2] = 100
    small, opacity = reducing.reduce(pixels, alpha)
    assert (small == 200).all() and (opacity == 50).all()


def test_a_frame_is_that_of_the_reduced_picture(photo: Image.Image) -> None:
    """And nearly what Pillow's bicubic filter makes of all of it."""
    large = photo.resize((2800, 2100), Image.Resampling.BICUBIC)
    pixels = np.array(large)
    frame = make_frame(pixels)
    torch.testing.assert_close(make_frame(reducing.reduce(pixels)[0]), frame)
    whole = to_tensor(np.array(large.resize((frame.shape[3], frame.shape[2]), Image.Resampling.BICUBIC)))
    assert (frame - whole).abs().mean() < 0.5 / 255


def test_pixels_come_back_as_they_were() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16):
        pixels = rng.integers(0, np.iinfo(dtype).max, (20, 30, 3), dtype, endpoint=True)
        assert np.array_equal(to_pixels(to_tensor(pixels), dtype), pixels)
        grey = to_pixels(to_tensor(pixels[..., :1]), dtype)
        assert np.array_equal(grey, np.repeat(pixels[..., :1], 3, 2))


def test_grey_is_told_from_colour(photo_tensor: torch.Tensor) -> None:
    assert not is_grey(photo_tensor)
    assert is_grey(photo_tensor.mean(1, keepdim=True).expand(-1, 3, -1, -1))


def test_views_of_other_sizes(photo_tensor: torch.Tensor) -> None:
    frame = make_frame(np.zeros((300, 600, 3), np.uint8))
    assert scorer_view(frame, "crop", 224).shape == (1, 3, 224, 224)
    assert scorer_view(frame, "crop", 336).shape == (1, 3, 336, 336)
    assert scorer_view(frame, "whole", 128).shape == (1, 3, 128, 256)


def test_what_is_transparent_is_not_judged(photo: Image.Image) -> None:
    pixels = np.array(photo)
    alpha = np.zeros(pixels.shape[:2], np.uint8)
    alpha[50:200, 100:300] = 255
    alpha[200:220, 100:300] = 128
    frames = []
    for hidden in (0, 255):
        painted = np.where(alpha[..., None] > 0, pixels, np.uint8(hidden))
        frames.append(make_frame(painted, alpha))
    torch.testing.assert_close(*frames, atol=0.01, rtol=0)
    opaque = np.full_like(alpha, 255)
    torch.testing.assert_close(make_frame(pixels, opaque), make_frame(pixels), atol=1e-5, rtol=0)
    assert torch.isfinite(make_frame(pixels, np.zeros_like(alpha))).all()


@pytest.mark.parametrize("quality", [None, 75])
def test_what_is_toned(photo: Image.Image, quality: int | None) -> None:
    def seen(image: Image.Image) -> bool:
        if quality:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality)
            image = Image.open(file).convert("RGB")
        return is_toned(make_frame(np.asarray(image)))

    grey = photo.convert("L")
    assert seen(ImageOps.colorize(grey, "#1c120a", "#ffeccb", mid="#8a6f4d"))
    assert seen(ImageOps.colorize(grey, "#101a30", "#fff4dc", mid="#808080"))
    assert not seen(photo)
    assert not seen(photo.point(lambda level: level // 8))  # dark
    assert not seen(Image.blend(grey.convert("RGB"), photo, 0.25))  # pale
    assert not seen(Image.new("RGB", photo.size, (200, 160, 110)))
    assert not seen(Image.new("RGB", photo.size, (255, 255, 110)))
