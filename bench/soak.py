"""Does a program that nuli works in for an hour stay as it is? Memory, open files, threads, temporary folders.

    python bench/soak.py FOLDER --url http://127.0.0.1:7860 --pid PID --temp FOLDER [--minutes 60] [--clients 2]
        [--pages 1] [--idle 2] [--no-fill] [--seed 0]

The WebUI, or `nuli ui`, runs already: PID is its process, and --temp the folder that it was started with as TMPDIR, so
that nobody else's files are in it. For so many minutes, clients of the HTTP API (--clients; 0 for `nuli ui`, which has
none) enhance, score, apply recipes, start jobs, watch, stop and forget them, and send bad requests; visitors
(--pages) work in the tab in Chromium, by tests/browser/soak.mjs, which needs node, Chromium and playwright-core as
tests/browser/run.sh does. Photos of FOLDER are brought to 800 pixels. The pictures of visitors who have gone are kept,
up to a limit of bytes, by design: the first visitors bring large ones, so that the limit is reached at the start.

Every 15 seconds the host and its children are looked at. At the end everybody goes, --idle minutes pass, a WebUI gets
its "Reload UI" pressed, and one more picture is enhanced on the page and by the API. The verdict compares the end with
minute 10, and tells the slope of the memory from there on, with its standard error. Exit code 1: something went wrong
that should not have, or something was left behind. Linux only.
"""

from __future__ import annotations

import argparse
import base64
import collections
import io
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

EVERY = 15.0
"""Seconds between two looks."""
SETTLED = 600.0
"""Seconds after which memory is to be flat."""
DRIVER = Path(__file__).parents[1] / "tests" / "browser" / "soak.mjs"


@dataclass(frozen=True)
class Sample:
    """What a host and its children have at one moment. Bytes, or counts."""

    seconds: float
    memory: int
    """Resident; what several processes share counts once for each."""
    anonymous: int
    """Of that, what is no file's."""
    threads: int
    sockets: int
    pipes: int
    files: int
    """Open ones of the file system, deleted ones too."""
    other: int
    """Event polls and the like."""
    ours: int
    """Files and folders of nuli's, among the temporary ones."""
    gradios: int
    """Files in gradio's temporary folder, which keeps what was put in and shown for as long as the program runs."""
    gradio_bytes: int
    more: int
    """All other temporary files and folders."""

    @property
    def handles(self) -> int:
        return self.sockets + self.pipes + self.files + self.other


@dataclass(frozen=True)
class Event:
    """Something that a client or a visitor did."""

    at: float
    what: str
    seconds: float
    error: str | None


class Log:
    """Everything that happened, as it comes in from several threads."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.start = time.monotonic()

    def add(self, what: str, seconds: float, error: str | None = None) -> None:
        event = Event(time.monotonic() - self.start, what, seconds, error)
        self.events.append(event)
        if error:
            print(f"  {event.at / 60:5.1f} min  {what}: {error}", flush=True)


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = collections.defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it has ended
            parents[int(stat.rpartition(")")[2].split()[1])].append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents[one]
    return found


def look(pid: int, temp: Path, seconds: float) -> Sample:
    """What there is now. Raises OSError where the host has ended."""
    counts: collections.Counter[str] = collections.Counter()
    for one in family(pid):
        place = Path("/proc", str(one))
        try:
            lines = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
            handles = [os.readlink(entry) for entry in _entries(place / "fd")]
        except OSError:
            if one == pid:
                raise
            continue
        counts["memory"] += int(lines["VmRSS"].split()[0]) << 10
        counts["anonymous"] += int(lines["RssAnon"].split()[0]) << 10
        counts["threads"] += int(lines["Threads"])
        for handle in handles:
            kind, _, _ = handle.partition(":")
            counts[{"socket": "sockets", "pipe": "pipes"}.get(kind, "files" if handle[0] == "/" else "other")] += 1
    return Sample(seconds, **{key: counts[key] for key in ("memory", "anonymous", "threads")}, **_kinds(counts, temp))


def _entries(folder: Path) -> list[Path]:
    """What stands in /proc/PID/fd, less what was closed since."""
    return [entry for entry in folder.iterdir() if os.path.lexists(entry)]


def _kinds(counts: collections.Counter[str], temp: Path) -> dict[str, int]:
    for path in temp.rglob("*"):
        first, *rest = path.relative_to(temp).parts
        if first == "gradio":
            try:
                counts["gradios"] += path.is_file()
                counts["gradio_bytes"] += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:
                continue
        elif not rest or first.startswith("nuli"):
            counts["ours" if "nuli" in path.name or first.startswith("nuli") else "more"] += 1
    names = "sockets", "pipes", "files", "other", "ours", "gradios", "gradio_bytes", "more"
    return {name: counts[name] for name in names}


def names(pid: int) -> collections.Counter[str]:
    """What the host itself has open, by name, and its children's commands."""
    place = Path("/proc", str(pid))
    found: collections.Counter[str] = collections.Counter()
    for entry in _entries(place / "fd"):
        with suppress(FileNotFoundError):
            found[os.readlink(entry).partition("[")[0].rstrip(":")] += 1
    for child in family(pid)[1:]:
        with suppress(OSError):
            found[Path("/proc", str(child), "cmdline").read_text().replace("\0", " ")[:80]] += 1
    return found


class Client:
    """A client of the HTTP API that does now this, now that."""

    def __init__(self, url: str, photos: Sequence[Path], log: Log, seed: int) -> None:
        self.url, self.log, self.random = url, log, random.Random(seed)
        self.photos = [base64.b64encode(photo.read_bytes()).decode() for photo in photos]

    def repeat(self, over: threading.Event) -> None:
        ways = (self.enhance, self.enhance, self.score, self.apply, self.job, self.stopped, self.forgotten, self.bad)
        while not over.is_set():
            way = self.random.choice(ways)
            start = time.monotonic()
            try:
                name = way()
                self.log.add(f"API {name}", time.monotonic() - start)
            except Exception as error:  # whatever comes is what this looks for
                self.log.add(f"API {way.__name__}", time.monotonic() - start, f"{type(error).__name__}: {error}")
            over.wait(self.random.uniform(4, 16))

    def ask(self, path: str, body: object = None, method: str = "", expected: Sequence[int] = (200,)) -> dict:
        """A request, sent again where the server has no place for it. Raises AssertionError for another status."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/nuli/v1/{path}", data, headers, method=method or None)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=180) as answer:
                    status, text = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, text = error.code, error.read()
                if status == 429:
                    self.log.add("refused: too much work", 0)
                    time.sleep(float(error.headers["Retry-After"]))
                    continue
            assert status in expected, f"{path}: {status} {text[:300]!r}"
            return json.loads(text)

    def photo(self) -> str:
        return self.random.choice(self.photos)

    def enhance(self) -> str:
        mode = self.random.choice(("soft", "hard"))
        photo = self.photo()
        more = self.random.choice(({}, {"match": self.photo()}, {"mask": photo}, {"others": True}))
        answer = self.ask("enhance", {"image": photo, "options": {"mode": mode, "seconds": 1.5}, **more})
        assert Image.open(io.BytesIO(base64.b64decode(answer["image"]))).size
        return f"enhance {mode}"

    def score(self) -> str:
        assert len(self.ask("score", {"images": [self.photo() for _ in range(3)]})["scores"]) == 3
        return "score 3"

    def apply(self) -> str:
        recipe = "nuli1 auto_level=0.4/0.3 exposure=0.2 saturation=1.1 sharpness=0.3"
        assert self.ask("apply", {"image": self.photo(), "recipe": recipe})["image"]
        return "apply"

    def begin(self, seconds: float) -> str:
        body = {"image": self.photo(), "options": {"mode": "hard", "seconds": seconds}}
        return self.ask("jobs", body, expected=(202,))["id"]

    def watch(self, name: str, done: Callable[[dict], bool]) -> dict:
        end = time.monotonic() + 180
        while time.monotonic() < end:
            answer = self.ask(f"jobs/{name}?preview=true")
            if done(answer):
                return answer
            time.sleep(0.5)
        raise AssertionError(f"job {name} is still {answer['state']}")

    def job(self) -> str:
        answer = self.watch(self.begin(3), lambda job: job["state"] not in ("new", "queued", "running"))
        assert answer["state"] == "done" and answer["result"]["image"], f"{answer['state']}: {answer['error']}"
        return "job"

    def stopped(self) -> str:
        name = self.begin(30)
        time.sleep(self.random.uniform(0, 3))
        self.ask(f"jobs/{name}", method="DELETE")
        answer = self.watch(name, lambda job: job["state"] not in ("new", "queued", "running"))
        assert answer["state"] in ("done", "stopped"), f"{answer['state']}: {answer['error']}"
        return "job, stopped"

    def forgotten(self) -> str:
        self.begin(1)
        return "job, never asked for"

    def bad(self) -> str:
        photo = self.photo()
        path, body, status = self.random.choice(
            (
                ("enhance", {"image": photo, "options": {"strenght": 1}}, 400),
                ("enhance", {"image": photo[:2000]}, 400),
                ("enhance", {"image": base64.b64encode(b"no picture").decode()}, 400),
                ("enhance", {"image": photo, "options": {"lut": "/etc/passwd"}}, 400),
                ("enhance", {"image": photo, "options": {"seconds": 9999}}, 400),
                ("apply", {"image": photo, "recipe": "rubbish"}, 400),
                ("score", {"images": []}, 400),
                ("jobs", {"image": 5}, 400),
                ("jobs/none", None, 404),
                ("hang up", None, 0),
            )
        )
        if status:
            self.ask(path, body, expected=(status,))
        else:
            place = urlsplit(self.url)
            with socket.create_connection((place.hostname, place.port), 30) as connection:
                head = "POST /nuli/v1/enhance HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                connection.sendall(f'{head}Content-Length: 100000\r\n\r\n{{"image": "'.encode())
        return "bad request"


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


def verdict(samples: Sequence[Sample], end: Sample, log: Log, more: collections.Counter[str]) -> bool:
    """Say what rose; whether all is well.

    Args:
        more: what is open at the end, and was not at minute 10.
    """
    good = True
    later = [sample for sample in samples if sample.seconds >= SETTLED]
    for name in ("memory", "anonymous"):
        rise, error = slope(later, name)
        print(f"{name}: {rise / 1e6:+.0f} MB an hour after minute {SETTLED / 60:g} (standard error {error / 1e6:.0f})")
    early = [sample for sample in samples if SETTLED - 150 <= sample.seconds <= SETTLED + 150] or list(samples)
    for name in ("threads", "handles", "sockets", "pipes", "files", "other", "ours"):
        then = statistics.median_low(getattr(sample, name) for sample in early)
        now = getattr(end, name)
        left = now > then + (2 if name != "ours" else 0)  # a connection that is about to close
        good &= not left
        print(f"{name}: {then} at minute 10, {now} at the end, idle{'  LEFT BEHIND' if left else ''}")
    print("open at the end, and not at minute 10:", ", ".join(f"{n} {name}" for name, n in more.items()) or "nothing")
    failed = [event for event in log.events if event.error]
    print(f"{len(log.events)} actions, {len(failed)} of them failed")
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
    parser.add_argument("--clients", type=int, default=2, help="of the HTTP API (%(default)s)")
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
        clients = [Client(url, sorted(photos.iterdir()), log, asked.seed + i) for i in range(asked.clients)]
        threads = [visitors, *(threading.Thread(target=one.repeat, args=(over,)) for one in clients)]
        for thread in threads:
            thread.start()
        while visitors.is_alive():
            samples.append(look(asked.pid, asked.temp, time.monotonic() - log.start))
            if then is None and samples[-1].seconds >= SETTLED:
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
        again = visit(url, photos, log, "reload" if clients else 0, 1, asked.seed)
        for client in clients[:1]:
            log.add(f"API {client.enhance()}, at the end", 0)
        print(f"after that, the page and the API {'still work' if again else 'FAIL'}")
        last = look(asked.pid, asked.temp, time.monotonic() - log.start)
    if asked.record:
        found = {"samples": [asdict(s) for s in (*samples, end, last)], "events": [asdict(e) for e in log.events]}
        asked.record.write_text(json.dumps(found))
    table(samples, max(1, asked.minutes / 12))
    print(f"idle\n{row(end)}\nafter the end\n{row(last)}")
    latencies(log.events)
    return 0 if verdict(samples, end, log, now - (then or now)) and again else 1


if __name__ == "__main__":
    sys.exit(main())
