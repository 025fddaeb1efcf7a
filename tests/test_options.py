"""The option table: complete, and strict about values."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nuli.errors import OptionError
from nuli.options import Options, options_from, table


def test_every_row_is_complete() -> None:
    for row in table():
        assert row.label and row.help and row.infotext.startswith("NUl ")
        assert row.kind is str or (row.minimum is not None and row.maximum is not None)
        if row.default is not None:
            assert row.parse(row.default) == row.default
    assert len({row.infotext for row in table()}) == len(table())


def test_values_come_as_text_or_as_numbers() -> None:
    options = options_from({"seconds": "2.5", "evaluations": "40", "mode": "hard", "strength": 1})
    assert (options.seconds, options.evaluations, options.mode, options.strength) == (2.5, 40, "hard", 1.0)
    assert options_from({"seconds": "auto"}) == Options()


@pytest.mark.parametrize(
    "values,says",
    [
        ({"mode": "medium"}, "choose soft, hard"),
        ({"seconds": -1}, "from 0 to 86400"),
        ({"seconds": "soon"}, "must be a number"),
        ({"seconds": float("nan")}, "must be a number"),
        ({"strength": 2}, "from 0 to 1.5"),
        ({"strength": None}, "needs a value"),
        ({"evaluations": 1.5}, "whole number"),
        ({"evaluations": True}, "whole number"),
        ({"evaluations": 0}, "from 3"),
        ({"seed": float("inf")}, "whole number"),
        ({"mode": 3}, "must be text"),
        ({"strenght": 1}, "did you mean 'strength'"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_hint(values: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        options_from(values)


def test_importing_nuli_and_its_command_line_loads_nothing_heavy() -> None:
    code = "import sys, nuli, nuli.cli; print([m for m in ('torch', 'numpy', 'PIL', 'clip') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
