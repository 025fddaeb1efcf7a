"""Record which recipes a folder's photos get, and tell which ones a change of the code has changed.

    python bench/recipes.py FOLDER --record before.json
    python bench/recipes.py FOLDER --check before.json

Each photo is searched in soft and in hard mode with the scorers of those modes, and once more in each with `vivid` as a
scorer that costs more than a thought, so that gradients and long rounds are part of it. Only figures of one machine and
one version of torch can be compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import nuli
from nuli.scoring.vivid import Vivid


class Expensive(Vivid):
    """`vivid`, searched as a large network would be."""

    name = "expensive"
    cheap = False


RUNS: dict[str, dict[str, Any]] = {
    "soft": {"mode": "soft"},
    "hard": {"mode": "hard"},
    "soft expensive": {"mode": "soft", "scorer": Expensive()},
    "hard expensive": {"mode": "hard", "scorer": Expensive()},
}


def recipes(photos: list[Path], evaluations: int, seed: int) -> dict[str, Any]:
    """For each photo and run: the recipe's line, those of the others, scores and a digest of the pixels."""
    found = {}
    for photo in photos:
        for name, options in RUNS.items():
            result = nuli.enhance(photo, evaluations=evaluations, seed=seed, **options)
            found[f"{photo.name} {name}"] = {
                "recipe": result.recipe.to_line(),
                "others": [other.recipe.to_line() for other in result.others],
                "scores": [result.score_before, result.score_predicted, result.score_after],
                "evaluations": result.evaluations,
                "pixels": hashlib.sha256(result.pixels.tobytes()).hexdigest()[:16],
            }
    return found


def compare(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Print what differs from an earlier record; returns how many searches gave another recipe."""
    changed = 0
    for key, two in after.items():
        one = before.get(key, {})
        differing = [name for name in one.keys() | two.keys() if one.get(name) != two.get(name)]
        if differing:
            print(f"{key}: another {', '.join(sorted(differing))}")
        changed += one.get("recipe") != two.get("recipe")
    print(f"{changed} of {len(after)} recipes differ")
    return changed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24, help="photos (24)")
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--record", type=Path, metavar="FILE")
    what.add_argument("--check", type=Path, metavar="FILE")
    asked = parser.parse_args()
    found = recipes(sorted(asked.folder.glob("*.jpg"))[: asked.count], asked.evaluations, asked.seed)
    if asked.record:
        asked.record.write_text(json.dumps(found, indent=1))
        return 0
    return 1 if compare(json.loads(asked.check.read_text()), found) else 0


if __name__ == "__main__":
    sys.exit(main())
