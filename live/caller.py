"""Makes calls in one dialect: from the neutral form into the dialect, through the pipeline, and back."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

import msgspec

from fairlead.call import OK, Call, Candidate, Outcome
from fairlead.dialects.codec import Dialect
from fairlead.errors import FairleadError, InvalidRequest, UpstreamProtocol
from fairlead.pipeline import Chunks
from fairlead.types import (
    Chat,
    ChatEvent,
    Embed,
    EmbedReply,
    Finished,
    Message,
    TextDelta,
    TextPart,
    ToolCall,
    ToolCallDelta,
)
from live.house import House, alias
from live.subjects import Subject
from live.wallet import Wallet


class NoForm(Exception):
    """The dialect has no form for what is asked."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, whole or put together from a stream."""

    message: Message
    finish_reason: str | None
    pieces: int
    """How many pieces of content it came in."""
    complete: bool
    """Whether it ended as its dialect says."""
    call: Call

    @property
    def text(self) -> str:
        return self.message.text


class Caller:
    """Asks one vendor in one dialect.

    Args:
        house: whose pipeline the calls go through.
        wallet: asked before each call, and told what it cost.
    """

    def __init__(self, house: House, wallet: Wallet, subject: Subject, spoken: Dialect) -> None:
        self._house = house
        self._wallet = wallet
        self._subject = subject
        self._spoken = spoken
        self.calls = 0
        self.cost_nanousd: int | None = 0
        """Of all calls; `None` once that of one is not known."""

    async def ask(self, chat: Chat, *, of: str = "chat") -> Heard:
        """The answer to a chat.

        Raises:
            CapReached: it could cost more than is left.
            NoForm: the dialect cannot say it.
            FairleadError: as the pipeline says.
        """
        call, body = await self._call(msgspec.structs.replace(chat, model=alias(self._subject, of)))
        if isinstance(body, bytes):
            choice = self._spoken.reply.decode(body).choices[0]
            return Heard(message=choice.message, finish_reason=choice.finish_reason, pieces=1, complete=True, call=call)
        return _put_together(self._spoken, body, call)

    async def count(self, chat: Chat) -> int:
        """How many tokens the provider counts in a chat.

        Raises:
            UpstreamProtocol: it does not say.
        """
        chat = msgspec.structs.replace(chat, model=alias(self._subject, "chat"))
        _, body = await self._call(chat, counts=True)
        counted = msgspec.json.decode(cast("bytes", body))
        found = next((value for name, value in counted.items() if "okens" in name and isinstance(value, int)), None)
        if found is None:
            raise UpstreamProtocol("a count of tokens holds no number")
        return found

    async def embed(self, embed: Embed) -> tuple[EmbedReply, Call]:
        """Vectors."""
        call, body = await self._call(msgspec.structs.replace(embed, model=alias(self._subject, "embeddings")))
        return self._spoken.reply.decode(cast("bytes", body)), call

    async def _call(self, asked: Any, *, counts: bool = False) -> tuple[Call, bytes | list[bytes]]:
        """A call through the pipeline: a whole body, or the chunks of a stream."""
        runtime = self._house.runtime
        quirks = self._subject.vendor.quirks
        try:
            body = self._spoken.request.encode(asked, quirks)
        except InvalidRequest as error:
            raise NoForm(error.message) from None
        path = path_of(self._spoken, asked.model, stream=getattr(asked, "stream", False), counts=counts)
        request = self._spoken.request.read(body, path)
        worst = 0 if counts else self._wallet.check(request, self._candidate(asked.model))
        call = runtime.new_call(request, body=body, credential=self._house.key)
        self.calls += 1
        try:
            return call, await self._answer(call)
        finally:
            cost = self._wallet.book(call.attempts, worst)
            self.cost_nanousd = None if cost is None or self.cost_nanousd is None else self.cost_nanousd + cost

    async def _answer(self, call: Call) -> bytes | list[bytes]:
        reply = await self._house.runtime.pipeline(call)
        outcome = OK
        try:
            if isinstance(reply.source, bytes):
                return reply.source
            return [chunk async for chunk in cast("Chunks", reply.source)]
        except FairleadError as error:
            outcome = Outcome("truncated", reply.status, error)
            raise
        finally:
            reply.end(outcome)

    def _candidate(self, name: str) -> Candidate:
        return self._house.foundation.catalogue.aliases[name][0]


def path_of(spoken: Dialect, model: str, *, stream: bool, counts: bool) -> str:
    """Where a caller of the gateway posts it, without a query."""
    below = spoken.upstream_path
    root = spoken.paths[0].removesuffix(below.partition("{model}")[0])
    if counts:
        below = spoken.count_path or below
    elif stream:
        below = spoken.stream_path or below
    return root + below.partition("?")[0].replace("{model}", quote(model, safe=""))


def _put_together(spoken: Dialect, chunks: list[bytes], call: Call) -> Heard:
    decoder = spoken.streams.decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    reasons = [event.reason for event in events if isinstance(event, Finished)]
    return Heard(
        message=Message(
            role="assistant", parts=(TextPart(text=text),) if text else (), tool_calls=_tool_calls(events)
        ),
        finish_reason=reasons[-1] if reasons else None,
        pieces=sum(isinstance(event, TextDelta) and bool(event.text) for event in events),
        complete=decoder.complete,
        call=call,
    )  # fmt: skip


def _tool_calls(events: list[ChatEvent]) -> tuple[ToolCall, ...]:
    made: dict[int, ToolCall] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            before = made.get(event.index, ToolCall(id="", name="", arguments=""))
            made[event.index] = ToolCall(
                id=before.id or event.id or "",
                name=before.name or event.name or "",
                arguments=before.arguments + event.arguments,
                extra=before.extra | event.extra,
            )
    return tuple(made.values())
