"""Make all weights that ship with nuli, from nothing: the backbone, then `tone`, then `taste`, which starts from both.

    python training/train.py FOLDER [--seed 0] [--workers 2]

The pictures go to FOLDER (see fetch.py) and stay there. The files, and their sha256 in nuli's own source, are replaced.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run one program after the other; returns the exit code of the first that fails."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    start = time.time()
    for name, arguments in (("backbone", []), ("train_tone", sys.argv[1:]), ("train_taste", sys.argv[1:])):
        code = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments]).returncode
        if code:
            return code
    print(f"all of it: {(time.time() - start) / 60:.0f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
