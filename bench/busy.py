"""How many candidates does a search try beside other programs that take all processors?

    python bench/busy.py PHOTO [--seconds 4] [--rounds 3]

Each figure is that of a fresh process: of hard mode the candidates tried in that time, of soft mode the seconds that it
takes to its end. `idle` has nothing beside it, `busy` as many spinning processes as there are processors. `by hand` is
the same with OMP_NUM_THREADS=1: one thread, whatever nuli does. They take turns; the medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

SEARCH = """
import json, sys, warnings
warnings.simplefilter("ignore")
import nuli
photo, mode, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
nuli.enhance(photo, mode=mode, evaluations=20)  # loads the scorer
result = nuli.enhance(photo, mode=mode, seconds=seconds)
print(json.dumps([result.evaluations, result.seconds, result.score_after]))
"""


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """So many processes that do nothing, as fast as they can."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def search(photo: Path, mode: str, seconds: float, one_thread: bool) -> tuple[int, float, float]:
    """Evaluations, seconds and score of one search in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {"OMP_NUM_THREADS": "1"} if one_thread else {}
    command = [sys.executable, "-c", SEARCH, str(photo), mode, str(seconds)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return tuple(json.loads(found.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a search in hard mode (4)")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(f"{'':12}{'hard, tried':>13}{'score':>8}{'soft, s':>9}")
    for name, count in (("idle", 0), ("busy", os.cpu_count() or 1)):
        found: dict[tuple[bool, str], list[tuple[int, float, float]]] = {}
        with spinning(count):
            for _ in range(asked.rounds):
                for one_thread in (False, True):
                    for mode in ("hard", "soft"):
                        seconds = asked.seconds if mode == "hard" else 60.0
                        one = search(asked.photo, mode, seconds, one_thread)
                        found.setdefault((one_thread, mode), []).append(one)
        for one_thread in (False, True):
            tried = median(one[0] for one in found[one_thread, "hard"])
            score = median(one[2] for one in found[one_thread, "hard"])
            soft = median(one[1] for one in found[one_thread, "soft"])
            label = name + (", by hand" if one_thread else "")
            print(f"{label:<15}{tried:>10.0f}{score:>8.2f}{soft:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
