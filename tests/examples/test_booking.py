"""The Python example: bookings out of what guests write."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from processes import CLEAN_ENVIRONMENT

HERE = Path(__file__).resolve().parents[2] / "examples" / "booking"


def copied(folder: Path) -> Path:
    """The example, without what an earlier run has left in it."""
    shutil.copytree(HERE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("fairlead.db*", "fairlead.spool"))
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it has run once, with what stands in its own file."""
    folder = copied(tmp_path_factory.mktemp("booking"))
    done = subprocess.run(
        [sys.executable, "booking.py", "--today", "2031-05-01"],
        cwd=folder, capture_output=True, text=True, check=False, env={**CLEAN_ENVIRONMENT, "COLUMNS": "160"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder


def test_answers_with_one_reading_are_reservations(folder: Path) -> None:
    """Fences, `2:30pm`, `19:00`, `a dozen` and another name of a field are read."""
    assert lines(folder / "reservations.jsonl") == [
        {"date": "2031-05-04", "time": "14:30:00", "customer_name": "Ada Lovelace", "guests": 2},
        {"date": "2031-05-05", "time": "19:00:00", "customer_name": "Grace Hopper", "guests": 4},
        {"date": "2031-05-06", "time": "19:30:00", "customer_name": "Alan Turing", "guests": 12},
    ]


def test_all_others_are_for_a_human(folder: Path) -> None:
    """No name, a kitchen that is closed, a date with two readings and no answer at all: each with its reason."""
    reasons = [line["reasons"] for line in lines(folder / "for_a_human.jsonl")]

    assert [(len(each), each[0].partition(":")[0]) for each in reasons] == [
        (1, "customer_name"),
        (1, "time"),
        (1, "date"),
        (1, "answer"),
    ]
    assert "not at 03:00:00" in reasons[1][0]


def test_a_human_reads_the_guests_words_alone(folder: Path) -> None:
    """What the simulator was to say is not among them."""
    assert "sim:say" not in (folder / "for_a_human.jsonl").read_text()
    assert "sim:say" not in (folder / "printed.txt").read_text()


def test_the_table_tells_the_edits(folder: Path) -> None:
    """Each with what stood there before."""
    printed = (folder / "printed.txt").read_text()

    assert 'time: "2:30pm" -> "14:30:00"' in printed
    assert 'guests: "a dozen" -> 12' in printed


def test_a_message_of_ones_own_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments take the place of the file."""
    answer = '{"date": "1 June 2031", "time": "14:30", "customer_name": "Ada", "guests": "two"}'
    arguments = ["--today", "2031-05-01", "--folder", str(tmp_path), f"A table for Ada\nsim:say {answer}"]
    monkeypatch.setattr(sys, "argv", ["booking.py", *arguments])

    runpy.run_path(str(copied(tmp_path) / "booking.py"), run_name="__main__")

    assert lines(tmp_path / "reservations.jsonl") == [
        {"date": "2031-06-01", "time": "14:30:00", "customer_name": "Ada", "guests": 2}
    ]
    assert not (tmp_path / "for_a_human.jsonl").exists()


def test_a_key_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, before anything is stored."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(sys, "argv", ["booking.py", "--model", "gpt-4o-mini", "--folder", str(tmp_path), "A table"])

    with pytest.raises(SystemExit, match="OPENAI_API_KEY"):
        runpy.run_path(str(copied(tmp_path) / "booking.py"), run_name="__main__")

    assert list(tmp_path.glob("*.jsonl")) == []
