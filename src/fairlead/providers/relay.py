"""A provider's stream on its way to a caller of the same dialect: raw bytes through, usage on the side."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.call import Attempt, Call
from fairlead.dialects.codec import Scanner
from fairlead.errors import EmptyStream, FairleadError, StreamTruncated, UpstreamError
from fairlead.ports import Clock
from fairlead.providers.transport import Incoming

_KEPT_BYTES = 8 * 1024 * 1024
"""How much of a stream is kept for the log and for an estimate of its usage."""
_DRAIN_S = 60.0
"""How long an abandoned answer that is billed anyway is read on."""
_LINGER_S = 0.25
"""How long the end of the body may come after the dialect's terminator for the connection to be kept."""


class RelayStream:
    """Implements `Chunks`; `account` is called once, when the stream is over, to fill in the attempt's usage."""

    def __init__(
        self,
        call: Call,
        attempt: Attempt,
        incoming: Incoming,
        scanner: Scanner,
        clock: Clock,
        account: Callable[[Attempt, Scanner, bytes], None],
        scrub: Callable[[FairleadError], None],
    ) -> None:
        self.progressed_ns = attempt.started_ns
        self._call = call
        self._attempt = attempt
        self._incoming = incoming
        self._scanner = scanner
        self._clock = clock
        self._scrub = scrub
        self._account: Callable[[Attempt, Scanner, bytes], None] | None = account
        self._held = b""
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._ended = False
        self._reason: BaseException | None = None

    async def peek(self) -> None:
        """Read up to the first content, which `__anext__` then gives out first.

        Raises:
            EmptyStream: it ended without any.
            UpstreamError: what the stream said instead, or how it broke.
        """
        parts: list[bytes] = []
        while not self._scanner.content:
            try:
                parts.append(await self._next_raw())
            except StopAsyncIteration:
                provider = self._attempt.candidate.provider
                raise EmptyStream(f"provider {provider!r} ended its stream without any content") from None
        self._held = b"".join(parts)
        self._attempt.first_token_ns = self.progressed_ns

    def __aiter__(self) -> RelayStream:
        return self

    async def __anext__(self) -> bytes:
        held = self._held
        if held:
            self._held = b""
            return held
        try:
            while True:
                chunk = await self._next_raw()
                if chunk:
                    return chunk
        except StreamTruncated:
            raise
        except UpstreamError as error:
            if error is self._reason:
                raise
            raise StreamTruncated(
                f"the stream of provider {self._attempt.candidate.provider!r} broke off: {error.message}"
            ) from error

    def abort(self, error: BaseException) -> None:
        self._reason = error
        self._incoming.abort(error)

    async def aclose(self) -> None:
        if not self._ended:
            reads_on = self._call.abandoned and self._attempt.candidate.bills_after_disconnect
            if self._scanner.complete:
                await self._read_to_end(_LINGER_S)
            elif reads_on and self._reason is None:
                await self._read_to_end(_DRAIN_S)
            self._incoming.abort()
            self._ended = True
        if self._account is not None:
            account, self._account = self._account, None
            account(self._attempt, self._scanner, self.raw())

    def raw(self) -> bytes:
        """What may go to the caller of what the provider sent, up to 8 MiB."""
        if len(self._kept) > 1:
            self._kept = [b"".join(self._kept)]
        return self._kept[0] if self._kept else b""

    async def _next_raw(self) -> bytes:
        """One read: what of it may go to the caller, possibly nothing.

        What came before an error goes out before it, however the bytes were cut on the way.
        """
        if self._scanner.complete:
            raise StopAsyncIteration
        if self._scanner.error is not None:
            raise self._told()
        try:
            raw = await self._incoming.__anext__()
        except StopAsyncIteration:
            self._ended = True
            if self._scanner.content:
                provider = self._attempt.candidate.provider
                raise StreamTruncated(f"the stream of provider {provider!r} ended before its terminator") from None
            raise
        self.progressed_ns = self._clock.monotonic_ns()
        chunk = self._scanned(raw)
        if self._scanner.error is not None and not chunk:
            raise self._told()
        return chunk

    def _told(self) -> FairleadError:
        """The error that the stream itself ended with."""
        error = self._scanner.error
        assert error is not None  # noqa: S101 - asked where it is set
        self._scrub(error)
        return error

    def _scanned(self, raw: bytes) -> bytes:
        """Feed the scanner, and keep what it lets through: an error that echoes a credential is not among it."""
        chunk = self._scanner.feed(raw)
        if chunk and self._kept_bytes < _KEPT_BYTES:
            self._kept.append(chunk)
            self._kept_bytes += len(chunk)
        return chunk

    async def _read_to_end(self, seconds: float) -> None:
        """Read on for the usage's sake, or until the connection can be used again."""
        timer = self._clock.timer(seconds, self._incoming.abort)
        try:
            while True:
                self._scanned(await self._incoming.__anext__())
        except (StopAsyncIteration, FairleadError):
            return
        finally:
            timer.cancel()
