"""What a run leaves behind, as JSON: every window, so that every figure can be computed again."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from bench.processes import ROOT


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one subject did in one window."""

    row: str
    subject: str
    kind: str
    """`capacity`, or of latencies `open` (30 % of the subject's own capacity), `one` (one connection), and the same of
    the upstream without a subject: `direct open`, `direct one`."""
    round: int
    seconds: float
    answered: int
    chunks: int = 0
    rps: float
    worker_us: float | None = None
    """CPU microseconds of the worker for each answer, of a stream for each chunk; `None` without an answer."""
    keeper_us: float | None = None
    """The same of the keeper, from the first request until the last call was booked; `None` where there is none, or it
    has not booked all in time."""
    generator_us: float | None = None
    latency_us: dict[str, float] = {}
    errors: dict[str, int] = {}


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Resident bytes of a subject."""

    row: str
    subject: str
    idle_worker: int
    loaded_worker: int
    idle_keeper: int = 0
    loaded_keeper: int = 0


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """What was not measured, and why."""

    row: str
    subject: str
    why: str


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured, as far as it matters."""

    cpu: str
    cores: int
    kernel: str
    python: str
    versions: dict[str, str]
    commit: str
    load_before: float
    """The mean number of runnable processes in the minute before; much above 0, others were at work too."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    taken_at: str
    machine: Machine
    rows: dict[str, str]
    """Row to title, in order."""
    windows: list[Window]
    memory: list[Memory]
    skipped: list[Skipped]


def machine() -> Machine:
    """This one."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return Machine(
        cpu=cpu.partition(":")[2].strip(),
        cores=os.cpu_count() or 0,
        kernel=platform.release(),
        python=platform.python_version(),
        versions={name: version(name) for name in ("fairlead", "uvloop", "httptools", "msgspec")},
        commit=git.stdout.strip(),
        load_before=round(os.getloadavg()[0], 2),
    )


def now() -> str:
    """The time, for the file's name and its first line."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")


def load(path: Path) -> Results:
    """A run from its file.

    Raises:
        msgspec.ValidationError: it is of another form.
    """
    return msgspec.json.decode(path.read_bytes(), type=Results)


def save(results: Results, path: Path) -> None:
    """Write it, one value a line so that a difference can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
