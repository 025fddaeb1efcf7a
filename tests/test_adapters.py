"""Scorers of other packages, several in one, and what packages bring by entry points."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import nuli
from nuli.bulk.local import shares_a_device
from nuli.cli.main import main
from nuli.errors import OptionError, WeightsError
from nuli.imaging.frames import make_frame, subsample
from nuli.options import Options
from nuli.recipe import Recipe
from nuli.scoring.adapters import ADAPTERS
from nuli.scoring.adapters.foreign import Foreign
from nuli.scoring.ensemble import Ensemble, names_in
from nuli.scoring.info import ScorerInfo
from nuli.scoring.registry import SCORERS, cached_scorer, default_seconds, load_scorer, release_cached, resolve_scorer
from nuli.scoring.taste import Taste
from nuli.scoring.tone import Tone
from nuli.scoring.vivid import Vivid

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[1]


# several in one


@pytest.fixture(scope="module")
def frames(photo: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
    """The photo's frame, and a batch: itself, darker, paler."""
    frame = make_frame(np.asarray(photo))
    made = [Recipe.from_line(f"nuli1 {line}").apply(photo, device="cpu") for line in ("exposure=-1", "saturation=0.5")]
    return frame, torch.cat([frame, *(make_frame(np.asarray(image)) for image in made)])


def test_a_mean_is_the_mean_of_its_parts(frames: tuple[torch.Tensor, torch.Tensor]) -> None:
    frame, batch = frames
    mean = load_scorer(Options(scorer="mean:tone+taste+vivid", device="cpu"))
    tone, taste, vivid = (scorer.bind(frame) for scorer in (Tone.load(), Taste.load(CPU), Vivid()))
    small = subsample(batch)
    expected = (tone(small) + taste(small) + vivid(batch)) / 3
    assert torch.allclose(mean.bind(frame)(batch), expected, atol=1e-3)
    assert mean.name == "mean:tone+taste+vivid" and mean.score_range == (0.0, 10.0)
    assert default_seconds(mean.name) == sum(SCORERS[name].seconds for name in ("tone", "taste", "vivid"))


def test_the_least_is_what_the_least_convinced_gains(frames: tuple[torch.Tensor, torch.Tensor]) -> None:
    frame, batch = frames

    class Likes(Vivid):
        """Likes light, as strongly as told, in a range of any size."""

        def __init__(self, strength: float, top: float) -> None:
            self.strength, self.score_range = strength, (0.0, top)

        def bind(self, original: torch.Tensor):
            return lambda views: self.strength * views.mean((1, 2, 3))

    least = Ensemble("least", [Likes(1.0, 1.0), Likes(-100.0, 100.0)]).bind(frame)(batch)
    change = 10 * (batch.mean((1, 2, 3)) - frame.mean())
    assert torch.allclose(least, -change.abs(), atol=1e-3)
    assert least[0] == pytest.approx(0, abs=1e-4) and least[1] < -0.5


def test_a_search_with_several(photo: Image.Image) -> None:
    bad = Recipe.from_line("nuli1 contrast=0.5 exposure=-0.8").apply(photo, device="cpu")
    options = {"scorer": "least:tone+vivid", "device": "cpu"}
    result = nuli.enhance(bad, evaluations=80, **options)
    assert result.scorer == "least:tone+vivid"
    assert result.changed and result.score_before == pytest.approx(0, abs=1e-3) and result.score_after > 0.1
    again = nuli.enhance(bad, evaluations=20, known=result.search, **options)
    assert again.score_after >= result.score_after - 0.01


@pytest.mark.parametrize(
    "name",
    ["mean:tone", "mean:", "mean:tone+tone", "least:tone+auto", "mean:tone+nobody", "mean:tone+least:tone+taste"],
)
def test_what_makes_no_several(name: str) -> None:
    with pytest.raises(OptionError):
        resolve_scorer(name)


def test_a_plus_sign_may_be_part_of_a_name() -> None:
    assert names_in("pyiqa:clipiqa++tone") == ["pyiqa:clipiqa+", "tone"]
    assert names_in("laion+tone+pyiqa:clipiqa+_rn50_512") == ["laion", "tone", "pyiqa:clipiqa+_rn50_512"]


def test_what_is_missing_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULI_CACHE", str(tmp_path))
    info = resolve_scorer("mean:laion+tone")
    assert info.files == SCORERS["laion"].files
    assert shares_a_device(Options(scorer="mean:laion+tone", device="cpu"))
    assert not shares_a_device(Options(scorer="mean:tone+taste", device="cpu"))


# other packages


class Bright(torch.nn.Module):
    """A network: the mean light, times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(10.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x.mean((1, 2, 3))[:, None]


def test_a_foreign_network_is_a_scorer(photo: Image.Image) -> None:
    network = Bright()
    scorer = Foreign("bright", "MIT", (0.0, 10.0), network, network, prompt="a lamp")
    result = nuli.enhance(photo, scorer=scorer, device="cpu", evaluations=40, guards="off")
    assert result.scorer == "bright" and result.score_after > result.score_before + 0.5
    assert result.search.scorer.startswith("bright (prompt ")
    assert not network.weight.requires_grad
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    scorer.bind(x)(x).sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["siglip", "hpsv2", "pyiqa:topiq_iaa"])
def test_nothing_is_fetched_unasked(
    name: str, photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NULI_CACHE", str(tmp_path))
    info = resolve_scorer(name)
    assert info.is_large and not info.is_ready()
    if info.package.is_installed:
        assert info.state() == "not downloaded"
        with pytest.raises(WeightsError, match="nuli scorers download"):
            nuli.enhance(photo, scorer=name, prompt="a bird")
    else:
        assert info.state() == "not installed"
        with pytest.raises(OptionError, match="pip install"):
            nuli.enhance(photo, scorer=name, prompt="a bird")
        assert main(["scorers", "download", name]) == 2
        assert info.package.size in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_licences_and_sizes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scorers"]) == 0
    out = capsys.readouterr().out
    for info in (*ADAPTERS, resolve_scorer("pyiqa:METRIC")):
        assert info.name in out and info.package.licence in out and info.package.size in out
    assert "non-commercial" in out and "mean:NAME+NAME" in out


def test_a_scorer_is_held_for_one_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = ScorerInfo("heard", "", "", lambda options, device, folders: Vivid())
    monkeypatch.setitem(SCORERS, heard.name, heard)
    for name, anew in (("heard", True), ("mean:heard+tone", True), ("mean:vivid+tone", False), ("vivid", False)):
        release_cached()
        first = cached_scorer(Options(scorer=name, device="cpu", prompt="a"))
        assert cached_scorer(Options(scorer=name, device="cpu", prompt="a")) is first
        assert (cached_scorer(Options(scorer=name, device="cpu", prompt="b")) is not first) is anew
    release_cached()


def test_the_real_open_clip_judges_by_the_prompt(photo: Image.Image) -> None:
    open_clip = pytest.importorskip("open_clip")
    from nuli.scoring.adapters.hpsv2 import make

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32")  # of random weights: the small sister of the real one
    tokenize = open_clip.get_tokenizer("ViT-B-32")
    scores = []
    for prompt in ("a bird", "a lamp"):
        scorer = make(model, tokenize([prompt]), prompt, CPU)
        scores += nuli.score(photo, scorer, device="cpu")
    image = torch.from_numpy(np.array(photo.resize((224, 224)))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = 100 * model.encode_image(image, normalize=True) @ model.encode_text(tokenize(["a bird"]), True).T
    assert scores[0] != scores[1] and scores[0] == pytest.approx(float(expected), abs=15)
    assert nuli.enhance(photo, scorer=scorer, device="cpu", evaluations=8).evaluations <= 8


def test_the_real_siglip_predictor_judges(photo: Image.Image) -> None:
    package = pytest.importorskip("aesthetic_predictor_v2_5")
    from transformers import SiglipVisionConfig

    from nuli.scoring.adapters.siglip import make

    torch.manual_seed(0)
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = package.AestheticPredictorV2_5Model(SiglipVisionConfig(image_size=84, patch_size=14, **size))
    scorer = make(model)
    x = torch.rand(2, 3, 84, 120, requires_grad=True)
    scores = scorer.bind(x)(x)
    scores.sum().backward()
    assert scores.shape == (2,) and x.grad.abs().sum() > 0
    assert nuli.enhance(photo, scorer=scorer, device="cpu", evaluations=20).scorer == "siglip"


def test_real_metrics_of_pyiqa_judge(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    pyiqa = pytest.importorskip("pyiqa")
    import timm

    from nuli.scoring.adapters.pyiqa import make, span

    create = timm.create_model  # no backbone from the network
    monkeypatch.setattr(timm, "create_model", lambda *a, pretrained=False, **k: create(*a, pretrained=False, **k))
    how = {"as_loss": True, "loss_reduction": "none", "device": CPU, "pretrained": False}
    model = pyiqa.create_metric("nima-vgg16-ava", **how)
    scorer = make("nima-vgg16-ava", model)
    assert scorer.score_range == (0.0, 10.0) and "on-commercial" in scorer.licence
    x = torch.rand(2, 3, 224, 224, requires_grad=True)
    scores = scorer.bind(x)(x)
    scores.sum().backward()
    assert scores.shape == (2,) and x.grad.abs().sum() > 0
    model.lower_better = True
    with torch.no_grad():
        assert torch.allclose(scorer.bind(x)(x), 10 - scores, atol=1e-4)
        assert not scorer.bind(x)(x).requires_grad
    assert span("~0, ~100") == (0.0, 100.0) and span(None) == span("0, ~") == (0.0, 1.0)
    for wrong in ("nothing", "lpips", "clipscore"):
        with pytest.raises(OptionError, match="choose one of"):
            load_scorer(Options(scorer=f"pyiqa:{wrong}", device="cpu"))


# entry points


PLUGIN = """
import torch
from nuli.ops.registry import Param, op

class Warm:
    name, licence, input_size, view_mode = "warm", "MIT", 224, "whole"
    differentiable, score_range = True, (0.0, 1.0)
    def bind(self, original):
        return lambda views: views[:, 0].mean((1, 2)) - views[:, 2].mean((1, 2))

class warm:
    summary = "how warm a picture is"
    def load(options, device, folders):
        return Warm()

@op("colour", Param("amount", 0, (0, 0.2), (0, 0.5)))
def redden(x, amount):
    return x + amount * torch.tensor([1.0, 0, 0], dtype=x.dtype, device=x.device).view(3, 1, 1)
"""
TASK = """
import numpy as np, nuli
from nuli.cli.main import main
picture = (np.random.default_rng(0).random((40, 60, 3)) * 128).astype(np.uint8)
result = nuli.enhance(picture, scorer="warm", device="cpu", evaluations=60, ops="redden", guards="off")
print(result.scorer, result.recipe.to_line(), result.score_after > result.score_before)
main(["scorers"])
from nuli.scoring.registry import resolve_scorer
for name in ("broken", "tone"):
    try:
        print(name, resolve_scorer(name).summary)
    except nuli.NuliError as error:
        print(name, error)
"""


def run(folder: Path, code: str, entries: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python that has a distribution with these entry points."""
    info = folder / "nuli_test_plugin-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nuli-test-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)
    path = os.pathsep.join([str(ROOT), str(folder)])
    environment = {**os.environ, "PYTHONPATH": path, "NULI_CACHE": str(folder / "cache")}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_packages_bring_scorers_and_ops(tmp_path: Path) -> None:
    (tmp_path / "nuli_test_plugin.py").write_text(PLUGIN)
    (tmp_path / "nuli_test_broken.py").write_text("import no_such_package")
    (tmp_path / "nuli_test_clash.py").write_text(
        "from nuli.ops.registry import Param, op\n"
        "@op('light', Param('a', 0, (0, 1), (0, 1)))\ndef fine(x, a): return x\n"
        "@op('light', Param('a', 0, (0, 1), (0, 1)))\ndef contrast(x, a): return x\n"
    )
    (tmp_path / "nuli_test_group.py").write_text(
        "from nuli.ops.registry import Param, op\n"
        "@op('sound', Param('a', 0, (0, 1), (0, 1)))\ndef loud(x, a): return x\n"
    )
    done = run(
        tmp_path,
        TASK + "from nuli.ops.registry import OPS\nprint(sorted({'fine', 'loud', 'redden', 'contrast'} & set(OPS)))",
        "[nuli.scorers]\nwarm = nuli_test_plugin:warm\nbroken = nuli_test_broken:x\ntone = nuli_test_plugin:warm\n"
        "[nuli.ops]\nmine = nuli_test_plugin\nbroken = nuli_test_broken\nclash = nuli_test_clash\n"
        "group = nuli_test_group\n",
    )
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith("warm nuli1 redden=") and first.endswith("True")
    listed = "\n".join(rest)
    assert (
        "how warm a picture is" in listed and "\nbroken the scorer broken of nuli-test-plugin can't be used" in listed
    )
    assert "\ntone how near a picture is" in listed
    assert rest[-1] == "['contrast', 'redden']"
    told = done.stderr.splitlines()
    for what in (
        "the ops broken of nuli-test-plugin are left out: ModuleNotFoundError",
        "the ops clash of nuli-test-plugin are left out: ValueError",
        "the ops group of nuli-test-plugin are left out: ValueError",
        "the scorer tone of nuli-test-plugin is left out: that name is taken",
        "the scorer broken of nuli-test-plugin can't be used",
    ):
        assert sum(what in line for line in told) == 1, (what, told)


def test_packages_are_not_loaded_before_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "nuli_test_plugin.py").write_text("print('loaded')\n" + PLUGIN)
    code = (
        "from nuli.scoring.registry import resolve_scorer\nprint(resolve_scorer('tone').name)\nresolve_scorer('warm')"
    )
    done = run(tmp_path, code, "[nuli.scorers]\nwarm = nuli_test_plugin:warm\n")
    assert done.stdout.splitlines() == ["tone", "loaded"], done.stderr


# in a server with other threads


class Program:
    """What a pickle can do."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return print, ("a program ran",)


def test_a_scorer_is_loaded_without_changing_anything_for_other_threads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from nuli.scoring.adapters.foreign import weights_only

    torch.save({"w": torch.ones(3)}, tensors := tmp_path / "tensors.pt")
    torch.save({"w": Program()}, program := tmp_path / "program.pt")
    capsys.readouterr()
    environment = dict(os.environ)
    with weights_only():
        assert dict(os.environ) == environment
        for how in ({"weights_only": False}, {"pickle_module": pickle}, {}):
            assert torch.load(tensors, "cpu", **how)["w"].sum() == 3
            with pytest.raises(pickle.UnpicklingError):
                torch.load(program, **how)
        with pytest.raises(pickle.UnpicklingError):
            torch.load(program, None, pickle)
        assert capsys.readouterr().out == ""
        with ThreadPoolExecutor(1) as pool:  # the host's own work
            pool.submit(torch.load, program, weights_only=False).result()
        assert "a program ran" in capsys.readouterr().out
        with weights_only():
            pass
        with pytest.raises(pickle.UnpicklingError):
            torch.load(program, weights_only=False)
    function = torch.load
    with weights_only():
        assert torch.load is function  # wrapped once
    torch.load(program, weights_only=False)
    assert "a program ran" in capsys.readouterr().out


def test_environments_survive_many_threads_that_load() -> None:
    """Each of them that restored what it had found before would lose what another one set meanwhile."""
    from nuli.scoring.adapters.foreign import weights_only

    before, end, seen = dict(os.environ), time.monotonic() + 0.5, set()

    def load() -> None:
        while time.monotonic() < end:
            with weights_only():
                seen.add(os.environ.get("HOME"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: load(), range(4)))
    assert dict(os.environ) == before and seen == {before.get("HOME")}


def test_only_the_thread_that_loads_pyiqa_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from nuli.scoring.adapters import pyiqa

    constants, download_util = SimpleNamespace(HF_HUB_OFFLINE=False), SimpleNamespace()
    download_util.download_url_to_file = lambda url, path: (url, path)
    for name, module in (
        ("huggingface_hub", SimpleNamespace(constants=constants)),
        ("pyiqa", SimpleNamespace()),
        ("pyiqa.utils", SimpleNamespace(download_util=download_util)),
    ):
        monkeypatch.setitem(sys.modules, name, module)

    def fetch() -> tuple[object, ...]:
        return bool(constants.HF_HUB_OFFLINE), download_util.download_url_to_file("url", "path")

    with pyiqa._offline():
        assert constants.HF_HUB_OFFLINE
        with pytest.raises(FileNotFoundError):
            fetch()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(fetch).result() == (False, ("url", "path"))
    assert fetch() == (False, ("url", "path"))


def test_threads_may_share_a_metric_of_pyiqa() -> None:
    """It keeps in itself whether it is to give gradients."""
    from nuli.scoring.adapters.pyiqa import make

    class Metric(Bright):
        score_range, lower_better, as_loss = "0, 10", False, False

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(0.002)
            with torch.set_grad_enabled(self.as_loss):
                return super().forward(x)

    scorer = make("topiq_iaa", Metric())

    def ask(grad: bool) -> set[bool]:
        x = torch.rand(1, 3, 8, 8, requires_grad=True)
        with torch.set_grad_enabled(grad):
            return {scorer.bind(x)(x).requires_grad for _ in range(40)}

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, (True, False))) == [{True}, {False}]
