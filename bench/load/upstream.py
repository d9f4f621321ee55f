"""A slow provider of its own process: every answer is a stream of stamped chunks until it is told to finish.

    python bench/load/upstream.py --interval 1.0

The first line of output is `{"port": N}`.  `POST /v1/chat/completions` streams, or answers at once where the body does
not ask for a stream; `GET /stats` says how many streams are open, and when callers left; `POST /finish` ends all.
The text of a chunk is the monotonic clock of this machine in nanoseconds, so that a reader knows how long it took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from typing import Any

import httptools
import uvloop

_WHOLE = json.dumps(
    {
        "id": "chatcmpl-load",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "load",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }
).encode()
_CHUNK = (
    b'data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1700000000,"model":"load",'
    b'"system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":"%020d"},"logprobs":null,'
    b'"finish_reason":null}]}\n\n'
)
_LAST = (
    b'data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1700000000,"model":"load",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1700000000,"model":"load",'
    b'"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}}\n\n'
    b"data: [DONE]\n\n"
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Book:
    """What all connections share: the settings, and what has happened."""

    def __init__(self, interval_s: float, chunks: int | None) -> None:
        self.interval_s = interval_s
        self.chunks = chunks
        self.loop = asyncio.get_running_loop()
        self.streams: set[Connection] = set()
        self.peak = self.opened = self.ended = self.whole = 0
        self.left_ns: list[int] = []

    def stats(self) -> bytes:
        """As JSON."""
        return json.dumps(
            {
                "open": len(self.streams),
                "peak": self.peak,
                "opened": self.opened,
                "ended": self.ended,
                "whole": self.whole,
                "left_ns": self.left_ns,
            }
        ).encode()

    def finish(self) -> None:
        """End every stream within one interval, each at its own turn."""
        self.chunks = 0


class Connection(asyncio.Protocol):
    """One connection of a caller."""

    transport: asyncio.Transport

    def __init__(self, book: Book) -> None:
        self.book = book
        self.parser = httptools.HttpRequestParser(self)
        self.timer: asyncio.TimerHandle | None = None
        self.sent = 0
        self.url = self.body = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went changes nothing
        if self.timer is not None:
            self.timer.cancel()
            self.book.left_ns.append(time.monotonic_ns())
            self.book.streams.discard(self)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        url, body, book = self.url, self.body, self.book
        self.url = self.body = b""
        if url == b"/stats":
            self.answer(book.stats())
        elif url == b"/finish":
            book.finish()
            self.answer(b"{}")
        elif b'"stream":true' in body.replace(b" ", b""):
            self.begin()
        else:
            book.whole += 1
            self.answer(_WHOLE)

    def answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)

    def begin(self) -> None:
        book = self.book
        book.opened += 1
        book.streams.add(self)
        book.peak = max(book.peak, len(book.streams))
        self.sent = 0
        self.transport.write(_HEAD)
        self.timer = book.loop.call_later(0, self.go_on)

    def go_on(self) -> None:
        """The next chunk, or the end."""
        book = self.book
        if book.chunks is not None and self.sent >= book.chunks:
            self.timer = None
            book.streams.discard(self)
            book.ended += 1
            self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(_LAST), _LAST))
            return
        # The first pause is a random share of the interval, so that the streams do not march in step.
        pause_s = book.interval_s if self.sent else book.interval_s * random.random()  # noqa: S311
        self.sent += 1
        chunk = _CHUNK % time.monotonic_ns()
        self.transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.timer = book.loop.call_later(pause_s, self.go_on)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two chunks")
    parser.add_argument("--chunks", type=int, default=None, help="chunks of a stream; absent: until /finish")
    options = parser.parse_args()
    book = Book(options.interval, options.chunks)
    server = await book.loop.create_server(lambda: Connection(book), "127.0.0.1", options.port, backlog=16_384)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
