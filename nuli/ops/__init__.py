"""The transforms. Importing this package fills the registry."""

from . import art, color, detail, grain, light, white_balance  # noqa: F401
