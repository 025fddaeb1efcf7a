"""Full disks, folders that can't be written, sources that change, want of memory, a clock that is turned, bad scorers
and weights, Ctrl-C."""

from __future__ import annotations

import hashlib
import io
import math
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import nuli
from nuli.errors import DeviceMemoryError, NuliError, ScoreError, WeightsError
from nuli.scoring.vivid import Vivid
from nuli.scoring.weights import WeightsFile, loading

from .child import Child, warm_up
from .kills import SCENARIOS, Case, Scenario, check, child_of, make_pictures, reference
from .tally import Tally

try:
    import resource
except ImportError:  # Windows
    resource = None

_PLAIN = [one for one in SCENARIOS if not one.inner and not one.tree]
_NOBODY = 65_534
_ROOMS = (0, 100, 1000, 3000, 6000, 10_000, 20_000)
"""Bytes that a file may have, or a disk has left."""


def faults(rng: random.Random, deadline: float, tries: int = 200) -> Tally:
    """Let something go wrong around the command line, or within a search: it is told, and no file is lost."""
    warm_up()
    tally, cases = Tally("faults"), {}
    counts = dict.fromkeys(KINDS, 0)
    with tempfile.TemporaryDirectory(prefix="nuli-torture-") as place:
        Path(place).chmod(0o755)
        for number in range(tries):
            if time.monotonic() > deadline:
                break
            name = list(KINDS)[number % len(KINDS)]
            counts[name] += 1
            tally.tries += 1
            folder = Path(place, "try")
            KINDS[name](tally, rng, folder, cases)
            shutil.rmtree(folder, ignore_errors=True)
    tally.name += f" ({', '.join(f'{name}: {count}' for name, count in counts.items())})"
    return tally


def _case(rng: random.Random, folder: Path, cases: dict[str, Case], among: list[Scenario] = _PLAIN) -> Case:
    """A scenario, and what comes of it where nothing goes wrong; its pictures are made anew."""
    scenario = rng.choice(among)
    if scenario.name not in cases:
        cases[scenario.name] = reference(scenario, folder)
        shutil.rmtree(folder)
    make_pictures(folder)
    return cases[scenario.name]


def _judge(tally: Tally, case: Case, folder: Path, child: Child, words: str, codes: tuple[int, ...] = (0, 1)) -> None:
    """Wait for a run; it must end by itself, tell what was wrong in lines of its own, and lose nothing."""
    code = child.wait()
    printed = child.end()
    words = f"{case.scenario.name}, {words}"
    if code not in codes:
        tally.blame(f"{words}: ends with {code}: {printed[-300:]}")
    if "Traceback" in printed or "internal error" in printed or "NULI_DEBUG" in printed:
        tally.blame(f"{words}: {printed[-300:]}")
    check(tally, case, folder, words)
    if left := [path.name for path in folder.rglob(".nuli-*.part")]:
        tally.blame(f"{words}: {left} are left behind")


def _short_of_room(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    case, room = _case(rng, folder, cases), rng.choice(_ROOMS)
    child = child_of(case.scenario, folder, partial(_limit, "RLIMIT_FSIZE", room))
    _judge(tally, case, folder, child, f"files of {room} bytes")


def _full_disk(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    case, room = _case(rng, folder, cases), rng.choice(_ROOMS)
    with _small_disk(folder / "out", room) if not case.scenario.in_place else _small_disk(folder / "in", room):
        _judge(tally, case, folder, child_of(case.scenario, folder), f"a disk with {room} bytes left")


@contextmanager
def _small_disk(folder: Path, room: int) -> Iterator[None]:
    """A disk of its own in place of a folder, with what is in it and so much room, where this user may make one."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        yield
        return
    try:
        for name, data in files.items():
            (folder / name).write_bytes(data)
        status = os.statvfs(folder)
        (folder / ".filler").write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - room)))
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _read_only(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    case = _case(rng, folder, cases)
    for path in (folder, *folder.rglob("*")):
        path.chmod(rng.choice((0o555, 0o777)) if path.is_dir() else rng.choice((0o444, 0o666)))
    child = child_of(case.scenario, folder, _become_nobody)
    _judge(tally, case, folder, child, "by one who may not write")


def _become_nobody() -> None:
    if os.getuid() == 0:  # who may write anywhere
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def _changing_source(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    """Another program saves its work, or removes it, while ours is at it."""
    case = _case(rng, folder, cases)
    source, vanishes = folder / "in" / "0.jpg", rng.random() < 0.3
    made = io.BytesIO()
    Image.effect_noise((56, 40), 90).convert("RGB").save(made, "JPEG")
    saved = folder / "saved"
    saved.write_bytes(made.getvalue())
    child = child_of(case.scenario, folder)
    child.wait(rng.uniform(0, case.seconds))
    source.unlink() if vanishes else os.replace(saved, source)
    child.wait()
    if not vanishes and source.exists() and source.read_bytes() == case.after["in/0.jpg"] != case.before["in/0.jpg"]:
        tally.blame(f"{case.scenario.name}: what another program saved was written over", lost=True)
    printed = child.end()
    if "Traceback" in printed or "internal error" in printed or child.wait() not in (0, 1):
        tally.blame(f"{case.scenario.name}, a source that changes: {child.wait()} {printed[-300:]}")
    if not vanishes and not source.exists():
        tally.blame(f"{case.scenario.name}: the source is gone", lost=True)


def _little_memory(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    case, room = _case(rng, folder, cases, [SCENARIOS[0]]), rng.choice((2, 8, 20, 40, 80, 160)) << 20
    Image.fromarray(np.random.default_rng(1).integers(0, 90, (1200, 1600, 3), np.uint8)).save(folder / "in" / "0.jpg")
    data = (folder / "in" / "0.jpg").read_bytes()
    child = child_of(case.scenario, folder, partial(_limit, "RLIMIT_AS", room, True))
    code, printed = child.wait(), child.end()
    if code not in (0, 1) or "Traceback" in printed or "internal error" in printed:
        tally.blame(f"{room >> 20} MB of memory: ends with {code}: {printed[-300:]}")
    if (folder / "in" / "0.jpg").read_bytes() != data:
        tally.blame("the source was changed", lost=True)
    if code == 0:
        Image.open(folder / "out" / "0.jpg").load()


def _limit(name: str, room: int, above: bool = False) -> None:
    """Limit this process; `above` what it takes already."""
    if above:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room += pages * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(getattr(resource, name), (room, room))


def _turned_clock(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    """The time of day jumps, by seconds to decades, ahead or back, while pictures are at work."""
    case = _case(rng, folder, cases)
    jump = round(rng.choice((-1, 1)) * 10 ** rng.uniform(0, 9))
    child = child_of(case.scenario, folder, partial(_turn_clock, rng.uniform(0, case.seconds), jump))
    _judge(tally, case, folder, child, f"a clock that is turned by {jump} s", codes=(0,))


def _turn_clock(after: float, jump: float) -> None:
    """Turn what this process takes for the time of day, so many seconds from now."""
    right, then = time.time, time.monotonic() + after
    time.time = lambda: right() + (jump if time.monotonic() > then else 0)


class _Bad(Vivid):
    """A scorer that goes wrong in one way, from some call on."""

    name = "bad"
    differentiable = False

    def __init__(self, way: Callable[[torch.Tensor], object], calls: int) -> None:
        super().__init__()
        self._way, self._calls = way, calls
        self.went_wrong = False

    def bind(self, original: torch.Tensor) -> Callable[[torch.Tensor], object]:
        score = super().bind(original)

        def bad(views: torch.Tensor) -> object:
            self._calls -= 1
            self.went_wrong |= self._calls < 0
            return self._way(score(views)) if self.went_wrong else score(views)

        return bad


def _raise(error: Exception) -> object:
    raise error


_WAYS: dict[str, tuple[Callable[[torch.Tensor], object], tuple[type[Exception], ...]]] = {
    "raises": (lambda s: _raise(KeyError("mine")), (KeyError,)),
    "runs out of memory": (lambda s: _raise(RuntimeError("CUDA out of memory")), (DeviceMemoryError,)),
    "runs out of host memory": (lambda s: _raise(MemoryError()), (DeviceMemoryError,)),
    "NaN": (lambda s: s * math.nan, (ScoreError,)),
    "infinite": (lambda s: s + math.inf, (ScoreError,)),
    "one NaN": (lambda s: s.index_fill(0, torch.tensor([0]), math.nan), (ScoreError,)),
    "beyond float32": (lambda s: s.double() * 1e300, (ScoreError,)),
    "another shape": (lambda s: s[:, None], (ScoreError,)),
    "one more": (lambda s: torch.cat([s, s[:1]]), (ScoreError,)),
    "a number": (lambda s: s.mean(), (ScoreError,)),
    "a list": (lambda s: s.tolist(), (ScoreError,)),
    "nothing": (lambda s: None, (ScoreError,)),
    "whole numbers": (lambda s: s.to(torch.int64), ()),
    "doubles": (lambda s: s.double(), ()),
    "half": (lambda s: s.half(), ()),
    "yes and no": (lambda s: s > 4, ()),
    "complex": (lambda s: torch.complex(s, s), (ScoreError,)),
    "huge": (lambda s: s * 1e30, ()),
    "all the same": (lambda s: s * 0, ()),
}


def _bad_scorer(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    name = rng.choice(list(_WAYS))
    way, expected = _WAYS[name]
    pixels = np.random.default_rng(2).integers(0, 120, (40, 56, 3), np.uint8)
    options = {"evaluations": 20, "mode": rng.choice(("soft", "hard")), "guards": rng.choice(("off", "normal"))}
    scorer = _Bad(way, rng.choice((0, 1, 2)))
    try:
        result = nuli.enhance(pixels, scorer=scorer, realism="off", **options)
        if expected and scorer.went_wrong:
            tally.blame(f"a scorer that gives {name}: nobody noticed")
        if not (math.isfinite(result.score_after) and math.isfinite(result.score_before)):
            tally.blame(f"a scorer that gives {name}: the score is not finite")
    except expected as error:
        if "\n" in str(error):
            tally.blame(f"a scorer that gives {name}: {error!r}")
    except Exception as error:
        tally.blame(f"a scorer that gives {name}: {type(error).__name__}: {error}")


def _hanging_scorer(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    """The first Ctrl-C asks for an end, the second leaves."""
    make_pictures(folder)
    words = rng.choice((["in/0.jpg"], ["in", "--jobs", "1"]))
    arguments = ["enhance", *(str(folder / word) if word.startswith("in") else word for word in words)]
    child = Child([*arguments, "--scorer", "hang", "--device", "cpu"], folder / "log", partial(_hang, folder / "hangs"))
    until = time.monotonic() + 60
    while not (folder / "hangs").exists() and time.monotonic() < until:
        time.sleep(0.01)
    for _ in range(2):
        child.signal(signal.SIGINT, group=True)
        time.sleep(rng.uniform(0.2, 0.5))
    code, printed = child.wait(20), child.end()
    if code != 130 or "Traceback" in printed:
        tally.blame(f"{words}: a scorer that hangs, two Ctrl-C: {code} {printed[-300:]}")


def _hang(sign: Path) -> None:
    """Bring a scorer that hangs from its third call on, and leaves a sign then."""
    from nuli.scoring.info import ScorerInfo
    from nuli.scoring.registry import SCORERS

    def sleep(scores: torch.Tensor) -> torch.Tensor:
        sign.touch()
        time.sleep(600)
        return scores

    SCORERS["hang"] = ScorerInfo("hang", "hangs", "nothing", lambda *_: _Bad(sleep, 2))


def _interrupted(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    """Ctrl-C at a random moment, and sometimes a second time."""
    case = _case(rng, folder, cases, [one for one in SCENARIOS if not one.tree])
    child = child_of(case.scenario, folder)
    child.begun()
    child.wait(rng.uniform(0, case.seconds))
    child.signal(signal.SIGINT, group=True)
    if rng.random() < 0.6:
        child.wait(rng.choice((0, 0.01, 0.1, 0.5)))
        child.signal(signal.SIGINT, group=True)
    # what a stop cut short is saved, and no reference says what that is
    code, printed = child.wait(), child.end()
    if code not in (0, 1, 130, -signal.SIGINT) or "Traceback" in printed or "internal error" in printed:
        tally.blame(f"{case.scenario.name}, Ctrl-C: {code} {printed[-300:]}")
    for name in case.before:
        Image.open(folder / name).load()
        if not case.scenario.in_place and (folder / name).read_bytes() != case.before[name]:
            tally.blame(f"{case.scenario.name}, Ctrl-C: {name} was changed", lost=True)
    for path in folder.glob("out/*.[jp][pn]g"):
        Image.open(path).load()
    if left := [path.name for path in folder.rglob(".nuli-*.part")]:
        tally.blame(f"{case.scenario.name}, Ctrl-C: {left} are left behind")


def _bad_weights(tally: Tally, rng: random.Random, folder: Path, cases: dict[str, Case]) -> None:
    """Weights that are cut, altered, or swapped at a random moment while they are loaded."""
    folder.mkdir()
    data = rng.randbytes(200_000)
    path = folder / "w.pt"
    path.write_bytes(data)
    file = WeightsFile("w.pt", "http://localhost/", hashlib.sha256(data).hexdigest(), len(data), "MIT")
    os.environ["NULI_CACHE"] = str(folder / "cache")
    other = folder / "other"
    other.write_bytes(rng.choice((data[: rng.randrange(len(data))], data[:-1] + bytes([data[-1] ^ 1]))))
    swap = partial(rng.choice((os.replace, shutil.copyfile)), other, path)
    timer = threading.Timer(rng.choice((0, 0.0005, 0.002, 0.01)), swap)
    if rng.random() < 0.3:
        with loading(file, path):  # it was known before
            pass
    timer.start()
    try:
        with loading(file, path):
            read = path.read_bytes()
        if read != data:
            tally.blame("weights that are not those that were checked")
    except WeightsError as error:
        if "\n" in str(error):
            tally.blame(f"weights: {error!r}")
    except NuliError as error:
        tally.blame(f"weights: {error!r}")
    timer.join()


KINDS: dict[str, Callable[[Tally, random.Random, Path, dict[str, Case]], None]] = {
    "short of room": _short_of_room,
    "bad scorer": _bad_scorer,
    "full disk": _full_disk,
    "bad weights": _bad_weights,
    "read-only": _read_only,
    "changing source": _changing_source,
    "little memory": _little_memory,
    "turned clock": _turned_clock,
    "hanging scorer": _hanging_scorer,
    "Ctrl-C": _interrupted,
}
