from __future__ import annotations

import pytest
from rich.console import Console

from fairlead.cli.models import catalogue, models_table
from fairlead.config.load import load_text


def test_aliases_with_targets_and_prices(answer, folder):
    """USD per million tokens as decimal strings; what an operator sets goes before the table."""
    (folder / "fairlead.toml").write_text(
        """
[providers.own]
vendor = "vllm"
[models.fast]
targets = [{ target = "own/llama", weight = 9 }, { target = "sim/sim-small", weight = 1 }]
[models.dear]
targets = ["own/llama"]
price = { input = 0.15, output = 0.6 }
[models.hourly]
targets = ["own/llama"]
price = { usd_per_hour = 1.5 }
"""
    )
    fast, dear, hourly = answer("models")
    assert fast["model"] == "fast"
    assert [(each["target"], each["weight"]) for each in fast["targets"]] == [("own/llama", 9), ("sim/sim-small", 1)]
    assert fast["targets"][0]["price"] is None
    assert fast["targets"][1]["price"] == {"input": "0.15", "cache_read": "0.075", "output": "0.6"}
    assert dear["targets"][0]["price"]["output"] == "0.6"
    assert hourly["targets"][0]["price"]["usd_per_hour"] == "1.5"


def test_a_target_with_several_credentials_stands_once(answer, folder):
    """Credentials are not the caller's business."""
    (folder / "fairlead.toml").write_text(
        '[providers.o]\nvendor = "openai"\ncredentials = ["env:A", "env:B"]\n[models.m]\ntargets = ["o/gpt-4o-mini"]\n'
    )
    assert len(answer("models")[0]["targets"]) == 1


def test_the_table_shows_names_as_they_are(run, folder):
    """Square brackets are no markup."""
    (folder / "fairlead.toml").write_text('[models."[bold]x"]\ntargets = ["sim/sim-small"]\n')
    assert "[bold]x" in run("models").stdout


KNOWN = """
[providers.anthropic]
vendor = "anthropic"
api_key = "env:A"
[providers.azure]
vendor = "azure"
base_url = "https://mine.openai.azure.com/openai/v1"
api_key = "env:B"
[models.m]
targets = ["anthropic/claude-opus-4-6", "azure/o3", "sim/sim-small", "azure/our-own-deployment"]
[models."*"]
targets = ["anthropic/*"]
"""


def test_what_is_known_of_each_target(answer, folder):
    """Window, what it reads, what it refuses, in which dialects and where; unknown is null, and nothing is made up."""
    (folder / "fairlead.toml").write_text(KNOWN)
    claude, o3, sim, own = answer("models")[0]["targets"]
    assert (claude["window"], claude["input"]) == (1_000_000, ["text", "image", "file"])
    assert (claude["refuses"], claude["one_of"]) == ([], ["temperature", "top_p"])
    assert (claude["dialects"], claude["base_url"]) == (["anthropic"], "https://api.anthropic.com/v1")
    assert "temperature" in o3["refuses"]
    assert o3["base_url"] == "https://mine.openai.azure.com/openai/v1"
    assert sim["base_url"] is None
    assert [each["structured"] for each in (claude, o3, sim, own)] == ["native", "native", "native", "prompted"]
    assert (own["window"], own["input"], own["refuses"], own["price"]) == (None, None, [], None)


def test_of_any_name_only_the_place_is_known(answer, folder):
    """`"*"` says where calls go; the model is the caller's."""
    (folder / "fairlead.toml").write_text(KNOWN)
    (target,) = answer("models")[1]["targets"]
    assert target == {
        "target": "anthropic/*",
        "provider": "anthropic",
        "weight": None,
        "price": None,
        "dialects": ["anthropic"],
        "base_url": "https://api.anthropic.com/v1",
    }


def test_the_table_shows_it_too(run, folder):
    """In the words of the file."""
    (folder / "fairlead.toml").write_text(KNOWN)
    shown = run("models").stdout
    assert "either temperature or top_p" in shown
    assert "text, image, file" in shown
    assert "in process" in shown
    assert "prompted" in shown


def test_where_no_family_knows_the_window_the_price_table_may(answer, folder):
    """Hosts of open weights set their own."""
    (folder / "fairlead.toml").write_text(
        '[providers.c]\nvendor = "cerebras"\napi_key = "env:A"\n[models.m]\ntargets = ["c/llama3.1-8b"]\n'
    )
    assert answer("models")[0]["targets"][0]["window"] == 32_768


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_keeps_names_and_prices_whole(width):
    """What is known beside them goes first, and the caption says what went."""
    out = Console(width=width)
    with out.capture() as shown:
        out.print(models_table(catalogue(load_text(KNOWN)), width))
    lines = shown.get().splitlines()
    assert max(len(line) for line in lines) <= width
    claude = next(line for line in lines if "claude" in line)
    assert claude.split()[:4] == ["m", "anthropic/claude-opus-4-6", "5.00", "25.00"]
    assert "https://" not in shown.get()
    assert "No room for: where" in shown.get()


def test_who_speaks_every_dialect_needs_one_word():
    """The simulator does, and the list of them would break its line in three."""
    out = Console(width=250)
    with out.capture() as shown:
        out.print(models_table(catalogue(load_text(KNOWN)), 250))
    (line,) = [line for line in shown.get().splitlines() if "in process" in line]
    assert line.split()[-3:] == ["all", "in", "process"]


def test_a_wide_terminal_shows_all():
    """Without a caption."""
    table = models_table(catalogue(load_text(KNOWN)), 250)
    assert [column.header for column in table.columns][-2:] == ["dialects", "where"]
    assert table.caption is None
