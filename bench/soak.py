"""`make soak HOURS=n`: hours of calls with keys and model names that come and go, and what they leave behind.

    python -m bench.soak --hours 1

A gateway on its defaults answers a steady 100 calls a second, a third of them streams, from the simulator.  Every minute
a few keys are made, and the oldest revoked; model names are drawn from ten thousand.  What belongs to each process alone (its
unique set), its descriptors and its threads are read four times a minute.  The slope is that of a straight line through
all readings after the warm-up (least squares).  A slope over 1 MB an hour, or descriptors or threads that grow, fail it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import psutil

_ROOT = Path(__file__).resolve().parents[1]
_FAIRLEAD = str(Path(sys.executable).with_name("fairlead"))
_CONFIG = """
[gateway]
auth = "keys"
[providers.sim]
vendor = "sim"
base_url = "http://127.0.0.1:{port}/v1"
[models."*"]
targets = ["sim/*"]
[store]
retention_days = 1
"""
_RATE = 100
_LANES = 16
_EVERY_S = 15.0
_CHURN_S = 60.0
_KEYS = 40
_FRESH_KEYS = 4
_WARM_SHARE = 0.25
"""Of the run: caches and the allocator fill first."""
_SLOPE_MB = 1.0


@dataclass
class Readings:
    """What was read of one process over time."""

    hours: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def take(self, process: psutil.Process, hours: float) -> None:
        """Read once."""
        self.hours.append(hours)
        self.memory_mb.append(process.memory_full_info().uss / 2**20)
        self.descriptors.append(process.num_fds())
        self.threads.append(process.num_threads())

    def summary(self) -> dict[str, Any]:
        """Slopes after the warm-up, and the ends."""
        first = int(len(self.hours) * _WARM_SHARE)
        hours, memory = self.hours[first:], self.memory_mb[first:]
        return {
            "memory_mb": {"first": round(memory[0], 2), "last": round(memory[-1], 2), "most": round(max(memory), 2)},
            "memory_mb_an_hour": round(linear_regression(hours, memory).slope, 3),
            "descriptors": _ends(self.descriptors[first:]),
            "threads": _ends(self.threads[first:]),
        }


def main() -> int:
    """1 where something grew or a call failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Hours of calls, and what they leave.")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=_ROOT / "bench" / "results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fairlead-soak-") as folder, contextlib.ExitStack() as stack:
        found = _soak(Path(folder), options.hours, stack)
    faults = found["faults"] = _faults(found)
    path = options.out / f"soak-{dt.datetime.now(dt.UTC).date()}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    print(f"written to {path.name}")
    print(json.dumps(found, indent=2))
    return 1 if faults else 0


def _soak(folder: Path, hours: float, stack: contextlib.ExitStack) -> dict[str, Any]:
    sim = stack.enter_context(_started([_FAIRLEAD, "sim", "--port", "0", "--latency", "0.02", "--any-model"], folder))
    (folder / "fairlead.toml").write_text(_CONFIG.format(port=sim.ready["port"]))
    keys = [_new_key(folder, number) for number in range(_KEYS)]
    gateway = stack.enter_context(_started([_FAIRLEAD, "serve", "--port", "0", "--admin-port", "0"], folder))
    load = stack.enter_context(_load(gateway.ready["data_port"]))
    processes = _family(gateway.pid)
    readings = {name: Readings() for name in processes}
    began = churned = time.monotonic()
    number = _KEYS
    _ask(load, "keys " + " ".join(text for _, text in keys))
    while (elapsed_s := time.monotonic() - began) < hours * 3600:
        time.sleep(_EVERY_S)
        for name, process in processes.items():
            readings[name].take(process, (time.monotonic() - began) / 3600)
        if time.monotonic() - churned < _CHURN_S:
            continue
        churned = time.monotonic()
        fresh = [_new_key(folder, number + more) for more in range(_FRESH_KEYS)]
        number += _FRESH_KEYS
        old, keys = keys[:_FRESH_KEYS], [*keys[_FRESH_KEYS:], *fresh]
        status = _ask(load, "keys " + " ".join(text for _, text in keys))
        time.sleep(2.0)  # calls under way have ended by then
        for name, _ in old:
            _cli(folder, "keys", "revoke", name)
        _say(elapsed_s, hours, status, readings)
    status = _ask(load, "stop")
    status.pop("calls", None)
    return {
        "machine": {"python": platform.python_version(), "system": platform.release(), "cores": os.cpu_count()},
        "hours": hours,
        "calls_a_second": _RATE,
        "keys_made": number,
        **status,
        **{name: each.summary() for name, each in readings.items()},
    }


def _faults(found: dict[str, Any]) -> list[str]:
    faults = [f"calls failed: {found['failed']}"] if found["failed"] else []
    for name in ("worker", "keeper"):
        of = found[name]
        if of["memory_mb_an_hour"] >= _SLOPE_MB:
            faults.append(f"{name}: memory grows by {of['memory_mb_an_hour']} MB an hour")
        growing = [what for what in ("descriptors", "threads") if of[what]["later"] > of[what]["earlier"] + 2]
        faults += [f"{name}: {what} grow, {of[what]}" for what in growing]
    return faults


def _ends(counts: list[int]) -> dict[str, float]:
    """Medians of the two halves, and the most."""
    half = len(counts) // 2
    return {"earlier": median(counts[:half] or counts), "later": median(counts[half:]), "most": max(counts)}


def _say(elapsed_s: float, hours: float, status: dict[str, Any], readings: dict[str, Readings]) -> None:
    now = "  ".join(
        f"{name} {each.memory_mb[-1]:.1f} MB, {each.descriptors[-1]} fds" for name, each in readings.items()
    )
    share = elapsed_s / (hours * 3600)
    print(
        f"{elapsed_s / 60:5.0f} min {share:4.0%}  {status['answered']} answered, {status['failed']}  {now}", flush=True
    )


@dataclass
class _Started:
    pid: int
    ready: dict[str, Any]


@contextlib.contextmanager
def _started(command: list[str], folder: Path) -> Iterator[_Started]:
    """A `fairlead` command that serves, until the block ends."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    with (folder / f"{command[1]}.log").open("w") as log:
        child = subprocess.Popen(
            [*command, "--json"], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
    assert child.stdout is not None  # noqa: S101 - a pipe, as asked for
    try:
        line = child.stdout.readline()
        if not line:
            raise SystemExit((folder / f"{command[1]}.log").read_text())
        yield _Started(child.pid, json.loads(line))
    finally:
        child.terminate()
        child.wait(60)
        child.stdout.close()


@contextlib.contextmanager
def _load(port: int) -> Iterator[subprocess.Popen[str]]:
    program = _ROOT / "bench" / "load" / "calls.py"
    arguments = ["--port", port, "--lanes", _LANES, "--rate", _RATE, "--streamed", 0.33]
    arguments += ["--model", "sim-N", "--names", 10_000, "--max-tokens", 40]
    with subprocess.Popen(
        [sys.executable, str(program), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        yield child
        child.kill()


def _ask(load: subprocess.Popen[str], command: str) -> dict[str, Any]:
    assert load.stdin is not None  # noqa: S101 - a pipe, as asked for
    assert load.stdout is not None  # noqa: S101 - likewise
    load.stdin.write(f"{command}\n")
    load.stdin.flush()
    answer: dict[str, Any] = json.loads(load.stdout.readline())
    return answer


def _family(gateway: int) -> dict[str, psutil.Process]:
    """The worker and the keeper."""
    found = psutil.Process(gateway).children()
    return {"keeper" if "fairlead.keeper.main" in each.cmdline() else "worker": each for each in found}


def _new_key(folder: Path, number: int) -> tuple[str, str]:
    """The name and the text of a fresh key."""
    name = f"soak-{number}"
    made = _cli(folder, "keys", "create", "--name", name, "--rpm", "100000", "--json")
    return name, json.loads(made)["key"]


def _cli(folder: Path, *arguments: str) -> str:
    return subprocess.run([_FAIRLEAD, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
