"""The transforms. Importing this package fills the registry."""

from . import art, color, detail, light  # noqa: F401
