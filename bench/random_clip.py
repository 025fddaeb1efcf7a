"""CLIP's vision tower and LAION's head with random weights of the real shapes, for what doesn't depend on them."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from nuli.scoring.clip_vit import VisionTransformer
from nuli.scoring.laion import _HEAD, Laion, _number_type, fold_head

PATCH, SIDE, EMBEDDING = 14, 224, 768
REAL = (1024, 24)
"""Width and layers of ViT-L/14's vision."""


def visual(width: int, layers: int) -> dict[str, Tensor]:
    """State of the vision tower, in half precision."""
    places = (SIDE // PATCH) ** 2 + 1
    shapes = {
        "conv1.weight": (width, 3, PATCH, PATCH),
        "class_embedding": (width,),
        "positional_embedding": (places, width),
        "proj": (width, EMBEDDING),
    }
    for norm in ("ln_pre", "ln_post"):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    for i in range(layers):
        at = f"transformer.resblocks.{i}."
        for name, rows, columns in (
            ("attn.in_proj_", 3 * width, width),
            ("attn.out_proj.", width, width),
            ("mlp.c_fc.", 4 * width, width),
            ("mlp.c_proj.", width, 4 * width),
        ):
            shapes |= {f"{at}{name}weight": (rows, columns), f"{at}{name}bias": (rows,)}
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{at}{norm}.weight": (width,), f"{at}{norm}.bias": (width,)}
    return _random(shapes)


def _random(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    return {n: (torch.randn(s, generator=random) * s[-1] ** -0.5).half() for n, s in shapes.items()}


def head() -> dict[str, Tensor]:
    """State of LAION's five layers."""
    random = torch.Generator().manual_seed(1)
    state = {}
    for name, (outputs, inputs) in _HEAD.items():
        state[f"{name}.weight"] = torch.randn(outputs, inputs, generator=random) * inputs**-0.5
        state[f"{name}.bias"] = torch.zeros(outputs)
    return state


def scorer(state: dict[str, Tensor], layers: dict[str, Tensor]) -> Laion:
    """`laion` on the CPU, of these weights."""
    return Laion(VisionTransformer(state, _number_type("auto", torch.device("cpu"))), *fold_head(layers))


def write(path: str, width: int, layers: int) -> None:
    """Write a TorchScript archive like OpenAI's."""
    state = {f"visual.{name}": value for name, value in visual(width, layers).items()}
    # the text's part is about 0.4 of the picture's
    state |= _random({f"transformer.text{i}": (5, width, width) for i in range(layers)})
    root = nn.Module()
    for name, value in state.items():
        *way, last = name.split(".")
        module = root
        for part in way:
            if part not in module._modules:
                module.add_module(part, nn.Module())
            module = module._modules[part]
        module.register_parameter(last, nn.Parameter(value, requires_grad=False))
    root.forward = lambda x: x  # an archive holds a program, too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; OpenAI's archive stays one
        torch.jit.trace(root, torch.zeros(1), check_trace=False).save(path)
