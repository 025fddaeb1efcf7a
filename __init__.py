"""This repository as a ComfyUI node pack; everything else about it lives in nuli/comfy."""

import importlib.util
import sys
from pathlib import Path

WEB_DIRECTORY = "nuli/comfy/web"
"""What ComfyUI's page loads."""


async def comfy_entrypoint():
    """Called by ComfyUI for the nodes."""
    if "nuli" not in sys.modules:  # by its own name, which packages with further scorers and ops know
        root = Path(__file__).with_name("nuli")
        spec = importlib.util.spec_from_file_location("nuli", root / "__init__.py")
        sys.modules["nuli"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    from nuli.comfy.nodes import Pack

    return Pack()
