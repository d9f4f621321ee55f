"""What a fake upstream answers: a response, and what goes wrong while it is sent.

An `Answer` is made by one of the functions here and bent by its methods:

    openai_stream(["Hel", "lo"]).paced(0.5).limit_data(200)

Every position counts bytes of the *body*, before chunked framing.  What goes wrong happens at the first position given.
"""

from __future__ import annotations

import json as jsonlib
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain, cycle
from typing import Any, Literal

Ending = Literal["complete", "close", "reset", "stall"]
Framing = Literal["length", "chunked", "none"]

_TICK_S = 0.05
"""How often a trickling answer writes."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One scripted answer."""

    kind: Literal["http", "raw", "refuse", "blackhole"] = "http"
    code: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    pieces: tuple[bytes, ...] = ()
    """The body, in the pieces in which it is written."""
    framing: Framing = "length"
    latency_s: float = 0.0
    pause_s: float = 0.0
    """Before each piece."""
    slow_close_s: float | None = None
    cuts: tuple[tuple[int, Ending], ...] = ()

    @property
    def body(self) -> bytes:
        """The whole body, as it would be if nothing went wrong."""
        return b"".join(self.pieces)

    def offset(self, pieces: int) -> int:
        """The position after that many pieces: with a stream, after that many events."""
        return sum(map(len, self.pieces[:pieces]))

    def latency(self, seconds: float) -> Answer:
        """Wait before the first byte."""
        return replace(self, latency_s=seconds)

    def paced(self, seconds: float) -> Answer:
        """Wait before each piece."""
        return replace(self, pause_s=seconds)

    def slice(self, *sizes: int) -> Answer:
        """Write the body in pieces of these sizes, over and over."""
        if not sizes or min(sizes) < 1:
            msg = "slices need sizes of at least 1 byte"
            raise ValueError(msg)
        return replace(self, pieces=tuple(_sliced(self.body, sizes)))

    def trickle(self, bytes_per_s: float) -> Answer:
        """Write the body evenly at this speed."""
        size = max(1, round(bytes_per_s * _TICK_S))
        return self.slice(size).paced(size / bytes_per_s)

    def limit_data(self, size: int) -> Answer:
        """Close the connection after `size` bytes, in the middle of the framing."""
        return self._cut(size, "close")

    def reset_after(self, size: int) -> Answer:
        """Reset the connection after `size` bytes."""
        return self._cut(size, "reset")

    def stall(self, size: int) -> Answer:
        """Fall silent after `size` bytes until the client leaves."""
        return self._cut(size, "stall")

    def slow_close(self, seconds: float) -> Answer:
        """Announce `connection: close`, and close only this long after the body's end."""
        return replace(self, slow_close_s=seconds)

    def _cut(self, size: int, ending: Ending) -> Answer:
        return replace(self, cuts=(*self.cuts, (size, ending)))

    @property
    def ending(self) -> Ending:
        """How the body ends; the first cut decides, and one beyond the body decides nothing."""
        inside = [cut for cut in self.cuts if cut[0] <= len(self.body)]
        return min(inside, key=lambda cut: cut[0])[1] if inside else "complete"

    def sent(self) -> Iterator[bytes]:
        """The pieces that go out before the ending."""
        left = min((cut[0] for cut in self.cuts), default=len(self.body))
        for piece in self.pieces:
            if left > 0 and piece:
                yield piece[:left]
            left -= len(piece)

    def head(self) -> bytes:
        """Status line and headers, with a framing header unless one is scripted."""
        lines = [f"HTTP/1.1 {self.code} {_reason(self.code)}"]
        lines += [f"{name}: {value}" for name, value in chain(self.headers, self._framing_headers())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _framing_headers(self) -> Iterator[tuple[str, str]]:
        given = {name.lower() for name, _ in self.headers}
        if self.slow_close_s is not None or self.framing == "none":
            yield "connection", "close"
        if self.code < 200 or self.code in (204, 304) or given & {"content-length", "transfer-encoding"}:
            return
        if self.framing == "length":
            yield "content-length", str(len(self.body))
        elif self.framing == "chunked":
            yield "transfer-encoding", "chunked"

    @property
    def chunked(self) -> bool:
        """Whether the pieces go out as HTTP chunks."""
        return ("transfer-encoding", "chunked") in self._framing_headers()

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this answer."""
        said = {(name.lower(), value.lower()) for name, value in chain(self.headers, self._framing_headers())}
        return self.kind != "http" or self.ending != "complete" or ("connection", "close") in said


def _sliced(body: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at = 0
    for size in cycle(sizes):
        if at >= len(body):
            return
        yield body[at : at + size]
        at += size


def _reason(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown"


def _with_type(content_type: str, headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    given = {} if headers is None else dict(headers)
    if not any(name.lower() == "content-type" for name in given):
        given["content-type"] = content_type
    return tuple(given.items())


def refuse() -> Answer:
    """Reset the connection without a byte.  `FakeUpstream.stop` refuses connections themselves."""
    return Answer(kind="refuse")


def blackhole() -> Answer:
    """Take the request and never answer."""
    return Answer(kind="blackhole")


def raw(data: bytes) -> Answer:
    """Exactly these bytes instead of a response, then close."""
    return Answer(kind="raw", pieces=(data,), framing="none")


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    """Any status, headers and body."""
    return Answer(code=code, headers=() if headers is None else tuple(headers.items()), pieces=(body,))


def json(value: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON body."""
    return Answer(code=code, headers=_with_type("application/json", headers), pieces=(_dumps(value),))


def html(code: int = 200, text: str = "<html><body><h1>Service temporarily unavailable</h1></body></html>") -> Answer:
    """A web page, as proxies and captive portals send it."""
    return Answer(code=code, headers=_with_type("text/html; charset=utf-8", None), pieces=(text.encode(),))


def gzip_bomb(size: int = 256 * _MIB) -> Answer:
    """A body of about a thousandth of `size` that unpacks to `size` bytes of spaces, in whole MiB.

    It is one valid gzip member with correct checksum and length.
    """
    block = b" " * _MIB
    count = max(1, size // _MIB)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)  # independent of its neighbours: repeatable
    checksum = 0
    for _ in range(count):
        checksum = zlib.crc32(block, checksum)
    end = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS).flush(zlib.Z_FINISH)
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    body = head + packed * count + end + struct.pack("<II", checksum, count * _MIB % 2**32)
    headers = _with_type("application/json", {"content-encoding": "gzip"})
    return Answer(headers=headers, pieces=(body,))


def sse(
    events: Sequence[str | bytes | Mapping[str, Any]],
    *,
    cut_at: int | None = None,
    stall_at: int | None = None,
    done: bool = True,
) -> Answer:
    """A stream of server-sent events, one piece each.

    Args:
        events: mappings become `data:` lines of JSON, text becomes one `data:` line, bytes go out as they are.
        cut_at: close after this many bytes, without the end of the framing.
        stall_at: fall silent after this many bytes.
        done: end with `data: [DONE]`.  Without it the framing still ends properly.
    """
    pieces = [_event(event) for event in events]
    if done:
        pieces.append(b"data: [DONE]\n\n")
    answer = Answer(headers=_with_type("text/event-stream", None), pieces=tuple(pieces), framing="chunked")
    if cut_at is not None:
        answer = answer.limit_data(cut_at)
    return answer if stall_at is None else answer.stall(stall_at)


def _event(event: str | bytes | Mapping[str, Any]) -> bytes:
    if isinstance(event, bytes):
        return event
    data = event.encode() if isinstance(event, str) else _dumps(event)
    return b"data: " + data + b"\n\n"


def _dumps(value: Any) -> bytes:
    return jsonlib.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
