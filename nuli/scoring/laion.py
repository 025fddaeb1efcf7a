"""The `laion` scorer: CLIP ViT-L/14 sees the picture, LAION's aesthetic predictor scores its embedding.

Sources: A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021
(github.com/openai/CLIP, MIT); C. Schuhmann, github.com/christophschuhmann/improved-aesthetic-predictor
(Apache-2.0), trained on the ratings of SAC, Logos and AVA.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import OptionError, WeightsError
from .clip_vit import VisionTransformer
from .weights import CLIP_VIT_L14, LAION_HEAD, Progress, ensure, loading

if TYPE_CHECKING:
    from .protocol import Score

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures, RGB 0..1: clip.clip._transform."""

_HEAD = {
    "layers.0": (1024, 768),
    "layers.2": (128, 1024),
    "layers.4": (64, 128),
    "layers.6": (16, 64),
    "layers.7": (1, 16),
}
"""The head's linear layers: name and shape. The numbers between are dropouts, which do nothing in evaluation."""


class Laion(nn.Module):
    """A `Scorer` of the LAION aesthetic rating, about 1 (bad) to 10 (good). Make one with `Laion.load`.

    Bound or not, it is a function from views, float [N,3,224,224] RGB in 0..1, to scores, float32 [N].
    Gradients flow to the views; its own parameters are frozen.
    """

    name = "laion"
    licence = "MIT AND Apache-2.0"
    input_size = 224
    view_mode = "crop"
    differentiable = True
    score_range = (1.0, 10.0)

    def __init__(self, tower: nn.Module, w: Tensor, b: Tensor, flip: bool = False) -> None:
        """Join CLIP's vision tower with a folded head.

        Args:
            tower: from normalised views [N,3,224,224] to embeddings [N,768].
            w, b: [768] and scalar, as `fold_head` gives them.
            flip: average the score with that of the mirrored view, at twice the cost.
        """
        super().__init__()
        self.tower = tower
        self.flip = flip
        self.register_buffer("w", w.float())
        self.register_buffer("b", b.float())
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1))

    @property
    def networks(self) -> list[nn.Module]:
        return [self]

    @classmethod
    @torch.inference_mode(False)  # a host that loads us in that mode would get weights that know no gradient
    def load(
        cls,
        device: str | torch.device = "cpu",
        precision: str = "auto",
        folders: Sequence[Path] = (),
        flip: bool = False,
        allow_download: bool = False,
        progress: Progress | None = None,
    ) -> Laion:
        """Read the weights, vision tower only.

        Args:
            device: where to score.
            precision: "full": float32; "half": float16, on a CPU bfloat16; "auto": half on CUDA and on CPUs
                with bfloat16 instructions, else full.
            folders: where to look for the weights before the usual places.
            flip: average the score with that of the mirrored view, at twice the cost.
            allow_download: fetch weights that are absent (930 MB); `progress` as in `weights.download`.
        Raises:
            WeightsError: the weights are absent or damaged.
            OptionError: no such precision.
        """
        device = torch.device(device)
        dtype = _number_type(precision, device)
        head = ensure(LAION_HEAD, folders, progress, allow_download)
        clip = ensure(CLIP_VIT_L14, folders, progress, allow_download)
        with loading(LAION_HEAD, head):
            w, b = fold_head(torch.load(head, map_location="cpu", weights_only=True))
        with loading(CLIP_VIT_L14, clip):
            visual = _read_visual(clip)
        return cls(VisionTransformer(visual, dtype, device), w, b, flip).to(device)

    @torch.inference_mode(False)  # as for `load`
    def to(self, device: str | torch.device) -> Laion:
        """Move everything, in place, keeping the precision: the CPU is for parking what CUDA scores with."""
        return super().to(torch.device(device))

    def bind(self, original: Tensor) -> Score:
        """Move to the original's device. Each view is scored by itself, so nothing else is prepared."""
        return self.to(original.device)

    def forward(self, views: Tensor) -> Tensor:
        scores = self._score(views)
        return (scores + self._score(views.flip(3))) / 2 if self.flip else scores

    def _score(self, views: Tensor) -> Tensor:
        normalised = (views.float() - self.mean) / self.deviation
        embeddings = self.tower(normalised).float()
        # Products and sums rather than a matrix product: those stay float32 even under autocast.
        return (F.normalize(embeddings, dim=1) * self.w).sum(1) + self.b


def fold_head(state_dict: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """LAION's five linear layers as the one affine map that they are: score = b + w . e/|e|.

    Args:
        state_dict: "layers.0.weight" [1024,768], "layers.0.bias" [1024] and so on.
    Returns:
        w [768] and b [], float64 on the CPU.
    Raises:
        WeightsError: other keys or shapes.
    """
    expected = {f"{name}.weight": shape for name, shape in _HEAD.items()}
    expected |= {f"{name}.bias": shape[:1] for name, shape in _HEAD.items()}
    shapes = {name: tuple(value.shape) for name, value in state_dict.items()}
    if shapes != expected:
        odd = ", ".join(sorted(name for name, _ in shapes.items() ^ expected.items()))
        raise WeightsError(f"not LAION's aesthetic predictor (see {odd}): give {LAION_HEAD.name}")
    state = {name: value.detach().to("cpu", torch.float64) for name, value in state_dict.items()}
    w, b = torch.eye(768, dtype=torch.float64), torch.zeros(768, dtype=torch.float64)
    for name in _HEAD:
        weight = state[f"{name}.weight"]
        w, b = weight @ w, weight @ b + state[f"{name}.bias"]
    return w[0], b[0]


def _number_type(precision: str, device: torch.device) -> torch.dtype:
    if precision not in ("auto", "half", "full"):
        raise OptionError(f"precision is auto, half or full, not {precision!r}")
    if precision == "full":
        return torch.float32
    if device.type == "cpu":
        return torch.bfloat16 if precision == "half" or _has_bfloat16() else torch.float32
    return torch.float16 if precision == "half" or device.type == "cuda" else torch.float32


def _has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself. Torch emulates it elsewhere, slower than float32, so what
    torch "supports" is no answer; torch 2.6 and later tell the instructions, for others Linux does."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if any(getattr(torch.cpu, check, bool)() for check in checks):
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _read_visual(path: Path) -> dict[str, Tensor]:
    """The vision tower's weights, on the CPU, from OpenAI's TorchScript archive or a plain state dict."""
    try:
        state = torch.jit.load(path, map_location="cpu").state_dict()
    except RuntimeError:
        state = torch.load(path, map_location="cpu", weights_only=True)
    return {name[len("visual.") :]: value for name, value in state.items() if name.startswith("visual.")}
