from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from rich.console import Console

from fairlead.cli.usage import bar, figures, usage_table
from fairlead.ports import UsageRow


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
    """Its name is empty for machines and `(none)` for people."""
    run("chat", "one")
    assert [row["group"] for row in answer("usage", "--by", "key")["rows"]] == [""]
    assert run("usage", "--by", "key").stdout.splitlines()[1].startswith("(none) ")


def test_a_group_without_any_known_price_has_no_cost():
    """Unknown is not zero; with something known the sum of that is told, and how many calls are missing from it."""
    unpriced = UsageRow(group="a", calls=2, errors=0, input_tokens=9, output_tokens=9, cost_nanousd=0, unpriced_calls=2)
    assert figures([unpriced])["cost_usd"] is None
    priced = replace(unpriced, cost_nanousd=1_500_000_000, unpriced_calls=0)
    assert figures([unpriced, priced])["cost_usd"] == "1.5"
    assert figures([replace(unpriced, unpriced_calls=0)])["cost_usd"] == "0"


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


LARGE = UsageRow(
    group="anthropic/claude-opus-4-6-with-a-long-name",
    calls=123_456,
    errors=1_234,
    input_tokens=123_456_789,
    output_tokens=12_345_678,
    cost_nanousd=1_234_567_891_234,
    unpriced_calls=0,
)


@pytest.mark.parametrize(("width", "has_bar"), [(80, False), (100, False), (150, True)])
def test_a_narrow_terminal_keeps_the_name_and_the_cost_whole(width, has_bar):
    """The bar goes first."""
    out = Console(width=width)
    with out.capture() as shown:
        out.print(usage_table("model", [LARGE], figures([LARGE]), width=width))
    row = shown.get().splitlines()[1]
    assert row.startswith(LARGE.group)
    assert " 1234.567891234 " in row
    assert ("█" in row) is has_bar
