"""Scorers that other programs compute. None comes with nuli: who wants one installs its package, under its licence, and
says `nuli scorers download NAME`; nothing is fetched before.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ..info import Package, ScorerInfo

PYIQA = "pyiqa"


def _later(module: str, function: str) -> Callable[..., Any]:
    """A function of one of these modules, which is imported when it is called: it imports torch."""
    return lambda *arguments: getattr(importlib.import_module(f".{module}", __name__), function)(*arguments)


ADAPTERS = (
    ScorerInfo(
        "siglip",
        "Aesthetic Predictor V2.5 on SigLIP: how pleasing, painted and generated pictures included",
        "about 1 to 10, from 5.5 on good; compares pictures",
        _later("siglip", "load"),
        seconds=120.0,
        package=Package(
            "aesthetic_predictor_v2_5",
            "aesthetic-predictor-v2-5",
            "AGPL-3.0; SigLIP Apache-2.0",
            "about 3.5 GB",
            _later("siglip", "has_weights"),
            _later("siglip", "download"),
        ),
    ),
    ScorerInfo(
        "hpsv2",
        "Human Preference Score v2.1: how much people prefer a picture as one of the prompt",
        "about 15 to 35, a hundred times the cosine to the prompt; compares pictures of one prompt",
        _later("hpsv2", "load"),
        seconds=120.0,
        package=Package(
            "open_clip",
            "open_clip_torch",
            "MIT; weights Apache-2.0",
            "about 2 GB",
            _later("hpsv2", "has_weights"),
            _later("hpsv2", "download"),
        ),
    ),
)


def pyiqa_info(metric: str) -> ScorerInfo:
    """A metric of pyiqa that looks at one picture alone, such as topiq_iaa."""
    return ScorerInfo(
        f"{PYIQA}:{metric}",
        f"the metric {metric} of pyiqa",
        f"{metric}'s own figures; where less is better there, they are turned round within its range",
        lambda options, device, folders: _later("pyiqa", "load")(metric, device),
        seconds=60.0,
        package=Package(
            "pyiqa",
            "pyiqa",
            "non-commercial use only: PolyForm Noncommercial 1.0.0; metrics have licences of their own",
            "some MB to 1 GB, by metric",
            lambda: _later("pyiqa", "has_weights")(metric),
            lambda: _later("pyiqa", "download")(metric),
        ),
    )
