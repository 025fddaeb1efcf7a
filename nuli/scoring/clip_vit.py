"""CLIP's vision transformer, for judging alone: frozen, folded where that changes nothing, and quick on a CPU.

It computes what `clip.model.VisionTransformer` does (A. Radford et al., 2021; github.com/openai/CLIP, MIT).
"""

from __future__ import annotations

from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD = 64
"""Width of an attention head, in all of CLIP's vision transformers."""
TOGETHER = 4
"""Pictures whose attention a CPU works out at a time: the products of more don't stay in its cache."""
STEEP = 1.702
"""CLIP's activation is x * sigmoid(STEEP * x), which is silu(STEEP * x) / STEEP."""


class Affine(nn.Module):
    """x [N,L,I] -> x weight' + bias, [N,L,O]."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
        self.bias = nn.Parameter(bias.to(dtype), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        if x.device.type != "cpu" or (n == 1 and x.dtype != torch.float32):
            return F.linear(x, self.weight, self.bias)
        # on a CPU a convolution of single pixels is quicker than the same matrix product: it adds the bias on its way
        pixels = x.reshape(1, 1, n * length, width).permute(0, 3, 1, 2)
        made = F.conv2d(pixels, self.weight[:, :, None, None], self.bias)
        return made.permute(0, 2, 3, 1).reshape(n, length, -1)


class Block(nn.Module):
    """One layer, [N,L,W] -> [N,L,W].

    Args:
        ask: gives queries, keys and values, side by side; answer: takes what the attention made of them.
        widen, narrow: around the activation.
    """

    def __init__(self, ask: Affine, answer: Affine, widen: Affine, narrow: Affine) -> None:
        super().__init__()
        self.ask, self.answer, self.widen, self.narrow = ask, answer, widen, narrow

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.answer(attend(self.ask(normal(x))))
        wide = self.widen(normal(x))
        return x + self.narrow(F.silu(wide, inplace=not wide.requires_grad))


class VisionTransformer(nn.Module):
    """From normalised views [N,3,S,S] to embeddings [N,E], of the tower's type.

    Args:
        state: state dict of clip's VisionTransformer, of any types. It is emptied on the way, so that no more
            than one layer's weights are in memory twice.
        dtype, device: to compute with.
    Raises:
        KeyError: the state lacks an entry.
    """

    def __init__(self, state: dict[str, Tensor], dtype: torch.dtype, device: str | torch.device = "cpu") -> None:
        super().__init__()

        def take(*names: str) -> list[Tensor]:
            return [state.pop(name).detach().to(device, torch.float32) for name in names]

        def fixed(value: Tensor, kind: torch.dtype = dtype) -> nn.Parameter:
            return nn.Parameter(value.to(kind), requires_grad=False)

        patch, token, places = take("conv1.weight", "class_embedding", "positional_embedding")
        self.patch, self.token, self.places = fixed(patch), fixed(token + places[0]), fixed(places[1:])
        self.scale, self.shift = (fixed(t, torch.float32) for t in take("ln_pre.weight", "ln_pre.bias"))
        self.blocks = nn.ModuleList()
        for at in (f"transformer.resblocks.{i}." for i in count()):
            if at + "attn.in_proj_weight" not in state:
                break
            first, second = take(at + "ln_1.weight", at + "ln_1.bias"), take(at + "ln_2.weight", at + "ln_2.bias")
            ask = Affine(*folded(*first, *take(at + "attn.in_proj_weight", at + "attn.in_proj_bias")), dtype)
            answer = Affine(*take(at + "attn.out_proj.weight", at + "attn.out_proj.bias"), dtype)
            weight, bias = folded(*second, *take(at + "mlp.c_fc.weight", at + "mlp.c_fc.bias"))
            widen = Affine(STEEP * weight, STEEP * bias, dtype)
            weight, bias = take(at + "mlp.c_proj.weight", at + "mlp.c_proj.bias")
            self.blocks.append(Block(ask, answer, widen, Affine(weight / STEEP, bias, dtype)))
        scale, shift, proj = take("ln_post.weight", "ln_post.bias", "proj")
        self.last = Affine(*folded(scale, shift, proj.T, torch.zeros_like(proj[0])), dtype)

    def forward(self, views: Tensor) -> Tensor:
        x = F.conv2d(views.to(self.patch.dtype), self.patch, stride=self.patch.shape[2])
        x = x.flatten(2).transpose(1, 2) + self.places
        x = torch.cat([self.token.expand(len(x), 1, -1), x], 1)
        x = (normal(x.float()) * self.scale + self.shift).to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.last(normal(x[:, :1]))[:, 0]


def folded(scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [O,I] and bias [O] that do to a plain `normal` x what the given ones do after scale and shift [I]."""
    return weight * scale, bias + weight @ shift


def normal(x: Tensor) -> Tensor:
    """Layer norm over the last axis, without scale and shift; torch works it out in float32, whatever the type."""
    return F.layer_norm(x, x.shape[-1:])


def attend(asked: Tensor) -> Tensor:
    """Self-attention of queries, keys and values [N,L,3W] -> [N,L,W]."""
    n, length, width = asked.shape
    triple = asked.reshape(n, length, 3, width // (3 * HEAD), HEAD).permute(2, 0, 3, 1, 4)
    if asked.device.type != "cpu":
        made = F.scaled_dot_product_attention(*triple)
    else:
        # torch's own takes nearly twice as long there
        parts = []
        for q, k, v in zip(*(t.split(TOGETHER) for t in triple), strict=True):
            q, k, v = (t.flatten(0, 1) for t in (q * HEAD**-0.5, k, v))
            parts.append(torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v))
        made = torch.cat(parts).reshape(n, -1, length, HEAD)
    return made.transpose(1, 2).reshape(n, length, -1)
