"""Thousands of open streams through one worker: what each costs, how even they come, and what happens when all leave.

What is measured: the unique set size (USS) of the worker.  An open stream's own cost is the growth from 50 open streams
to all of them, divided; what the record keeps of a stream (`[store] content`) comes on top as it is written, so it is
stated apart, as growth a chunk.  Once all streams have ended, CPython keeps the arenas that it took, each pinned by a
few long-lived objects, so the set size of the process stays near its peak; that nothing is left alive shows in a second
round of the same size, which must not need more.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.config.descriptors import open_files_limit, streams_within
from loads import FULL, Load, Program, children, memory_kb, settled, sized, told, until
from processes import CLEAN_ENVIRONMENT, FAIRLEAD, Process, fetch

STREAMS = sized(500, streams_within(open_files_limit()))
WARM = 50
INTERVAL_S = 1.0
MOST_KB = 40
STORM = 1_000
CONFIG = """
[gateway]
drain_s = 20
[store]
content = "{content}"
[providers.up]
dialect = "openai"
base_url = "http://127.0.0.1:{port}/v1"
allow_private = true
[models.load]
targets = ["up/load"]
price = {{ input = 1, output = 1 }}
timeouts = {{ total = 3600 }}
"""
Serve = Callable[..., Process]


class Rig:
    """A slow upstream, a gateway before it, and readers."""

    def __init__(self, serve: Serve, load: Load, *, content: str = "full", concurrency: int = 20_000) -> None:
        self.upstream_port = load("upstream", "--interval", INTERVAL_S).read()["port"]
        self.gateway = serve(CONFIG.format(port=self.upstream_port, content=content))
        self.worker = children(self.gateway)["worker"]
        key = self.gateway.cli("keys", "create", "--name", "load", "--concurrency", str(concurrency))["key"]
        self.readers: Program = load("streams", "--port", self.gateway.port, "--key", key)
        self.direct: Program = load("streams", "--port", self.upstream_port)
        until(lambda: self.readers.ask("whole")["status"] == 200, what="a call with the new key")

    def upstream(self) -> dict[str, Any]:
        """What the upstream has seen."""
        stats: dict[str, Any] = json.loads(fetch(f"http://127.0.0.1:{self.upstream_port}/stats"))
        return stats

    def finish(self) -> dict[str, Any]:
        """Let every open stream come to its end, and wait for that."""
        url = f"http://127.0.0.1:{self.upstream_port}/finish"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):
            pass
        return self.readers.ask("wait 60")

    def opened(self, count: int) -> int:
        """Open so many more; the memory of the worker then, in KB."""
        answer = self.readers.ask(f"open {count}")
        assert answer["errors"] == {}
        return memory_kb(self.worker)


@pytest.fixture
def rig(serve: Serve, load: Load) -> Callable[..., Rig]:
    """Start upstream, gateway and readers."""

    def begin(**options: Any) -> Rig:
        return Rig(serve, load, **options)

    return begin


@pytest.mark.slow
@pytest.mark.timeout(sized(90, 600))
@pytest.mark.parametrize("content", ["full", "off"])
def test_s21_as_many_streams_as_descriptors_allow(rig: Callable[..., Rig], content: str) -> None:
    """No error, at most 40 KB each, and a second round of the same size takes no more than the first."""
    here = rig(content=content)
    base_kb = here.opened(WARM)
    opened_kb = here.opened(STREAMS - WARM)
    cpu = here.worker.cpu_times()
    seen = here.readers.ask(f"measure {sized(4, 20)}")
    spent = here.worker.cpu_times()
    plateau_kb = memory_kb(here.worker)
    ended = here.finish()
    settled(here.gateway)
    after_kb = memory_kb(here.worker)
    again_kb = here.opened(STREAMS)
    here.readers.ask(f"drop {STREAMS}")

    chunks = seen["chunks"]
    each_kb = (opened_kb - base_kb) / (STREAMS - WARM)
    figures = {
        "streams": STREAMS,
        "descriptors": open_files_limit(),
        "errors": {**seen["errors"], **ended["errors"]},
        "kb_each": round(each_kb, 2),
        "kept_bytes_a_chunk": round((plateau_kb - opened_kb) * 1024 / chunks, 1),
        "worker_kb": {
            f"{WARM} open": base_kb,
            "all open": opened_kb,
            "later": plateau_kb,
            "ended": after_kb,
            "all open again": again_kb,
        },
        "chunks_a_second": round(chunks / sized(4, 20)),
        "cpu_us_a_chunk": round((spent.user + spent.system - cpu.user - cpu.system) * 1e6 / chunks, 1),
        "transit_ms": seen["transit_ms"],
        "added_between_chunks_ms": seen["added_ms"],
        "direct": direct(here) if FULL else None,
    }
    told(f"streams, content {content}", figures)
    assert figures["errors"] == {}
    assert (ended["whole"], ended["open"]) == (STREAMS, 0)
    assert each_kb <= MOST_KB
    assert again_kb <= 1.1 * plateau_kb
    if FULL:
        assert seen["added_ms"]["p99"] <= 20


def direct(here: Rig) -> dict[str, Any]:
    """The same readers at the upstream without a gateway between, for comparison."""
    here.direct.ask(f"open {STREAMS}")
    return {name: value for name, value in here.direct.ask("measure 5").items() if name.endswith("_ms")}


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_s17_a_thousand_clients_that_leave_at_once_leave_nothing_behind(rig: Callable[..., Rig]) -> None:
    """All slots are back, the next call is served at once, and the upstream of each is closed within 250 ms at p99."""
    here = rig(concurrency=STORM)
    descriptors = here.worker.num_fds()
    here.opened(STORM)

    dropped = here.readers.ask(f"drop {STORM}")
    after = here.readers.ask("whole")
    until(lambda: here.upstream()["open"] == 0, what="closed upstreams")
    rows = settled(here.gateway)
    closed_ms = sorted((left_ns - dropped["began_ns"]) / 1e6 for left_ns in here.upstream()["left_ns"])
    descriptors_after = here.worker.num_fds()
    again = here.readers.ask(f"open {STORM}")
    here.readers.ask(f"drop {STORM}")

    figures = {
        "clients": STORM,
        "dropping_took_ms": round((dropped["done_ns"] - dropped["began_ns"]) / 1e6, 1),
        "closed_ms": {"p50": round(closed_ms[STORM // 2], 1), "p99": round(closed_ms[int(STORM * 0.99)], 1)},
        "next_call_ms": round(after["ms"], 1),
        "descriptors": [descriptors, descriptors_after],
    }
    told("1,000 clients leave at once", figures)
    assert after["status"] == 200
    assert len(closed_ms) == STORM
    assert figures["closed_ms"]["p99"] <= 250
    assert again["errors"] == {}, "the key's thousand slots are not back"
    assert descriptors_after <= descriptors + 2
    assert sum(row["outcome"] == "cancelled" for row in rows.values()) == STORM


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_s21_a_gateway_under_a_low_limit_of_open_files_says_so_at_its_start(tmp_path: Path) -> None:
    """One line on stderr with the number of calls that fit and the remedy; it serves all the same."""
    child = subprocess.Popen(
        ["bash", "-c", f"ulimit -n 1000; exec {FAIRLEAD} serve --port 0 --admin-port 0 --json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN_ENVIRONMENT,
    )  # fmt: skip
    assert child.stdout is not None
    ready = json.loads(child.stdout.readline())
    child.terminate()
    _, errors = child.communicate(timeout=20)

    assert ready["event"] == "ready"
    assert "may open 1000 files here, which is room for 250 calls at a time" in errors
    assert "raise `ulimit -n`" in errors
