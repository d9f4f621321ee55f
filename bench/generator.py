"""The load: one process, raw connections, its own cost known.

    python -m bench.generator < plan.json > outcome.json

A *closed* loop sends the next request of a connection when the last one was answered, and so finds what a subject can do.
An *open* loop sends at fixed times whether or not answers come, and counts a request's latency from the time at which it
was due, so a subject that stalls cannot hide it (no coordinated omission).

The generator itself reads the CPU clocks of the processes under test at both ends of its window.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from array import array
from collections import deque
from typing import Any

import httptools
import msgspec
import uvloop

from bench import clocks

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_TIMER_ABSTIME = 1
_GRACE_S = 30.0
_ENDS_OF_STREAM = (b"data: [DONE]", b'{"type":"message_stop"}')
_CHUNKS = (b'"delta":{"content"', b'"delta":{"type":"text_delta"')
"""In OpenAI's dialect and in Anthropic's."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and for how long."""

    port: int
    path: str
    headers: dict[str, str]
    body: str
    connections: int
    """Of an open loop: the most."""
    rate: float | None = None
    """Requests a second of an open loop; `None`: a closed loop."""
    warm_s: float
    window_s: float
    stream: bool = False
    """Count chunks; a stream that ends without its last event is an error."""
    watch: tuple[int, ...] = ()
    """Processes whose CPU clocks to read."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; counts are those of the window unless they say otherwise."""

    seconds: float
    answered: int
    chunks: int
    """Pieces of content that came, whether or not their stream has ended."""
    sent_in_all: int
    """With those of the warm-up and those that the window's end cut off."""
    latency_us: dict[str, float]
    errors: dict[str, int]
    watched_cpu_ns: dict[int, int]
    own_cpu_ns: int


class Mill:
    """All connections of a run and what they count."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = asyncio.get_running_loop()
        lines = [f"POST {plan.path} HTTP/1.1", f"host: 127.0.0.1:{plan.port}", "content-type: application/json"]
        lines += [f"{name}: {value}" for name, value in plan.headers.items()]
        body = plan.body.encode()
        self.stream = plan.stream
        self.request = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
        self.sending = True
        self.open = 0
        self.sent = self.answered = self.chunks = 0
        self.latency_ns = array("q")
        self.errors: dict[str, int] = {}
        self.idle: list[Connection] = []
        self.due_ns: deque[int] = deque()
        self.connecting: set[asyncio.Task[None]] = set()

    def failed(self, what: str) -> None:
        """Count an error."""
        self.errors[what] = self.errors.get(what, 0) + 1

    async def connect(self) -> Connection:
        """One more connection.

        Raises:
            OSError: nobody answers there.
        """
        self.open += 1
        try:
            _, connection = await self.loop.create_connection(lambda: Connection(self), "127.0.0.1", self.plan.port)
        except OSError:
            self.open -= 1
            raise
        return connection

    def free(self, connection: Connection) -> None:
        """A connection has its answer: give it the next request, if there is one."""
        if self.plan.rate is None:
            if self.sending:
                connection.send(time.monotonic_ns())
        elif self.due_ns:
            connection.send(self.due_ns.popleft())
        else:
            self.idle.append(connection)

    def due(self, at_ns: int) -> None:
        """A request of the open loop is due."""
        if self.idle:
            self.idle.pop().send(at_ns)
            return
        self.due_ns.append(at_ns)
        if self.open < self.plan.connections:
            self.connect_soon()

    def connect_soon(self) -> None:
        """One more connection, which begins to work when it stands."""
        task = self.loop.create_task(self._connect_and_free())
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    async def _connect_and_free(self) -> None:
        try:
            self.free(await self.connect())
        except OSError as error:
            self.failed(f"cannot connect: {error.strerror}")

    @property
    def waiting(self) -> bool:
        """Whether answers are still to come."""
        return bool(self.due_ns) or self.sent > self.answered + sum(self.errors.values())


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    __slots__ = ("due_ns", "last", "mill", "parser", "transport")

    transport: asyncio.Transport

    def __init__(self, mill: Mill) -> None:
        self.mill = mill
        self.parser = httptools.HttpResponseParser(self)
        self.due_ns = 0
        self.last = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, due_ns: int) -> None:
        """Send the request that was due then."""
        self.due_ns = due_ns
        self.mill.sent += 1
        self.transport.write(self.mill.request)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._failed(f"not HTTP: {error}")

    def on_body(self, body: bytes) -> None:
        self.last = body
        if self.mill.stream:
            self.mill.chunks += sum(map(body.count, _CHUNKS))

    def on_message_complete(self) -> None:
        mill = self.mill
        now_ns, due_ns, self.due_ns = time.monotonic_ns(), self.due_ns, 0
        status = self.parser.get_status_code()
        if status != 200:
            mill.failed(f"status {status}: {self.last[:200].decode(errors='replace')}")
        elif mill.stream and not any(end in self.last for end in _ENDS_OF_STREAM):
            mill.failed("a stream without its end")
        else:
            mill.answered += 1
            mill.latency_ns.append(now_ns - due_ns)
        if self.parser.should_keep_alive():
            mill.free(self)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went is no matter here
        mill = self.mill
        mill.open -= 1
        if self.due_ns:
            self._failed("the connection was lost")
        if self in mill.idle:
            mill.idle.remove(self)
        if mill.sending and mill.plan.rate is None:
            mill.connect_soon()

    def _failed(self, what: str) -> None:
        self.due_ns = 0
        self.mill.failed(what)
        self.transport.abort()


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Interval(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Metronome:
    """Calls `due` at even times, late by tens of microseconds where a loop's own timers count in milliseconds."""

    def __init__(self, mill: Mill, rate: float) -> None:
        self._mill = mill
        self._period_ns = round(1e9 / rate)
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK)
        self._next_ns = time.monotonic_ns() + self._period_ns
        setting = _Interval(_timespec(self._period_ns), _timespec(self._next_ns))
        if self._descriptor < 0 or libc.timerfd_settime(
            self._descriptor, _TFD_TIMER_ABSTIME, ctypes.byref(setting), None
        ):
            raise OSError(ctypes.get_errno(), "no timer")
        mill.loop.add_reader(self._descriptor, self._tick)

    def _tick(self) -> None:
        try:
            beats = int.from_bytes(os.read(self._descriptor, 8), sys.byteorder)
        except BlockingIOError:
            return
        for _ in range(beats):
            self._mill.due(self._next_ns)
            self._next_ns += self._period_ns

    def stop(self) -> None:
        """No more."""
        self._mill.loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


def _timespec(ns: int) -> _Timespec:
    return _Timespec(*divmod(ns, 1_000_000_000))


async def run(plan: Plan) -> Outcome:
    """Warm up, measure, and wait until everything sent is answered."""
    mill = Mill(plan)
    first = [await mill.connect() for _ in range(plan.connections if plan.rate is None else 1)]
    # Not at once: streams that begin together would march in step through the window.
    for number, connection in enumerate(first):
        mill.loop.call_later(plan.warm_s / 2 * number / len(first), mill.free, connection)
    metronome = None if plan.rate is None else Metronome(mill, plan.rate)
    await asyncio.sleep(plan.warm_s)
    mill.latency_ns = array("q")
    answered, chunks, errors = mill.answered, mill.chunks, dict(mill.errors)
    cpu_ns, own_ns, began_ns = [clocks.cpu_ns(pid) for pid in plan.watch], time.process_time_ns(), time.monotonic_ns()
    await asyncio.sleep(plan.window_s)
    used_ns = {pid: clocks.cpu_ns(pid) - before for pid, before in zip(plan.watch, cpu_ns, strict=True)}
    answered, chunks = mill.answered - answered, mill.chunks - chunks
    own_ns, seconds = time.process_time_ns() - own_ns, (time.monotonic_ns() - began_ns) / 1e9
    latency_ns = sorted(mill.latency_ns)
    mill.sending = False
    if metronome is not None:
        metronome.stop()
    for _ in range(round(_GRACE_S / 0.02)):
        if not mill.waiting:
            break
        await asyncio.sleep(0.02)
    return Outcome(
        seconds=seconds,
        answered=answered,
        chunks=chunks,
        sent_in_all=mill.sent,
        latency_us=_quantiles(latency_ns),
        errors={what: count for what, count in mill.errors.items() if count > errors.get(what, 0)},
        watched_cpu_ns=used_ns,
        own_cpu_ns=own_ns,
    )


def _quantiles(ordered_ns: list[int]) -> dict[str, float]:
    if not ordered_ns:
        return {}
    last = len(ordered_ns) - 1
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(ordered_ns[round(share * last)] / 1e3, 1) for name, share in shares.items()}


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(plan))))


if __name__ == "__main__":
    main()
