"""Request and response heads as bytes, with nothing in them that could end a line early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

Headers = Mapping[str, str] | Sequence[tuple[str, str]]

_FRAMING = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"})
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
# HEAD and CONNECT are missing on purpose: their answers are framed by the request, which a parser cannot know.
_METHODS = frozenset({"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"})


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
    return _lines(f"{method} {target} HTTP/1.1", headers)


def status_head(status: int, headers: Headers) -> bytes:
    """Status line and header lines with their CRLFs, without framing and the empty line.

    Raises:
        ValueError: a header with a character that may not stand there, or one that frames the message.
    """
    return _lines(_STATUS_LINES.get(status) or f"HTTP/1.1 {status} ", headers)


def _lines(first: str, headers: Headers) -> bytes:
    lines = [first]
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        if name in _FRAMING:
            raise ValueError(f"header {name!r} is set by the connection")
        lines.append(f"{name}: {value}")
    lines.append("")
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    # Counting finds a stray CR or LF without looking at each header.
    if text.count("\r") != breaks or text.count("\n") != breaks or "\0" in text:
        raise ValueError("a header holds a line break or NUL")
    return text.encode("latin-1")
