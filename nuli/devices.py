"""The torch device to work on."""

from __future__ import annotations

import torch

from .errors import OptionError


def pick_device(device: str | torch.device) -> torch.device:
    """The torch device of that name; "auto" is the GPU where CUDA (or ROCm) has one, else the CPU.

    Apple's GPUs lack functions that we need: for them it is the CPU.

    Raises:
        OptionError: the name is none, or nothing can be computed there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        chosen = torch.device("cpu") if chosen.type == "mps" else chosen
        # a value there and back: "meta" makes tensors that hold none
        torch.ones(1, device=chosen).add(1).item()
    except Exception as error:  # a backend that is absent fails in its own way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OptionError(f"device {str(device)!r} can't be used here ({reason}); try auto or cpu") from None
    return chosen
