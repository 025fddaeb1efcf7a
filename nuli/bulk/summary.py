"""The summary of a run: a line a picture as CSV or JSON, and how many of each kind there were."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..imaging.atomic import write_text
from .work import ENHANCED, FAILED, SKIPPED, UNCHANGED, Record

COLUMNS = (
    "input",
    "output",
    "status",
    "scorer",
    "score_before",
    "score_after",
    "recipe",
    "evaluations",
    "seconds",
    "error",
)


def check_name(path: Path) -> None:
    """Raise OptionError unless a summary can be written under that name."""
    if path.suffix.lower() not in (".csv", ".json"):
        raise OptionError(f"{path}: the name of a summary must end in .csv or .json")
    if not path.absolute().parent.is_dir():
        raise OptionError(f"{path.parent}: there is no such folder for the summary; make it first")


def row_of(record: Record) -> dict[str, Any]:
    """The columns of one picture; what a failed one lacks is None."""
    row = {name: record.get(name) for name in COLUMNS}
    return {**row, "recipe": record.get("infotext")}


def write_summary(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows in order. Raises ImageError."""
    if path.suffix.lower() == ".json":
        write_text(path, json.dumps(rows, indent=1) + "\n")
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def count_words(counts: Counter[str]) -> str:
    """'40 pictures: 23 enhanced, 15 left as they were, 2 failed'"""
    names = {ENHANCED: "enhanced", UNCHANGED: "left as they were", SKIPPED: "done before", FAILED: "failed"}
    parts = [f"{counts[status]} {words}" for status, words in names.items() if counts[status]]
    return f"{sum(counts.values())} pictures: {', '.join(parts) or 'nothing to do'}"
