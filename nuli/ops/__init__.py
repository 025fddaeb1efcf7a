"""The transforms. Importing this package fills the registry, with what other packages bring too."""

from .. import plugins
from ..options import GROUPS
from . import art, color, detail, grain, light, white_balance  # noqa: F401
from .registry import OPS

plugins.load_ops(OPS, GROUPS)
