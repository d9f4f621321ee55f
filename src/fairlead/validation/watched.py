"""A stream that goes out as it comes, and whose end is held back until what it said is found to fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from fairlead.dialects.codec import Dialect
from fairlead.errors import FairleadError, StreamTruncated
from fairlead.pipeline import Chunks
from fairlead.types import ChatEvent, Finished

MOST_BYTES: Final = 64 * 1024 * 1024
"""A stream that is longer is not held to anything: as much as a whole answer may have."""

Check = Callable[[Sequence[ChatEvent]], None]
"""Takes all events of a stream.

Raises:
    OutputInvalid: they do not fit.
"""


class Watched:
    """Raw chunks, see `fairlead.pipeline.Stream`; what follows the last content waits for the check."""

    def __init__(self, source: Chunks, dialect: Dialect, check: Check) -> None:
        self._source = source
        self._decoder = dialect.streams.decoder()
        self._is_terminated = dialect.terminated
        self._check = check
        self._size_bytes = 0
        self._events: list[ChatEvent] = []
        self._held = b""
        self._is_over = False
        self.outlet: Callable[[bytes], bool] | None = None
        """Never offered anything: every chunk is read here."""

    @property
    def progressed_ns(self) -> int:
        """See `Stream`."""
        return self._source.progressed_ns

    def __aiter__(self) -> Watched:
        return self

    async def __anext__(self) -> bytes:
        """What may go out.

        Raises:
            OutputInvalid: the stream ended, and what it said does not fit; its end has not gone out.
        """
        if self._is_over:
            raise StopAsyncIteration
        while True:
            try:
                chunk = await self._source.__anext__()
            except StopAsyncIteration:
                self._is_over = True
                self._check(self._events)
                if self._held:
                    return self._held
                raise
            if not self._is_ending(chunk):
                return chunk
            self._held += chunk

    def abort(self, error: BaseException) -> None:
        """See `Stream`."""
        self._source.abort(error)

    def close(self) -> None:
        """See `Stream`."""
        self._source.close()

    def raw(self) -> bytes:
        """See `Stream`; the end is in it, whether it went out or not."""
        return self._source.raw()

    def _is_ending(self, chunk: bytes) -> bool:
        """Whether a choice, or the whole stream, has ended in these bytes or before."""
        self._size_bytes += len(chunk)
        if self._size_bytes > MOST_BYTES:
            raise StreamTruncated("the answer is too large to be held to a schema")
        try:
            events = self._decoder.feed(chunk)
        except FairleadError:
            return bool(self._held)  # the source tells in its own turn
        self._events += events
        is_over = self._is_terminated and self._decoder.complete
        return bool(self._held) or is_over or any(isinstance(event, Finished) for event in events)
