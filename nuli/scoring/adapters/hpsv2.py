"""`hpsv2`: Human Preference Score v2.1, computed by open_clip, whose ViT-H/14 its weights are for.

X. Wu et al., "Human Preference Score v2", 2023 (github.com/tgxs002/HPSv2, Apache-2.0). Its own package can't be
imported as it lies on PyPI (1.2.0 lacks the tokenizer's vocabulary).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import OptionError, WeightsError
from ...options import Options
from ..laion import DEVIATION, MEAN
from ..weights import ANOTHER
from . import ADAPTERS
from .foreign import Foreign, fetching, import_package, not_here, weights_only

[INFO] = [info for info in ADAPTERS if info.name == "hpsv2"]
ARCHITECTURE = "ViT-H-14"
REPOSITORY, FILE = "xswu/HPSv2", "HPS_v2.1_compressed.pt"
SIZE = 224
SCALE = 100.0
"""Cosines are told in hundredths, as the paper does."""
RANGE = (15.0, 35.0)


def has_weights() -> bool:
    return _file() is not None


def download() -> None:
    """Fetch the weights into Hugging Face's cache. Raises WeightsError, OptionError."""
    import_package(INFO.name, INFO.package)
    with fetching(INFO.name):
        from huggingface_hub import hf_hub_download

        hf_hub_download(REPOSITORY, FILE)


def load(options: Options, device: torch.device, folders: Sequence[Path] = ()) -> Foreign:
    """Raises OptionError without the package or a prompt, WeightsError without the weights."""
    open_clip = import_package(INFO.name, INFO.package)
    if not options.prompt.strip():
        raise OptionError(f"{INFO.name} judges a picture by what it should show: give a prompt (--prompt), {ANOTHER}")
    file = _file()
    if file is None:
        raise not_here(INFO.name, INFO.package)
    with weights_only():
        model = open_clip.create_model(ARCHITECTURE)
        try:
            model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["state_dict"])
        except Exception as error:
            raise WeightsError(f"{file} is damaged or another file: delete it and fetch it again, {ANOTHER}") from error
    return make(model, open_clip.get_tokenizer(ARCHITECTURE)([options.prompt]), options.prompt, device)


def make(model: nn.Module, tokens: Tensor, prompt: str, device: torch.device) -> Foreign:
    """The scorer of a CLIP model of open_clip and a tokenized prompt [1,L]."""
    with torch.inference_mode(False), torch.no_grad():
        text = F.normalize(model.eval().to(device).encode_text(tokens.to(device)), dim=-1)

    def score(views: Tensor) -> Tensor:
        # the square centre crop, as its own preprocessing has it
        h, w = views.shape[2:]
        views = views[:, :, (h - SIZE) // 2 : (h + SIZE) // 2, (w - SIZE) // 2 : (w + SIZE) // 2]
        mean, deviation = (views.new_tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
        images = F.normalize(model.encode_image((views - mean) / deviation), dim=-1)
        return SCALE * (images @ text.to(images.device).T)

    return Foreign(INFO.name, "MIT AND Apache-2.0", RANGE, model, score, SIZE, prompt)


def _file() -> str | None:
    """The weights in Hugging Face's cache."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:  # comes with open_clip
        return None
    found = try_to_load_from_cache(REPOSITORY, FILE)
    return found if isinstance(found, str) else None
