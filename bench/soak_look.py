"""What a program and its children have at one moment, for soak.py: memory, threads, open files, temporary files."""

from __future__ import annotations

import collections
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


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
            handles = _handles(one)
        except OSError:
            if one == pid:
                raise
            continue
        for name, line in (("memory", "VmRSS"), ("anonymous", "RssAnon")):
            counts[name] += int(lines.get(line, "0").split()[0]) << 10  # none of one that has ended and was not asked
        counts["threads"] += int(lines["Threads"])
        for handle in handles:
            kind, _, _ = handle.partition(":")
            counts[{"socket": "sockets", "pipe": "pipes"}.get(kind, "files" if handle[0] == "/" else "other")] += 1
    return Sample(seconds, **{key: counts[key] for key in ("memory", "anonymous", "threads")}, **_kinds(counts, temp))


def _handles(pid: int) -> list[str]:
    """What a process has open, by the names that /proc gives. Raises OSError where it has ended."""
    found = []
    for entry in Path("/proc", str(pid), "fd").iterdir():
        with suppress(FileNotFoundError):  # closed just now
            found.append(os.readlink(entry))
    return found


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
    found = collections.Counter(handle.partition("[")[0].rstrip(":") for handle in _handles(pid))
    for child in family(pid)[1:]:
        with suppress(OSError):
            found[Path("/proc", str(child), "cmdline").read_text().replace("\0", " ")[:80]] += 1
    return found
