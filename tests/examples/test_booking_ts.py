"""The TypeScript example: bookings through a gateway, with Zod and the AI SDK."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from processes import CLEAN_ENVIRONMENT, Process, starting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
HERE = Path(__file__).resolve().parents[2] / "examples" / "booking-ts"
RESERVATIONS = [
    {"date": "2031-05-04", "time": "14:30:00", "customer_name": "Ada Lovelace", "guests": 2},
    {"date": "2031-05-05", "time": "19:00:00", "customer_name": "Grace Hopper", "guests": 4},
    {"date": "2031-05-06", "time": "19:30:00", "customer_name": "Alan Turing", "guests": 12},
]
Run = Callable[..., tuple[Path, str]]


def npm(*arguments: str, **environment: str) -> str:
    """What a script of its `package.json` prints."""
    done = subprocess.run(
        ["npm", "run", "--silent", *arguments],
        cwd=HERE, capture_output=True, text=True, check=False, timeout=90, env={**CLEAN_ENVIRONMENT, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The gateway of the example's own file."""
    with starting(tmp_path_factory.mktemp("gateway")) as start:
        yield start("serve", "--port", "0", "--admin-port", "0", config=(HERE / "fairlead.toml").read_text())


@pytest.fixture
def run(gateway: Process, tmp_path: Path) -> Run:
    """Run it; gives the folder of what it stored, and what it printed."""

    def begin(*arguments: str, url: str = gateway.base_url) -> tuple[Path, str]:
        return tmp_path, npm("start", "--", "--folder", str(tmp_path), *arguments, FAIRLEAD_URL=url)

    return begin


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_its_types_hold() -> None:
    """The compiler has nothing to say."""
    assert npm("check") == ""


@pytest.mark.parametrize("arguments", [(), ("--stream",)], ids=["whole", "streamed"])
def test_answers_with_one_reading_are_reservations(run: Run, arguments: tuple[str, ...]) -> None:
    """Zod's `iso.time` gets `14:30:00` where `2:30pm` was written, and all others are for a human."""
    folder, printed = run(*arguments)

    assert lines(folder / "reservations.jsonl") == RESERVATIONS
    assert [line["reasons"][0].partition(":")[0] for line in lines(folder / "for_a_human.jsonl")] == [
        "customer_name",
        "time",
        "date",
        "answer",
    ]
    assert "sim:say" not in printed


def test_a_gateway_that_is_not_there_does_not_stop_it(run: Run) -> None:
    """The message is for a human, too."""
    folder, _ = run("A table for two", url="http://127.0.0.1:9/v1")

    (line,) = lines(folder / "for_a_human.jsonl")
    assert line["message"] == "A table for two"
    assert line["reasons"]
