"""The transforms. Importing this package fills the registry."""

from . import art, colour, detail, light  # noqa: F401
from .registry import OPS, Op, Param, Scale, check, get, luma, measure, measure_thinned, run, select, thinned

__all__ = [
    "OPS",
    "Op",
    "Param",
    "Scale",
    "check",
    "get",
    "luma",
    "measure",
    "measure_thinned",
    "run",
    "select",
    "thinned",
]
