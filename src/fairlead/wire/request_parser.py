"""Requests from bytes: the callbacks of the HTTP parser, and every check of a head that it does not make."""

from __future__ import annotations

from typing import NoReturn, Protocol

import httptools

from fairlead.wire import refusal as no
from fairlead.wire.exchange import Carrier, Exchange
from fairlead.wire.refusal import Refusal, ServerLimits

IDLE, HEAD, BODY = range(3)
"""What is being received."""

_HOST_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:[]%"
_METHODS = {name.encode(): name for name in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")}
_TELLING = frozenset({"content-encoding", "expect", "transfer-encoding", "upgrade"})
"""Headers that a usual request has not; what they ask for is looked at when there is one."""
_SINGLE = frozenset({"authorization", "content-type", "host", "idempotency-key", "x-api-key"})
"""Headers that say two things when they come twice, and no two programs believe the same one."""

_USUAL = (
    "accept",
    "accept-encoding",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "api-key",
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "idempotency-key",
    "openai-organization",
    "openai-project",
    "origin",
    "referer",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-api-key",
    "x-fairlead-session",
    "x-fairlead-tags",
    "x-fairlead-timeout",
    "x-fairlead-user",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-goog-api-key",
    "x-real-ip",
    "x-request-id",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-read-timeout",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
)
_NAMES = {spelt.encode(): name for name in _USUAL for spelt in (name, name.title())} | {
    b"OpenAI-Organization": "openai-organization",
    b"OpenAI-Project": "openai-project",
    b"X-Stainless-OS": "x-stainless-os",
}
"""Names that need no work; none of them is in `_TELLING`, or in need of a check when it comes once."""


class Receiver(Carrier, Protocol):
    """The connection, as its parser sees it."""

    def arrived(self, exchange: Exchange) -> None:
        """Take a request that is whole."""
        ...

    def expects_body(self) -> None:
        """The client waits for a word before it sends the body."""
        ...


class RequestParser:
    """Makes exchanges of the bytes that `feed` is given.

    What a callback raises ends the feed, and `refusal` says why; a fault that the parser finds by itself leaves it
    `None`.  A callback does as little as it can: they are most of what a request costs here.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_extra_bytes",
        "_extra_fields",
        "_head",
        "_headers",
        "_host",
        "_keep_alive",
        "_known_target",
        "_limits",
        "_max_body_bytes",
        "_max_header_bytes",
        "_parser",
        "_path",
        "_query",
        "_target",
        "_telling",
        "_version",
        "before_bytes",
        "completed",
        "feed",
        "heard",
        "packet_bytes",
        "refusal",
        "size",
        "stage",
    )

    def __init__(self, connection: Receiver, limits: ServerLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._max_body_bytes = limits.max_body_bytes
        self._max_header_bytes = limits.max_header_bytes
        self._parser = httptools.HttpRequestParser(self)
        self.feed = self._parser.feed_data
        """Parse the next bytes.  Set `packet_bytes` before.

        Raises:
            httptools.HttpParserError: the connection can take no further request.
        """
        self.refusal: Refusal | None = None
        self.stage = IDLE
        self.completed = 0
        """Requests that have come in whole."""
        self.heard = False
        """Whether the last request of this connection has come in."""
        self.packet_bytes = 0
        """Bytes that are being fed."""
        self.before_bytes = 0
        """Bytes of the unfinished request that were fed before those."""
        self.size = 0
        """Bytes of the body so far."""
        self._headers: dict[str, str] = {}
        self._head = self._headers
        self._body: list[bytes] = []
        self._target = b""
        self._extra_fields = self._extra_bytes = 0
        self._telling = False
        self._version = "1.1"
        self._keep_alive = True
        # A client asks one path of one host again and again: what was checked is not checked twice.
        self._known_target: bytes | None = None
        self._path = self._query = ""
        self._host: str | None = None

    def release(self) -> None:
        """Break the circle of parser and callbacks; nothing may be fed any more."""
        del self._parser, self.feed

    def fail(self, refusal: Refusal) -> NoReturn:
        """End the feed and have this answered."""
        self.refusal = refusal
        raise ValueError

    # --- callbacks of the parser ---

    def on_message_begin(self) -> None:
        if self.heard or self._connection.closing:
            raise ValueError
        self.stage = HEAD

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key = _NAMES.get(name)
        headers = self._headers
        if key is None or key in headers:
            self._unusual_header(name, value)
        else:
            headers[key] = value.strip().decode("latin-1")

    def on_headers_complete(self) -> None:
        parser = self._parser
        headers = self._headers
        self._keep_alive = keep_alive = parser.should_keep_alive()
        if "connection" in headers or not keep_alive:
            self._version = parser.get_http_version()
        elif self._version != "1.1":
            self._version = "1.1"  # without that header only 1.1 keeps alive
        if parser.should_upgrade():
            self.fail(no.NO_UPGRADE)
        if len(headers) + self._extra_fields > self._limits.max_headers:
            self.fail(no.HEADERS_TOO_LARGE)
        if self.before_bytes + self.packet_bytes > self._max_header_bytes:
            self._measure()
        if self._version != "1.1" or self._telling or headers.get("host") != self._host or self._host is None:
            self._check_unusual()
        if self._target != self._known_target:
            self._check_target()
        length = headers.get("content-length")
        if length is not None and int(length) > self._max_body_bytes:
            self.fail(no.body_too_large(self._max_body_bytes))
        self._head = headers
        self.stage = BODY
        if self._telling:
            self._obey()

    def on_body(self, body: bytes) -> None:
        self.size = size = self.size + len(body)
        if size > self._max_body_bytes:
            self.fail(no.body_too_large(self._max_body_bytes))
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method()
        body = self._body
        if not body:
            whole = b""
        else:
            whole = body[0] if len(body) == 1 else b"".join(body)
            self._body = []
            self.size = 0
        exchange = Exchange(
            self._connection,
            _METHODS.get(method) or method.decode("latin-1"),
            self._target,
            self._path,
            self._query,
            self._head,
            whole,
            self._version,
            self._keep_alive,
        )
        self._target = b""
        self._headers = {}
        if self._extra_fields or self._extra_bytes or self._telling:
            self._extra_fields = self._extra_bytes = 0
            self._telling = False
        self.stage = IDLE
        self.before_bytes = 0
        self.completed += 1
        self.heard = not self._keep_alive
        self._connection.arrived(exchange)

    # --- what a usual request has not ---

    def _unusual_header(self, name: bytes, value: bytes) -> None:
        """A name that is not in the table, or one that comes again."""
        headers = self._headers
        if len(headers) + self._extra_fields >= self._limits.max_headers:
            self.fail(no.HEADERS_TOO_LARGE)
        if b"_" in name:  # `x_api_key` and `x-api-key` are one name to too many programs
            self._extra_fields += 1
            self._extra_bytes += len(name) + len(value) + 4
            return
        key = name.lower().decode("latin-1")
        text = value.strip().decode("latin-1")
        if key not in headers:
            headers[key] = text
        elif key in _SINGLE:
            self.fail(no.REPEATED)
        else:
            self._extra_fields += 1
            self._extra_bytes += len(name) + 2
            headers[key] = f"{headers[key]}, {text}"
        if key in _TELLING:
            self._telling = True

    def _measure(self) -> None:
        """Refuse a head over the cap.  Asked only where the bytes received leave room for one."""
        fields = sum(len(name) + len(value) + 4 for name, value in self._headers.items())
        if len(self._target) + fields + self._extra_bytes > self._max_header_bytes:
            self.fail(no.HEADERS_TOO_LARGE)

    def _check_target(self) -> None:
        target = self._target
        if not target.startswith(b"/") or b"#" in target:
            self.fail(no.BAD_TARGET)
        self._path, _, self._query = target.decode("latin-1").partition("?")
        self._known_target = target

    def _check_unusual(self) -> None:
        """Version, host and transfer coding."""
        if self._version not in {"1.1", "1.0"}:
            self.fail(no.BAD_VERSION)
        host = self._headers.get("host")
        if host is None:
            if self._version == "1.1":
                self.fail(no.BAD_HOST)
        elif not host or host.encode("latin-1").translate(None, _HOST_BYTES):
            self.fail(no.BAD_HOST)
        self._host = host
        coding = self._headers.get("transfer-encoding")
        if coding is not None and (coding.lower() != "chunked" or self._version == "1.0"):
            self.fail(no.BAD_CODING)

    def _obey(self) -> None:
        headers = self._headers
        if "transfer-encoding" in headers:
            self._headers = {}  # trailers go here, and nobody reads them
            self._extra_fields = 0
        if headers.get("content-encoding", "identity").lower() != "identity":
            self.fail(no.BAD_ENCODING)
        expected = headers.get("expect")
        if expected is None:
            return
        if expected.lower() != "100-continue":
            self.fail(no.BAD_EXPECT)
        if self._version == "1.1":
            self._connection.expects_body()
