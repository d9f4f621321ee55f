"""The scripted upstream without sockets: a `Transport` for pipeline tests in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from fairlead.errors import UpstreamProtocol, UpstreamUnreachable
from fairlead.ports import Clock
from fairlead.testing.answers import Answer
from fairlead.testing.clock import LoopClock
from fairlead.testing.script import Reaction, Received, Script, parse_head, speak_openai


class FakeTransport:
    """Plays the same answers as `FakeUpstream`, in process.

    `refuse`, `reset_after` and `limit_data` become `UpstreamUnreachable`, as the wire client reports them; `raw`
    becomes `UpstreamProtocol`; `slow_close` does nothing.  `connect_timeout_s` is not used: connecting takes no time.

    Args:
        script: answers, or functions from request to answer, in the order of the requests.
        default: the answer once the script is used up.
        clock: measures latencies and pauses; the loop's own time by default.
    """

    def __init__(
        self,
        script: Reaction | Iterable[Reaction] | None = None,
        *,
        default: Reaction = speak_openai,
        clock: Clock | None = None,
    ) -> None:
        self._script = Script(script, default)
        self._clock = LoopClock() if clock is None else clock
        self.closed = False
        self.then = self._script.then
        self.until = self._script.until

    @property
    def requests(self) -> list[Received]:
        """Every request so far, in order of arrival."""
        return self._script.requests

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> FakeIncoming:  # noqa: ARG002 - the port's
        """Answer as scripted; latency passes before this returns.

        Raises:
            UpstreamUnreachable, UpstreamProtocol: as scripted, and after `aclose`.
        """
        if self.closed:
            msg = "the transport is closed"
            raise UpstreamUnreachable(msg)
        method, path, headers = parse_head(head)
        now_ns = self._clock.monotonic_ns()
        request = Received(method=method, path=path, headers=headers, body=body, at_ns=now_ns)
        answer = self._script.answer(request)
        try:
            await self._clock.sleep(answer.latency_s)
            if answer.kind == "blackhole":
                await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            request.closed_early_ns = self._clock.monotonic_ns()
            self._script.changed()
            raise
        if answer.kind != "http":
            request.answered_ns = self._clock.monotonic_ns()
            self._script.changed()
            raise _broken() if answer.kind == "refuse" else UpstreamProtocol("the answer is not HTTP")
        return FakeIncoming(answer, request, self._clock, self._script)

    async def aclose(self) -> None:
        """Refuse further requests."""
        self.closed = True


class FakeIncoming:
    """An `Incoming` that plays one answer."""

    ended = False

    def __init__(self, answer: Answer, request: Received, clock: Clock, script: Script) -> None:
        self.status = answer.code
        self.headers: Mapping[str, str] = parse_head(b"GET / " + answer.head())[2]
        self.tap: Callable[[bytes], bool] | None = None
        self._ending = answer.ending
        self._pause_s = answer.pause_s
        self._pieces = deque(answer.sent())
        self._request = request
        self._clock = clock
        self._script = script
        self._error: BaseException | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._note_end()

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            UpstreamProtocol: longer than `limit` bytes.
            UpstreamUnreachable: the script breaks it off.
        """
        body = bytearray()
        async for piece in self:
            body += piece
            if len(body) > limit:
                self.abort()
                msg = f"the answer is longer than {limit} bytes"
                raise UpstreamProtocol(msg)
        return bytes(body)

    def __aiter__(self) -> FakeIncoming:
        return self

    async def __anext__(self) -> bytes:
        if self._pieces:
            await self._pause(self._pause_s)
            piece = self._pieces.popleft()
            self._request.sent_bytes += len(piece)
            self._note_end()
            return piece
        if self._ending == "stall":
            await self._pause(None)
        if self._error is not None:
            raise self._error
        if self._ending != "complete":
            raise _broken()
        raise StopAsyncIteration

    def _note_end(self) -> None:
        """The end of the framing comes together with the last piece, a stall has none."""
        if not self._pieces and self._ending != "stall":
            self._request.answered_ns = self._clock.monotonic_ns()
        self._script.changed()

    async def _pause(self, seconds: float | None) -> None:
        """Wait so long, for ever if `None`; `abort` ends the wait by its error."""
        if self._error is None and seconds != 0:
            self._waiting = asyncio.get_running_loop().create_future()
            timer = None if seconds is None else self._clock.timer(seconds, self._wake)
            try:
                await self._waiting
            finally:
                self._waiting = None
                if timer is not None:
                    timer.cancel()
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def abort(self, error: BaseException | None = None) -> None:
        """Give the connection up unless the body has ended."""
        if self._request.answered_ns is not None or self._error is not None:
            return
        self._error = _broken() if error is None else error
        self._request.closed_early_ns = self._clock.monotonic_ns()
        self._script.changed()
        self._wake()


def _broken() -> UpstreamUnreachable:
    return UpstreamUnreachable("the connection to the provider broke")
