from __future__ import annotations


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
