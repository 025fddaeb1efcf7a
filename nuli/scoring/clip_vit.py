"""CLIP's vision transformer for inference: frozen, its scales folded into the layers, and fast on a CPU.

It computes what `clip.model.VisionTransformer` does (A. Radford et al., 2021; github.com/openai/CLIP, MIT).
"""

from __future__ import annotations

from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_WIDTH = 64
"""Width of an attention head, in all of CLIP's vision transformers."""
ATTENTION_BATCH = 4
"""Pictures whose attention a CPU computes at a time: the products of more don't stay in its cache."""
QUICK_GELU = 1.702
"""CLIP's activation is x * sigmoid(QUICK_GELU * x), which is silu(QUICK_GELU * x) / QUICK_GELU."""


class Linear(nn.Module):
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
        y = F.conv2d(pixels, self.weight[:, :, None, None], self.bias)
        return y.permute(0, 2, 3, 1).reshape(n, length, -1)


class Block(nn.Module):
    """One layer, [N,L,W] -> [N,L,W].

    Args:
        qkv: gives queries, keys and values, side by side.
        proj: takes what attention made of them.
        fc1, fc2: before and after the activation.
    """

    def __init__(self, qkv: Linear, proj: Linear, fc1: Linear, fc2: Linear) -> None:
        super().__init__()
        self.qkv, self.proj, self.fc1, self.fc2 = qkv, proj, fc1, fc2

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.proj(attention(self.qkv(normalize(x))))
        hidden = self.fc1(normalize(x))
        return x + self.fc2(F.silu(hidden, inplace=not hidden.requires_grad))


class VisionTransformer(nn.Module):
    """From normalised views [N,3,S,S] to embeddings [N,E], of the given type.

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

        patch, class_token, pos_embed = take("conv1.weight", "class_embedding", "positional_embedding")
        self.patch, self.class_token = fixed(patch), fixed(class_token + pos_embed[0])
        self.pos_embed = fixed(pos_embed[1:])
        self.ln_weight, self.ln_bias = (fixed(t, torch.float32) for t in take("ln_pre.weight", "ln_pre.bias"))
        self.blocks = nn.ModuleList()
        for at in (f"transformer.resblocks.{i}." for i in count()):
            if at + "attn.in_proj_weight" not in state:
                break
            first, second = take(at + "ln_1.weight", at + "ln_1.bias"), take(at + "ln_2.weight", at + "ln_2.bias")
            qkv = Linear(*fold_layer_norm(*first, *take(at + "attn.in_proj_weight", at + "attn.in_proj_bias")), dtype)
            proj = Linear(*take(at + "attn.out_proj.weight", at + "attn.out_proj.bias"), dtype)
            weight, bias = fold_layer_norm(*second, *take(at + "mlp.c_fc.weight", at + "mlp.c_fc.bias"))
            fc1 = Linear(QUICK_GELU * weight, QUICK_GELU * bias, dtype)
            weight, bias = take(at + "mlp.c_proj.weight", at + "mlp.c_proj.bias")
            self.blocks.append(Block(qkv, proj, fc1, Linear(weight / QUICK_GELU, bias, dtype)))
        ln_weight, ln_bias, embed = take("ln_post.weight", "ln_post.bias", "proj")
        self.embed = Linear(*fold_layer_norm(ln_weight, ln_bias, embed.T, torch.zeros_like(embed[0])), dtype)

    def forward(self, views: Tensor) -> Tensor:
        x = F.conv2d(views.to(self.patch.dtype), self.patch, stride=self.patch.shape[2])
        x = x.flatten(2).transpose(1, 2) + self.pos_embed
        x = torch.cat([self.class_token.expand(len(x), 1, -1), x], 1)
        x = (normalize(x.float()) * self.ln_weight + self.ln_bias).to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.embed(normalize(x[:, :1]))[:, 0]


def fold_layer_norm(ln_weight: Tensor, ln_bias: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [O,I] and bias [O] of a layer, with the layer norm's weight and bias [I] before it folded in."""
    return weight * ln_weight, bias + weight @ ln_bias


def normalize(x: Tensor) -> Tensor:
    """Layer norm over the last axis, without scale and shift; torch works it out in float32, whatever the type."""
    return F.layer_norm(x, x.shape[-1:])


def attention(qkv: Tensor) -> Tensor:
    """Self-attention of queries, keys and values [N,L,3W] -> [N,L,W]."""
    n, length, width = qkv.shape
    heads = qkv.reshape(n, length, 3, width // (3 * HEAD_WIDTH), HEAD_WIDTH).permute(2, 0, 3, 1, 4)
    if qkv.device.type != "cpu":
        mixed = F.scaled_dot_product_attention(*heads)
    else:
        # torch's own takes nearly twice as long there
        parts = []
        for q, k, v in zip(*(t.split(ATTENTION_BATCH) for t in heads), strict=True):
            q, k, v = (t.flatten(0, 1) for t in (q * HEAD_WIDTH**-0.5, k, v))
            parts.append(torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v))
        mixed = torch.cat(parts).reshape(n, -1, length, HEAD_WIDTH)
    return mixed.transpose(1, 2).reshape(n, length, -1)
