"""Many readers of streams in one process, driven line by line: a command on standard input, its answer as JSON.

- `open N`: open N more streams and wait for the first chunk of each.
- `measure S`: watch for S seconds how long chunks take and how evenly they come.
- `drop N`: abort N connections in one go.
- `whole`: one call that is not streamed, on a fresh connection.
- `wait S`: wait at most S seconds until all streams have ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from array import array
from typing import Any

import uvloop

_MARK = b'"content":"'
_DIGITS = 20
_CONNECTING = 64


class Readers:
    """All streams of this process, and what they saw."""

    def __init__(self, port: int, model: str, key: str) -> None:
        self.port = port
        body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "tell " * 40}]})
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        )
        self.request = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
        whole = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
        self.whole_request = f"{head}content-length: {len(whole)}\r\n\r\n{whole}".encode()
        self.open: set[Reader] = set()
        self.whole = 0
        self.errors: dict[str, int] = {}
        self.transit_ns = array("q")
        self.added_ns = array("q")
        self.measuring = False
        self.changed = asyncio.Event()

    def count(self) -> dict[str, Any]:
        """How things stand."""
        return {"open": len(self.open), "whole": self.whole, "errors": self.errors}

    def failed(self, what: str) -> None:
        """Count an error."""
        self.errors[what] = self.errors.get(what, 0) + 1


class Reader(asyncio.Protocol):
    """One stream."""

    __slots__ = ("arrived_ns", "done", "dropped", "first", "readers", "sent_ns", "tail", "transport")

    transport: asyncio.Transport

    def __init__(self, readers: Readers) -> None:
        self.readers = readers
        self.first: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self.sent_ns = self.arrived_ns = 0
        self.done = self.dropped = False
        self.tail = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.readers.request)

    def data_received(self, data: bytes) -> None:
        readers = self.readers
        if self.first is not None:
            if not data.startswith(b"HTTP/1.1 200 "):
                readers.failed(data[:200].decode("latin-1"))
                self.transport.abort()
                return
            readers.open.add(self)
            self.first.set_result(None)
            self.first = None
        now_ns = time.monotonic_ns()
        at = data.rfind(_MARK)
        if at >= 0:
            self._arrived(int(data[at + len(_MARK) : at + len(_MARK) + _DIGITS]), now_ns)
        if b"data: [DONE]" in data:
            self.tail = data[-5:]
            self.done = True
        elif self.done:
            self.tail = (self.tail + data)[-5:]
        if self.tail == b"0\r\n\r\n":
            readers.whole += 1
            self.dropped = True
            self.transport.abort()

    def _arrived(self, sent_ns: int, now_ns: int) -> None:
        readers = self.readers
        if readers.measuring and self.arrived_ns:
            readers.transit_ns.append(now_ns - sent_ns)
            readers.added_ns.append((now_ns - self.arrived_ns) - (sent_ns - self.sent_ns))
        self.sent_ns, self.arrived_ns = sent_ns, now_ns

    def connection_lost(self, exc: Exception | None) -> None:
        readers = self.readers
        if self.first is not None:
            self.first.set_result(None)
            self.first = None
        if not self.dropped:
            readers.failed(f"a stream broke off: {exc!r}")
        readers.open.discard(self)
        readers.changed.set()


async def open_streams(readers: Readers, count: int) -> dict[str, Any]:
    """Open so many more; a bounded number of them is connecting at a time."""
    loop, gate, began = asyncio.get_running_loop(), asyncio.Semaphore(_CONNECTING), time.monotonic()

    async def one() -> None:
        async with gate:
            try:
                _, reader = await loop.create_connection(lambda: Reader(readers), "127.0.0.1", readers.port)
            except OSError as error:
                readers.failed(f"cannot connect: {error}")
                return
            if reader.first is not None:
                await reader.first

    await asyncio.gather(*(one() for _ in range(count)))
    return {**readers.count(), "seconds": round(time.monotonic() - began, 3)}


async def measure(readers: Readers, seconds: float) -> dict[str, Any]:
    """Milliseconds: how long chunks took from the upstream's clock, and how uneven they came compared with it."""
    readers.measuring = True
    await asyncio.sleep(seconds)
    readers.measuring = False
    transit, added = sorted(readers.transit_ns), sorted(max(0, each) for each in readers.added_ns)
    readers.transit_ns, readers.added_ns = array("q"), array("q")
    return {**readers.count(), "chunks": len(transit), "transit_ms": _quantiles(transit), "added_ms": _quantiles(added)}


def _quantiles(ordered: list[int]) -> dict[str, float]:
    if not ordered:
        return {}
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {name: round(ordered[round(share * last)] / 1e6, 3) for name, share in shares.items()}


def drop(readers: Readers, count: int) -> dict[str, Any]:
    """Abort so many, and say when that began and was done."""
    began_ns = time.monotonic_ns()
    for reader in list(readers.open)[:count]:
        reader.dropped = True
        reader.transport.abort()
    return {"began_ns": began_ns, "done_ns": time.monotonic_ns()}


async def whole(readers: Readers) -> dict[str, Any]:
    """One call on a fresh connection: its status and milliseconds."""
    began_ns = time.monotonic_ns()
    reader, writer = await asyncio.open_connection("127.0.0.1", readers.port)
    writer.write(readers.whole_request)
    line = await reader.readline()
    writer.close()
    return {"status": int(line.split()[1]), "ms": (time.monotonic_ns() - began_ns) / 1e6, "began_ns": began_ns}


async def wait(readers: Readers, seconds: float) -> dict[str, Any]:
    """Until no stream is open."""
    ends = time.monotonic() + seconds
    while readers.open and (left := ends - time.monotonic()) > 0:
        readers.changed.clear()
        try:
            await asyncio.wait_for(readers.changed.wait(), left)
        except TimeoutError:
            break
    return readers.count()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default="load")
    parser.add_argument("--key", default="any")
    options = parser.parse_args()
    readers = Readers(options.port, options.model, options.key)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().split():
        command, number = line[0], float(line[1]) if len(line) > 1 else 0.0
        match command:
            case "open":
                answer = await open_streams(readers, int(number))
            case "measure":
                answer = await measure(readers, number)
            case "drop":
                answer = drop(readers, int(number))
            case "whole":
                answer = await whole(readers)
            case "wait":
                answer = await wait(readers, number)
            case _:
                answer = {"error": f"no command {command!r}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
