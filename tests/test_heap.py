"""Memory that work has freed goes back to the system, although glibc would keep it."""

import platform
import time
from pathlib import Path

import pytest

from nuli.hosting import Worker


def anonymous() -> int:
    """Bytes of memory of this process that are no file's."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) << 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_a_task_frees_goes_back():
    """Nearly all of 300 MB is freed, in pieces among which some stay: glibc itself gives none of that back."""
    most = []

    def work(task):
        pieces = [b"x" * 100_000 for _ in range(3000)]
        most.append(anonymous())
        return pieces[19::20]

    pieces = Worker().start(work).outcome.result()
    end = time.monotonic() + 20
    while anonymous() > most[0] - 200_000_000 and time.monotonic() < end:
        time.sleep(0.05)  # what is freed is given back after the outcome is told
    assert anonymous() < most[0] - 200_000_000 and len(pieces) == 150
