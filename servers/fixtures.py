"""Servers of others, as processes of their own, and gateways in front of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from loads import logged, until
from processes import CLEAN_ENVIRONMENT, FAIRLEAD, Process, fetch

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

    def begin(port: int = 0, *model: str) -> Server:
        folder = tmp_path_factory.mktemp("llama")
        arguments = [str(_PYTHON), str(_HERE / "llama_cpp.py"), str(folder), str(port), *model]
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


@dataclass
class Front:
    """A gateway in front of a server."""

    process: Process

    def openai(self) -> openai.OpenAI:
        """The official client of OpenAI's dialect; close it."""
        return openai.OpenAI(base_url=self.process.base_url, api_key="any", max_retries=0)

    def anthropic(self) -> anthropic.Anthropic:
        """The official client of Anthropic's dialect; close it."""
        return anthropic.Anthropic(base_url=self.process.origin, api_key="any", max_retries=0)

    def record(self, call_id: str) -> dict[str, Any]:
        """What was written down about a call, once it is over."""
        return until(lambda: logged(self.process).get(call_id), what=f"a record of {call_id}")


def configuration(**servers: Server) -> str:
    """Each server twice: by its name it is asked in OpenAI's dialect, and as `NAME-native` in Anthropic's."""
    parts = ['[gateway]\nauth = "open"']
    for name, server in servers.items():
        for alias, kind in ((name, 'vendor = "llamacpp"'), (f"{name}-native", 'dialect = "anthropic"')):
            parts.append(
                f'[providers.{alias}]\n{kind}\nbase_url = "{server.base_url}"\nallow_private = true\n'
                f'[models.{alias}]\ntargets = ["{alias}/tiny"]\nprice = {{ input = 1.0, output = 2.0 }}'
            )
    return "\n".join(parts) + "\n"


@pytest.fixture
def in_front(gateway: Callable[..., Process]) -> Callable[[Server], Front]:
    """Start a gateway in front of a server of one's own, which it calls `tiny`."""
    return lambda server: Front(gateway(configuration(tiny=server)))


@pytest.fixture(scope="session")
def front(llama_cpp: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A gateway in front of `tiny`, which babbles, and `caller`, which calls functions; all tests share it."""
    folder = tmp_path_factory.mktemp("gateway")
    text = configuration(tiny=llama_cpp(), caller=llama_cpp(0, "caller"))
    (folder / "fairlead.toml").write_text(text)
    arguments = [FAIRLEAD, "serve", "--port", "0", "--admin-port", "0", "--json"]
    log = folder / "stderr.log"
    with log.open("w") as errors:
        child = subprocess.Popen(
            arguments, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True, env=CLEAN_ENVIRONMENT
        )  # fmt: skip
    assert child.stdout is not None
    line = child.stdout.readline()
    child.stdout.close()
    assert line, f"the gateway did not start:\n{log.read_text()}"
    process = Process(child, json.loads(line), folder, log)
    yield Front(process)
    process.stop()
