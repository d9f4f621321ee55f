"""A provider's stream on its way to a caller of the same dialect: raw bytes through, usage on the side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fairlead.call import Attempt
from fairlead.core.clip import CONTENT_BYTES, clip
from fairlead.dialects.codec import Scanner
from fairlead.errors import EmptyStream, FairleadError, StreamTruncated, UpstreamError
from fairlead.ports import Clock
from fairlead.providers.transport import Incoming

_SAMPLE_BYTES = 16 * 1024
"""How much is kept where nothing is logged: enough to estimate the usage of a stream that nobody counted."""
_READ_ON_S = 60.0
"""How long an answer is read on that nobody waits for and that is billed all the same."""
_LINGER_S = 0.25
"""How long the end of the body may come after the dialect's terminator for the connection to be kept."""
_COMMENT = b":"
"""Put after the last byte: it ends an event whose blank line is a bare CR, and begins nothing that goes out."""

Account = Callable[[Scanner, bytes, int], None]
"""Fills in the attempt's usage from what was scanned, what was kept, and how many bytes there were in all."""
Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Runs something beside the call; its owner waits for it, within a bound, when it closes."""


class RelayStream:
    """A stream of raw chunks, see `fairlead.pipeline.Stream`.

    Args:
        keep: whether `raw` is wanted afterwards, up to `CONTENT_BYTES`.
        finish: names the provider in an error that it sent, and takes our own credentials out.
        terminated: whether the dialect says that a stream is over; else all of the body is read.
    """

    def __init__(
        self,
        attempt: Attempt,
        incoming: Incoming,
        scanner: Scanner,
        clock: Clock,
        *,
        keep: bool,
        account: Account,
        finish: Callable[[FairleadError], None],
        spawn: Spawn,
        terminated: bool = True,
    ) -> None:
        self.progressed_ns = attempt.started_ns
        self._attempt = attempt
        self._incoming = incoming
        self._scanner = scanner
        self._clock = clock
        self._account = account
        self._finish = finish
        self._spawn = spawn
        self._terminated = terminated
        self.outlet: Callable[[bytes], bool] | None = None
        self._held = b""
        self._kept = bytearray()
        self._kept_most = CONTENT_BYTES if keep else _SAMPLE_BYTES
        self._seen_bytes = 0
        self._may_cut = not attempt.candidate.bills_after_disconnect
        self._ended = False
        self._closed = False
        self._reason: BaseException | None = None
        self._reader: asyncio.Task[Any] | None = None

    async def peek(self) -> bytes:
        """Read up to the first content, which `__anext__` then gives out first.

        Raises:
            EmptyStream: it ended without any.
            UpstreamError: what the stream said instead, or how it broke.
        """
        parts: list[bytes] = []
        try:
            while not self._scanner.content:
                parts.append(await self._next_raw())
        except StopAsyncIteration:
            self._account_if_counted()
            provider = self._attempt.candidate.provider
            raise EmptyStream(f"provider {provider!r} ended its stream without any content") from None
        except BaseException:
            self._account_if_counted()
            raise
        self._held = b"".join(parts)
        self._attempt.first_token_ns = self.progressed_ns
        return self._held

    def __aiter__(self) -> RelayStream:
        return self

    async def __anext__(self) -> bytes:
        if self._held:
            held, self._held = self._held, b""
            return held
        scanner = self._scanner
        try:
            if self._may_cut and self.outlet is not None:
                self._incoming.tap = self._passed_by
            # The usual chunk: as `_next_raw`, without its further coroutines.
            while self._may_cut and not (scanner.complete and self._terminated) and scanner.error is None:
                chunk = self._scanned(await self._incoming.__anext__())
                if chunk:
                    return chunk
            while not (chunk := await self._next_raw()):
                pass
        except StopAsyncIteration:
            if self._ended or scanner.complete:
                raise
            if chunk := self._scanned(_COMMENT):
                return chunk
            self._ended = True
            raise self._cut_short() from None
        except StreamTruncated:
            raise
        except UpstreamError as error:
            if error is self._reason:
                raise
            if scanner.complete and scanner.error is None:
                raise StopAsyncIteration from None  # nothing is missing; only the end of the body did not come
            raise StreamTruncated(
                f"the stream of provider {self._attempt.candidate.provider!r} broke off: {error.message}"
            ) from error
        return chunk

    def abort(self, error: BaseException) -> None:
        self._reason = error
        if not self._attempt.candidate.bills_after_disconnect:
            self._incoming.abort(error)
        elif self._reader is not None:
            self._reader.cancel()  # only the wait: the answer itself is billed, so it is read on

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._incoming.tap = self.outlet = None
        if self._ended:
            self._book()
        elif self._scanner.complete:
            self._book()
            if not self._incoming.ended:
                self._spawn(self._linger())
        elif self._attempt.candidate.bills_after_disconnect:
            self._attempt.await_usage()
            self._spawn(self._read_on())
        else:
            self._incoming.abort()
            self._book()

    def raw(self) -> bytes:
        return clip(bytes(self._kept), self._kept_most, self._seen_bytes)

    @property
    def _is_over(self) -> bool:
        """Whether the dialect has said so: then nothing that may follow is read."""
        return self._terminated and self._scanner.complete

    async def _next_raw(self) -> bytes:
        """One read: what of it may go to the caller, possibly nothing.

        What came before an error goes out before it, however the bytes were cut on the way.
        """
        if self._is_over:
            raise StopAsyncIteration
        if self._scanner.error is not None:
            raise self._told()
        try:
            chunk = self._scanned(await self._arrival())
        except StopAsyncIteration:
            chunk = self._scanned(_COMMENT)
            if not chunk and self._scanner.error is None:
                self._ended = True
                if self._scanner.content and not self._scanner.complete:
                    raise self._cut_short() from None
                raise
        if self._scanner.error is not None and not chunk:
            raise self._told()
        return chunk

    async def _arrival(self) -> bytes:
        """The next bytes; where the answer must not be cut, `abort` ends the wait alone."""
        if self._may_cut:
            return await self._incoming.__anext__()
        if self._reason is not None:
            raise self._reason
        self._reader = asyncio.current_task()
        try:
            return await self._incoming.__anext__()
        except asyncio.CancelledError:
            if self._reason is None or self._reader is None or self._reader.uncancel():
                raise
            raise self._reason from None
        finally:
            self._reader = None

    def _told(self) -> FairleadError:
        """The error that the stream itself ended with."""
        error = self._scanner.error
        assert error is not None  # noqa: S101 - asked where it is set
        self._finish(error)
        return error

    def _passed_by(self, chunk: bytes) -> bool:
        """Let a chunk past the reader, where nothing in it is to be followed and it can leave at once."""
        outlet = self.outlet
        if outlet is None or not self._scanner.flows(chunk) or not outlet(chunk):
            return False
        self.progressed_ns = self._clock.monotonic_ns()
        self._keep(chunk)
        return True

    def _scanned(self, raw: bytes) -> bytes:
        """Feed the scanner, and keep what it lets through: an error that echoes a credential is not among it."""
        scanner = self._scanner
        chunk = scanner.feed(raw)
        if scanner.progressed:
            self.progressed_ns = self._clock.monotonic_ns()
        if chunk:
            self._keep(chunk)
        return chunk

    def _keep(self, chunk: bytes) -> None:
        room = self._kept_most - self._seen_bytes
        if room > 0:
            self._kept += chunk if len(chunk) <= room else chunk[:room]
        self._seen_bytes += len(chunk)

    def _cut_short(self) -> StreamTruncated:
        provider = self._attempt.candidate.provider
        return StreamTruncated(f"the stream of provider {provider!r} ended before its terminator")

    def _book(self) -> None:
        self._account(self._scanner, bytes(self._kept), self._seen_bytes)

    def _account_if_counted(self) -> None:
        """A stream that failed before any content costs what the provider counted, and nothing where it did not."""
        if self._scanner.usage is not None:
            self._book()

    async def _read_on(self) -> None:
        try:
            await self._to_end(_READ_ON_S)
        finally:
            self._book()
            self._attempt.usage_known()

    async def _linger(self) -> None:
        await self._to_end(_LINGER_S)

    async def _to_end(self, seconds: float) -> None:
        """Read what is left, for the usage's sake or so that the connection can be used again."""
        timer = self._clock.timer(seconds, self._incoming.abort)
        try:
            with suppress(StopAsyncIteration, FairleadError):
                while True:
                    self._scanned(await self._incoming.__anext__())
        finally:
            timer.cancel()
            self._incoming.abort()
