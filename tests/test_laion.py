"""The laion scorer against CLIP's own code and the head's five layers, run one by one."""

import hashlib
import tempfile
import types
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from nuli.errors import OptionError, WeightsError
from nuli.scoring import laion
from nuli.scoring.clip_vit import VisionTransformer
from nuli.scoring.laion import LAION_HEAD, Laion, _number_type, fold_head

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pkg_resources announces its own end
    clip = pytest.importorskip("clip", reason="package clip is not installed")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="shared/data is not here")
SHAPES = [(0, 768, 1024), (2, 1024, 128), (4, 128, 64), (6, 64, 16), (7, 16, 1)]
REAL = {"vision_layers": 24, "vision_width": 1024, "vocab_size": 49408}
REAL |= {"transformer_width": 768, "transformer_heads": 12, "transformer_layers": 12}
COMMON = {"embed_dim": 768, "image_resolution": 224, "vision_patch_size": 14, "context_length": 77}
TINY = {"vision_layers": 2, "vision_width": 64, "vocab_size": 100}
TINY |= {"transformer_width": 64, "transformer_heads": 1, "transformer_layers": 1}


def random_head() -> dict[str, torch.Tensor]:
    """Of the real shape and about the real strength: |w| is near 18."""
    random = torch.Generator().manual_seed(1)
    state = {}
    for layer, inputs, outputs in SHAPES:
        spread = 18**0.2 * inputs**-0.5
        state[f"layers.{layer}.weight"] = torch.randn(outputs, inputs, generator=random) * spread
        state[f"layers.{layer}.bias"] = torch.randn(outputs, generator=random) * 0.1
    return state


def unfolded(state: dict[str, torch.Tensor], dtype: torch.dtype) -> nn.Sequential:
    """The head as its author runs it, dropouts and all."""
    layers = []
    for layer, inputs, outputs in SHAPES:
        layers += [nn.Linear(inputs, outputs), *([nn.Dropout(0.1)] if layer < 6 else [])]
    head = nn.Sequential(*layers)
    head.load_state_dict({name.removeprefix("layers."): value for name, value in state.items()})
    return head.to(dtype).eval().requires_grad_(False)


def random_clip(sizes: dict) -> nn.Module:
    """A CLIP whose vision tower has random weights that let the picture through to the embedding."""
    with torch.device("meta"):
        model = clip.model.CLIP(**sizes, **COMMON)
    for block in model.transformer.resblocks:
        block.attn_mask = None  # of the text tower; no buffer, so it would stay on meta
    model = model.half().to_empty(device="cpu").eval().requires_grad_(False)
    random = torch.Generator().manual_seed(0)
    for name, value in model.named_parameters():
        if not name.startswith("visual."):
            value.zero_()
        elif "ln_" in name and name.endswith("weight"):
            value.fill_(1)
        else:
            inputs = value.shape[0] if name.endswith("proj") else value[0].numel()
            spread = inputs**-0.5 if value.ndim > 1 and "embedding" not in name else 0.1
            value.copy_(torch.randn(value.shape, generator=random) * spread)
    return model


def load(folder: Path, **options) -> Laion:
    """Laion from the files in `folder`, taken for the right ones."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NULI_CACHE", str(folder))
        for name in ("CLIP_VIT_L14", "LAION_HEAD"):
            file = getattr(laion, name)
            digest = hashlib.sha256((folder / file.name).read_bytes()).hexdigest()
            patch.setattr(laion, name, replace(file, sha256=digest, size=None))
        return Laion.load(folders=[folder], **options)


def pictures(count: int) -> list[Image.Image]:
    """Soft random colours with a little noise, 224 pixels square; no two sides alike."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(count):
        blots = Image.fromarray(random.integers(0, 256, (5, 5, 3), np.uint8))
        blots = blots.resize((224, 224), Image.Resampling.BICUBIC)
        noise = random.integers(-9, 10, (224, 224, 3))
        made.append(Image.fromarray((np.asarray(blots) + noise).clip(0, 255).astype(np.uint8)))
    return made


def views_of(images: list[Image.Image]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(np.array(i)).permute(2, 0, 1) for i in images]).float() / 255


@torch.no_grad()
def reference(model: nn.Module, images: list[Image.Image]) -> torch.Tensor:
    """Scores as the author's simple_inference.py makes them: CLIP, its preprocessing, the layers."""
    preprocess = clip.clip._transform(224)
    embeddings = torch.cat([model.encode_image(preprocess(image)[None]) for image in images])
    embeddings /= embeddings.norm(dim=1, keepdim=True)
    return unfolded(random_head(), torch.float32)(embeddings)[:, 0]


@pytest.fixture(scope="module")
def real():
    """A folder with a CLIP of the real shape (a plain state dict) and a head; pictures; their true scores."""
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which pytest keeps: this is 0.9 GB
        folder = Path(name)
        torch.save(random_head(), folder / LAION_HEAD.name)
        model = random_clip(REAL)
        torch.save(model.state_dict(), folder / "ViT-L-14.pt")
        images = pictures(3)
        truth = reference(model.float(), images)
        del model
        yield types.SimpleNamespace(folder=folder, views=views_of(images), truth=truth)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A folder with a small CLIP as a half precision TorchScript archive, like OpenAI's, and a head."""
    folder = tmp_path_factory.mktemp("archive")
    torch.save(random_head(), folder / LAION_HEAD.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.rand(1, 3, 224, 224), torch.ones(1, 77, dtype=torch.long)
        traced = torch.jit.trace(random_clip(TINY).float(), example, check_trace=False)
        traced.half().save(str(folder / "ViT-L-14.pt"))
    return folder


@pytest.fixture(scope="module")
def small(archive):
    """What package clip itself makes of that archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clip.load(str(archive / "ViT-L-14.pt"), device="cpu")[0]


# The head


@pytest.mark.parametrize("state", [random_head(), "real"], ids=["random", "real"])
def test_folded_head_is_the_five_layers(state):
    if state == "real":
        if not DATA.exists():
            pytest.skip("shared/data is not here")
        state = torch.load(DATA / LAION_HEAD.name, map_location="cpu", weights_only=True)
    w, b = fold_head(state)
    assert w.shape == (768,)
    assert w.dtype == b.dtype == torch.float64
    unit = nn.functional.normalize(torch.randn(64, 768, generator=torch.Generator().manual_seed(2)), dim=1)
    torch.testing.assert_close(unit.double() @ w + b, unfolded(state, torch.float64)(unit.double())[:, 0])
    single = unit @ w.float() + b.float()
    torch.testing.assert_close(single, unfolded(state, torch.float32)(unit)[:, 0], rtol=0, atol=1e-5)


@needs_data
def test_folded_head_on_real_embeddings():
    state = torch.load(DATA / LAION_HEAD.name, map_location="cpu", weights_only=True)
    w, b = fold_head(state)
    embeddings = np.concatenate([np.load(DATA / "laion_ratings" / f"rating{i}.npy") for i in range(10)])
    embeddings = torch.from_numpy(embeddings).double()
    known = [1.6555, 2.3593, 3.0698, 3.6725, 4.2380, 4.7010, 5.0731, 5.3654, 5.5767, 5.7468]
    assert (embeddings @ w + b).tolist() == pytest.approx(known, abs=6e-5)
    head = Laion(nn.Identity(), w, b)
    head.mean, head.deviation = torch.zeros(1), torch.ones(1)
    scores = head._score(embeddings.float() * torch.linspace(0.1, 30, 10)[:, None])  # a norm for each sample
    assert scores.tolist() == pytest.approx(known, abs=6e-5)
    assert w.norm().item() == pytest.approx(17.9956, abs=1e-4)
    assert b.item() == pytest.approx(5.2366, abs=1e-4)


def test_other_heads_are_refused():
    absent = random_head()
    del absent["layers.4.bias"]
    for state in (absent, {}, random_head() | {"layers.0.weight": torch.zeros(1024, 512)}):
        with pytest.raises(WeightsError, match=r"not LAION's .*layers\.\d"):
            fold_head(state)


# The real shape


def test_full_precision_matches_clip(real):
    scorer = load(real.folder, precision="full")
    score = scorer.bind(real.views[:1])
    together = score(real.views)
    assert together.dtype == torch.float32
    assert real.truth.std() > 0.01  # the pictures are told apart
    torch.testing.assert_close(together, real.truth, rtol=0, atol=1e-5)
    apart = torch.cat([score(view[None]) for view in real.views])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)
    assert sum(p.numel() for p in scorer.parameters()) == pytest.approx(303_966_208, rel=1e-3)  # the vision tower alone
    assert not any(p.requires_grad for p in scorer.parameters())


def test_half_precision(real):
    """bfloat16 keeps 8 bits: scores within 0.05 of the true ones, on a scale of 1 to 10."""
    scorer = load(real.folder, precision="half")
    assert {p.dtype for p in scorer.tower.blocks[0].parameters()} == {torch.bfloat16}
    score = scorer.bind(real.views[:1])
    views, truth = torch.cat([real.views, torch.zeros(1, 3, 224, 224), torch.full((1, 3, 224, 224), 0.5)]), real.truth
    native = laion._has_bfloat16()
    if not native:  # the processor emulates bfloat16: half a minute a picture, so only one real picture and black
        views, truth = views[2:4].clone(), truth[2:]
    with torch.no_grad():
        scores = score(views)
    torch.testing.assert_close(scores[: len(truth)], truth, rtol=0, atol=0.05)
    assert scores.isfinite().all()  # of black and of grey, too
    if not native:  # and the way back is ten times as slow: black and one layer must do
        del scorer.tower.blocks[1:]
        views = views[-1:].clone()
    score(views.requires_grad_()).sum().backward()
    assert views.grad.isfinite().all()
    assert (views.grad.flatten(1).norm(dim=1) > 0).all()


@pytest.mark.parametrize("count", [1, 5])  # one picture goes another way, and five are more than go together
def test_the_tower_sees_what_clip_sees(count):
    """In bfloat16 its embeddings and slopes are about as near to the true ones as clip's own."""
    random = torch.Generator().manual_seed(5)
    truth, rough = random_clip(TINY).visual, random_clip(TINY).visual
    for name, value in truth.named_parameters():
        if "ln_" in name:  # trained ones are not all 1 and 0
            value.add_(0.3 * torch.randn(value.shape, generator=random))
    state = dict(truth.state_dict())
    rough.load_state_dict(state)
    for module in rough.bfloat16().modules():
        if isinstance(module, nn.LayerNorm):
            module.float()
    truth = truth.float()
    exact, half = VisionTransformer(dict(state), torch.float32), VisionTransformer(state, torch.bfloat16)
    assert not state  # its memory is free for other things
    views = torch.randn(count, 3, 224, 224, generator=random).requires_grad_()
    way = torch.randn(count, 768, generator=random)
    found = []
    for tower in (truth, exact, half, lambda x: rough(x.bfloat16())):
        made = tower(views)
        found.append((made.detach().float(), *torch.autograd.grad((made.float() * way).sum(), views)))
        with torch.no_grad():
            torch.testing.assert_close(tower(views), made)  # some of it is done in place
    for expected, ours, ours_half, theirs_half in zip(*found, strict=True):
        assert distance(ours, expected) < 1e-5
        assert distance(ours_half, expected) < 1.2 * distance(theirs_half, expected)


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative to the size of b."""
    return ((a - b).norm() / b.norm()).item()


# The small archive


def test_torchscript_archive_matches_clip(archive, small):
    images = pictures(4)
    scorer = load(archive, precision="full")
    truth = reference(small, images)
    assert truth.std() > 0.01
    scores = scorer.bind(torch.zeros(1, 3, 224, 224))(views_of(images))
    torch.testing.assert_close(scores, truth, rtol=0, atol=1e-5)


def test_flip_is_mirrored(archive, small):
    images = pictures(4)
    plain = reference(small, images)
    scores = load(archive, precision="full", flip=True)(views_of(images))
    mirrored = reference(small, [ImageOps.mirror(image) for image in images])
    torch.testing.assert_close(scores, (plain + mirrored) / 2, rtol=0, atol=1e-5)
    upside_down = reference(small, [ImageOps.flip(image) for image in images])
    assert (scores - (plain + upside_down) / 2).abs().max() > 1e-3


def test_gradient_is_the_slope(archive):
    scorer = load(archive, precision="full")
    views = views_of(pictures(2)).requires_grad_()
    scorer(views).sum().backward()
    random = torch.Generator().manual_seed(3)
    way = torch.nn.functional.avg_pool2d(torch.randn(views.shape, generator=random), 7, 1, 3)
    with torch.no_grad():
        slope = (scorer(views + 1e-2 * way) - scorer(views - 1e-2 * way)) / 2e-2
        assert not scorer(views).requires_grad
    torch.testing.assert_close((views.grad * way).flatten(1).sum(1), slope, rtol=0.02, atol=1e-3)
    assert not scorer(views.detach()).requires_grad


def test_loading_in_a_host(archive):
    before = torch.get_rng_state()
    with torch.inference_mode():  # Forge calls its scripts so
        scorer = load(archive, precision="full").to("cpu")
    assert torch.equal(torch.get_rng_state(), before)
    views = views_of(pictures(1)).requires_grad_()
    scorer(views).sum().backward()
    assert views.grad.abs().sum() > 0
    with torch.autocast("cpu", torch.bfloat16):
        assert scorer(views).dtype == torch.float32
    scorer.to("meta")
    assert {tensor.device.type for tensor in scorer.state_dict().values()} == {"meta"}


def test_is_a_scorer():
    assert (Laion.name, Laion.input_size, Laion.view_mode, Laion.differentiable) == ("laion", 224, "crop", True)
    assert Laion.score_range == (1.0, 10.0)
    assert Laion.licence == "MIT AND Apache-2.0"


def test_precision(monkeypatch):
    kinds = {"cpu": "bfloat16", "cuda": "float16", "mps": "float32"}
    monkeypatch.setattr(laion, "_has_bfloat16", lambda: True)
    for device, kind in kinds.items():
        assert _number_type("auto", torch.device(device)) == getattr(torch, kind)
        assert _number_type("full", torch.device(device)) == torch.float32
    monkeypatch.setattr(laion, "_has_bfloat16", lambda: False)
    assert _number_type("auto", torch.device("cpu")) == torch.float32
    assert _number_type("half", torch.device("cpu")) == torch.bfloat16
    with pytest.raises(OptionError, match="quarter"):
        Laion.load(precision="quarter")


def test_damaged_weights_are_refused(archive, monkeypatch, tmp_path):
    monkeypatch.setenv("NULI_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="damaged"):
        Laion.load(folders=[archive])
