"""The seam: stages, the reply they pass back, and how they are put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Protocol

from fairlead.call import Call, Outcome
from fairlead.types import ChatEvent


class Chunks(Protocol):
    """A stream of raw bytes in the caller's dialect, as the provider sent them.

    The adapter that makes one has already seen the first content, so an error before it was raised and not streamed.
    """

    progressed_ns: int
    """Monotonic nanoseconds of the last *content*; pings do not move it."""

    def __aiter__(self) -> Chunks: ...

    async def __anext__(self) -> bytes:
        """What has arrived since the last call, never empty.

        Raises:
            StreamTruncated: the provider's side broke.
            StopAsyncIteration: the stream ended as its dialect says.
        """
        ...

    def abort(self, error: BaseException) -> None:
        """Make the pending or the next `__anext__` raise `error` and close the upstream."""
        ...

    async def aclose(self) -> None:
        """Free what the stream holds, whether it ended or not; afterwards the attempt's usage is known.

        Where the provider bills an abandoned answer anyway, this reads to its end first, within a bound.
        """
        ...


Events = AsyncIterator[ChatEvent]
Source = bytes | Chunks | Events
Hook = Callable[[Outcome], None]


class Reply:
    """What a stage returns, possibly long before the answer has ended.

    `on_end` holds what must happen at the end: plain functions that take the `Outcome`.  They run last in first out,
    each exactly once, whether the answer ended, failed, was cancelled or a later hook raised.
    """

    __slots__ = ("headers", "on_end", "source", "status")

    def __init__(self, status: int, source: Source, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = {} if headers is None else headers
        self.source = source
        self.on_end: list[Hook] = []

    def end(self, outcome: Outcome) -> None:
        """Run the hooks; a second call finds none left.

        Raises:
            BaseExceptionGroup: what hooks raised, after all of them ran.
        """
        failures: list[Exception] = []
        while self.on_end:
            hook = self.on_end.pop()
            try:
                hook(outcome)
            except Exception as error:  # noqa: BLE001 - a failing hook must not keep the others from running
                failures.append(error)
        if failures:
            msg = "hooks failed at the end of a call"
            raise ExceptionGroup(msg, failures)


Next = Callable[[Call], Coroutine[Any, Any, Reply]]
Stage = Callable[[Call, Next], Coroutine[Any, Any, Reply]]


def compose(stages: Sequence[Stage], last: Next) -> Next:
    """Fold stages, outermost first, around `last` into one callable."""
    following = last
    for stage in reversed(stages):
        following = _bind(stage, following)
    return following


def _bind(stage: Stage, following: Next) -> Next:
    def enter(call: Call) -> Coroutine[Any, Any, Reply]:
        return stage(call, following)

    return enter


async def finish(reply: Reply, outcome: Outcome, owned: set[asyncio.Task[None]]) -> None:
    """Close the source, then run the hooks, also if the caller of this is cancelled meanwhile.

    Args:
        owned: keeps the closing task alive and lets its owner wait for it at shutdown.
    """
    if isinstance(reply.source, bytes):
        reply.end(outcome)
        return
    task = asyncio.get_running_loop().create_task(_finish(reply, outcome), name="finish-reply")
    owned.add(task)
    task.add_done_callback(owned.discard)
    await asyncio.shield(task)


async def _finish(reply: Reply, outcome: Outcome) -> None:
    try:
        aclose = getattr(reply.source, "aclose", None)
        if aclose is not None:
            await aclose()
    finally:
        reply.end(outcome)
