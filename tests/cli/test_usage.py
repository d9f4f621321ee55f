from __future__ import annotations

import json

import pytest

from fairlead.cli.usage import bar


def test_totals_are_those_of_the_calls(run, answer):
    """Calls of the library count, and money is exact."""
    costs = [json.loads(run("chat", text, "--json").stdout)["cost_usd"] for text in ("one", "and another")]
    told = answer("usage", "--by", "model", "--since", "24h")
    assert (told["by"], [row["group"] for row in told["rows"]]) == ("model", ["sim-small"])
    assert told["total"]["calls"] == 2
    assert told["total"]["cost_usd"] == told["rows"][0]["cost_usd"]
    assert float(told["total"]["cost_usd"]) == pytest.approx(sum(map(float, costs)))
    assert told["since"].endswith("Z")


def test_the_table_has_a_bar_and_a_total(run):
    """For people."""
    run("chat", "one")
    shown = run("usage").stdout
    assert "total" in shown
    assert "█" * 20 in shown


def test_calls_without_a_key_stand_in_a_group_of_their_own(run, answer):
    """Its name is empty for machines and a dash for people."""
    run("chat", "one")
    assert [row["group"] for row in answer("usage", "--by", "key")["rows"]] == [""]
    assert run("usage", "--by", "key").stdout.splitlines()[1].startswith("- ")


def test_before_the_first_call_there_is_nothing(run, answer, folder):
    """Zero calls, zero cost, no file made."""
    assert answer("usage")["total"] == {
        "calls": 0,
        "errors": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": "0",
        "unpriced_calls": 0,
    }
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--by", "colour"], ["--since", "yesterday"]])
def test_wrong_words_are_wrong_usage(run, arguments):
    """And the message lists the right ones."""
    run("usage", *arguments, code=2)


def test_bars():
    """The dearest is 20 cells, anything above nothing shows, nothing is empty."""
    assert [len(bar(value, 1_000)) for value in (1_000, 500, 1, 0)] == [20, 10, 1, 0]
