"""`fairlead routes`: an operator's word about targets."""

from __future__ import annotations

import asyncio
import time

from fairlead.ports import Batch
from fairlead.record import Gauges, TargetGauges
from fairlead.stores.sqlite import SqliteStore
from fairlead.telemetry.metrics import count

CONFIG = """
[providers.sim]
vendor = "sim"
[providers.other]
vendor = "sim"
credentials = ["env:ONE", "env:TWO"]
[models.small]
targets = ["sim/sim-small", "other/sim-large"]
"""


def test_every_target_is_listed_with_what_was_said(answer, folder):
    """Each credential stands for itself where there are several; a word about a provider counts for all of it."""
    (folder / "fairlead.toml").write_text(CONFIG)
    answer("routes", "disable", "other", "--for", "1h")

    rows = {row["target"]: row for row in answer("routes", "list")}

    assert list(rows) == ["sim/sim-small", "other/sim-large#1", "other/sim-large#2", "other"]
    assert [row["said"] for row in rows.values()] == [None, "disable", "disable", "disable"]
    assert rows["other"]["until"] is not None
    assert rows["sim/sim-small"] == {
        "target": "sim/sim-small", "states": [], "in_flight": 0, "waiting": 0, "said": None, "until": None,
    }  # fmt: skip


def test_a_word_about_a_provider_shows_how_all_of_it_is_doing(answer, folder):
    """What the workers tell of its targets, together."""
    (folder / "fairlead.toml").write_text(CONFIG)
    answer("routes", "disable", "other")
    targets = {
        "sim/sim-small": TargetGauges(in_flight=7),
        "other/sim-large#1": TargetGauges(state="disabled", in_flight=1),
        "other/sim-large#2": TargetGauges(state="quota", in_flight=2, waiting=3),
    }

    async def tell() -> None:
        store = SqliteStore(folder / "fairlead.db", count=count)
        record = Gauges(worker="w", at_ns=time.time_ns(), targets=targets)
        await store.logs.ingest(Batch(segment="s", offset=1, records=(record,)))
        await store.aclose()

    asyncio.run(tell())
    row = next(each for each in answer("routes", "list") if each["target"] == "other")
    assert (row["states"], row["in_flight"], row["waiting"]) == (["disabled", "quota"], 3, 3)


def test_the_last_word_counts_and_can_be_taken_back(answer, folder):
    """For one target or for all."""
    (folder / "fairlead.toml").write_text(CONFIG)
    answer("routes", "disable", "sim/sim-small")
    answer("routes", "force", "sim/sim-small")
    answer("routes", "disable", "other/sim-large#2")
    assert {row["target"]: row["said"] for row in answer("routes", "list")} == {
        "sim/sim-small": "force", "other/sim-large#1": None, "other/sim-large#2": "disable",
    }  # fmt: skip

    assert answer("routes", "reset", "sim/sim-small") == {"reset": 1}
    assert answer("routes", "reset") == {"reset": 1}
    assert {row["said"] for row in answer("routes", "list")} == {None}


def test_a_target_that_nothing_leads_to_is_refused(run, folder):
    """With the nearest one."""
    (folder / "fairlead.toml").write_text(CONFIG)

    result = run("routes", "disable", "sim/sim-smal", code=1)

    assert "did you mean 'sim/sim-small'?" in result.output


def test_everything_is_in_the_audit_log(answer, folder):
    """Who, what, to which target, for how long; newest first."""
    (folder / "fairlead.toml").write_text(CONFIG)
    answer("routes", "disable", "sim", "--for", "90s")
    answer("routes", "reset", "sim")

    newest, before = answer("routes", "history")

    assert (newest["action"], newest["subject"]) == ("routes reset", "sim")
    assert (before["action"], before["subject"], before["detail"]) == ("routes disable", "sim", "for 90s")
    assert before["actor"]
    assert before["at"].endswith("Z")
