"""Which search gets how far with how many evaluations?

    python bench/search.py FOLDER [--count 24] [--objectives oracle,tone] [--searchers original,tree] [--plot OUT.png]

Every photo is scaled down and damaged as in recover.py; all searches start from the damaged frame and have the same
soft ops, ranges, chain length, evaluations and seed. What they maximise:

    oracle  minus the mean CIEDE2000 distance to the undamaged photo
    cnn     one of four random directions of EfficientNet-Lite0's features (two packages more)
    tone    nuli's embedded scorer
    laion   the real scorer's shape with random weights: half a second for each evaluation; needs --size 224

Searchers: original (the algorithm of 2023), random, cma-es (on one chain of 8 ops; a package more), tree (nuli's, a
black box), gradients (the tree, told of the gradients at its best, 3 evaluations each), nuli (the same from the tone
prediction, as in the product: it all but solves `tone`).
The frame's short side is 112 pixels instead of 224, for all alike: four times as fast.

Printed: the mean gain after 30, 100, 300, 600 evaluations; for oracle the mean distance that is left; and how many
evaluations it takes to gain what the original did in all of its own: for half and for 90 % of the photos.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import random_clip
import torch
from degrade import TRACKS, degrade
from objectives import Cnn, Oracle
from PIL import Image, ImageDraw
from recover import read, say
from searchers import SEARCHERS, Task

from nuli.errors import NuliError
from nuli.imaging.frames import FRAME
from nuli.ops.registry import select_ops
from nuli.scoring.protocol import Scorer
from nuli.scoring.tone import Tone
from nuli.search.config import EXPENSIVE, GRADIENT_COST, SearchConfig
from nuli.search.evaluator import Evaluator
from nuli.search.plan import GradientResponse, Plan, Response, ScoreRequest, ScoreResponse
from nuli.sources import list_images

POINTS = (30, 100, 300, 600)
DIRECTIONS = 4
OBJECTIVES = ("oracle", "cnn", "tone", "laion")
Curves = dict[tuple[str, str], list[np.ndarray]]
"""For each objective and searcher: of every photo the best gain after each evaluation."""


def to_frame(x: np.ndarray) -> torch.Tensor:
    """[H,W,3] in 0..1 -> [1,3,H,W]."""
    return torch.from_numpy(np.ascontiguousarray(x, np.float32)).permute(2, 0, 1)[None].contiguous()


def climb(evaluator: Evaluator, search: Plan, identity: float, evaluations: int) -> np.ndarray:
    """The best gain over the untouched picture after each evaluation: [evaluations]."""
    best, curve = identity, []
    request = next(search)
    while True:
        remaining = evaluations - len(curve)
        response: Response = None
        if isinstance(request, ScoreRequest):
            response = ScoreResponse(tuple(evaluator.objectives(request.recipes[:remaining])))
            for objective in response.objectives:
                best = max(best, objective)
                curve.append(best - identity)
        elif remaining >= GRADIENT_COST and (scored := evaluator.gradient(request.steps)):
            evaluation, gradient = scored
            response = GradientResponse(evaluation.objective, tuple(gradient))
            curve += [best - identity] * (GRADIENT_COST - 1)
            best = max(best, evaluation.objective)
            curve.append(best - identity)
        if len(curve) == evaluations:
            return np.array(curve)
        try:
            request = search.send(response)
        except StopIteration:  # it has nothing more to propose
            return np.pad(np.array(curve), (0, evaluations - len(curve)), "edge")


@cache
def cnn(direction: int) -> Cnn:
    return Cnn(direction)


@cache
def laion() -> Scorer:
    return random_clip.scorer(random_clip.visual(*random_clip.REAL), random_clip.head())


def make_scorer(objective: str, good: np.ndarray, number: int) -> Scorer:
    if objective == "oracle":
        return Oracle(to_frame(good))
    if objective == "laion":
        return laion()
    return cnn(number % DIRECTIONS) if objective == "cnn" else Tone.load()


def compare(
    photos: Iterable[tuple[str, np.ndarray]],
    objectives: Sequence[str],
    searchers: Sequence[str],
    tracks: Sequence[str],
    evaluations: int,
    max_steps: int,
    seed: int,
    config: SearchConfig = EXPENSIVE,
) -> tuple[Curves, list[float]]:
    """Run all searches on all photos (name, pixels); also the photos' distances before."""
    curves: Curves = {(o, s): [] for o in objectives for s in searchers}
    distances = []
    for number, (name, good) in enumerate(photos):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        try:
            bad = degrade(good, tracks[number % len(tracks)], rng)
        except ValueError as error:
            say(f"{name}: {error}; left out\n")
            continue
        frame, short = to_frame(bad), min(bad.shape[:2])
        starts = (Tone.load().recipe(frame),)
        for objective in objectives:
            scorer = make_scorer(objective, good, number)
            plain = Evaluator(frame, short, scorer, guard_weight=0)
            [before] = plain.score_frames(frame)
            describe = partial(plain.features, config=config.features)
            task = Task(select_ops("soft"), max_steps, seed + number, before.objective, describe, starts, config)
            if objective == "oracle":
                distances.append(-before.objective)
            for searcher in searchers:
                evaluator = Evaluator(frame, short, scorer, guard_weight=0)
                found = climb(evaluator, SEARCHERS[searcher](task), before.objective, evaluations)
                curves[objective, searcher].append(found)
    return curves, distances


def needed(curve: np.ndarray, gain: float) -> float:
    """Evaluations until it has gained that much; infinite where it never did."""
    reached = np.flatnonzero(curve >= gain)
    return float(reached[0] + 1) if len(reached) else np.inf


def table(curves: Curves, distances: Sequence[float]) -> str:
    """A block an objective, a line a searcher."""
    lines: list[str] = []
    for objective in dict.fromkeys(o for o, _ in curves):
        rows = {s: np.array(found) for (o, s), found in curves.items() if o == objective}
        count, evaluations = next(iter(rows.values())).shape
        points = [p for p in POINTS if p <= evaluations] or [evaluations]
        head = f"{objective + f', {count} photos':20} gain at" + "".join(f"{p:8}" for p in points)
        if objective == "oracle":
            head += f"   distance left (of {np.mean(distances):.2f}) at" + "".join(f"{p:6}" for p in points)
        lines += [head + f"   to the original's {evaluations}: half   90 %"]
        for searcher, found in rows.items():
            gains = found.mean(0)
            line = f"{searcher:28}" + "".join(f"{gains[p - 1]:8.3f}" for p in points)
            if objective == "oracle":
                line += " " * 29 + "".join(f"{np.mean(distances) - gains[p - 1]:6.2f}" for p in points)
            if "original" in rows:
                takes = [needed(c, o[-1]) for c, o in zip(found, rows["original"], strict=True)]
                half, most = np.quantile(takes, [0.5, 0.9], method="inverted_cdf")
                line += " " * 24 + f"{half:6.0f} {most:6.0f}"
            lines.append(line)
        lines.append("")
    return "\n".join(lines).replace("   inf", " never").rstrip()


COLOURS = ("#888888", "#d0a000", "#2070d0", "#20a040", "#d03030", "#8040c0")


def plot(curves: Curves) -> Image.Image:
    """A panel an objective: the mean gain against the evaluations, each axis from 0."""
    wide, high, edge = 420, 280, 40
    names = list(dict.fromkeys(o for o, _ in curves))
    image = Image.new("RGB", ((wide + edge) * len(names) + edge, high + 2 * edge), "white")
    pen = ImageDraw.Draw(image)
    for panel, name in enumerate(names):
        means = {s: np.mean(found, 0) for (o, s), found in curves.items() if o == name}
        top, length = max(m.max() for m in means.values()) or 1.0, len(next(iter(means.values())))
        left, bottom = edge + panel * (wide + edge), edge + high
        pen.rectangle((left, edge, left + wide, bottom), outline="#cccccc")
        pen.text((left, edge - 14), f"{name}: mean gain, up to {top:.3g}", "black")
        pen.text((left, bottom + 4), f"0 to {length} evaluations", "black")
        for number, (searcher, mean) in enumerate(means.items()):
            colour = COLOURS[number % len(COLOURS)]
            points = [(left + wide * i / length, bottom - high * y / top) for i, y in enumerate((0.0, *mean))]
            pen.line(points, fill=colour, width=2)
            pen.text((left + wide - 60, bottom - 14 * (len(means) - number) - 6), searcher, colour)
    return image


def names(parser: argparse.ArgumentParser, asked: argparse.Namespace, option: str, known: Iterable[str]) -> list[str]:
    """What an option lists; ends the program for what there isn't."""
    chosen = getattr(asked, option).split(",")
    if unknown := set(chosen) - set(known):
        parser.error(f"{option}: no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if option == "objectives" and "laion" in chosen and asked.size != FRAME:
        parser.error(f"laion sees {FRAME} pixels: give --size {FRAME}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24, help="photos, in the order of their names (24)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--objectives", default="oracle,tone", help=f"of {', '.join(OBJECTIVES)} (%(default)s)")
    parser.add_argument("--searchers", default="original,random,tree,gradients,nuli", help=f"of {', '.join(SEARCHERS)}")
    parser.add_argument("--tracks", default="mild,strong", help="how photos are damaged, by turns (%(default)s)")
    parser.add_argument("--evaluations", type=int, default=600)
    parser.add_argument("--max-steps", type=int, default=8)
    parser.add_argument("--size", type=int, default=112, help="short side of the frame in pixels (112)")
    parser.add_argument("--plot", type=Path, help="write the curves as a picture")
    asked = parser.parse_args(arguments)
    chosen = {}
    for option, known in (("objectives", OBJECTIVES), ("searchers", SEARCHERS), ("tracks", TRACKS)):
        chosen[option] = names(parser, asked, option, known)
    run = partial(compare, evaluations=asked.evaluations, max_steps=asked.max_steps, seed=asked.seed, **chosen)
    try:
        files = list_images(asked.folder)[: asked.count]
        curves, distances = run(read(files, asked.size))
    except (NuliError, ImportError) as error:
        parser.error(str(error))
    if not any(curves.values()):
        parser.error(f"no photo in {asked.folder} that can be used")
    print(table(curves, distances))
    if asked.plot:
        plot(curves).save(asked.plot)


if __name__ == "__main__":
    sys.exit(main())
