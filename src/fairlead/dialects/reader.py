"""What every decoder of a stream does in the same way: bytes to server-sent events, and errors in their turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from fairlead.core.sse import SseError, SseParser
from fairlead.errors import FairleadError, UpstreamProtocol
from fairlead.types import ChatEvent, Started, UsageReport

_SILENT = (Started, UsageReport)
"""Events that carry nothing the model said."""


class EventReader(ABC):
    """Turns one raw stream into neutral events; a dialect says in `_events` what each of its own becomes.

    Events decoded before an error in the same bytes are not lost: they are given back, and the error is raised by the
    next `feed`, or stands in `error` where the stream ends there.
    """

    __slots__ = ("_parser", "complete", "error")

    reads_on = False
    """Whether what comes after the end is read, too, as in a dialect without a terminator."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self.complete = False
        self.error: FairleadError | None = None

    def feed(self, chunk: bytes) -> list[ChatEvent]:
        """The events completed by these bytes; nothing after the terminator.

        Raises:
            FairleadError: an in-band error, mapped, or `UpstreamProtocol` for what is not of this dialect.
        """
        if self.error is not None:
            raise self.error
        events: list[ChatEvent] = []
        if self.complete and not self.reads_on:
            return events
        try:
            parsed = self._parser.feed(chunk)
        except SseError as error:
            raise UpstreamProtocol(f"The provider's stream is not well formed: {error}.") from None
        for event in parsed:
            try:
                events += self._events(event.event, event.data)
            except FairleadError as error:
                self.error = error
                if all(isinstance(event, _SILENT) for event in events):
                    raise
                break
            if self.complete and not self.reads_on:
                break
        return events

    @abstractmethod
    def _events(self, name: bytes, data: bytes) -> Iterable[ChatEvent]:
        """The neutral events for one.

        Raises:
            FairleadError: it is an error, or nothing of this dialect.
        """
