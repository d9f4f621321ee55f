"""Load on real processes: programs of `bench/load`, the gateway's processes, and what was measured.

The tests run at a size that fits CI.  `make scale` sets `FAIRLEAD_SCALE=full`: the same tests at the size of the
promise, whose figures go to `bench/results/scale-<date>.json`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from processes import Process, Start

T = TypeVar("T")

FULL = os.environ.get("FAIRLEAD_SCALE") == "full"
_PROGRAMS = Path(__file__).parent.parent / "bench" / "load"
_RESULTS = Path(__file__).parent.parent / "bench" / "results"


def sized(small: T, full: T) -> T:
    """A size for CI, or the one that is promised."""
    return full if FULL else small


@dataclass
class Program:
    """A load program, and the conversation with it."""

    child: subprocess.Popen[str]

    def read(self) -> dict[str, Any]:
        """Its next answer."""
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, "the load program has died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and wait for the answer."""
        assert self.child.stdin is not None
        self.child.stdin.write(f"{command}\n")
        self.child.stdin.flush()
        return self.read()

    def end(self) -> None:
        """Kill it and close its pipes."""
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                pipe.close()


Load = Callable[..., Program]


@pytest.fixture
def load() -> Iterator[Load]:
    """Start a program of `bench/load` by its name; all are killed at the end."""
    running: list[Program] = []

    def begin(name: str, *arguments: object) -> Program:
        child = subprocess.Popen(
            [sys.executable, str(_PROGRAMS / f"{name}.py"), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(Program(child))
        return running[-1]

    yield begin
    for program in running:
        program.end()


@pytest.fixture
def serve(start: Start) -> Callable[..., Process]:
    """Start a gateway; with `again` on the port and in the folder of one that has ended."""

    def begin(config: str | None = None, again: Process | None = None) -> Process:
        if again is None:
            return start("serve", "--port", "0", "--admin-port", "0", config=config)
        return start("serve", "--port", str(again.port), "--admin-port", "0", folder=again.folder)

    return begin


def children(gateway: Process) -> dict[str, psutil.Process]:
    """The keeper and the worker of a gateway."""
    found = psutil.Process(gateway.child.pid).children()
    return {"keeper" if "fairlead.keeper.main" in each.cmdline() else "worker": each for each in found}


def until(true: Callable[[], T | None], seconds: float = 15.0, what: str = "it", every_s: float = 0.05) -> T:
    """Ask again and again until the answer is true."""
    ends = time.monotonic() + seconds
    while True:
        try:
            answer = true()
        except (OSError, psutil.NoSuchProcess, KeyError):
            answer = None
        if answer:
            return answer
        assert time.monotonic() < ends, f"{what} did not come true within {seconds:g} s"
        time.sleep(every_s)


def logged(gateway: Process, *arguments: str) -> dict[str, dict[str, Any]]:
    """What `fairlead logs --json` says, by call id."""
    rows = gateway.cli("logs", "--since", "1h", "--limit", "100000", *arguments)
    return {row["call_id"]: row for row in ([rows] if isinstance(rows, dict) else rows)}


def settled(gateway: Process) -> dict[str, dict[str, Any]]:
    """Wait until no call is open and no more come in; all of them then, as `logged` has them."""
    before = -1

    def is_quiet() -> dict[str, dict[str, Any]] | None:
        nonlocal before
        rows = logged(gateway)
        waiting = gateway.in_flight() or any(row["outcome"] == "open" for row in rows.values())
        grown, before = len(rows) != before, len(rows)
        return None if waiting or grown else rows

    return until(is_quiet, 60, "an idle gateway", every_s=0.7)


def memory_kb(process: psutil.Process) -> int:
    """What belongs to this process alone: its unique set."""
    return int(process.memory_full_info().uss // 1024)


def told(section: str, figures: dict[str, Any]) -> None:
    """Print figures, and at full size keep them."""
    print(f"\n{section}: {json.dumps(figures)}")
    if not FULL:
        return
    _RESULTS.mkdir(parents=True, exist_ok=True)
    path = _RESULTS / f"scale-{dt.datetime.now(dt.UTC).date()}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"machine": machine()}
    kept[section] = figures
    path.write_text(json.dumps(kept, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 2**20,
    }


def kill_all(gateway: Process) -> None:
    """SIGKILL to supervisor, worker and keeper at once, and wait until nothing of them is left."""
    family = [psutil.Process(gateway.child.pid), *children(gateway).values()]
    for process in family:
        process.send_signal(signal.SIGKILL)
    gateway.child.wait(10)
    psutil.wait_procs(family, timeout=10)
