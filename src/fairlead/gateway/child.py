"""A child process as the supervisor sees it."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Final

import msgspec

from fairlead.config.launch import Launch, News, Order
from fairlead.errors import ConfigError

RETIRE: Final = signal.SIGUSR2
"""To the supervisor: bring up fresh processes.  To a worker: others serve by now, so end once its callers know."""
_LAST_WORDS_S = 1.0
_TURNS_TO_CLOSE = 3
"""Of the loop, until the transports of the pipes and of the process have closed what they hold."""


class Child:
    """One process of ours, from its order to its end.

    Args:
        process: with pipes as its standard input and output.
    """

    def __init__(self, process: asyncio.subprocess.Process, order: Launch) -> None:
        self.name = order.name
        self.fault: str | None = None
        """What it said was wrong."""
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._is_ready = False
        self._heard = asyncio.Event()
        """It is ready, or never will be."""
        self._listener = self._loop.create_task(self._listen(), name=f"news-of-{self.name}")
        assert process.stdin is not None  # noqa: S101 - a pipe, as promised
        process.stdin.write(msgspec.json.encode(order) + b"\n")

    @property
    def runs(self) -> bool:
        """Whether the process is there still."""
        return self._process.returncode is None

    @property
    def ended_well(self) -> bool:
        """Whether it ended because it was told to."""
        return self.fault is None and self._process.returncode in (0, -signal.SIGTERM, -RETIRE)

    @property
    def age_s(self) -> float:
        """Time since its start."""
        return self._loop.time() - self._began_s

    def tell(self, order: Order) -> None:
        """Give it a further order; one that has ended needs none."""
        if self.runs and self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    def send_signal(self, number: signal.Signals) -> None:
        """Harmless once it has ended."""
        if self.runs:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def ready(self, patience_s: float) -> None:
        """Wait until it serves.

        Raises:
            ConfigError: it does not, and has ended or was killed.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._heard.wait()
        if self._is_ready:
            return
        if not self._heard.is_set():
            self.fault = f"the {self.name} process was not ready after {patience_s:g} s"
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._process.wait()
        self.send_signal(signal.SIGKILL)
        fault = await self.ended()
        raise ConfigError(self.fault or f"{fault} before it was ready")

    async def ended(self) -> str:
        """Wait for its end; how it ended, and what it said about that."""
        code = await self._process.wait()
        # A pipe that something else holds open must not keep us waiting.
        await asyncio.wait({self._listener}, timeout=_LAST_WORDS_S)
        self._listener.cancel()
        await self._let_go()
        return f"{self.name} ended with code {code}" + ("" if self.fault is None else f" ({self.fault})")

    async def _let_go(self) -> None:
        """Close our ends of its pipes; asyncio has no other door to one that something else holds open."""
        transport: asyncio.SubprocessTransport = self._process._transport  # type: ignore[attr-defined]  # noqa: SLF001
        transport.close()
        for _ in range(_TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    async def _listen(self) -> None:
        """Read its news to their end, so that it never waits for us to read."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe, as promised
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # longer than any news, and dropped by the reader
                continue
            if not line:
                break
            self._hear(line)
        self._heard.set()

    def _hear(self, line: bytes) -> None:
        try:
            news = msgspec.json.decode(line, type=News)
        except msgspec.MsgspecError:
            say(f"{self.name} printed: {line.decode('utf-8', 'replace')}")
            return
        if news.error is not None:
            self.fault = news.error
            self._heard.set()
        elif news.ready:
            self._is_ready = True
            self._heard.set()


def say(text: str) -> None:
    """Tell the operator, in one line."""
    sys.stderr.write(f"fairlead: {' '.join(text.split())}\n")
    sys.stderr.flush()
