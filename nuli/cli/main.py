"""The command line: its arguments, and the exit code for whatever may happen."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..errors import NuliError
from ..options import INPUTS, PRESET, Option, table
from . import commands, console
from .enhance import enhance
from .stop import INTERRUPTED


def run() -> None:
    """Run the `nuli` command. Where torch is loaded, leave the process at once: to take it down takes a third of a
    second."""
    try:
        code = main()
    except SystemExit as end:  # from argparse: wrong usage, --help, --version
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    code = console.flush(code)
    if "torch" in sys.modules:
        if "multiprocessing.util" in sys.modules:  # semaphores of processes outlive us unless they are removed
            sys.modules["multiprocessing.util"]._exit_function()
        os._exit(code)
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 something failed, 2 asked wrongly."""
    console.prepare()
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.command(parsed)
    except NuliError as error:
        return console.complain(error)
    except console.OutputError as error:
        return console.complain_of_output(error)
    except KeyboardInterrupt:
        console.tell("nuli: interrupted")
        return INTERRUPTED
    except Exception as error:
        return console.complain_of_bug(error)


def _parser() -> argparse.ArgumentParser:
    """The parser of all commands and their options."""
    parser = argparse.ArgumentParser(
        prog="nuli", description="Makes pictures better by searching chains of readable transforms."
    )
    parser.add_argument("--version", action="version", version=f"nuli {__version__}")
    choices = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        """Add a command, and return its parser to add arguments to."""
        sub = choices.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        sub.set_defaults(command=run)
        return sub

    rows = {row.name: row for row in table()}
    sub = command("enhance", enhance, "make photos better")
    _add_pictures(sub, urls=True)
    _add_output(sub, urls=True)
    sub.add_argument("--json", action="store_true", help="print one JSON object a picture, and nothing else")
    sub.add_argument(
        "--save-recipe",
        action="store_true",
        help="write the recipe, with what it measured, beside the result, as NAME.json",
    )
    sub.add_argument(
        "--others",
        default="0",
        metavar="N",
        help="save up to N other results too, as NAME-2, NAME-3...: in hard mode what looks different, in soft mode "
        "the same gentler and bolder (0)",
    )
    sub.add_argument(
        "--tree",
        type=Path,
        metavar="FILE.json",
        help="of one picture: go on from the search saved there, if there is one, and save this one there",
    )
    _add_bulk(sub)
    for item in INPUTS:
        sub.add_argument(
            "--" + item.name, metavar="FILE" + ("|FOLDER|alpha" if item.name == "mask" else ""), help=item.help
        )
    for row in (PRESET, *rows.values()):
        _add_option(sub, row)

    sub = command("score", commands.score, "tell how good pictures are")
    _add_pictures(sub)
    sub.add_argument("--json", action="store_true", help="print one JSON object a picture")
    sub.add_argument("--sort", action="store_true", help="the best first")
    sub.add_argument("--best", metavar="N", help="only the N best, the best first")
    sub.add_argument("--min", metavar="S", help="only those with a score of at least S")
    sub.add_argument(
        "--keep-best", type=Path, metavar="FOLDER", help="copy the pictures chosen by --best and --min there"
    )
    _add_jobs(sub)
    for name in ("scorer", "device", "mirror", "precision"):
        _add_option(sub, rows[name])

    sub = command("apply", commands.apply, "apply a recipe to photos, without a search")
    sub.add_argument("recipe", metavar="RECIPE", help="a file that holds a recipe, or the recipe itself")
    sub.add_argument(
        "--steps", metavar="1,3|OP|GROUP", help="only these steps: numbers, ops or groups, separated by commas"
    )
    sub.add_argument(
        "--frozen",
        action="store_true",
        help="go by what the steps measured where the recipe was saved (--save-recipe), not by each photo",
    )
    _add_pictures(sub)
    _add_output(sub)
    _add_jobs(sub)
    _add_no_journal(sub)
    sub.add_argument("--mask", metavar="FILE|FOLDER|alpha", help=INPUTS[0].help)
    for name in ("strength", "light", "colour", "detail", "feather", "device"):
        _add_option(sub, rows[name])

    sub = command("lut", commands.lut, "write a recipe as a .cube look-up table for other programs")
    sub.add_argument("recipe", metavar="RECIPE", help="a file that holds a recipe, or the recipe itself")
    sub.add_argument("output", metavar="OUT.cube", type=Path)
    sub.add_argument("--photo", type=Path, help="the picture to measure, for recipes with steps that do")
    sub.add_argument("--size", type=int, default=33, help="points along each axis, 2 to 129 (33)")

    sub = command("scorers", commands.scorers, "list the scorers, or download one's weights")
    sub.add_argument("action", nargs="?", choices=["list", "download"], default="list")
    sub.add_argument("name", nargs="?", default="laion", help="which to download (laion)")

    sub = command("presets", commands.presets, "list the presets, or keep options as one of your own")
    sub.add_argument("action", nargs="?", choices=["list", "save"], default="list")
    sub.add_argument("name", nargs="?", metavar="NAME", help="of the preset to save")
    sub.add_argument("--about", default="", metavar="TEXT", help="a line about it")
    for row in (PRESET, *(row for row in rows.values() if row.name not in ("device", "precision"))):
        _add_option(sub, row)

    sub = command("ui", commands.ui, "open the user interface in a browser")
    sub.add_argument("--port", type=int, help="where to serve it (7860, or the next free one)")
    sub.add_argument("--listen", action="store_true", help="let other machines use it too, over the network")
    sub.add_argument(
        "--auth",
        metavar="NAME:PASSWORD",
        help="ask for this login (other users of this machine can see it: see --auth-file)",
    )
    sub.add_argument(
        "--auth-file",
        type=Path,
        metavar="FILE",
        help="ask for the login in the first line of this file; without it, for that in the variable NULI_AUTH",
    )
    sub.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        default=Path("nuli-output"),
        help="where Save puts pictures (nuli-output)",
    )
    sub.add_argument("--language", metavar="de|en|ja", default="", help="of the page (the browser's)")
    return parser


def _path_or_url(text: str) -> Path | str:
    """A path; a URL as it is, for a path would lose a slash of it."""
    return text if "://" in text else Path(text)


def _add_pictures(parser: argparse.ArgumentParser, urls: bool = False) -> None:
    """Add the pictures that a command works on."""
    parser.add_argument("pictures", nargs="+", metavar="PHOTO|FOLDER", type=_path_or_url if urls else Path)
    parser.add_argument("-r", "--recursive", action="store_true", help="folders within folders too")


def _add_output(parser: argparse.ArgumentParser, urls: bool = False) -> None:
    """Add where the results of a command go."""
    parser.add_argument(
        "-o",
        "--output",
        type=_path_or_url if urls else Path,
        metavar="OUT",
        help="a file for one photo, else a folder; without it photo.jpg becomes photo-nuli.jpg beside it",
    )
    parser.add_argument("--in-place", action="store_true", help="write over the source")


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add how many pictures a command works on at a time."""
    parser.add_argument(
        "--jobs",
        default="auto",
        metavar="N",
        help="pictures at a time (auto: as many as there are processors; fewer where they share a GPU or laion)",
    )


def _add_no_journal(parser: argparse.ArgumentParser) -> None:
    """Add what lets a picture be written over again."""
    parser.add_argument("--no-journal", action="store_true", help="do not note which pictures are done, nor ask that")


def _add_bulk(parser: argparse.ArgumentParser) -> None:
    """Add how a command goes about many pictures."""
    _add_jobs(parser)
    parser.add_argument(
        "--together", action="store_true", help="one correction for all, so that a series or a video doesn't flicker"
    )
    parser.add_argument(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="ray: on the machines of a Ray cluster, and for URLs such as s3://bucket/folder (local)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of the Ray cluster, auto for the one that this machine is in (without: RAY_ADDRESS, else a new one here)",
    )
    parser.add_argument("--redo", action="store_true", help="do pictures again that were done before by these options")
    _add_no_journal(parser)
    parser.add_argument(
        "--summary", type=Path, metavar="FILE.csv|.json", help="write what became of each picture, failures too"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell which pictures would be done, and do nothing")
    parser.add_argument("--watch", action="store_true", help="go on with pictures as they come into the folder")


def _add_option(parser: argparse.ArgumentParser, row: Option) -> None:
    """Add one option of the table, with its default."""
    default = "auto" if row.default is None else row.default if row.default != "" else "none"
    parser.add_argument(
        "--" + row.name.replace("_", "-"),
        default=argparse.SUPPRESS,  # what isn't named comes from the preset
        metavar="|".join(row.choices) if row.choices else row.name[0].upper(),
        help=f"{row.help} ({default})".replace("%", "%%"),
    )
