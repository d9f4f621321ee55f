"""Server-sent events as scanners look at them: raw, and only as far as they must."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from fairlead.core.sse import EventSplitter, SseError, SseParser
from fairlead.dialects._json import loads
from fairlead.errors import FairleadError, UpstreamProtocol
from fairlead.types import Usage

_BEGINNING_BYTES = 256
"""How much of an unfinished event is looked at to tell it from a ping."""


def says_something(event: bytes) -> bool:
    """Whether an event, whole or only its beginning, has data: comments have none, and that of a ping counts for
    nothing."""
    if event.startswith(b"data: {"):
        return True
    fields = [line.partition(b":") for line in event.splitlines()]
    if any(name == b"event" and value.strip() == b"ping" for name, _, value in fields):
        return False
    return any(name == b"data" and value.strip() for name, _, value in fields)


def parsed(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The name and data of each whole event; none where a line or an event is over its cap."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and raw.endswith(b"\n\n") and b"\r" not in raw:
        return [(b"", raw[6:-2])]  # an event as nearly all are
    try:
        return [(event.event, event.data) for event in SseParser().feed(raw)]
    except SseError:
        return []


def bodies(raw: bytes) -> Iterator[dict[str, Any]]:
    """The data of each whole event that is a JSON object; what is torn or anything else counts for nothing."""
    for _, data in parsed(raw):
        try:
            body = loads(data)
        except UpstreamProtocol:
            continue
        if isinstance(body, dict):
            yield body


class EventScanner(ABC):
    """Follows one raw stream, see `Scanner`; a dialect says in `_passes` what each of its events means, and in `flows`
    which chunks need no look at all.

    What comes after the end or after an error is dropped.
    """

    __slots__ = ("_flows", "_splitter", "complete", "content", "error", "progressed", "prompt", "usage")

    reads_on = False
    """Whether what comes after the end is read, too, as in a dialect without a terminator."""

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._flows = False
        """Content was seen, nothing is held back and nothing has ended the stream: a plain chunk goes on as it is."""
        self.prompt: Usage | None = None
        """The input alone, where the stream's beginning already counts it."""
        self.usage: Usage | None = None
        self.content = False
        self.complete = False
        self.error: FairleadError | None = None
        self.progressed = False

    @abstractmethod
    def flows(self, chunk: bytes) -> bool:
        """Whether a chunk goes on as it is."""

    def feed(self, chunk: bytes) -> bytes:
        """Take raw bytes, give back the whole events among them that may go to the caller.

        Raises:
            UpstreamProtocol: a line over 1 MiB, an event over 4 MiB, or one that must be decoded and is no JSON object.
        """
        if self.flows(chunk):
            self.progressed = True
            return chunk
        self.progressed = self._flows = False
        if self._is_over:
            return b""
        try:
            events = self._splitter.feed(chunk)
        except SseError as error:
            raise UpstreamProtocol(f"The provider's stream is not well formed: {error}.") from None
        held = self._splitter.held
        self.progressed = any(map(says_something, events)) or (
            bool(held) and says_something(bytes(held[:_BEGINNING_BYTES]))
        )
        if not events:
            return b""
        passed = [event for event in events if not self._is_over and self._passes(event)]
        self._flows = self.content and not held and not self._is_over
        return b"".join(passed)

    @property
    def _is_over(self) -> bool:
        return self.error is not None or (self.complete and not self.reads_on)

    @abstractmethod
    def _passes(self, event: bytes) -> bool:
        """Whether a whole event goes to the caller; what it means is noted."""
