"""Run by the WebUI at every start: installs what NUlIE needs and the host does not have. Upgrades nothing.

Elsewhere it installs nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

# Every host brings torch, numpy and Pillow: they are never touched.
NEEDED = (("safetensors", '"safetensors>=0.4"'),)
"""(module to import, what to tell pip; in quotes where a shell would read it otherwise)."""


def is_present(module: str) -> bool:
    """Whether a module can be imported; it is not."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def missing(present: Callable[[str], bool] = is_present) -> list[tuple[str, str]]:
    """The rows of NEEDED that are not there."""
    return [(module, requirement) for module, requirement in NEEDED if not present(module)]


def main() -> None:
    """Install what is missing, through the host, which knows its own Python and whether it may."""
    wanted = missing()
    if not wanted:
        return
    try:
        import launch  # only now: importing it takes longer than all of the above
    except ImportError:  # ComfyUI's manager runs this too, and ComfyUI itself needs all of that
        print("NUlIE lacks", ", ".join(requirement for _, requirement in wanted), "- install it with pip")
        return

    if getattr(launch.args, "skip_install", False):
        return
    for module, requirement in wanted:
        launch.run_pip(f"install {requirement}", f"{module} for NUlIE")


if __name__ == "__main__":
    main()
