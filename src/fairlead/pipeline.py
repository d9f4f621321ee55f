"""The seam: stages, the reply they pass back, and how they are put together."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import FunctionType
from typing import Any, Protocol, TypeVar

from fairlead.call import Call, Outcome
from fairlead.types import ChatEvent

T_co = TypeVar("T_co", covariant=True)


class Stream(Protocol[T_co]):
    """An answer that is still arriving.

    The adapter that makes one has already seen the first content, so an error before it was raised and not streamed.
    """

    @property
    def progressed_ns(self) -> int:
        """Monotonic nanoseconds of the last *content*; pings do not move it."""
        ...

    def __aiter__(self) -> Stream[T_co]: ...

    async def __anext__(self) -> T_co:
        """What has arrived since the last call.

        Raises:
            StreamTruncated: the provider's side broke.
            StopAsyncIteration: the stream ended as its dialect says.
        """
        ...

    def abort(self, error: BaseException) -> None:
        """Make the pending or the next `__anext__` raise `error`."""
        ...

    def close(self) -> None:
        """Free what the stream holds, whether it ended or not; a second call does nothing.

        The attempt's usage is known afterwards, or announced by `Attempt.await_usage` where the provider goes on.
        """
        ...

    def raw(self) -> bytes:
        """What may go to the caller of what has come so far, in the provider's bytes; for the record."""
        ...


class Chunks(Stream[bytes], Protocol):
    """Raw bytes in the caller's dialect, as the provider sent them."""

    outlet: Callable[[bytes], bool] | None
    """May be offered a chunk while the reader waits, in the turn of the loop in which it came; one that it takes (it
    says so) does not come out of `__anext__`.  Must not raise."""


Events = Stream[ChatEvent]
"""Decoded events, where the two ends speak different dialects or a stage needs content."""
Source = bytes | Chunks | Events
Hook = Callable[[Outcome], None]


class Reply:
    """What a stage returns, possibly long before the answer has ended.

    `on_end` holds what must happen at the end: plain functions that take the `Outcome`.  They run last in first out,
    each exactly once, whether the answer ended, failed, was cancelled or a later hook raised.
    """

    __slots__ = ("headers", "lines", "on_end", "source", "status")

    def __init__(self, status: int, source: Source, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = {} if headers is None else headers
        self.lines = b""
        """Further headers as HTTP writes them, each with its line end: of our own making, so that nobody checks them."""
        self.source = source
        self.on_end: list[Hook] = []

    def end(self, outcome: Outcome) -> None:
        """Close the source, then run the hooks; a second call finds nothing left to do.

        Raises:
            ExceptionGroup: what closing and hooks raised, after all of them ran.
        """
        failures: list[Exception] = []
        if not isinstance(self.source, bytes):
            try:
                self.source.close()
            except Exception as error:  # noqa: BLE001 - the hooks have to run all the same
                failures.append(error)
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
    # The method itself, as calling an object looks it up each time.
    run: Stage = stage if isinstance(stage, FunctionType) else getattr(stage, "__call__")  # noqa: B004, B009

    def enter(call: Call) -> Coroutine[Any, Any, Reply]:
        return run(call, following)

    return enter
