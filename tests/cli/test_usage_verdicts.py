"""Answers that had to fit, added up."""

from __future__ import annotations

import pytest
from rich.console import Console
from tests.cli.records import CALLS, FAILED, call, fill

from fairlead.cli.usage_verdicts import verdict_table


def test_by_schema(run, answer, folder):
    """What failed, what was mended, what asking again took."""
    fill(folder)
    told = answer("usage", "--by", "schema")
    booking = {
        "schema": "Booking",
        "calls": 2,
        "failed": 1,
        "edited": 1,
        "reasks": 2,
        "reask_tokens": 340,
        "reask_cost_usd": "0.0012",
    }
    weather = dict.fromkeys(booking, 0) | {"schema": "Weather", "calls": 1, "reask_cost_usd": "0"}
    assert told == {"by": "schema", "since": None, "rows": [booking, weather]}
    assert run("usage", "--by", "schema").stdout.splitlines()[1].split() == [
        "Booking",
        "2",
        "1",
        "1",
        "2",
        "340",
        "0.0012",
    ]


def test_by_field(run, answer, folder):
    """The field that fails most stands first, and the elements of a list are one."""
    fill(folder, *CALLS, call("e", FAILED))
    rows = answer("usage", "--by", "field")["rows"]
    assert rows == [
        {"schema": "Booking", "path": "/guests/*/age", "kind": "type", "errors": 3},
        {"schema": "Booking", "path": "/name", "kind": "required", "errors": 2},
    ]
    assert run("usage", "--by", "field").stdout.splitlines()[1].split() == ["Booking", "/guests/*/age", "type", "3"]


@pytest.mark.parametrize("by", ["schema", "field"])
def test_only_what_is_recent_enough_counts(run, answer, folder, by):
    """The calls of the records are of 1970."""
    fill(folder)
    assert answer("usage", "--by", by, "--since", "24h")["rows"] == []
    assert "Nothing" in run("usage", "--by", by, "--since", "24h").stdout


@pytest.mark.parametrize("by", ["schema", "field"])
def test_before_the_first_call_there_is_nothing(answer, folder, by):
    """And no file is made."""
    assert answer("usage", "--by", by)["rows"] == []
    assert list(folder.iterdir()) == []


def test_a_name_cannot_steer_the_terminal():
    """A schema's name and a field's are the words of a caller."""
    out = Console(width=80)
    with out.capture() as shown:
        out.print(verdict_table("field", [{"schema": "a\x1b[2Jb", "path": "", "kind": "cut", "errors": 1_000}], 80))
    assert "\x1b[2J" not in shown.get()
    assert shown.get().splitlines()[1].split() == ["ab", "the", "answer", "cut", "1,000"]


@pytest.mark.parametrize("width", [40, 60, 65, 66, 80])
def test_a_narrow_terminal_keeps_names_whole(width):
    """Columns go before the name of a schema is broken."""
    row = {"schema": "Booking", "calls": 2, "failed": 1, "edited": 1, "reasks": 2, "reask_tokens": 340}
    out = Console(width=width)
    with out.capture() as shown:
        out.print(verdict_table("schema", [{**row, "reask_cost_usd": "0.0012"}], width))
    lines = shown.get().splitlines()
    assert lines[1].startswith("Booking ")
    assert ("re-ask tokens" in lines[0]) is (width >= 66)
