"""Weights files that ship inside the package."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from torch import Tensor

from ..errors import WeightsError


@cache
def load_embedded(file: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file beside this one. Raises WeightsError unless it is the very file."""
    from safetensors.torch import load

    try:
        data = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file}: can't be read ({error.strerror}); install nuli anew") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{file}: not the file that this version came with; install nuli anew")
    return load(data)
