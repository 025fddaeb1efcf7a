"""Masks: outside, every bit stays; inside, the picture is what it would be without; and the search sees just that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nuli.enhancer import enhance
from nuli.errors import ImageError, SearchError
from nuli.imaging.frames import make_frame, make_mask, reduced
from nuli.imaging.mask import WHITE, feathered, with_mask
from nuli.imaging.photo import Photo, load_photo
from nuli.look import Look
from nuli.ops.palette import Recoloured, has_palette
from nuli.ops.render import render, render_rows
from nuli.recipe import Recipe
from nuli.scoring.vivid import Vivid
from nuli.search.evaluator import Evaluator
from nuli.search.finish import FinePredictor
from nuli.series import enhance_together

CPU = {"device": "cpu", "scorer": "vivid"}
POINTWISE = Recipe.parse("nuli1 contrast=1.3 temperature=0.1 exposure=0.3")
TILED = Recipe.parse("nuli1 contrast=1.3 blur=0.004 saturation=1.4 sharpness=1.5")


def left_half(width: int, height: int) -> Image.Image:
    """White in the left half."""
    return Image.fromarray(np.repeat(np.where(np.arange(width) < width // 2, 255, 0)[None], height, 0).astype(np.uint8))


def pictures(photo: Image.Image) -> dict[str, Photo]:
    """The photograph in all kinds of pixels; large enough for a palette, and for several tiles."""
    large = np.array(photo.resize((800, 600), Image.Resampling.BICUBIC))
    deep = np.clip(large.astype(np.int64) * 257 + 3 * np.arange(800)[None, :, None], 0, WHITE).astype(np.uint16)
    return {
        "8 bits": Photo(large),
        "16 bits": Photo(deep),
        "grey": Photo(large[:, :, 1:2].copy()),
        "grey, 16 bits": Photo(deep[:, :, 1:2].copy()),
        "few pixels": Photo(large[::3, ::3].copy()),
    }


KINDS = ("8 bits", "16 bits", "grey", "grey, 16 bits", "few pixels")


@pytest.mark.parametrize("recipe", [POINTWISE, TILED], ids=["pointwise", "tiled"])
@pytest.mark.parametrize("kind", KINDS)
def test_outside_all_bits_stay_and_inside_all_is_as_without(photo: Image.Image, kind: str, recipe: Recipe) -> None:
    plain = pictures(photo)[kind]
    height, width = plain.pixels.shape[:2]
    masked = with_mask(plain, left_half(width, height), feather=0.05)
    made, whole = render(masked, recipe.steps, "cpu"), render(plain, recipe.steps, "cpu")
    original = np.broadcast_to(plain.pixels, made.shape)
    assert made.dtype == plain.pixels.dtype
    assert np.array_equal(made[masked.mask == 0], original[masked.mask == 0])
    assert np.array_equal(made[masked.mask == WHITE], whole[masked.mask == WHITE])
    between = (masked.mask > 0) & (masked.mask < WHITE)
    assert between.any() and not np.array_equal(made[between], original[between])
    # in between, each value lies between those of the two, and is rounded once
    part = masked.mask[between, None] / WHITE
    mixed = original[between] + (whole[between].astype(float) - original[between]) * part
    assert np.abs(made[between] - mixed).max() <= 1
    assert (masked.mask[:, width // 2 :] == 0).all()


def test_both_ways_of_rendering_were_taken(photo: Image.Image) -> None:
    kinds = pictures(photo)
    assert [has_palette(kinds[name].pixels) for name in KINDS] == [True, False, True, True, False]
    masked = with_mask(kinds["8 bits"], left_half(800, 600))
    assert isinstance(rows := render_rows(masked, POINTWISE.steps, "cpu"), Recoloured)
    assert rows.dtype == np.uint8
    assert np.array_equal(rows[100:200], np.asarray(rows)[100:200])


def test_black_changes_nothing_and_white_is_no_mask(photo: Image.Image) -> None:
    plain = load_photo(photo)
    black = with_mask(plain, np.zeros((30, 45), np.uint8))
    assert np.array_equal(render(black, TILED.steps, "cpu"), plain.pixels)
    for feather in (0, 0.01, 0.2):
        assert with_mask(plain, Image.new("L", photo.size, 255), feather).mask is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=80)
def test_a_feather_reaches_inwards_only(seed: int, radius: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = rng.choice(np.array([0, 0, 30_000, WHITE], np.uint16), (4, 4))
    mask = blocks[np.arange(height)[:, None] * 4 // height, np.arange(width) * 4 // width]
    soft = feathered(mask, radius)
    assert soft.dtype == np.uint16 and soft.shape == mask.shape
    assert (soft[mask == 0] == 0).all() and soft.max() <= mask.max()
    for value in (0, 30_000, WHITE):  # what is all alike stays
        flat = np.full((height, width), value, np.uint16)
        assert np.array_equal(feathered(flat, radius), flat)


def test_a_feather_is_a_ramp() -> None:
    mask = np.zeros((200, 200), np.uint16)
    mask[:, 50:150] = WHITE
    row = feathered(mask, 20)[100].astype(int)
    assert (np.diff(row[50:100]) >= 0).all() and np.diff(row[50:100]).max() < 0.11 * WHITE
    assert row[49] == row[150] == 0 and row[72] == row[100] == WHITE
    assert row[60] == pytest.approx(WHITE / 2, abs=0.1 * WHITE)
    mask[:, 50:150] = 0
    mask[:, 50:60] = WHITE  # a thin line is not lost
    assert 0.1 * WHITE < feathered(mask, 10)[100, 55] < WHITE


def test_what_a_mask_can_be(photo: Image.Image, tmp_path: Path) -> None:
    plain = load_photo(photo)
    width, height = photo.size
    half = left_half(width, height)
    expected = with_mask(plain, half).mask
    clear = Image.new("RGBA", photo.size, (0, 0, 0, 0))  # as an editor's brush gives it
    clear.putalpha(half)
    opaque = Image.merge("RGBA", [half, half, half, Image.new("L", photo.size, 255)])
    half.save(tmp_path / "mask.png")
    for source in (
        half.convert("RGB"),
        clear,
        opaque,
        tmp_path / "mask.png",
        str(tmp_path / "mask.png"),
        load_photo(half),
    ):
        assert np.array_equal(with_mask(plain, source).mask, expected)
    black = Image.new("RGBA", photo.size, (0, 0, 0, 255))  # opaque everywhere: that says nothing
    assert not with_mask(plain, black).mask.any()
    red = with_mask(plain, Image.new("RGB", photo.size, (255, 0, 0))).mask
    assert (red == round(0.299 * WHITE)).all()
    own = load_photo(clear.copy())
    assert np.array_equal(with_mask(own, "alpha").mask, expected)
    with pytest.raises(ImageError, match="no transparency"):
        with_mask(plain, "alpha")
    with pytest.raises(ImageError, match="shape of the picture"):
        with_mask(plain, Image.new("L", (width, width)))
    with pytest.raises(ImageError, match=r"none\.png"):
        with_mask(plain, tmp_path / "none.png")


@pytest.mark.parametrize("factor", [0.25, 0.5, 3.0])
def test_a_mask_of_another_size_is_resized(photo: Image.Image, factor: float) -> None:
    plain = load_photo(photo)
    width, height = photo.size
    mask = with_mask(plain, left_half(round(width * factor), round(height * factor))).mask
    assert mask.shape == (height, width)
    edge = round(2 / factor) + 2
    assert (mask[:, : width // 2 - edge] == WHITE).all() and (mask[:, width // 2 + edge :] == 0).all()


def test_whatever_is_made_from_a_photo_keeps_to_its_mask(photo: Image.Image, tmp_path: Path) -> None:
    masked = with_mask(load_photo(photo), left_half(*photo.size), 0.02)
    outside, original = masked.mask == 0, np.array(photo)
    applied = POINTWISE.apply(masked, device="cpu")
    assert np.array_equal(np.array(applied)[outside], original[outside])
    look = Look.measured(POINTWISE, make_frame(original), Evaluator(make_frame(original), 300, Vivid()).scale)
    assert np.array_equal(np.array(look.apply(masked, "cpu"))[outside], original[outside])
    result = enhance(photo, mask=left_half(*photo.size), mode="hard", evaluations=150, margin=0, **CPU)
    assert result.changed and result.others
    saved = Image.open(result.save(tmp_path / "result.png"))
    outside = result.photo.mask == 0
    for made in (result.image, result.pixels, saved, *(other.image for other in result.others)):
        assert np.array_equal(np.array(made)[outside], original[outside])
        assert not np.array_equal(np.array(made), original)
    assert "changed only inside the mask" in result.notes


def test_what_is_scored_is_what_is_saved(shared_photos: list[Path]) -> None:
    for path in shared_photos[:2]:
        small = load_photo(path)
        size = (small.pixels.shape[1] * 4, small.pixels.shape[0] * 4)
        large = np.array(Image.fromarray(small.pixels).resize(size, Image.Resampling.BICUBIC))
        mask = left_half(160, round(160 * size[1] / size[0]))
        result = enhance(large, mask=mask, evaluations=80, guards="off", margin=0, **CPU)
        assert result.changed
        assert result.score_after == pytest.approx(result.score_predicted, abs=0.05)
        frame = make_frame(result.pixels)
        [again] = Evaluator(make_frame(large), min(size), Vivid(), guard_weight=0).score_frames(frame)
        assert result.score_after == pytest.approx(again.score, abs=0.02)


@pytest.mark.parametrize("recipe", [POINTWISE, TILED], ids=["pointwise", "tiled"])
def test_the_evaluator_sees_the_composite(photo: Image.Image, recipe: Recipe) -> None:
    large = load_photo(photo.resize((1600, 1200), Image.Resampling.BICUBIC))
    masked = with_mask(large, left_half(1600, 1200), 0.02)
    frame, mask = make_frame(large.pixels), make_mask(masked)
    evaluator = Evaluator(frame, 1200, Vivid(), mask=mask)
    made = make_frame(render(masked, recipe.steps, "cpu"))
    seen = evaluator.frames([recipe, Recipe()])
    assert (seen[0] - made[0]).abs().mean() < 0.004
    assert torch.equal(seen[1], frame[0])
    changed, subsampled = evaluator.subsampled([recipe])[0], seen[0][:, ::2, ::2]
    assert (changed - subsampled).abs().max() < 0.05 and (changed - subsampled).abs().mean() < 0.002
    thumbs = evaluator.thumbnails([recipe, Recipe()])
    right = thumbs.shape[3] // 2 + 1
    assert torch.equal(thumbs[0, :, :, right:], thumbs[1, :, :, right:])
    evaluation, gradient = evaluator.gradient(recipe.steps)
    [scored] = evaluator.score_frames(seen[:1])
    assert evaluation.objective == pytest.approx(scored.objective, abs=1e-3)
    assert any(gradient)
    dark = Evaluator(frame, 1200, Vivid(), mask=torch.zeros_like(mask))
    assert not any(dark.gradient(recipe.steps)[1])


def test_a_reduced_photo_keeps_its_mask(photo: Image.Image) -> None:
    masked = with_mask(load_photo(photo.resize((2000, 1500))), left_half(2000, 1500))
    small = reduced(masked)
    assert small.mask.shape == small.pixels.shape[:2] and small.mask.max() == WHITE and small.mask.min() == 0


def test_a_jpeg_loaded_smaller_takes_a_mask_too(photo: Image.Image, tmp_path: Path) -> None:
    photo.resize((2400, 1800)).save(tmp_path / "large.jpg")
    draft = load_photo(tmp_path / "large.jpg", at_least=600)
    assert max(draft.pixels.shape) < 2400
    masked = with_mask(draft, left_half(2400, 1800))
    made = render(masked, TILED.steps, "cpu")
    assert np.array_equal(made[masked.mask == 0], draft.pixels[masked.mask == 0])


def test_under_a_black_mask_nothing_is_searched(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "in.png")
    black = Image.new("L", photo.size)
    result = enhance(tmp_path / "in.png", mask=black, neutral="0.5,0.5", mode="hard", **CPU)
    assert not result.changed and result.evaluations == 1
    assert any("black everywhere" in note for note in result.notes)
    assert result.save(tmp_path / "out.png").read_bytes() == (tmp_path / "in.png").read_bytes()


def test_a_search_under_a_white_mask_is_the_same(photo: Image.Image) -> None:
    plain, masked = (
        enhance(photo, evaluations=60, **CPU, **more) for more in ({}, {"mask": Image.new("L", photo.size, 255)})
    )
    assert plain.recipe == masked.recipe and np.array_equal(plain.pixels, masked.pixels)
    assert plain.search == masked.search


def test_saved_searches_know_their_mask(photo: Image.Image) -> None:
    half = left_half(*photo.size)
    first = enhance(photo, mask=half, evaluations=60, **CPU)
    again = enhance(photo, mask=half, known=first.search, evaluations=20, **CPU)
    assert any("goes on" in note for note in again.notes)
    for other in (None, Image.fromarray(255 - np.array(half))):
        with pytest.raises(SearchError, match="mask"):
            enhance(photo, mask=other, known=first.search, evaluations=20, **CPU)


def test_pictures_of_a_series_bring_their_masks(photo: Image.Image) -> None:
    masked = with_mask(load_photo(photo), left_half(*photo.size))
    plain = replace(masked, mask=None)
    series = enhance_together([masked, plain], evaluations=60, margin=0, **CPU)
    assert series.changed
    made = np.array(series.apply(masked, "cpu"))
    assert np.array_equal(made[masked.mask == 0], masked.pixels[masked.mask == 0])
    assert not np.array_equal(np.array(series.apply(plain, "cpu"))[masked.mask == 0], made[masked.mask == 0])


def corner(width: int, height: int) -> Image.Image:
    """White in the lower right corner, a fifth of each side: none of the photograph's skin is there."""
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (width * 4 // 5, height * 4 // 5, width, height))
    return mask


@pytest.mark.parametrize(("stops", "held"), [(-0.05, True), (-0.6, False), (0.6, False)])
def test_limits_are_of_what_a_mask_leaves(photo: Image.Image, stops: float, held: bool) -> None:
    masked = with_mask(load_photo(photo), corner(*photo.size))
    frame = make_frame(masked.pixels)
    recipe = Recipe.parse(f"nuli1 exposure={stops}")
    evaluator = Evaluator(frame, 300, Vivid(), mask=make_mask(masked))
    assert evaluator.hold(recipe) is held
    assert FinePredictor(masked, reduced(masked), evaluator).hold(recipe) is held


def test_a_small_part_is_as_worth_a_change_as_a_whole_picture(photo: Image.Image) -> None:
    dull = Recipe.parse("nuli1 contrast=0.6 saturation=0.6 exposure=-0.6").apply(photo, device="cpu")
    result = enhance(dull, scorer="tone", mask=corner(*photo.size), evaluations=90, device="cpu")
    assert result.changed
