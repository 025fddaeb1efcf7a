"""Torture nuli with damaged files and texts, kill -9, faults and API calls, and tell what was lost or went wrong.

    python -m bench.torture --minutes 30
    python -m bench.torture --seed 16 --kinds kills,faults

It prints its seed first: the same seed gives the same tries in the same order, as far as the time goes. Moments after
which a process is killed are of the same seed too, but no two runs of a machine are the same to the millisecond.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import time
from collections.abc import Callable

from .torturing.api import called
from .torturing.faults import faults
from .torturing.files import fuzzed_files
from .torturing.kills import kills
from .torturing.tally import Tally
from .torturing.texts import fuzzed_texts

KINDS: dict[str, Callable[[random.Random, float], Tally]] = {
    "files": fuzzed_files,
    "texts": fuzzed_texts,
    "kills": kills,
    "faults": faults,
    "api": called,
}
"""Each is done until it has had its tries, or its share of the time is over."""
LATE = 300.0
"""Seconds beyond its time after which a kind is taken to hang: where, is printed."""


def main(arguments: list[str] | None = None) -> int:
    """Run the kinds that are asked for; returns 1 where anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="for all kinds together (30)")
    parser.add_argument("--seed", type=int, help="of an earlier run (random)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="separated by commas (all)")
    asked = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(2**32) if asked.seed is None else asked.seed
    names = asked.kinds.split(",")
    if unknown := set(names) - set(KINDS):
        parser.error(f"there are no kinds {', '.join(unknown)}: choose of {', '.join(KINDS)}")
    print(
        f"--seed {seed}\n\n| What | Tries | Lost | Wrong | Slowest, s of the processor |\n|---|---|---|---|---|",
        flush=True,
    )
    end, notes = time.monotonic() + 60 * asked.minutes, []
    for number, name in enumerate(names):
        deadline = time.monotonic() + max(0.0, end - time.monotonic()) / (len(names) - number)
        faulthandler.dump_traceback_later(deadline - time.monotonic() + LATE, exit=True)
        tally = KINDS[name](random.Random(f"{seed} {name}"), deadline)
        slowest = f"{tally.slowest:.1f}" if tally.slowest else ""
        print(f"| {tally.name} | {tally.tries} | {tally.lost} | {tally.wrong} | {slowest} |", flush=True)
        notes += [f"{name}, {note}" for note in tally.notes]
    faulthandler.cancel_dump_traceback_later()
    print("\n".join(["", *notes]))
    return 1 if notes else 0


if __name__ == "__main__":
    sys.exit(main())
