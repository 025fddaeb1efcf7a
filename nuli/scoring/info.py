"""What is known about a scorer before it is loaded. Importing this loads neither torch nor any other package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .protocol import Scorer
from .weights import WeightsFile, locate


@dataclass(frozen=True)
class Package:
    """Another program that computes a scorer: its own weights, its own licence, nothing of it comes with nuli."""

    module: str
    """What is imported."""
    install: str
    """What pip calls it."""
    licence: str
    """Of the program and its weights, as far as a user has to know."""
    size: str
    """How much there is to download."""
    has_weights: Callable[[], bool]
    """Whether they are on this machine already."""
    download: Callable[[], None]
    """Fetch them. Raises WeightsError."""

    @property
    def is_installed(self) -> bool:
        return find_spec(self.module) is not None

    @property
    def advice(self) -> str:
        """How to get it."""
        return f"pip install {self.install}  ({self.licence})"


@dataclass(frozen=True)
class ScorerInfo:
    """What is known about a scorer before it is loaded."""

    name: str
    summary: str
    """What it is."""
    meaning: str
    """What its figures mean, in one sentence for whoever reads them; and whether they compare pictures."""
    load: Callable[..., Scorer]
    """load(options, device, folders) -> Scorer."""
    files: tuple[WeightsFile, ...] = ()
    """Weights that nuli downloads; none for an embedded scorer."""
    seconds: float = 1.5
    """How long to search where nobody says: a large network needs time on a CPU."""
    package: Package | None = None
    """The program that it comes from, where that isn't nuli."""

    def missing(self, folders: Sequence[Path] = ()) -> tuple[WeightsFile, ...]:
        return tuple(f for f in self.files if locate(f, folders) is None)

    def state(self, folders: Sequence[Path] = ()) -> str:
        """Whether it can be used: "built in" or "ready"; else what is missing."""
        if self.package is None:
            return "built in" if not self.files else "not downloaded" if self.missing(folders) else "ready"
        if not self.package.is_installed:
            return "not installed"
        return "ready" if self.package.has_weights() else "not downloaded"

    def is_ready(self, folders: Sequence[Path] = ()) -> bool:
        return self.state(folders) in ("built in", "ready")

    @property
    def is_large(self) -> bool:
        """Whether it is too large for every process to have its own."""
        return bool(self.files) or self.package is not None
