"""The command: what it prints, writes and returns."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from live.__main__ import carry_out, main
from live.cassettes import Cassettes
from live.mask import Masker
from live.report import as_json, show
from live.run import Result, plan
from live.wallet import Wallet
from rich.console import Console

from fairlead.testing import FakeUpstream
from live_vendor import KEYS, able, subject


def test_without_keys_it_says_so_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is tried and nothing is wrong."""
    assert main([], {}) == 0

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("no key is set; set one of ")


def test_without_keys_machines_read_an_empty_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The object is there, with nothing in it."""
    assert main(["--json"], {}) == 0

    assert json.loads(capsys.readouterr().out) == {"results": [], "counts": {}, "spent_usd": "0", "cap_usd": "0.5"}


@pytest.mark.parametrize("arguments", [["--vendor", "openia"], ["--feature", "flying"], ["--vendor", "openai"]])
def test_options_that_cannot_be_followed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The message is one line, and the exit status is 2."""
    assert main(arguments, {}) == 2

    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("cap", ["0.51", "-1", "much"])
def test_the_cap_can_only_be_lowered(cap: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a dollar is the most."""
    with pytest.raises(SystemExit, match="2"):
        main(["--cap", cap], {})

    assert "--cap" in capsys.readouterr().err


async def test_cassettes_are_kept_by_vendor_dialect_and_feature(tmp_path: Path) -> None:
    """Requests and answers are there, and nothing of the key or the organisation."""
    async with FakeUpstream(default=able("openai_chat")) as upstream:
        found = [subject("openai", upstream)]
        cassettes = Cassettes(tmp_path, Masker(KEYS.values()))
        results = await carry_out(found, plan(found, ["tool", "stream"]), KEYS, Wallet(10**8), cassettes)

    assert [each.status for each in results] == ["passed", "passed"]
    assert cassettes.written == 2
    kept = _read(tmp_path)
    assert list(kept) == ["openai/openai_chat/stream.json", "openai/openai_chat/tool.json"]
    assert not [name for name, text in kept.items() if "0123456789" in text or "acme-inc" in text]
    tool = json.loads(kept["openai/openai_chat/tool.json"])
    assert [json.loads(row["request"]["body"])["model"] for row in tool["exchanges"]] == ["gpt-4.1-nano"] * 2
    assert "17 degrees" in tool["exchanges"][1]["answer"]["body"]


def test_a_cassette_that_cannot_be_masked_is_not_written(tmp_path: Path) -> None:
    """The run goes on, and the reason is kept without the credential."""
    cassettes = Cassettes(tmp_path, Masker(["openai_chat"]))
    cassettes.write(RESULTS[0], [])

    assert (cassettes.written, list(tmp_path.iterdir())) == (0, [])
    assert len(cassettes.refused) == 1
    assert "openai_chat" not in cassettes.refused[0]


def _read(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.json"))}


def test_people_read_a_table() -> None:
    """A line for each feature with its cost, why it failed to the letter, and the sums."""
    console = Console(record=True, width=160, file=StringIO())
    show(RESULTS, Wallet(500_000_000), console)

    text = console.export_text()
    assert "passed" in text
    assert "0.000004" in text
    assert "it says '[bold]'" in text
    assert "1 passed, 1 failed; at most 0 of 0.5 USD spent" in text


def test_machines_read_one_object() -> None:
    """Amounts are decimal text, and what nobody knows is null."""
    read = json.loads(as_json(RESULTS, Wallet(500_000_000)))

    assert read["counts"] == {"passed": 1, "failed": 1}
    assert [row["cost_usd"] for row in read["results"]] == ["0.000004", None]
    assert read["results"][1]["why"] == "it says '[bold]'"


RESULTS = [
    Result(
        vendor="openai", model="m", dialect="openai_chat", feature="plain", status="passed", calls=1, cost_nanousd=4000
    ),
    Result(
        vendor="openai", model="m", dialect="openai_chat", feature="stop", status="failed", why="it says '[bold]'",
        calls=1, cost_nanousd=None,
    ),
]  # fmt: skip
