"""What the programs that make weights share: their arguments, and how weights become part of the package."""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path
from types import ModuleType

from safetensors.torch import save
from torch import Tensor


def parse_arguments(description: str, output: Path) -> argparse.Namespace:
    """The arguments of a program that learns: folder, seed, output and workers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=output)
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    return parser.parse_args()


def ship(weights: dict[str, Tensor], output: Path, module: ModuleType) -> None:
    """Write weights in half precision; where `output` is the module's own file, its SHA256 is set to match."""
    data = save({name: value.half().contiguous() for name, value in weights.items()})
    digest = hashlib.sha256(data).hexdigest()
    output.write_bytes(data)
    if output.resolve() == module.WEIGHTS.resolve():
        source = Path(module.__file__)
        text = re.sub(r'(?m)^SHA256 = "\w*"', f'SHA256 = "{digest}"', source.read_text("utf-8"))
        source.write_text(text, "utf-8")
    print(f"{output}: {len(data)} bytes, sha256 {digest}")
