"""A real Redis or Valkey server on loopback that keeps nothing, and what can happen to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

BINARY = shutil.which("redis-server") or shutil.which("valkey-server")
_START_S = 10.0


class RedisServer:
    """One server; each start on the same port is an empty one."""

    def __init__(self, folder: Path, *options: str) -> None:
        assert BINARY is not None, "these tests need redis-server: run scripts/ensure_tools.sh"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self._options = options
        self._child: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        assert BINARY is not None
        with (self._folder / "redis.log").open("ab") as log:
            self._child = subprocess.Popen(
                [
                    BINARY, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder),
                    "--save", "", "--appendonly", "no", *self._options,
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        ends = time.monotonic() + _START_S
        while True:
            try:
                self.command("PING")
            except OSError:
                assert self._child.poll() is None, (self._folder / "redis.log").read_text()
                assert time.monotonic() < ends, "the server did not start in time"
                time.sleep(0.01)
            else:
                return

    def command(self, *words: str) -> bytes:
        """The first line of an answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as connection:
            connection.sendall(b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(w.encode()), w.encode()) for w in words)]))  # fmt: skip
            with connection.makefile("rb") as answer:
                return answer.readline().rstrip(b"\r\n")

    def freeze(self) -> None:
        """It answers nobody any more."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """It dies at once, with all it knew."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
            self._child = None

    def _send(self, number: int) -> None:
        assert self._child is not None
        os.kill(self._child.pid, number)


@pytest.fixture
def redis_servers(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Start servers; all are ended with the test."""
    started: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        folder = tmp_path / f"redis-{len(started)}"
        folder.mkdir()
        started.append(RedisServer(folder, *options))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def redis_server(redis_servers: Callable[..., RedisServer]) -> RedisServer:
    """One server."""
    return redis_servers()
