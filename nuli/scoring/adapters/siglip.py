"""`siglip`: Aesthetic Predictor V2.5 (github.com/discus0434/aesthetic-predictor-v2-5, AGPL-3.0), a head on SigLIP's
vision tower (X. Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import WeightsError
from ...options import Options
from ..weights import ANOTHER, cache_dir
from . import ADAPTERS
from .foreign import Foreign, fetching, import_package, not_here, weights_only

[INFO] = [info for info in ADAPTERS if info.name == "siglip"]
TOWER = "google/siglip-so400m-patch14-384"
HEAD = "aesthetic_predictor_v2_5.pth"
RANGE = (1.0, 10.0)


def has_weights() -> bool:
    return _head().is_file() and _tower_is_here()


def download() -> None:
    """Fetch the tower into Hugging Face's cache, and the head into nuli's. Raises WeightsError, OptionError."""
    import_package(INFO.name, INFO.package)
    with fetching(INFO.name):
        from aesthetic_predictor_v2_5.siglip_v2_5 import URL
        from huggingface_hub import hf_hub_download
        from torch.hub import download_url_to_file

        for file in ("config.json", "model.safetensors"):
            hf_hub_download(TOWER, file)
        _head().parent.mkdir(parents=True, exist_ok=True)
        download_url_to_file(URL, str(_head()), progress=False)


def load(options: Options, device: torch.device, folders: Sequence[Path] = ()) -> Foreign:
    """Raises OptionError without the package, WeightsError without the weights."""
    package = import_package(INFO.name, INFO.package)
    if not has_weights():
        raise not_here(INFO.name, INFO.package)
    with weights_only():
        try:
            model = package.AestheticPredictorV2_5Model.from_pretrained(TOWER, local_files_only=True)
            model.layers.load_state_dict(torch.load(_head(), map_location="cpu", weights_only=True))
        except Exception as error:
            raise WeightsError(f"the weights of siglip can't be read ({error}): fetch them again, {ANOTHER}") from error
    return make(model)


def make(model: nn.Module) -> Foreign:
    """The scorer of an AestheticPredictorV2_5Model."""
    size = model.config.image_size

    def score(views: Tensor) -> Tensor:
        # all of the picture, squeezed to a square, as its own processor has it
        views = F.interpolate(views, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        return model(pixel_values=2 * views - 1, return_dict=True).logits

    return Foreign(INFO.name, "AGPL-3.0 AND Apache-2.0", RANGE, model, score, size)


def _head() -> Path:
    return cache_dir() / HEAD


def _tower_is_here() -> bool:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:  # comes with transformers
        return False
    return isinstance(try_to_load_from_cache(TOWER, "model.safetensors"), str)
