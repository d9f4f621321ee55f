"""The floor: a relay that parses, forwards and does nothing else, on uvloop and httptools at both ends.

    python -m bench.floor --upstream-port N [--stream] [--ca FILE]

The first line of output is `{"port": N}`.  A whole answer costs it a JSON decode of the request and one of the answer, as
any gateway that counts tokens needs them; a stream goes through chunk by chunk and undecoded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

import httptools
import msgspec
import uvloop

_REQUEST_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"authorization: Bearer sk-bench\r\ncontent-length: %d\r\n\r\n"
)
_WHOLE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_decode = msgspec.json.Decoder().decode


@dataclass(slots=True, kw_only=True)
class Upstreams:
    """Where requests go, and the connections that wait for the next one."""

    port: int
    context: ssl.SSLContext | None
    idle: list[Upstream] = field(default_factory=list)

    async def take(self) -> Upstream:
        """An idle connection, else a new one."""
        if self.idle:
            return self.idle.pop()
        name = None if self.context is None else "localhost"
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(
            lambda: Upstream(self), "127.0.0.1", self.port, ssl=self.context, server_hostname=name
        )
        return upstream


class Upstream(asyncio.Protocol):
    """A connection to the upstream, which answers one request at a time."""

    transport: asyncio.Transport
    parser: httptools.HttpResponseParser
    answered: asyncio.Future[bytes]

    def __init__(self, home: Upstreams) -> None:
        self.home = home
        self.parts: list[bytes] = []
        self.caller: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if self.caller is None:
            self.parts.append(body)
        else:
            self.caller.writelines((b"%x\r\n" % len(body), body, b"\r\n"))

    def on_message_complete(self) -> None:
        self.home.idle.append(self)
        if self.caller is None:
            self.answered.set_result(b"".join(self.parts))
            self.parts = []
        else:
            self.caller.write(b"0\r\n\r\n")

    def ask(self, body: bytes) -> asyncio.Future[bytes]:
        """Send a request whose answer is awaited."""
        self.answered = asyncio.get_running_loop().create_future()
        self._send(body)
        return self.answered

    def pipe(self, body: bytes, caller: asyncio.Transport) -> None:
        """Send a request whose answer goes to the caller as it comes."""
        self.caller = caller
        self._send(body)

    def _send(self, body: bytes) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(_REQUEST_HEAD % len(body) + body)


class Caller(asyncio.Protocol):
    """A connection of a caller."""

    transport: asyncio.Transport

    def __init__(self, upstreams: Upstreams, *, stream: bool) -> None:
        self.upstreams = upstreams
        self.answer = self.pipe if stream else self.relay
        self.parser = httptools.HttpRequestParser(self)
        self.parts: list[bytes] = []
        self.headers: dict[bytes, bytes] = {}
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        body, self.parts = b"".join(self.parts), []
        self.task = asyncio.get_running_loop().create_task(self.answer(body))

    async def relay(self, body: bytes) -> None:
        """A whole answer."""
        _decode(body)
        upstream = await self.upstreams.take()
        answer = await upstream.ask(body)
        _decode(answer)["usage"]
        self.transport.write(_WHOLE_HEAD % len(answer) + answer)

    async def pipe(self, body: bytes) -> None:
        """A stream."""
        upstream = await self.upstreams.take()
        self.transport.write(_STREAM_HEAD)
        upstream.pipe(body, self.transport)


async def main() -> None:
    parser = argparse.ArgumentParser(description="A bare relay.")
    parser.add_argument("--upstream-port", type=int, required=True)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--ca", help="speak TLS to the upstream, trusting this certificate")
    options = parser.parse_args()
    context = None if options.ca is None else ssl.create_default_context(cafile=options.ca)
    upstreams = Upstreams(port=options.upstream_port, context=context)
    server = await asyncio.get_running_loop().create_server(
        lambda: Caller(upstreams, stream=options.stream), "127.0.0.1", 0, backlog=4096
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
