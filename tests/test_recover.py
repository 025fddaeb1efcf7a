"""The benchmark "degrade and recover": its colour difference, its damage, its table."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
ciede2000 = importlib.import_module("ciede2000")
degrade = importlib.import_module("degrade")
recover = importlib.import_module("recover")

# of the 34 pairs in Sharma, Wu, Dalal (2005), table 1, those that tell the usual mistakes apart
PAIRS = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((50, -0.001, 2.49), (50, 0.0009, -2.49), 4.8045),
    ((50, -0.001, 2.49), (50, 0.0011, -2.49), 4.7461),
    ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.fixture(scope="module")
def small(photo: Image.Image) -> np.ndarray:
    """The repository's photo, 60 pixels high."""
    return np.asarray(photo.resize((photo.width // 5, photo.height // 5)), np.float32) / 255


@pytest.fixture(scope="module")
def folder(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, a black one, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    photo.save(folder / "a.jpg")
    photo.crop((0, 0, photo.width // 2, photo.height // 2)).convert("L").save(folder / "b.png")
    Image.new("RGB", (40, 40)).save(folder / "c.png")
    (folder / "d.png").write_bytes(b"nothing")
    return folder


class Made(NamedTuple):
    """A damaged picture, and how it came about."""

    picture: np.ndarray
    chain: degrade.Chain
    size: int


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_published_pairs() -> None:
    first, second, expected = (np.array(column) for column in zip(*PAIRS, strict=True))
    assert ciede2000.difference(first, second) == pytest.approx(expected, abs=5e-5)
    assert ciede2000.difference(second, first) == pytest.approx(expected, abs=5e-5)
    assert not ciede2000.difference(first, first).any()


def test_lab_of_known_colours() -> None:
    lab = ciede2000.to_lab([[1, 1, 1], [0, 0, 0], [0.5, 0.5, 0.5], [1, 0, 0]])
    assert lab[0] == pytest.approx([100, 0, 0], abs=1e-9)
    assert lab[1] == pytest.approx([0, 0, 0], abs=1e-9)
    assert lab[2] == pytest.approx([53.39, 0, 0], abs=0.01)
    assert lab[3] == pytest.approx([53.24, 80.09, 67.20], abs=0.03)


def test_light_and_code_values_are_inverse() -> None:
    x = np.linspace(0, 1, 1001)
    assert ciede2000.to_srgb(ciede2000.to_linear(x)) == pytest.approx(x, abs=1e-6)


def test_agrees_with_scikit_image() -> None:
    color = pytest.importorskip("skimage").color
    x, y = generator().random((2, 100, 100, 3))
    labs = color.rgb2lab(x), color.rgb2lab(y)
    assert ciede2000.difference(*labs) == pytest.approx(color.deltaE_ciede2000(*labs), abs=1e-9)
    near = labs[0], labs[0] + generator(1).normal(0, 1, labs[0].shape)
    assert ciede2000.difference(*near) == pytest.approx(color.deltaE_ciede2000(*near), abs=1e-9)
    # its matrix has two digits more
    assert ciede2000.to_lab(x) == pytest.approx(labs[0], abs=0.03)


@pytest.mark.parametrize("track", degrade.TRACKS)
def test_damage(track: str, small: np.ndarray) -> None:
    kept, seen = small.copy(), set()
    for seed in range(12):
        bad = degrade.degrade(small, track, generator(seed))
        assert bad.shape == small.shape and bad.dtype == np.float32
        assert bad.min() >= 0 and bad.max() <= 1
        least, most = degrade.LIMITS.get(track, (degrade.SMALLEST, 100))
        assert least - 1e-3 <= ciede2000.mean_difference(bad, small) <= most + 1e-3
        assert np.array_equal(bad, degrade.degrade(small, track, generator(seed)))
        seen.add(bad.tobytes())
    assert len(seen) == 12
    assert np.array_equal(small, kept)


@pytest.mark.parametrize("family", [degrade.COMMON, degrade.UNSEEN])
def test_every_step_grows_with_size(family: degrade.Family, small: np.ndarray) -> None:
    for step, ranges in family.items():
        chain = [(step, np.array([high for _, high in ranges]))]
        once, twice = (ciede2000.mean_difference(degrade.apply(chain, small, size), small) for size in (1, 2))
        assert 0 < 1.2 * once < twice, step.__name__


@pytest.mark.parametrize("family", ["", "unseen-"])
def test_strong_repeats_the_mild_chain(family: str, small: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    run = degrade.apply
    monkeypatch.setattr(degrade, "apply", lambda chain, x, size: Made(run(chain, x, size), chain, size))
    monkeypatch.setattr(degrade, "mean_difference", lambda made, x: ciede2000.mean_difference(made.picture, x))
    for seed in range(4):
        mild, strong = (degrade.degrade(small, family + track, generator(seed)) for track in ("mild", "strong"))
        assert (mild.size, strong.size) == (1, 2)
        assert repr(mild.chain) == repr(strong.chain)


def test_the_right_white_leaves_a_picture_alone(small: np.ndarray) -> None:
    assert degrade.wrong_white(small, 1, 0.0, 0.0) == pytest.approx(small, abs=1e-5)


def test_developed_as_before(small: np.ndarray) -> None:
    """No less light, the whole tone curve, sRGB's colours, the right white and a lens without flare."""
    assert degrade.unfinished(small, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1) == pytest.approx(small, abs=1e-5)


def chroma(lab: np.ndarray) -> float:
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def test_unfinished_is_dark_flat_and_pale(small: np.ndarray) -> None:
    good = ciede2000.to_lab(small)
    flat = ciede2000.to_lab(degrade.unfinished(small, 1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1))
    assert flat[..., 0].std() < 0.9 * good[..., 0].std()
    dark = ciede2000.to_lab(degrade.unfinished(small, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1))
    assert dark[..., 0].mean() < flat[..., 0].mean() - 10
    protected = ciede2000.to_lab(degrade.unfinished(small, 1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1))
    assert dark[..., 0].mean() < protected[..., 0].mean() < flat[..., 0].mean() - 5
    assert protected[..., 0].max() > dark[..., 0].max() + 10
    for camera in np.eye(3):
        assert degrade.sensor(camera) @ np.ones(3) == pytest.approx(np.ones(3))
        pale = ciede2000.to_lab(degrade.unfinished(small, 1, 0, 1, 1, 0, 0, 0, 0, *camera))
        assert chroma(pale) < 0.9 * chroma(flat)


def test_harm_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recover.main([str(folder), "--tracks", "none", "--size", "32", "--enhancers", "identity,shades-of-grey"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["identity", "shades-of-grey"]
    assert lines[2].split() == ["identity", "0.00"] and float(lines[3].split()[1]) > 0


def test_shades_of_grey_makes_a_cast_neutral() -> None:
    grey = generator().uniform(0.2, 0.6, (8, 8, 1)).repeat(3, 2)
    light = ciede2000.to_linear(grey)
    cast = ciede2000.to_srgb(light * [1.2, 1.0, 0.5])
    assert recover.shades_of_grey(grey) == pytest.approx(grey, abs=1e-6)
    made = ciede2000.to_linear(recover.shades_of_grey(cast))
    assert made == pytest.approx(made.mean(2, keepdims=True).repeat(3, 2), abs=1e-6)


def test_a_black_picture_can_not_be_damaged() -> None:
    with pytest.raises(ValueError, match="mild"):
        degrade.degrade(np.zeros((8, 8, 3), np.float32), "mild", generator())


def test_identity_neither_gains_nor_harms(small: np.ndarray) -> None:
    found = recover.measure([("a", small)], {"identity": recover.identity}, ["mild", "unseen-mild"], 0)
    assert found.harm["identity"] == [0]
    for track, before in found.before.items():
        assert found.after["identity", track] == before


@pytest.mark.parametrize("name", recover.PEERS)
def test_peers_give_pictures(name: str, small: np.ndarray) -> None:
    for x in (small, np.full((8, 8, 3), 0.5, np.float32), np.zeros((8, 8, 3), np.float32)):
        y = recover.enhance(recover.PEERS[name], x)
        assert y.shape == x.shape
        assert y.min() >= 0 and y.max() <= 1


def test_table_and_sheet(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "identity,autocontrast,math_of_mine:double"
    (tmp_path / "math_of_mine.py").write_text("def double(x):\n    return x * 2\n")
    arguments = [str(folder), "--size", "48", "--enhancers", names, "--sheet", str(tmp_path / "sheet.png")]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        recover.main(arguments)
        first = capsys.readouterr()
        recover.main(arguments)
    assert capsys.readouterr().out == first.out  # the same seed, the same figures
    head, columns, *lines = first.out.splitlines()
    assert head.startswith("n 3") and all(f"{track}: dE" in head for track in degrade.TRACKS)
    assert columns.split("|")[0].split() == ["enhancer", "harm"]
    assert [line.split()[0] for line in lines] == names.split(",")
    assert {line.count("|") for line in (head, columns, *lines)} == {len(degrade.TRACKS)}
    assert lines[0].split()[:9] == ["identity", "0.00", "|", "+0.00", "±", "0.00", "0%", "0%", "100%"]
    assert "d.png" in first.err and "c.png: no mild chain" in first.err
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 5 * 48


def test_nuli_takes_part(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--count", "1", "--size", "32", "--enhancers", "nuli", "--tracks", "mild"]
    recover.main([str(folder), *arguments, "--scorer", "vivid", "--evaluations", "8"])
    assert capsys.readouterr().out.splitlines()[2].startswith("nuli")


@pytest.mark.parametrize("wrong", [["--tracks", "wild"], ["--enhancers", "magic"], ["--enhancers", "no_such:thing"]])
def test_wrong_names_are_explained(wrong: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        recover.main([str(folder), *wrong])
    assert wrong[1].split(":")[0] in capsys.readouterr().err
