"""NUlIE: makes a picture better by searching chains of readable transforms, guided by a scorer.

    import nuli
    result = nuli.enhance("photo.jpg", mode="soft", seconds=5)
    result.image.save("better.jpg")

Importing this package loads neither torch nor any model; what it offers is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .checkpoint import SavedSearch
    from .enhancer import enhance, enhance_iter, score
    from .errors import NuliError
    from .look import Look
    from .ops.step import Step
    from .options import Options
    from .recipe import Recipe
    from .result import Event, Result
    from .scoring.protocol import Scorer
    from .series import Series, enhance_together
    from .steady import steady_light

# no module may bear the name of what is offered here: importing it would take the name's place
_HOMES = {
    "Event": "result",
    "Look": "look",
    "NuliError": "errors",
    "Options": "options",
    "Recipe": "recipe",
    "Result": "result",
    "SavedSearch": "checkpoint",
    "Scorer": "scoring.protocol",
    "Series": "series",
    "Step": "ops.step",
    "enhance": "enhancer",
    "enhance_iter": "enhancer",
    "enhance_together": "series",
    "score": "enhancer",
    "steady_light": "steady",
}
__all__ = [
    "Event",
    "Look",
    "NuliError",
    "Options",
    "Recipe",
    "Result",
    "SavedSearch",
    "Scorer",
    "Series",
    "Step",
    "__version__",
    "enhance",
    "enhance_iter",
    "enhance_together",
    "score",
    "steady_light",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
