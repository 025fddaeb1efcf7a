"""How many candidates a second, of what the processor can do, in how much memory?

    python bench/speed.py [PHOTO] [--scorers laion,tone,vivid] [--seconds 20] [--head FILE]

On the CPU, with all threads that torch takes. Every line is a process of its own; they take turns, ROUNDS times, and
the medians are printed.

    original   the way of scoring of the extension of 2023: all of CLIP ViT-L/14 in memory, float32, a bilinear resize,
               one candidate at a time and its mirrored copy, five layers on top. Nothing but the scoring is timed.
    laion      nuli's, in its usual number type; the file that it loads is like OpenAI's
    tone, vivid

CLIP's weights are random here, and LAION's without `--head`: the speed does not depend on them.

per second     candidates: proposed by the tree, made by the ops, seen, scored and held back by guards. A tree is driven
               by hand, since a search with `tone` ends as soon as its own prediction is found.
x original     how many times the original's
of peak        the tower's multiplications, by candidates a second, as a part of the most that a plain matrix product
               of that number type reached in the same turns (the best of SIZES, each by the median of its times)
outside        part of the time of a whole `nuli.enhance` that is not the scorer's, forwards or backwards
gradient       what a candidate costs with its gradient, of a chain of CHAIN; in candidates
MB             the most memory that the process ever had, with torch in it (RSS)
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import random_clip
import torch
import torch.nn.functional as F
from random_clip import EMBEDDING, PATCH, REAL, SIDE
from torch import Tensor, nn

import nuli
from nuli.errors import NuliError
from nuli.imaging.frames import make_frame, to_tensor
from nuli.imaging.photo import load_photo
from nuli.ops.registry import select_ops
from nuli.recipe import Recipe
from nuli.scoring.laion import _HEAD, DEVIATION, MEAN, _read_visual
from nuli.scoring.penalties import WEIGHTS
from nuli.scoring.protocol import Scorer
from nuli.scoring.tone import Tone
from nuli.scoring.vivid import Vivid
from nuli.search.config import CHEAP, EXPENSIVE
from nuli.search.evaluator import Evaluator
from nuli.search.plan import ScoreResponse, plan_search
from nuli.search.tree import Tree

SCORERS = ("laion", "tone", "vivid")
ROUNDS = 3
SIZES = ((2048, 2048, 2048), (3072, 3072, 3072), (2056, 1024, 4096), (2056, 4096, 1024), (2056, 1024, 3072))
"""Matrix products [m,k] x [k,n]: squares, and those of the tower with eight pictures."""
CHAIN = "nuli1 exposure=0.1 contrast=1.1 gamma=0.95/1 saturation=1.1"
PHOTO = Path(__file__).resolve().parents[1] / "docs" / "before.jpg"


def read_head(path: Path | None) -> dict[str, Tensor]:
    return torch.load(path, map_location="cpu", weights_only=True) if path else random_clip.head()


def multiplications(width: int, layers: int) -> float:
    """Floating point operations of the tower for one picture."""
    places = (SIDE // PATCH) ** 2
    length = places + 1
    layer = 2 * length * 12 * width**2 + 4 * length**2 * width
    return layers * layer + 2 * places * width * 3 * PATCH**2 + 2 * width * EMBEDDING


def peak(dtype: torch.dtype, seconds: float) -> float:
    """The most floating point operations a second of a matrix product; the time is shared by SIZES."""
    best = 0.0
    for m, k, n in SIZES:
        x, weight = torch.ones(m, k, dtype=dtype), torch.ones(n, k, dtype=dtype)
        best = max(best, 2 * m * k * n / typical(partial(F.linear, x, weight), seconds / len(SIZES)))
    return best


def typical(work: Callable[[], Any], seconds: float) -> float:
    """Median seconds that some work takes, done for so long and at least once, and once before."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


class Timed:
    """A scorer that takes the time of another one, and of the way back through it; it is never done."""

    has_target = False

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.seconds = scorer, 0.0
        for name in ("name", "licence", "input_size", "differentiable", "score_range"):
            setattr(self, name, getattr(scorer, name))
        self.view_mode = getattr(scorer, "view_mode", "crop")
        self.cheap = getattr(scorer, "cheap", False)

    def _go(self, _: Tensor | None = None) -> None:
        self._since = time.perf_counter()

    def _stop(self, _: Tensor | None = None) -> None:
        self.seconds += time.perf_counter() - self._since

    def bind(self, original: Tensor) -> Callable[[Tensor], Tensor]:
        judge = self.scorer.bind(original)

        def score(views: Tensor) -> Tensor:
            if views.requires_grad:
                views = views.view_as(views)
                views.register_hook(self._stop)
            self._go()
            scores = judge(views)
            self._stop()
            if scores.requires_grad:
                scores.register_hook(self._go)
            return scores

        return score


@cache
def make_scorer(name: str, weights: str, head: Path | None) -> Scorer:
    if name == "laion":
        return random_clip.scorer(_read_visual(Path(weights)), read_head(head))
    return Tone.load() if name == "tone" else Vivid()


@cache
def whole_clip(width: int, layers: int, head: Path | None) -> tuple[nn.Module, nn.Module]:
    """All of CLIP, and the five layers."""
    import clip.model

    text = {"context_length": 77, "vocab_size": 49408, "transformer_layers": layers // 2}
    text |= {"transformer_width": 3 * width // 4, "transformer_heads": max(1, 3 * width // 256)}
    model = clip.model.CLIP(EMBEDDING, SIDE, layers, width, PATCH, **text)
    linear = [nn.Linear(inputs, outputs) for outputs, inputs in _HEAD.values()]
    for layer, name in zip(linear, _HEAD, strict=True):
        state = read_head(head)
        layer.load_state_dict({"weight": state[f"{name}.weight"], "bias": state[f"{name}.bias"]})
    return model.eval().requires_grad_(False), nn.Sequential(*linear)


@torch.no_grad()
def original(photo: Path, seconds: float, size: tuple[int, int], head: Path | None) -> dict[str, float]:
    """One turn of the original's way."""
    model, layers = whole_clip(*size, head)
    picture = to_tensor(load_photo(photo).pixels)
    mean, deviation = (torch.tensor(t).view(3, 1, 1) for t in (MEAN, DEVIATION))

    def score() -> None:
        view = (F.interpolate(picture, (SIDE, SIDE), mode="bilinear") - mean) / deviation
        for one in (view, view.flip(3)):
            embedding = model.encode_image(one)
            layers(embedding / embedding.norm(dim=1, keepdim=True)).item()

    top = peak(torch.float32, seconds / 10)
    rate = 1 / typical(score, seconds)
    return {"rate": rate, "peak": top, "share": 2 * multiplications(*size) * rate / top, "memory": memory()}


def ours(
    name: str, photo: Path, seconds: float, size: tuple[int, int], weights: str, head: Path | None
) -> dict[str, float]:
    """One turn of nuli's scorer of that name."""
    scorer = Timed(make_scorer(name, weights, head))
    loaded = load_photo(photo)
    frame, short = make_frame(loaded.pixels), min(loaded.pixels.shape[:2])
    weight = 0.0 if getattr(scorer.scorer, "has_target", False) else WEIGHTS["normal"]
    evaluator = Evaluator(frame, short, scorer, "soft", weight)
    found = {"peak": 0.0, "share": 0.0}
    if name == "laion":
        found["peak"] = peak(scorer.scorer.tower.patch.dtype, seconds / 10)
    each = grow(evaluator, seconds / 2, scorer.cheap)
    if name == "laion":
        found["share"] = multiplications(*size) / each / found["peak"]
    gradient = typical(lambda: evaluator.gradient(Recipe.from_line(CHAIN).steps), seconds / 10)
    scorer.seconds, took, seed = 0.0, 0.0, 0
    while took < 0.9 * seconds:  # one search, or several that found nothing more
        options = {
            "seconds": seconds,
            "seed": seed,
            "margin": 0,
            "device": "cpu",
            "guards": "normal" if weight else "off",
        }
        result = nuli.enhance(loaded, scorer=scorer, **options)
        took, seed = took + result.seconds, seed + 1
    found |= {"rate": 1 / each, "gradient": gradient / each, "outside": 1 - scorer.seconds / took, "memory": memory()}
    return found


def grow(evaluator: Evaluator, seconds: float, cheap: bool) -> float:
    """Let a tree grow for a while, as in a search but without gradients: seconds for each candidate."""
    [before] = evaluator.score_frames(evaluator.original)
    chosen = select_ops("soft")
    config = CHEAP if cheap else EXPENSIVE
    describe = partial(evaluator.features, config=config.features)
    tree = Tree(chosen, "soft", 8, 0, before.objective, describe, config)
    evaluator.score_frames(evaluator.original.expand(evaluator.batch, -1, -1, -1))  # to warm up
    plan, count, start = plan_search(tree, (), chosen, False), 0, time.perf_counter()
    request = next(plan)
    while not count or time.perf_counter() < start + seconds:
        objectives = evaluator.objectives(request.recipes)
        count += len(objectives)
        request = plan.send(ScoreResponse(tuple(objectives)))
    return (time.perf_counter() - start) / count


def memory() -> float:
    """The most megabytes that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def measure(
    photo: Path, scorers: Sequence[str], seconds: float, head: Path | None = None, size: tuple[int, int] = REAL
) -> dict[str, dict[str, float]]:
    """For the original and each scorer what the turns found, the median of each figure; of memory the most."""
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "weights.pt")
        turns: dict[str, Callable[..., dict[str, float]]] = {}
        if "laion" in scorers:
            turns["original"] = partial(original, photo, seconds, size, head)
        turns |= {name: partial(ours, name, photo, seconds, size, weights, head) for name in scorers}
        context = multiprocessing.get_context("spawn")
        workers = {name: ProcessPoolExecutor(1, context) for name in turns}
        try:
            if "laion" in scorers:
                with ProcessPoolExecutor(1, context) as writer:
                    writer.submit(random_clip.write, weights, *size).result()
            rounds = [
                {name: workers[name].submit(turn).result() for name, turn in turns.items()} for _ in range(ROUNDS)
            ]
        finally:
            for worker in workers.values():
                worker.shutdown()
    found = {}
    for name in turns:
        columns = {key: [r[name][key] for r in rounds] for key in rounds[0][name]}
        found[name] = {key: max(v) if key == "memory" else median(v) for key, v in columns.items()}
        if "original" in turns:
            found[name]["times"] = median(r[name]["rate"] / r["original"]["rate"] for r in rounds)
    return found


def table(found: dict[str, dict[str, float]]) -> str:
    columns = (
        ("per second", "rate", "{:.3g}"),
        ("x original", "times", "{:.1f}"),
        ("of peak", "share", "{:.0%}"),
        ("peak GFLOP/s", "peak", "{:.0f}"),
        ("outside", "outside", "{:.1%}"),
        ("gradient", "gradient", "{:.1f}"),
        ("    MB", "memory", "{:.0f}"),
    )
    lines = [f"{'':10}" + "".join(f"{title:>{len(title) + 2}}" for title, _, _ in columns)]
    for name, row in found.items():
        cells = []
        for title, key, form in columns:
            value = row.get(key, 0.0)
            value = value / 1e9 if key == "peak" else value
            cells.append(f"{form.format(value) if value else '':>{len(title) + 2}}")
        lines.append(f"{name:10}" + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: Sequence[str] | None = None, size: tuple[int, int] = REAL) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?", default=PHOTO)
    parser.add_argument("--scorers", default=",".join(SCORERS), help="(%(default)s); without laion no original either")
    parser.add_argument(
        "--seconds", type=float, default=20, help="of a search; one turn of one line takes about twice as long (20)"
    )
    parser.add_argument("--head", type=Path, help="LAION's file, sac+logos+ava1-l14-linearMSE.pth")
    asked = parser.parse_args(arguments)
    scorers = asked.scorers.split(",")
    if unknown := set(scorers) - set(SCORERS):
        parser.error(f"scorers: no {', '.join(sorted(unknown))}; there are {', '.join(SCORERS)}")
    try:
        load_photo(asked.photo)
        print(table(measure(asked.photo, scorers, asked.seconds, asked.head, size)))
    except (NuliError, OSError, ImportError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
