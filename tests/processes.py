"""Real processes: a simulator and a gateway, as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_START_S = 15.0
FAIRLEAD = str(Path(sys.executable).with_name("fairlead"))
CLEAN_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}


def fetch(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The body of a GET on loopback."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=10) as answer:  # noqa: S310
        body: bytes = answer.read()
        return body


@dataclass
class Process:
    """A running `fairlead` command."""

    child: subprocess.Popen[str]
    ready: Mapping[str, Any]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.ready.get("data_port", self.ready.get("port", 0)))

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def admin_key(self) -> str:
        return (self.folder / "fairlead.spool" / "admin.key").read_text().strip()

    def metrics(self) -> dict[str, float]:
        """Every sample of `/metrics` by its line's name and labels."""
        headers = {"authorization": f"Bearer {self.admin_key}"}
        text = fetch(f"http://127.0.0.1:{self.ready['admin_port']}/metrics", headers).decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def in_flight(self) -> int:
        """Calls under way on all workers."""
        return int(sum(value for name, value in self.metrics().items() if name.startswith("fairlead_in_flight{")))

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON body of a GET on the data port."""
        return json.loads(fetch(f"{self.origin}{path}", headers))

    def cli(self, *arguments: str) -> Any:
        """What a `fairlead ... --json` command answers here."""
        done = subprocess.run(
            [FAIRLEAD, *arguments, "--json"],
            cwd=self.folder, capture_output=True, text=True, check=True, env={**CLEAN_ENVIRONMENT, **self.environment},
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines() if line]
        return lines[0] if len(lines) == 1 else lines

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        return self.child.wait(timeout=_START_S)


Start = Callable[..., Process]


@contextmanager
def starting(root: Path) -> Iterator[Start]:
    """Starts `fairlead ARGUMENTS`; `config` is written as its fairlead.toml, and `folder` is that of an earlier one.

    All are stopped at the end.
    """
    running: list[Process] = []

    def begin(
        *arguments: str, config: str | None = None, env: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> Process:
        if folder is None:
            folder = root / f"{len(running)}-{arguments[0]}"
            folder.mkdir()
        if config is not None:
            (folder / "fairlead.toml").write_text(config)
        log = folder / "stderr.log"
        with log.open("a") as errors:
            child = subprocess.Popen(
                [FAIRLEAD, *arguments, "--json"],
                cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True, env={**CLEAN_ENVIRONMENT, **(env or {})},
            )  # fmt: skip
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            child.wait(_START_S)
            child.stdout.close()
            raise AssertionError(f"fairlead {' '.join(arguments)} did not start:\n{log.read_text()}")
        process = Process(child, json.loads(line), folder, log, env or {})
        running.append(process)
        return process

    try:
        yield begin
    finally:
        for process in reversed(running):
            process.stop()
            assert process.child.stdout is not None
            process.child.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `fairlead` commands, see `starting`."""
    with starting(tmp_path) as begin:
        yield begin


@pytest.fixture
def gateway(start: Start) -> Callable[..., Process]:
    """Start a gateway on free ports."""

    def begin(config: str | None = None, **rest: Any) -> Process:
        return start("serve", "--port", "0", "--admin-port", "0", config=config, **rest)

    return begin


@pytest.fixture
def sim(start: Start) -> Callable[..., Process]:
    """Start a simulator on a free port; `faults` is the text of its faults file."""

    def begin(*arguments: str, faults: str | None = None) -> Process:
        if faults is not None:
            path = Path(os.environ.get("TMPDIR", "/tmp")) / f"faults-{os.getpid()}-{time.monotonic_ns()}.toml"  # noqa: S108
            path.write_text(faults)
            arguments = (*arguments, "--faults", str(path))
        return start("sim", "--port", "0", *arguments)

    return begin
