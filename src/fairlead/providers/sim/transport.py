"""The simulator in process: a `Transport` without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fairlead.errors import UpstreamProtocol, UpstreamUnreachable
from fairlead.ports import Clock
from fairlead.providers.sim.script import Script
from fairlead.providers.sim.simulator import Simulator


class SimTransport:
    """Sends requests to a `Simulator` and plays its answers, pauses and broken connections included."""

    def __init__(self, simulator: Simulator, clock: Clock) -> None:
        self._simulator = simulator
        self._clock = clock

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> SimIncoming:  # noqa: ARG002 - the port has it
        """See `Transport`."""
        script = self._simulator.respond(*_parsed(head), body)
        if script.pause_s:
            try:
                await self._clock.sleep(script.pause_s)
            except asyncio.CancelledError:
                script.left()
                raise
        if script.status == 0 and script.end == "silent":
            await asyncio.get_running_loop().create_future()  # until the caller gives up
        if script.status == 0:
            raise UpstreamUnreachable("The simulator closed the connection before it answered.")
        return SimIncoming(script, self._clock)

    async def aclose(self) -> None:
        """Nothing is open."""


class SimIncoming:
    """An answer of the simulator on its way; see `Incoming`."""

    ended = False

    def __init__(self, script: Script, clock: Clock) -> None:
        self.status = script.status
        self.headers: Mapping[str, str] = script.headers
        self.tap: Callable[[bytes], bool] | None = None
        self._script = script
        self._clock = clock
        self._next = 0
        self._is_over = False
        self._error: BaseException | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def read(self, limit: int) -> bytes:
        """The whole body."""
        parts: list[bytes] = []
        size = 0
        async for part in self:
            parts.append(part)
            size += len(part)
            if size > limit:
                self.abort()
                raise UpstreamProtocol(f"The answer is longer than {limit} bytes.")
        return b"".join(parts)

    def __aiter__(self) -> SimIncoming:
        return self

    async def __anext__(self) -> bytes:
        script = self._script
        while self._next < len(script.steps):
            self._raise_if_aborted()
            step = script.steps[self._next]
            if step.pause_s:
                await self._pause(step.pause_s)
            self._next += 1
            script.sent(step)
            if step.data:
                return step.data
        self._raise_if_aborted()
        if script.end == "silent":
            await self._pause(None)
        self._is_over = True
        script.ended()
        if script.end == "broken":
            self._error = UpstreamUnreachable("The simulator broke the connection in the middle of its answer.")
            raise self._error
        raise StopAsyncIteration

    def abort(self, error: BaseException | None = None) -> None:
        """Give the answer up; what a caller who left has to pay is settled now."""
        if self._is_over or self._error is not None:
            return
        self._error = error or UpstreamUnreachable("The connection was given up.")
        self._script.left()
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_exception(self._error)

    def _raise_if_aborted(self) -> None:
        if self._error is not None:
            raise self._error

    async def _pause(self, seconds: float | None) -> None:
        """Wait so long, or for ever; `abort` ends it."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting = waiting

        def go_on() -> None:
            if not waiting.done():
                waiting.set_result(None)

        timer = None if seconds is None else self._clock.timer(seconds, go_on)
        try:
            await waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    return method, target.partition("?")[0], {name.lower(): value.strip() for name, _, value in pairs}
