"""A gateway that all clients of this folder share, and what each of them has to tell of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

import loose_writer
from fairlead.testing import FakeUpstream
from processes import Process, starting

HERE = Path(__file__).parent
VENVS = Path(sys.prefix) / "clients"
CONFIG = """
[gateway]
auth = "keys"
[models.m]
targets = ["sim/sim-small"]
"""
FAULTS = {
    "cut": 'kind = "cut"',
    "told": 'kind = "late_error_event"',
    "limited": 'kind = "rate_limit"\nretry_after = "7"',
    "overloaded": 'kind = "status"\nstatus = 529',
}
"""Model to the fault that strikes each call for it."""
FAULTY = """
[providers.{name}]
vendor = "sim"
faults = "{name}.toml"
[models.{name}]
targets = ["{name}/sim-small"]
retry = {{ attempts = 1 }}
"""


@dataclass
class Clients:
    """Runs the scripts of clients, each of them once, against one gateway."""

    gateway: Process
    key: str
    texts: str
    """What `write:` is filled with, as JSON."""
    _told: dict[str, Any] = field(default_factory=dict)

    def python(self, name: str, about: str = "") -> Any:
        """What `clients/with_NAME.py` tells, from an environment of its own where it has one; or what it tells about
        something, as `clients/ABOUT_with_NAME.py`.
        """
        own = VENVS / name / "bin/python"
        own_lock = HERE.parents[1] / "requirements" / f"clients-{name}.txt"
        assert own.exists() or not own_lock.exists(), f"no {own}; `make test-all` makes it"
        python = own if own.exists() else sys.executable
        script = "_".join(filter(None, [about, "with", name.replace("-", "_")]))
        return self._tell([str(python), f"clients/{script}.py"], HERE, *filter(None, [about and self.texts]))

    def node(self, name: str) -> Any:
        """What `node/NAME.mjs` tells."""
        return self._tell(["node", f"{name}.mjs"], HERE / "node", self.texts)

    def _tell(self, command: list[str], folder: Path, *further: str) -> Any:
        script = command[-1]
        if script not in self._told:
            done = subprocess.run(
                [*command, self.gateway.origin, self.key, *further],
                cwd=folder, capture_output=True, text=True, timeout=90, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            self._told[script] = json.loads(done.stdout.splitlines()[-1])
        return self._told[script]


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """One gateway for all, with a model for each fault, and with models that write as they like."""
    root = tmp_path_factory.mktemp("clients")
    folder = root / "gateway"
    folder.mkdir()
    for name, fault in FAULTS.items():
        (folder / f"{name}.toml").write_text(f"[[faults]]\n{fault}\n")
    config = CONFIG + "".join(FAULTY.format(name=name) for name in FAULTS)
    with (
        starting(root) as start,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(FakeUpstream(default=loose_writer.loose_writer)) as upstream,
    ):
        config += loose_writer.MODELS.format(url=upstream.base_url)
        gateway = start(
            "serve", "--port", "0", "--admin-port", "0", config=config, folder=folder, env=loose_writer.ENVIRON
        )
        key = gateway.cli("keys", "create", "--name", "clients", "--budget", "1usd/day")["key"]
        yield Clients(gateway, key, json.dumps(loose_writer.TEXTS))
