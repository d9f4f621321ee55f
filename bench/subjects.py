"""What is measured: how each subject starts, where it listens, and which of its processes do the work."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from bench import clocks
from bench.processes import CannotStart, Running, module

MODEL = "gpt-4o-mini"
_FAIRLEAD = str(Path(sys.executable).with_name("fairlead"))
_DRAIN_S = 60.0
_CONFIG = """
[gateway]
port = 0
admin_port = 0
auth = "keys"
[providers.up]
dialect = "openai"
base_url = "{scheme}://{host}:{port}/v1"
api_key = "env:BENCH_UPSTREAM"
allow_private = true
{tls}
{limits}
[models."{model}"]
targets = ["up/{model}"]
price = {{ input = 0.15, output = 0.6 }}
{patience}
[store]
content = "{content}"
"""
_LIMITS = "limits = { rpm = 100_000_000, tpm = 100_000_000_000, concurrency = 10_000, learn = true }"
_PATIENCE = "retry = {}\nbreaker = {}"
_UNREACHED = ("--budget", "1000000usd/day", "--rpm", "100000000", "--tpm", "100000000000", "--concurrency", "10000")
"""Every limit is on and counted; none of them ever refuses."""

Content = Literal["full", "hash", "off"]


@dataclass(kw_only=True)
class Subject:
    """A running subject."""

    name: str
    port: int
    process: Running | None
    worker: tuple[int, ...]
    """Processes that handle requests."""
    keeper: tuple[int, ...] = ()
    """Processes that book them afterwards."""
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "/v1/chat/completions"
    model: str = MODEL

    def booked(self) -> int:
        """How many calls it has booked so far, of those that nobody waits for any more; 0 where it books none."""
        return 0

    def until_booked(self, total: int) -> int:
        """Wait until so many are; returns how many are."""
        until = time.monotonic() + _DRAIN_S
        while (booked := self.booked()) < total and time.monotonic() < until:
            time.sleep(0.1)
        return booked

    def stop(self) -> None:
        """End its processes."""
        if self.process is not None:
            self.process.stop()


def floor(folder: Path, upstream_port: int, *, stream: bool = False, ca: Path | None = None) -> Subject:
    """The bare relay."""
    extra = [*(["--stream"] if stream else []), *([] if ca is None else ["--ca", str(ca)])]
    process = Running(module("bench.floor", "--upstream-port", str(upstream_port), *extra), folder)
    port = process.first_line()["port"]
    return Subject(name="floor", port=port, process=process, worker=(process.pid,))


class Fairlead(Subject):
    """Our gateway, everything on."""

    def booked(self) -> int:
        with sqlite3.connect(f"file:{self._folder / 'fairlead.db'}?mode=ro", uri=True) as db:
            (total,) = db.execute("SELECT max(rowid) FROM calls").fetchone()
        db.close()
        return total or 0

    @property
    def _folder(self) -> Path:
        assert self.process is not None  # noqa: S101
        return self.process.folder


def fairlead(
    folder: Path,
    upstream_port: int,
    *,
    content: Content = "full",
    ca: Path | None = None,
    resilient: bool = False,
    path: str = Subject.path,
    name: str = "fairlead",
) -> Subject:
    """A gateway as `fairlead serve` starts it, and a key with limits and a budget.

    Args:
        resilient: whether calls queue for limits of the provider too, are tried again, and a breaker watches.
        path: where it is called; `/v1/messages` is another dialect than the upstream's, so that all is translated.
    """
    folder.mkdir(parents=True)
    settings = _CONFIG.format(
        port=upstream_port, model=MODEL, content=content,
        scheme="http" if ca is None else "https",
        host="127.0.0.1" if ca is None else "localhost",
        tls="" if ca is None else f'tls = {{ ca = "file:{ca}" }}',
        limits=_LIMITS if resilient else "",
        patience=_PATIENCE if resilient else "",
    )  # fmt: skip
    (folder / "fairlead.toml").write_text(settings)
    environment = {"BENCH_UPSTREAM": "sk-bench"}
    process = Running([_FAIRLEAD, "serve", "--json"], folder, environment)
    try:
        port = process.first_line()["data_port"]
        children = clocks.descendants(process.pid)
        return Fairlead(
            name=name,
            port=port,
            path=path,
            process=process,
            worker=tuple(pid for pid, command in children.items() if "gateway.worker" in command),
            keeper=tuple(pid for pid, command in children.items() if "keeper.main" in command),
            headers={"authorization": f"Bearer {_make_key(folder, environment)}"},
        )
    except BaseException:
        process.stop()
        raise


def _make_key(folder: Path, environment: dict[str, str]) -> str:
    made = subprocess.run(
        [_FAIRLEAD, "keys", "create", "--name", "bench", *_UNREACHED, "--json"],
        cwd=folder, env=os.environ | environment, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise CannotStart(f"`keys create` failed: {made.stderr.decode(errors='replace').strip()[-400:]}")
    key: str = msgspec.json.decode(made.stdout)["key"]
    return key


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
