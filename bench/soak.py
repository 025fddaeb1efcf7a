"""Does a program that nuli works in for an hour stay as it is? Memory, open files, threads, temporary folders.

    python bench/soak.py FOLDER --url http://127.0.0.1:7860 --pid PID --temp FOLDER [--minutes 60] [--settle 10]
        [--clients 2] [--pages 1] [--sessions 0] [--idle 2] [--no-fill] [--seed 0] [--record FILE]

The WebUI, or `nuli ui`, runs already: PID is its process, and --temp the folder that it was started with as TMPDIR, so
that nobody else's files are in it. For so many minutes, clients of the HTTP API (--clients; 0 for `nuli ui`, which has
none) enhance, score, apply recipes, start jobs, watch, stop and forget them, and send bad requests; visitors (--pages)
work in the tab in Chromium, by tests/browser/soak.mjs, which needs node, Chromium and playwright-core as
tests/browser/run.sh does; --sessions do without a browser what pages of gradio 5 and newer do. Photos of FOLDER are
brought to 800 pixels. The pictures of visitors who have gone are kept, up to a limit of bytes, by design: the first
visitors bring large ones, so that the limit is reached at the start (not with --no-fill).

Every 15 seconds the host and its children are looked at. At the end everybody goes, --idle minutes pass, a WebUI gets
its "Reload UI" pressed, and one more picture is enhanced on the page and by the API. The verdict compares the end with
minute 10 (--settle), and tells the slope of the memory from there on, with its standard error. Exit code 1: something
went wrong that should not have, or something was left behind. Linux only.
"""

from __future__ import annotations

import argparse
import collections
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image
from soak_clients import Client, Event, Log, Session, timed
from soak_look import Sample, look, names

EVERY = 15.0
"""Seconds between two looks."""
FLAT = 150e6
"""Bytes an hour that memory may seem to rise: so much it wavers with what happens to run."""
DRIVER = Path(__file__).parents[1] / "tests" / "browser" / "soak.mjs"


def visit(url: str, photos: Path, log: Log, *words: object) -> bool:
    """Run the visitors to their end; whether that was a good one."""
    command = ["node", str(DRIVER), url, str(photos), *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            log.add(**json.loads(line))
    return process.returncode == 0


def slope(samples: Sequence[Sample], name: str) -> tuple[float, float]:
    """How fast a figure grows, an hour, and the standard error of that."""
    hours = np.array([sample.seconds for sample in samples]) / 3600
    values = np.array([getattr(sample, name) for sample in samples], float)
    if len(samples) < 4:
        return float("nan"), float("nan")
    hours -= hours.mean()
    rise = np.polyfit(hours, values, 1)[0]
    rest = values - values.mean() - rise * hours
    return float(rise), float(np.sqrt((rest**2).sum() / (len(values) - 2) / (hours**2).sum()))


HEAD = "   min  RSS MB  anon MB  threads  handles: sockets pipes files other  ours  gradio's    MB  other temp"


def row(sample: Sample) -> str:
    return (
        f"{sample.seconds / 60:6.1f}  {sample.memory / 1e6:6.0f}  {sample.anonymous / 1e6:7.0f}  {sample.threads:7}"
        f"  {sample.handles:7}: {sample.sockets:7} {sample.pipes:5} {sample.files:5} {sample.other:5}  {sample.ours:4}"
        f"  {sample.gradios:8}  {sample.gradio_bytes / 1e6:4.0f}  {sample.more:10}"
    )


def table(samples: Sequence[Sample], minutes: float) -> None:
    """The medians of so many minutes each."""
    print(f"medians of {minutes:g} minutes each\n{HEAD}")
    groups: dict[int, list[Sample]] = collections.defaultdict(list)
    for sample in samples:
        groups[int(sample.seconds / 60 / minutes)].append(sample)
    for group in groups.values():
        fields = [asdict(sample) for sample in group]
        middle = {name: statistics.median_low([one[name] for one in fields]) for name in fields[0]}
        print(row(Sample(**middle)))


def latencies(events: Sequence[Event]) -> None:
    print(f"{'':32}{'times':>7}{'failed':>8}{'median s':>10}{'95 % s':>8}{'most s':>8}")
    kinds: dict[str, list[Event]] = collections.defaultdict(list)
    for event in events:
        kinds[event.what].append(event)
    for what, found in sorted(kinds.items()):
        seconds = sorted(event.seconds for event in found)
        late = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
        failed = sum(event.error is not None for event in found)
        print(f"{what:32}{len(found):7}{failed:8}{statistics.median(seconds):10.2f}{late:8.2f}{seconds[-1]:8.2f}")


def verdict(
    samples: Sequence[Sample], settled: float, end: Sample, more: collections.Counter[str], events: Sequence[Event]
) -> bool:
    """Say what rose; whether all is well.

    Args:
        settled: minutes after which nothing is to rise.
        more: what is open at the end, and was not then.
    """
    good = True
    later = [sample for sample in samples if sample.seconds >= 60 * settled]
    for name in ("memory", "anonymous"):
        rise, error = slope(later, name)
        good &= not (rises := rise > max(FLAT, 3 * error))
        said = f"{rise / 1e6:+.0f} MB an hour after minute {settled:g} (standard error {error / 1e6:.0f})"
        print(f"{name}: {said}{'  RISING' if rises else ''}")
    early = [sample for sample in samples if abs(sample.seconds / 60 - settled) <= 2.5] or list(samples)
    for name in ("threads", "handles", "sockets", "pipes", "files", "other", "ours"):
        then = statistics.median_low(getattr(sample, name) for sample in early)
        now = getattr(end, name)
        left = now > then + (2 if name != "ours" else 0)  # a connection that is about to close
        good &= not left
        print(f"{name}: {then} at minute {settled:g}, {now} at the end, idle{'  LEFT BEHIND' if left else ''}")
    print("open only at the end:", ", ".join(f"{count} {name}" for name, count in more.items()) or "nothing")
    failed = [event for event in events if event.error]
    print(f"{len(events)} actions, {len(failed)} of them failed")
    return good and not failed


def prepare(folder: Path, place: Path) -> Path:
    """The photos at 800 pixels, and a large one beside them, which is returned."""
    sources = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".png"))[:24]
    if not sources:
        raise SystemExit(f"{folder}: no photos there")
    (place / "photos").mkdir()
    for source in sources:
        with Image.open(source) as image:
            photo = image.convert("RGB")
        factor = 800 / max(photo.size)
        photo = photo.resize((round(photo.width * factor), round(photo.height * factor)), Image.Resampling.BICUBIC)
        photo.save(place / "photos" / f"{source.stem}.jpg", quality=92)
    photo.resize((photo.width * 5, photo.height * 5)).save(place / "large.jpg", quality=85)
    return place / "large.jpg"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--pid", type=int, required=True, help="of the host")
    parser.add_argument("--temp", type=Path, required=True, help="the host's folder for temporary files")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--settle", type=float, default=10, help="minutes until memory is to be flat (%(default)s)")
    parser.add_argument("--clients", type=int, default=2, help="of the HTTP API (%(default)s)")
    parser.add_argument("--sessions", type=int, default=0, help="pages without a browser (%(default)s)")
    parser.add_argument("--pages", type=int, default=1, help="open at a time (%(default)s)")
    parser.add_argument("--idle", type=float, default=2, help="minutes after everybody has gone (%(default)s)")
    parser.add_argument("--no-fill", action="store_true", help="no large pictures at the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="a file for all samples and events, as JSON")
    asked = parser.parse_args(arguments)
    url, log, over = asked.url.rstrip("/"), Log(), threading.Event()
    print(f"{url}, {asked.minutes:g} minutes, {asked.clients} clients, {asked.pages} pages, seed {asked.seed}\n{HEAD}")
    samples: list[Sample] = []
    then: collections.Counter[str] | None = None
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        large, photos = prepare(asked.folder, place), place / "photos"
        words = asked.minutes, asked.pages, asked.seed, "" if asked.no_fill else large
        visitors = threading.Thread(target=visit, args=(url, photos, log, *words))
        kinds = [Client] * asked.clients + [Session] * asked.sessions
        clients = [kind(url, sorted(photos.iterdir()), log, asked.seed + i) for i, kind in enumerate(kinds)]
        threads = [visitors, *(threading.Thread(target=one.repeat, args=(over,)) for one in clients)]
        for thread in threads:
            thread.start()
        while visitors.is_alive() or time.monotonic() - log.start < 60 * asked.minutes:
            samples.append(look(asked.pid, asked.temp, time.monotonic() - log.start))
            if then is None and samples[-1].seconds >= 60 * asked.settle:
                then = names(asked.pid)
            if len(samples) % 20 == 1:
                print(row(samples[-1]), flush=True)
            time.sleep(EVERY)
        over.set()
        for thread in threads:
            thread.join()
        print("everybody has gone", flush=True)
        time.sleep(60 * asked.idle)
        end, now = look(asked.pid, asked.temp, time.monotonic() - log.start), names(asked.pid)
        again = visit(url, photos, log, "reload" if asked.clients else 0, 1, asked.seed)
        if asked.clients:
            timed(log, "at the end, API", clients[0].enhance)
        print(f"after that, the page and the API {'still work' if again else 'FAIL'}")
        last = look(asked.pid, asked.temp, time.monotonic() - log.start)
    if asked.record:
        found = {"samples": [asdict(s) for s in (*samples, end, last)], "events": [asdict(e) for e in log.events]}
        asked.record.write_text(json.dumps(found))
    table(samples, max(1, asked.minutes / 12))
    print(f"idle\n{row(end)}\nafter the end\n{row(last)}")
    latencies(log.events)
    return 0 if verdict(samples, asked.settle, end, now - (then or now), log.events) and again else 1


if __name__ == "__main__":
    sys.exit(main())
