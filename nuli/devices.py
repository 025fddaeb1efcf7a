"""The torch device to work on."""

from __future__ import annotations

import torch

from .errors import OptionError


def pick_device(device: str | torch.device) -> torch.device:
    """The torch device of that name; "auto" is the GPU where CUDA (or ROCm) has one. Raises OptionError.

    Apple's GPUs lack functions that we need: for them it is the CPU.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        chosen = torch.device("cpu") if chosen.type == "mps" else chosen
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"device {device!r} can't be used here ({reason}); try auto or cpu") from None
    return chosen
