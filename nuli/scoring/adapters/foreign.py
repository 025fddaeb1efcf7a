"""What adapters have in common: a network of another program as a `Scorer`; weights that are never fetched unasked."""

from __future__ import annotations

import functools
import hashlib
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...errors import OptionError, WeightsError
from ...imaging.frames import FRAME
from ..weights import ANOTHER

if TYPE_CHECKING:
    from ..info import Package
    from ..protocol import Score


class Foreign:
    """A `Scorer` that another program's network computes.

    Args:
        name, licence, score_range: as a Scorer has them.
        network: is moved to the device that pictures are on; its own parameters are frozen.
        function: from views [N,3,H,W] in 0..1, the whole frame, to scores [N], by that network.
        size: short side of the views in pixels.
        prompt: what scores depend on besides; saved searches tell prompts apart.
    """

    view_mode = "whole"
    differentiable = True

    def __init__(
        self,
        name: str,
        licence: str,
        score_range: tuple[float, float],
        network: nn.Module,
        function: Callable[[Tensor], Tensor],
        size: int = FRAME,
        prompt: str = "",
    ) -> None:
        self.name, self.licence, self.score_range, self.input_size = name, licence, score_range, size
        self.known_as = f"{name} (prompt {hashlib.sha256(prompt.encode()).hexdigest()[:16]})" if prompt else name
        self._network, self._function = network.eval().requires_grad_(False), function
        self.networks = [self._network]

    def bind(self, original: Tensor) -> Score:
        """Move to the original's device. Each view is scored by itself."""
        self._network.to(original.device)
        return lambda views: self._function(views.float()).flatten().float()


def import_package(name: str, package: Package) -> ModuleType:
    """A scorer's package. Raises OptionError where it isn't here, or broken."""
    if not package.is_installed:
        raise OptionError(f"the scorer {name} needs another package: {package.advice}, {ANOTHER}")
    try:
        return importlib.import_module(package.module)
    except Exception as error:  # theirs, whatever it is
        reason = " ".join(str(error).split())
        raise OptionError(f"the package of the scorer {name} can't be used ({reason}): repair it, {ANOTHER}") from error


def not_here(name: str, package: Package) -> WeightsError:
    """What to raise where weights are missing."""
    return WeightsError(
        f"the weights of {name} are not here: get them with `nuli scorers download {name}` on the command line "
        f"({package.size}; {package.licence}), {ANOTHER}"
    )


class _Thread(threading.local):
    """What this thread alone may not do: the process's environment, and what others find in a package, is not ours to
    change while they work."""

    weights_only = False
    offline = False


THREAD = _Thread()


@contextmanager
def weights_only() -> Iterator[None]:
    """Of files nothing but tensors is read meanwhile, in this thread, whatever a package asks torch for: a pickle can
    run programs."""
    wrap_once(torch, "load", _tensors_only)
    before, THREAD.weights_only = THREAD.weights_only, True
    try:
        with torch.inference_mode(False):
            yield
    finally:
        THREAD.weights_only = before


def wrap_once(place: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Let a function of a module be called through wrapper(function, *arguments), for good, unless it is already. The
    wrapper asks THREAD what to do: other threads, and this one later, get what the function itself does."""
    function = getattr(place, name)
    if not getattr(function, "asks_nuli", False):
        wrapped = functools.wraps(function)(functools.partial(wrapper, function))
        wrapped.asks_nuli = True
        setattr(place, name, wrapped)


def _tensors_only(load: Callable[..., Any], file: Any, *args: Any, **kwargs: Any) -> Any:
    """torch.load."""
    if THREAD.weights_only:
        kwargs |= {"weights_only": True, "pickle_module": None}
        args = args[:1]  # map_location; another way of pickling would come next
    return load(file, *args, **kwargs)


@contextmanager
def fetching(name: str) -> Iterator[None]:
    """Turn what goes wrong while a package downloads into a WeightsError."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:  # of requests, urllib, huggingface_hub, the disk...
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(f"the weights of {name} could not be fetched ({reason}): try again, {ANOTHER}") from error
