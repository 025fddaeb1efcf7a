"""How many photos a second, for how much work of the processor, in how much memory?

    python bench/throughput.py FOLDER [--count 40] [--megapixels 12] [--parts speed,alone,busy,memory,many]

The photos of FOLDER are brought to a size, with grain as a camera's, and go to a temporary folder. Every line is whole
commands, start and end included; processor time is that of all their processes. Linux only.

    pillow      decode, `ImageOps.autocontrast`, encode, in two processes: what nobody can do without, more or less
    nuli        `nuli enhance FOLDER --jobs N`, with the scorer `tone`
    ImageMagick `-auto-level`; autolevels: the program of that name; where they are installed (--magick, --autolevels)

alone    one photo, one command
busy     the same beside two processes that spin
memory   the most memory of its own that one command has, with a photo of 12, 24 and 100 megapixels, and torch alone
many     the memory of all processes together while so many photos are done: after the 50th it must not grow
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = ("speed", "alone", "busy", "memory", "many")
PILLOW = """
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from PIL import Image, ImageOps

def work(target, source):
    with Image.open(source) as image:
        ImageOps.autocontrast(image).save(target / source.name, quality=92)

if __name__ == "__main__":
    with ProcessPoolExecutor(int(sys.argv[3])) as pool:
        list(pool.map(partial(work, Path(sys.argv[2])), sorted(Path(sys.argv[1]).iterdir())))
"""


@dataclass(frozen=True)
class Run:
    """What a command took."""

    wall: float
    """Seconds."""
    processor: float
    """Seconds, of all its processes."""
    memory: int
    """Bytes, the most that one of its processes had."""


def make_photo(source: Path, target: Path, megapixels: float, rng: np.random.Generator) -> None:
    """Bring a photo to a size, with grain, and save it as a camera might."""
    with Image.open(source) as image:
        factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        size = round(image.width * factor), round(image.height * factor)
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
    for top in range(0, len(pixels), 500):
        band = pixels[top : top + 500]
        band += rng.normal(0, 2, (*band.shape[:2], 1)).round().astype(np.int16)
        band += rng.normal(0, 1, band.shape).round().astype(np.int16)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(target, quality=92)


def measure(command: Sequence[str | Path]) -> Run:
    """Run a command to the end of its last process."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans are counted too
    begin = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    processor, memory, status, wall = 0.0, 0, 1, 0.0
    while True:
        try:
            pid, code, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        if pid == process.pid:
            wall, status = time.perf_counter() - begin, os.waitstatus_to_exitcode(code)
        processor += usage.ru_utime + usage.ru_stime
        memory = max(memory, usage.ru_maxrss << 10)
    if status:
        raise SystemExit(f"{' '.join(map(str, command))} failed with exit code {status}")
    return Run(wall, processor, memory)


def spin(count: int) -> list[subprocess.Popen[bytes]]:
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]


def commands(folder: Path, out: Path, script: Path, asked: argparse.Namespace) -> dict[str, list[str | Path]]:
    """The ways to do a folder, by name."""
    nuli = [sys.executable, "-m", "nuli", "enhance", folder, "-o", out, "--redo", "--scorer", "tone", "--jobs"]
    ways: dict[str, list[str | Path]] = {
        "pillow": [sys.executable, script, folder, out, "2"],
        "nuli, 1 job": [*nuli, "1"],
        "nuli, 2 jobs": [*nuli, "2"],
    }
    if asked.magick:
        ways["ImageMagick -auto-level"] = [asked.magick, "-path", out, "-auto-level", *sorted(folder.iterdir())]
    if asked.autolevels:
        files = sorted(folder.iterdir())
        ways["autolevels"] = [asked.autolevels, "--outdir", out, *files]
    return ways


def speed(folder: Path, out: Path, script: Path, asked: argparse.Namespace) -> dict[str, Run]:
    count = len(list(folder.iterdir()))
    found: dict[str, Run] = {}
    print(f"{'':26}{'wall s':>8}{'a second':>10}{'CPU s a photo':>15}{'x pillow':>10}")
    for name, command in commands(folder, out, script, asked).items():
        run = found[name] = measure(command)
        each, base = run.processor / count, found["pillow"].processor / count
        print(f"{name:26}{run.wall:8.1f}{count / run.wall:10.2f}{each:15.3f}{each / base:10.1f}", flush=True)
    print(f"two jobs are {found['nuli, 1 job'].wall / found['nuli, 2 jobs'].wall:.2f} times as fast as one")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--many", type=int, default=500, help="photos of the last part (500)")
    parser.add_argument("--parts", default=",".join(PARTS), help="(%(default)s)")
    parser.add_argument("--magick", default=shutil.which("mogrify") or "", help="ImageMagick's mogrify")
    parser.add_argument("--autolevels", default=shutil.which("autolevels") or "", help="the program autolevels")
    asked = parser.parse_args(arguments)
    parts = asked.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"parts: no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    sources = sorted(p for p in asked.folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))[: asked.count]
    if not sources:
        parser.error(f"{asked.folder}: no photos there")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder, out, script = Path(place, "photos"), Path(place, "out"), Path(place, "pillow.py")
        folder.mkdir()
        out.mkdir()
        script.write_text(PILLOW)
        for source in sources:
            make_photo(source, folder / f"{source.stem}.jpg", asked.megapixels, rng)
        print(f"{len(sources)} photos of {asked.megapixels:g} megapixels, {os.cpu_count()} processors")
        if "speed" in parts:
            speed(folder, out, script, asked)
        if "alone" in parts:
            alone(folder, out)
        if "busy" in parts:
            busy(folder, out)
        if "memory" in parts:
            memory(sources[0], Path(place), rng)
        if "many" in parts:
            many(folder, Path(place), asked.many)


def alone(folder: Path, out: Path) -> None:
    """Each of five photos by itself, start included."""
    runs = {}
    for photo in sorted(folder.iterdir())[:5]:
        command = [sys.executable, "-m", "nuli", "enhance", photo, "-o", out / photo.name, "--scorer", "tone"]
        runs[photo.name] = measure(command)
    start = measure([sys.executable, "-c", "import torch"])
    each = ", ".join(f"{run.wall:.2f}" for run in runs.values())
    print(f"one photo alone: {each} s, start included (of which torch's own {start.wall:.2f})", flush=True)


def busy(folder: Path, out: Path) -> None:
    """All photos with two jobs, alone and beside two processes that spin."""
    command = [sys.executable, "-m", "nuli", "enhance", folder, "-o", out, "--redo", "--scorer", "tone", "--jobs", "2"]
    free = measure(command)
    spinning = spin(2)
    try:
        pressed = measure_beside(command, spinning)
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    print(f"beside two spinning processes: {pressed:.1f} s, {pressed / free.wall:.2f} times as long", flush=True)


def measure_beside(command: Sequence[str | Path], others: Sequence[subprocess.Popen[bytes]]) -> float:
    """Seconds that a command takes while others run."""
    begin = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    assert all(process.poll() is None for process in others)
    return time.perf_counter() - begin


def memory(source: Path, place: Path, rng: np.random.Generator) -> None:
    """The most memory of one command, by the photo's size."""
    base = most_memory([sys.executable, "-c", "import torch"])
    print(f"torch alone: {base / 1e6:.0f} MB")
    for megapixels in (12, 24, 100):
        photo = place / "large.jpg"
        make_photo(source, photo, megapixels, rng)
        recipe = "nuli1 auto_level=0.4/0.3 exposure=0.2 saturation=1.1"
        for words in (["enhance"], ["apply", recipe]):
            used = most_memory([sys.executable, "-m", "nuli", *words, photo, "-o", place / "made.jpg"])
            print(
                f"{megapixels} megapixels, {words[0]}: {used / 1e6:.0f} MB, {(used - base) / 1e6:.0f} more", flush=True
            )


def most_memory(command: Sequence[str | Path]) -> int:
    """The most bytes that a command had to itself; what it maps from files, such as torch's code, is not counted."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        for line in Path("/proc", str(process.pid), "status").read_text().splitlines():
            most = max(most, int(line.split()[1]) << 10 if line.startswith("RssAnon:") else 0)
        time.sleep(0.005)
    return most


def many(folder: Path, place: Path, count: int) -> None:
    """Memory while many photos are done: at the 50th, and the most from there on."""
    sources, out, crowd = sorted(folder.iterdir()), place / "many-out", place / "many"
    crowd.mkdir()
    for i in range(count):
        os.link(sources[i % len(sources)], crowd / f"{i:04}.jpg")
    command = [sys.executable, "-m", "nuli", "enhance", crowd, "-o", out, "--scorer", "tone", "--jobs", "2"]
    process = subprocess.Popen([str(w) for w in command], stdout=-3, stderr=-3, start_new_session=True)
    samples: list[tuple[int, int]] = []
    while process.poll() is None:
        time.sleep(0.25)
        done = len(list(out.iterdir())) if out.exists() else 0
        samples.append((done, resident(process.pid)))
    windows = [[m for done, m in samples if low <= done < low + 50] for low in range(50, count, 50)]
    print("most memory in every 50 photos, in MB:", ", ".join(f"{max(w) / 1e6:.0f}" for w in windows if w))


def resident(session: int) -> int:
    """Bytes of memory of a session's processes, each with its part of what it shares with others (PSS)."""
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and os.getsid(int(entry.name)) == session:
                for line in (entry / "smaps_rollup").read_text().splitlines():
                    total += int(line.split()[1]) << 10 if line.startswith("Pss:") else 0
        except (OSError, ValueError):
            continue  # it has ended
    return total


if __name__ == "__main__":
    main()
