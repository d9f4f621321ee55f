"""A worker's housekeeping on real stores."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from fairlead.config.build_keeper import build_keeper
from fairlead.config.launch import Launch
from fairlead.config.load import load_text
from fairlead.gateway.pipelines import target_gauges
from fairlead.gateway.worker import Housekeeping
from fairlead.ports import Audited, Overruled
from fairlead.testing import VirtualClock
from faults.front import chat
from in_process import Begin, Gateway

OPEN = '[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\n'


def housekeeping(gateway: Gateway) -> Housekeeping:
    return Housekeeping(gateway.foundation, gateway.app, [gateway.server], "w")


async def degraded(gateway: Gateway) -> list[str]:
    """The lines about degraded features that the keeper's `/metrics` shows."""
    return await scraped(gateway, "fairlead_degraded{")


async def scraped(gateway: Gateway, prefix: str) -> list[str]:
    """The lines of the keeper's `/metrics` that begin so."""
    foundation = gateway.foundation
    foundation.spool.flush()
    parts = await asyncio.to_thread(build_keeper, foundation.config, foundation.root, {})
    try:
        await parts.ingest()
        text = (await parts.scrape()).decode()
    finally:
        await parts.aclose()
    return [line for line in text.splitlines() if line.startswith(prefix)]


def alter(gateway: Gateway, statement: str) -> None:
    with sqlite3.connect(gateway.foundation.root / "fairlead.db") as connection:
        connection.execute(statement)
    connection.close()


async def test_keys_that_cannot_be_checked_are_shown_as_degraded(begin: Begin) -> None:
    """As long as the key store does not answer, and no longer."""
    gateway = await begin(OPEN)
    keeping = housekeeping(gateway)

    alter(gateway, "ALTER TABLE generation RENAME TO hidden")
    await keeping.round()
    assert await degraded(gateway) == ['fairlead_degraded{feature="keys",mode="cached",worker="w"} 1.0']

    alter(gateway, "ALTER TABLE hidden RENAME TO generation")
    await keeping.round()
    assert await degraded(gateway) == []


async def test_dropped_records_are_shown_as_degraded_for_a_minute(begin: Begin) -> None:
    """Long enough for a scrape to see it."""
    gateway = await begin(OPEN)
    clock = VirtualClock()
    gateway.foundation = replace(gateway.foundation, clock=clock)
    keeping = housekeeping(gateway)
    gateway.foundation.spool(object())  # type: ignore[arg-type] - a record that cannot be written

    await keeping.round()
    shown = await degraded(gateway)
    await clock.advance(61.0)
    await keeping.round()

    assert gateway.foundation.spool.dropped == 1
    assert shown == ['fairlead_degraded{feature="records",mode="dropped",worker="w"} 1.0']
    assert await degraded(gateway) == []


async def test_a_round_that_fails_is_said_once_and_tried_again(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of one round does not end the rounds."""
    gateway = await begin(OPEN)
    again = asyncio.Event()

    class Keys:
        asked = 0

        async def refresh(self) -> bool:
            self.asked += 1
            if self.asked == 3:
                again.set()
            raise RuntimeError("unforeseen")

    gateway.foundation = replace(gateway.foundation, keys=Keys(), clock=VirtualClock(autojump=True))  # type: ignore[arg-type]
    with caplog.at_level(logging.ERROR):
        running = asyncio.ensure_future(housekeeping(gateway).run())
        await asyncio.wait_for(again.wait(), 5)
        running.cancel()

    (record,) = caplog.records
    assert record.exc_info is not None
    assert "unforeseen" in str(record.exc_info[1])


@pytest.mark.parametrize(
    ("module", "name", "setting"),
    [("fairlead.gateway.worker", "worker-1", "port"), ("fairlead.keeper.main", "keeper", "admin_port")],
)
def test_a_port_taken_at_the_last_moment_is_told_in_one_line(
    tmp_path: Path, module: str, name: str, setting: str
) -> None:
    """Somebody else bound it between the supervisor's check and the child's start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, news, said = started(module, Launch(config=load_text(OPEN), root=str(tmp_path), name=name, port=port))

    assert (code, said) == (1, "")
    assert news["error"].startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert f"`[gateway] {setting}`" in news["error"]


def started(module: str, order: Launch) -> tuple[int, Mapping[str, Any], str]:
    """Exit code, news and stderr of a child that fails."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=msgspec.json.encode(order) + b"\n", capture_output=True, check=False, timeout=15,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout), done.stderr.decode()


def said(target: str, action: Literal["disable", "force"] = "disable", until_ns: int | None = None) -> Overruled:
    return Overruled(target=target, action=action, until_ns=until_ns)


def logged(target: str) -> Audited:
    return Audited(at_ns=0, actor="ops", action="routes disable", subject=target)


async def test_a_word_of_an_operator_counts_with_the_next_round(begin: Begin) -> None:
    """Half a second at most: the target is left alone, then used again; the metrics show it."""
    gateway = await begin(OPEN)
    targets = partial(target_gauges, gateway.foundation, gateway.runtime)
    keeping = Housekeeping(gateway.foundation, gateway.app, [gateway.server], "w", targets=targets)
    routes = gateway.foundation.store.routes

    await routes.overrule(said("sim/sim-small"), logged("sim/sim-small"))
    await keeping.round()
    refused = await chat(gateway)

    assert (refused.status, refused.json["error"]["code"]) == (503, "circuit_open")
    assert refused.headers["retry-after"] == "60"
    assert await scraped(gateway, "fairlead_target_up{") == [
        'fairlead_target_up{target="sim/sim-small",worker="w"} 0.0'
    ]

    await routes.reset(None, logged("*"))
    await keeping.round()
    assert (await chat(gateway)).status == 200


async def test_a_word_for_a_while_ends_by_itself(begin: Begin) -> None:
    """What is past counts no more, though nobody took it back."""
    gateway = await begin(OPEN)
    keeping = housekeeping(gateway)
    now_ns = gateway.foundation.clock.now_ns()
    await gateway.foundation.store.routes.overrule(said("sim", until_ns=now_ns + 3_600 * 10**9), logged("sim"))
    await keeping.round()
    assert [lane.override for lane in gateway.foundation.lanes.all()] == ["disable"]

    await gateway.foundation.store.routes.overrule(said("sim", until_ns=now_ns - 1), logged("sim"))
    await keeping.round()
    assert [lane.override for lane in gateway.foundation.lanes.all()] == [None]


async def test_while_the_store_is_down_the_last_word_counts(begin: Begin) -> None:
    """And the worker goes on."""
    gateway = await begin(OPEN)
    keeping = housekeeping(gateway)
    await gateway.foundation.store.routes.overrule(said("sim"), logged("sim"))
    await keeping.round()

    await asyncio.to_thread(alter, gateway, "DROP TABLE overrides")
    await keeping.round()

    assert [lane.override for lane in gateway.foundation.lanes.all()] == ["disable"]
