"""Request and response heads as bytes, with nothing in them that could end a line early."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import chain

Headers = Mapping[str, str] | Sequence[tuple[str, str]]

_FRAMING = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"})
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
# HEAD and CONNECT are missing on purpose: their answers are framed by the request, which a parser cannot know.
_METHODS = frozenset({"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"})


class HeaderBlock:
    """Header lines that are checked and encoded once, to stand in any number of answers.

    Raises:
        ValueError: a header with a character that may not stand there, or one that frames the message.
    """

    __slots__ = ("lines",)

    def __init__(self, headers: Headers) -> None:
        self.lines = _lines(headers)


def head(method: str, target: str, headers: Headers) -> bytes:
    """Request line and header lines for `Pool.send`, which adds the length of the body and the empty line.

    Args:
        target: path and query, percent-encoded.
        headers: lower-case names; `host` among them.

    Raises:
        ValueError: a method without framing of its own, a target or header with a character that may not stand there.
    """
    if method not in _METHODS:
        raise ValueError(f"method {method!r} cannot be sent")
    if not target.startswith("/") or " " in target or not (target.isascii() and target.isprintable()):
        raise ValueError("a request target is a percent-encoded path")
    return f"{method} {target} HTTP/1.1\r\n".encode() + _lines(headers)


def status_head(status: int, headers: Headers, fixed: HeaderBlock | None = None) -> bytes:
    """Status line and header lines with their CRLFs, those of `fixed` first, without framing and the empty line.

    Raises:
        ValueError: a header with a character that may not stand there, or one that frames the message.
    """
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    if fixed is not None:
        line += fixed.lines
    return line + _lines(headers) if headers else line


def _lines(headers: Headers) -> bytes:
    pairs: Iterable[tuple[str, str]]
    # The plain types first: asking for the abstract one costs more than all the rest.
    if isinstance(headers, list | tuple | dict):
        pairs = headers.items() if isinstance(headers, dict) else headers
    else:
        pairs = headers.items() if isinstance(headers, Mapping) else headers
    breaks = len(headers)
    text = ("%s: %s\r\n" * breaks) % tuple(chain.from_iterable(pairs))
    if not _FRAMING.isdisjoint(names := dict(pairs)):
        raise ValueError(f"header {min(_FRAMING & names.keys())!r} is set by the connection")
    # Counting finds a stray CR or LF without looking at each header.
    if text.count("\r") != breaks or text.count("\n") != breaks or "\0" in text:
        raise ValueError("a header holds a line break or NUL")
    return text.encode("latin-1")
