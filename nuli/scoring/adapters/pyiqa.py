"""`pyiqa:METRIC`: image quality and aesthetics metrics of pyiqa (C. Chen, github.com/chaofengc/IQA-PyTorch).

They see the frame, in which a picture's finest detail is gone: what they say of sharpness and noise is about that.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import OptionError
from ..weights import cache_dir
from . import pyiqa_info
from .foreign import THREAD, Foreign, fetching, import_package, not_here, weights_only, wrap_once

NOT_OF_A_PICTURE = ("clipscore", "inception_score")
"""Metrics that take a text, or many pictures, though pyiqa counts them among those without a reference."""


def has_weights(metric: str) -> bool:
    """Whether they were downloaded by `download`: which files a metric has only pyiqa knows."""
    return _note(metric).is_file()


def download(metric: str) -> None:
    """Let pyiqa fetch a metric's weights into its own cache. Raises OptionError, WeightsError."""
    pyiqa = _package(metric)
    with fetching(f"pyiqa:{metric}"):
        with weights_only():
            pyiqa.create_metric(metric, device="cpu")
        _note(metric).parent.mkdir(parents=True, exist_ok=True)
        _note(metric).touch()


def load(metric: str, device: torch.device) -> Foreign:
    """Raises OptionError where there is no such metric or package, WeightsError where its weights are absent."""
    pyiqa, info = _package(metric), pyiqa_info(metric)
    if not has_weights(metric):
        raise not_here(info.name, info.package)
    try:
        with weights_only(), _offline():
            model = pyiqa.create_metric(metric, as_loss=True, loss_reduction="none", device=device)
    except Exception as error:
        raise not_here(info.name, info.package) from error
    return make(metric, model)


def make(metric: str, model: Any) -> Foreign:
    """The scorer of pyiqa's InferenceModel of a metric, made with as_loss: then it has gradients."""
    low, high = span(model.score_range)

    model.check_input_range = False
    asking = threading.Lock()  # what it is asked to do it keeps in itself, and several threads may share it

    def score(views: Tensor) -> Tensor:
        with asking:
            model.as_loss = torch.is_grad_enabled()  # only then: a graph takes memory
            found = model(views)
        found = found[0] if isinstance(found, tuple) else found
        return low + high - found if model.lower_better else found

    return Foreign(f"pyiqa:{metric}", pyiqa_info(metric).package.licence, (low, high), model, score)


def span(text: str | None) -> tuple[float, float]:
    """The range that pyiqa tells of a metric, such as "~0, ~100"; 0 to 1 where it tells none."""
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text or "")]
    return (numbers[0], numbers[1]) if len(numbers) == 2 and numbers[0] < numbers[1] else (0.0, 1.0)


def _package(metric: str) -> Any:
    """pyiqa, which has that metric. Raises OptionError."""
    pyiqa = import_package(f"pyiqa:{metric}", pyiqa_info(metric).package)
    if metric not in (known := [name for name in pyiqa.list_models("NR") if name not in NOT_OF_A_PICTURE]):
        kind = "needs more than the picture" if metric in pyiqa.list_models() else "isn't one of its metrics"
        raise OptionError(f"pyiqa:{metric} {kind}: choose one of {', '.join(known)}")
    return pyiqa


@contextmanager
def _offline() -> Iterator[None]:
    """pyiqa finds its weights in its cache meanwhile, or nowhere; in this thread."""
    from huggingface_hub import constants
    from pyiqa.utils import download_util

    if not isinstance(constants.HF_HUB_OFFLINE, _Offline):
        constants.HF_HUB_OFFLINE = _Offline(constants.HF_HUB_OFFLINE)
    wrap_once(download_util, "download_url_to_file", _unless_offline)
    before, THREAD.offline = THREAD.offline, True
    try:
        yield
    finally:
        THREAD.offline = before


class _Offline:
    """Hugging Face's own setting, but true for a thread that is offline."""

    def __init__(self, usual: Any) -> None:
        self._usual = usual

    def __bool__(self) -> bool:
        return THREAD.offline or bool(self._usual)


def _unless_offline(download: Callable[..., Any], url: str, *args: Any, **kwargs: Any) -> Any:
    if THREAD.offline:
        raise FileNotFoundError(f"{url} is not in the cache")
    return download(url, *args, **kwargs)


def _note(metric: str) -> Path:
    """Is there once the user has asked for a metric's weights, and got them."""
    return cache_dir() / "pyiqa" / f"{metric}.ok"
