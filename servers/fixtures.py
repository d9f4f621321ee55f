"""Servers of others, as processes of their own, and gateways in front of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loads import logged, until
from processes import CLEAN_ENVIRONMENT, Process, fetch

_HERE = Path(__file__).parent
_PYTHON = _HERE.parent / ".venv-servers" / "bin" / "python"
_END_S = 10.0


@dataclass
class Server:
    """A server that runs."""

    child: subprocess.Popen[str]
    origin: str

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    def busy(self) -> bool:
        """Whether it is writing an answer."""
        return any(slot["is_processing"] for slot in json.loads(fetch(f"{self.origin}/slots")))

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self.child.kill()
        self.child.wait(_END_S)


Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start llama.cpp's server on the tiny model, on a free port or a given one; all are killed at the end."""
    running: list[Server] = []

    def begin(port: int | None = None) -> Server:
        folder = tmp_path_factory.mktemp("llama")
        arguments = [str(_PYTHON), str(_HERE / "llama_cpp.py"), str(folder), *([] if port is None else [str(port)])]
        log = folder / "stderr.log"
        with log.open("w") as errors:
            child = subprocess.Popen(
                arguments, stdout=subprocess.PIPE, stderr=errors, text=True, env=CLEAN_ENVIRONMENT
            )  # fmt: skip
        assert child.stdout is not None
        origin = child.stdout.readline().strip()
        child.stdout.close()
        assert origin, f"llama.cpp did not start:\n{log.read_text()}"
        running.append(Server(child, origin))
        return running[-1]

    yield begin
    for server in running:
        server.kill()


@pytest.fixture(scope="session")
def tiny(llama_cpp: Serve) -> Server:
    """One that all tests share which leave it as it was."""
    return llama_cpp()


@dataclass
class Front:
    """A gateway in front of a server."""

    process: Process

    def record(self, call_id: str) -> dict[str, Any]:
        """What was written down about a call, once it is over."""
        return until(lambda: logged(self.process).get(call_id), what=f"a record of {call_id}")


@pytest.fixture
def front(gateway: Callable[..., Process]) -> Callable[..., Front]:
    """Start a gateway in front of a server, by a dialect that this one speaks."""

    def begin(server: Server, provider: str = 'vendor = "llamacpp"') -> Front:
        config = f"""
            [gateway]
            auth = "open"
            [providers.server]
            {provider}
            base_url = "{server.base_url}"
            allow_private = true
            [models.tiny]
            targets = ["server/tiny"]
            price = {{ input = 1.0, output = 2.0 }}
        """
        return Front(gateway(config))

    return begin
