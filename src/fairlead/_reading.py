"""Answers that are still arriving: read once, and their calls ended wherever the reader leaves them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from types import AsyncGeneratorType, TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast

from fairlead._calls import LEFT, apart
from fairlead.call import Call, Outcome
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import FairleadError, InvalidRequest
from fairlead.pipeline import Chunks
from fairlead.types import ChatEvent

if TYPE_CHECKING:
    from fairlead.config.build import Runtime

T = TypeVar("T")


class Reading(Generic[T]):
    """What one streamed answer gives; iterate it once."""

    def __init__(self, runtime: Runtime, call: Call, values: AsyncGenerator[T, None]) -> None:
        self._values = cast("AsyncGeneratorType[T, None]", values)
        runtime.streams.add(self)
        self.call = call
        """Its `attempts`, `cost_nanousd` and usage are complete once the stream is."""

    def __aiter__(self) -> AsyncIterator[T]:
        return self._values

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave early: the call ends as cancelled, and is charged as the provider charges it.

        Raises:
            InvalidRequest: another task waits for the next value, and is the one to leave.
        """
        if self._values.ag_running:
            raise InvalidRequest("another task reads this stream; cancel that one instead")
        await self._values.aclose()


async def read(runtime: Runtime, call: Call, shown: Callable[[ChatEvent], T | None]) -> AsyncGenerator[T, None]:
    """What `shown` makes of each event, where that is anything; whoever leaves early closes this.

    Raises:
        FairleadError: one of its kinds, see `fairlead.errors`.
    """
    # An iteration that is dropped is closed by the loop a little later; a closing client waits for that.
    under_way = asyncio.get_running_loop().create_future()
    runtime.owned.add(under_way)
    try:
        reply = await apart(runtime, call)
        outcome = LEFT
        decoder = OPENAI_CHAT.streams.decoder()
        runtime.flush()
        try:
            async for chunk in cast("Chunks", reply.source):
                call.fate.committed = True
                for event in decoder.feed(chunk):
                    value = shown(event)
                    if value is not None:
                        yield value
            outcome = Outcome("ok", reply.status)
        except FairleadError as error:
            outcome = Outcome("truncated", reply.status, error)
            raise
        finally:
            call.fate.abandoned = outcome is LEFT
            reply.end(outcome)
            runtime.flush()
    finally:
        runtime.owned.discard(under_way)
        under_way.cancel()
