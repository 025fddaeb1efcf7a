"""ComfyUI as a Runtime: its device, its memory for models, its interrupts, its progress display."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import comfy.model_management as memory
import folder_paths
import torch
from comfy.cli_args import LatentPreviewMethod, args
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar

from ..errors import WeightsError
from ..options import Options
from ..scoring.protocol import Scorer
from ..scoring.registry import cached_scorer, resolve_scorer
from .work import Preview, Runtime

MODELS = "nuli"
PROGRESS_STEPS = 1000
PREVIEW_EVERY = 0.5
"""Seconds between previews: each is made, and sent to the page."""
LARGE = 1.5e9
"""Bytes that a large scorer may take while it is loaded."""
_patchers: dict[int, ModelPatcher] = {}
"""Of the networks of the scorer that was loaded last, by their ids: ComfyUI itself keeps no model alive."""


folder_paths.add_model_folder_path(MODELS, str(Path(folder_paths.models_dir) / MODELS))


def weight_folders() -> list[Path]:
    """Where weights may lie, besides the usual caches: models/nuli, and what extra_model_paths.yaml calls so."""
    return [Path(folder) for folder in folder_paths.get_folder_paths(MODELS)]


def device() -> str:
    """Where ComfyUI computes; on kinds of devices that lack functions we need, it is the CPU."""
    found = memory.get_torch_device()
    return str(found) if found.type in ("cpu", "cuda", "xpu") else "cpu"


def load_scorer(options: Options) -> Scorer:
    """The scorer that options name. Its networks are ComfyUI's to load and to move away, as those of its own nodes.

    Raises NuliError.
    """
    place, folders = torch.device(options.device), weight_folders()
    info = resolve_scorer(options.scorer, options.mode, folders)
    if missing := info.missing(folders):
        names = " and ".join(file.name for file in missing)
        raise WeightsError(
            f"the weights of {info.name} are not here: put {names} into {folders[0]}, as docs/comfyui.md "
            "tells, or choose another scorer, such as taste"
        )
    if place.type != "cpu":
        if options.precision == "auto":
            options = replace(options, precision="half" if memory.should_use_fp16(place) else "full")
        memory.free_memory(memory.minimum_inference_memory() + LARGE * info.is_large, place)
    scorer = cached_scorer(options, folders)
    networks, parking = getattr(scorer, "networks", ()), memory.unet_offload_device()
    kept = {id(network): _patchers.get(id(network)) or ModelPatcher(network, place, parking) for network in networks}
    _patchers.clear()
    _patchers.update(kept)
    with torch.inference_mode(False):  # what is moved in that mode knows no gradient any more
        memory.load_models_gpu(list(kept.values()), force_full_load=True)
    return scorer


def runtime(tell: Callable[[str], None]) -> Runtime:
    """What one run of a node goes by.

    Args:
        tell: see Runtime.
    """
    bar, shown = ProgressBar(PROGRESS_STEPS), 0.0

    def show(done: float, preview: Preview | None) -> None:
        nonlocal shown
        picture, now = None, time.monotonic()
        wanted = args.preview_method != LatentPreviewMethod.NoPreviews  # read each time: extensions change it
        if preview is not None and wanted and now - shown >= PREVIEW_EVERY:
            picture, shown = ("JPEG", preview(), args.preview_size), now
        bar.update_absolute(round(done * PROGRESS_STEPS), PROGRESS_STEPS, picture)

    return Runtime(device, load_scorer, memory.throw_exception_if_processing_interrupted, show, tell)
