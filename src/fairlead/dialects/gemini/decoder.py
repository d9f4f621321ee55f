"""Events of the Gemini dialect to neutral ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from fairlead.dialects._json import load_object
from fairlead.dialects.gemini.errors import decode_in_band, is_error
from fairlead.dialects.gemini.objects import packed
from fairlead.dialects.gemini.parts import encode_part
from fairlead.dialects.gemini.reply import blocked, id_maker, read_choices
from fairlead.dialects.gemini.usage import counts_output, decode_usage, prompt_alone, updated
from fairlead.dialects.reader import EventReader
from fairlead.types import (
    ChatEvent,
    Choice,
    Finished,
    OpaqueDelta,
    OpaquePart,
    Part,
    ReasoningDelta,
    ReasoningPart,
    Started,
    TextDelta,
    TextPart,
    ToolCall,
    ToolCallDelta,
    UsageReport,
)

CANDIDATE = "candidate"
"""The kind of an event that says something about a candidate and is no part of it, such as what it was grounded in."""


class ContentEventDecoder(EventReader):
    """Turns one raw stream into neutral events.

    This dialect has no terminator: `complete` says that nothing is missing, and what comes all the same is read, too.
    """

    __slots__ = ("_calls", "_counts", "_finished", "_made_id")

    reads_on = True

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}
        self._calls: dict[int, int] = {}
        """How many calls each choice has made."""
        self._finished: dict[int, bool] = {}
        """Every choice that was seen, and whether it has ended."""
        self._made_id: Callable[[], str] | None = None

    def _events(self, name: bytes, data: bytes) -> Iterator[ChatEvent]:
        if not data:
            return
        body = load_object(data)
        if is_error(body, name):
            raise decode_in_band(data)
        counts = body.get("usageMetadata")
        self._counts = updated(self._counts, counts)
        if self._made_id is None:
            self._made_id = id_maker(_string(body.get("responseId")))
            yield self._started(body)
        if blocked(body):
            self._finished = dict.fromkeys((*self._finished, 0), True)
            feedback = msgspec.Raw(msgspec.json.encode(body["promptFeedback"]))
            yield Finished(reason="content_filter", extra={"promptFeedback": feedback})
        for choice in read_choices(data, self._made_id):
            yield from self._choice(choice)
        if self._finished:
            self.complete = all(self._finished.values())
        total = decode_usage(self._counts) if isinstance(counts, dict) else None
        if total is not None and (self.complete or counts_output(self._counts)):
            yield UsageReport(usage=total)

    def _started(self, body: dict[str, Any]) -> Started:
        return Started(
            id=_string(body.get("responseId")),
            model=_string(body.get("modelVersion")),
            created=0,
            usage=prompt_alone(self._counts),
        )

    def _choice(self, choice: Choice) -> Iterator[ChatEvent]:
        index, message = choice.index, choice.message
        waiting = list(message.tool_calls)
        for place, part in enumerate(message.parts):
            while waiting and waiting[0].at is not None and waiting[0].at <= place:
                yield self._call(waiting.pop(0), index)
            yield from _said(part, index)
        for call in waiting:
            yield self._call(call, index)
        if choice.logprobs is not None:
            yield TextDelta(text="", choice=index, logprobs=choice.logprobs)
        is_end = choice.finish_reason is not None and not self._finished.get(index, False)
        self._finished[index] = self._finished.get(index, False) or is_end
        if is_end:
            reason = choice.finish_reason or ""
            reason = "tool_calls" if reason == "stop" and index in self._calls else reason
            yield Finished(reason=reason, choice=index, extra=message.extra)
        elif message.extra:
            yield OpaqueDelta(dialect="gemini", kind=CANDIDATE, raw=packed(message.extra), choice=index)

    def _call(self, call: ToolCall, choice: int) -> ToolCallDelta:
        index = self._calls.get(choice, 0)
        self._calls[choice] = index + 1
        return ToolCallDelta(
            index=index, choice=choice, id=call.id, name=call.name, arguments=call.arguments, extra=call.extra
        )


def _said(part: Part, choice: int) -> Iterator[ChatEvent]:
    """The events for a part; what it says beside its text follows in a part without any."""
    bare: Part = part
    match part:
        case TextPart():
            if part.text:
                yield TextDelta(text=part.text, choice=choice)
            if not part.extra:
                return
            bare = TextPart(text="", extra=part.extra)
        case ReasoningPart():
            if part.text or part.signature is not None:
                yield ReasoningDelta(text=part.text, choice=choice, signature=part.signature)
            if not part.extra:
                return
            bare = ReasoningPart(text="", extra=part.extra)
    raw = encode_part(bare)
    packed_raw = raw if isinstance(raw, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(raw))
    kind = part.kind if isinstance(part, OpaquePart) else "part"
    yield OpaqueDelta(dialect="gemini", kind=kind, raw=packed_raw, choice=choice)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
