"""What the server answers by itself, and the limits that make it do so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec


class Refusal(NamedTuple):
    """An answer given before any handler is asked; the connection closes after it."""

    status: int
    code: str
    message: str


Refuse = Callable[[int, str, str], bytes]
"""Makes the JSON body of a refusal from status, code and message."""


def refuse(status: int, code: str, message: str) -> bytes:
    """The body in OpenAI's form."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "code": code, "param": None}})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one connection may cost; a limit that is passed refuses the request."""

    max_header_bytes: int = 16 * 1024
    max_headers: int = 100
    max_body_bytes: int = 32 * 1024 * 1024
    max_connections: int = 16_384
    max_connections_per_peer: int = 1_024
    """From one IPv4 address or one IPv6 /64."""
    count_loopback: bool = False
    """Whether that holds for this machine too: by default not, because a proxy on it speaks for everybody."""
    max_pipelined: int = 32
    """Requests that may wait behind the one being answered."""
    header_s: float = 10.0
    """From the first byte of a head to its last; also from connecting to the first request."""
    body_s: float = 30.0
    """How long a body may take that comes in slower than `min_body_bytes_per_s` on average."""
    min_body_bytes_per_s: int = 16 * 1024
    idle_s: float = 75.0
    """Between two requests of a connection."""
    write_s: float = 30.0
    """How long a peer may leave a full send buffer unread."""
    linger_s: float = 1.0
    """How long the end of a refused request may still come in, so that the refusal is not lost in a reset."""
    break_s: float = 0.25
    """How long a stream that broke off may be read before the connection closes."""


MALFORMED = Refusal(400, "malformed_request", "the request is not valid HTTP/1.1")
BAD_TARGET = Refusal(400, "malformed_request", "the request target must be an absolute path, such as `/v1/models`")
BAD_HOST = Refusal(400, "malformed_request", "the request needs exactly one valid `Host` header")
REPEATED = Refusal(400, "malformed_request", "`Host`, `Content-Type` and headers that hold a key may stand only once")
BAD_ENCODING = Refusal(400, "malformed_request", "bodies are taken as they are; leave out `Content-Encoding`")
BAD_VERSION = Refusal(505, "http_version_not_supported", "only HTTP/1.1 and HTTP/1.0 are spoken here")
BAD_CODING = Refusal(400, "malformed_request", "`Transfer-Encoding` can only be `chunked`, and only in HTTP/1.1")
CHUNK_FLOOD = Refusal(400, "malformed_request", "the chunks of the body are mostly framing")
BAD_EXPECT = Refusal(417, "expectation_failed", "`Expect` can only be `100-continue`")
NO_UPGRADE = Refusal(400, "upgrade_refused", "neither protocol upgrades nor CONNECT are served here")
PIPELINE_FULL = Refusal(400, "too_many_pipelined", "too many requests at once on one connection; wait for answers")
HEADERS_TOO_LARGE = Refusal(431, "headers_too_large", "the request's headers are too large or too many")
SLOW_HEAD = Refusal(408, "request_timeout", "the request's headers did not arrive in time")
SLOW_BODY = Refusal(408, "request_timeout", "the request's body did not arrive in time")
CROWDED = Refusal(503, "overloaded", "too many connections are open; try again later")
CROWDED_PEER = Refusal(
    503, "overloaded", "too many connections are open from this address; close some, or use them again"
)
FAULT = Refusal(500, "internal_error", "the request could not be served because of a fault in the gateway")


def body_too_large(limit_bytes: int) -> Refusal:
    """The refusal of a body over the cap."""
    return Refusal(
        413,
        "request_too_large",
        f"the request's body is longer than the {limit_bytes} bytes that are taken here; send less, or media by URL",
    )
