"""The transforms. Importing this package fills the registry."""

from . import art, color, detail, light, white_balance  # noqa: F401
