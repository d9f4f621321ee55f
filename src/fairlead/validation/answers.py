"""What of an answer has to fit, whole or as events, and how it is written again once it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from fairlead.types import (
    ChatEvent,
    ChatReply,
    Choice,
    Finished,
    Message,
    Part,
    RefusalDelta,
    Started,
    TextDelta,
    TextPart,
    ToolCall,
    ToolCallDelta,
)
from fairlead.validation.expected import Expected
from fairlead.validation.ladder.shape import Shape

_UNJUDGED: Final = frozenset({"content_filter", "refusal"})
"""Ends of answers that are no attempt to fit: callers know them by these words."""

Place = tuple[int, int | None]
"""The choice, and the position of a tool call in it; `None`: its text."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a model wrote and that has to fit."""

    place: Place
    text: str
    shape: Shape
    tool: str | None = None
    """The tool whose arguments these are."""
    is_cut: bool = False
    """Whether the length ended it."""

    @property
    def is_written_out(self) -> bool:
        """Whether it is a call that stands in the text, where it is of no use."""
        return self.tool is not None and self.place[1] is None


def is_refused(reply: ChatReply) -> bool:
    """Whether a choice is no attempt to fit: the model refused, or a filter withheld it."""
    return any(choice.message.is_refusal or choice.finish_reason in _UNJUDGED for choice in reply.choices)


def outputs(reply: ChatReply, expected: Expected) -> list[Output]:
    """What of a whole answer has to fit."""
    return [output for choice in reply.choices for output in _of_choice(choice, expected)]


def _of_choice(choice: Choice, expected: Expected) -> Iterator[Output]:
    message, reason = choice.message, choice.finish_reason
    if message.is_refusal or reason in _UNJUDGED:
        return
    is_cut = reason == "length"
    if not any(call.name in expected.offered for call in message.tool_calls):
        place, called = (choice.index, None), expected.called
        arguments = None if called is None else expected.tools.get(called)
        if expected.is_called and called is not None and arguments is not None:
            yield Output(place=place, text=message.text, shape=arguments, tool=called, is_cut=is_cut)
        elif expected.shape is not None and not expected.is_called:
            yield Output(place=place, text=message.text, shape=expected.shape, is_cut=is_cut)
    for number, call in enumerate(message.tool_calls):
        shape = expected.tools.get(call.name)
        if shape is not None:
            text = call.arguments or "{}"  # how some models call what takes nothing
            yield Output(place=(choice.index, number), text=text, shape=shape, tool=call.name, is_cut=is_cut)


def is_uncalled(reply: ChatReply, expected: Expected) -> bool:
    """Whether a tool had to be called and none was, and nobody can tell which one was meant."""
    if not expected.is_called or expected.called in expected.tools:
        return False
    return any(
        not any(call.name in expected.offered for call in choice.message.tool_calls)
        for choice in reply.choices
        if not choice.message.is_refusal and choice.finish_reason not in _UNJUDGED
    )


def rewritten(reply: ChatReply, texts: Mapping[Place, str], calls: Mapping[int, str]) -> ChatReply:
    """The answer with other texts in some places.

    Args:
        calls: the tool that a choice calls with its text.
    """
    return msgspec.structs.replace(
        reply, choices=tuple(_rewritten(choice, texts, calls, reply.id) for choice in reply.choices)
    )


def _rewritten(choice: Choice, texts: Mapping[Place, str], calls: Mapping[int, str], reply_id: str) -> Choice:
    tool = calls.get(choice.index)
    if tool is None:
        return msgspec.structs.replace(choice, message=_message(choice.index, choice.message, texts))
    call = ToolCall(id=_call_id(reply_id, choice.index), name=tool, arguments=texts[choice.index, None])
    parts = tuple(part for part in choice.message.parts if not isinstance(part, TextPart))
    message = msgspec.structs.replace(choice.message, parts=parts, tool_calls=(call,))
    return msgspec.structs.replace(choice, message=message, finish_reason="tool_calls")


def _call_id(reply_id: str, choice: int) -> str:
    """An id for a call that the model gave none, as every dialect takes it."""
    return f"call_{''.join(filter(str.isalnum, reply_id))[-24:]}{choice}"


def _message(choice: int, message: Message, texts: Mapping[Place, str]) -> Message:
    calls = tuple(
        msgspec.structs.replace(call, arguments=texts.get((choice, number), call.arguments))
        for number, call in enumerate(message.tool_calls)
    )
    text = texts.get((choice, None))
    parts = message.parts if text is None else _parts(message.parts, text)
    return msgspec.structs.replace(message, parts=parts, tool_calls=calls)


def _parts(parts: Sequence[Part], text: str) -> tuple[Part, ...]:
    """One text where the first one stood, and what is no text."""
    written: list[Part] = []
    is_there = False
    for part in parts:
        if not isinstance(part, TextPart):
            written.append(part)
        elif not is_there:
            is_there = True
            written.append(msgspec.structs.replace(part, text=text))
    return tuple(written) if is_there else (*written, TextPart(text=text))


# --- a tool that stands for the answer ---


def called_as_text(reply: ChatReply, tool: str) -> ChatReply:
    """An answer that was given by calling `tool`, as the text that it stands for."""
    return msgspec.structs.replace(reply, choices=tuple(_choice_as_text(choice, tool) for choice in reply.choices))


def _choice_as_text(choice: Choice, tool: str) -> Choice:
    message = choice.message
    calls = [each.arguments for each in message.tool_calls if each.name == tool]
    if not calls:
        return choice
    kept = (part for part in message.parts if not isinstance(part, TextPart))
    parts = (*kept, TextPart(text="\n".join(calls)))  # several are several answers: nobody knows which one counts
    others = tuple(each for each in message.tool_calls if each.name != tool)
    reason = choice.finish_reason if others or choice.finish_reason == "length" else "stop"
    return msgspec.structs.replace(
        choice, message=msgspec.structs.replace(message, parts=parts, tool_calls=others), finish_reason=reason
    )


class CallsAsText:
    """The same for the events of a stream, one after the other."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._places: set[tuple[int, int]] = set()

    def of(self, event: ChatEvent) -> ChatEvent:
        """The event as one of a text, where it is one of the tool."""
        if isinstance(event, ToolCallDelta):
            place = event.choice, event.index
            if event.name == self._tool:
                self._places.add(place)
            if place in self._places:
                return TextDelta(text=event.arguments, choice=event.choice)
        elif isinstance(event, Finished) and event.reason != "length" and self._has_called(event.choice):
            return Finished(reason="stop", choice=event.choice)
        return event

    def _has_called(self, choice: int) -> bool:
        return any(place[0] == choice for place in self._places)


def calls_as_text(events: Iterable[ChatEvent], tool: str) -> list[ChatEvent]:
    """All events of a stream."""
    return list(map(CallsAsText(tool).of, events))


# --- events ---


def gathered(events: Iterable[ChatEvent]) -> ChatReply:
    """As much of the answer that events make up as is looked at here: its texts, calls and ends."""
    texts: dict[int, list[str]] = {}
    calls: dict[tuple[int, int], ToolCall] = {}
    ends: dict[int, str] = {}
    refused: set[int] = set()
    for event in events:
        if isinstance(event, TextDelta):
            texts.setdefault(event.choice, []).append(event.text)
        elif isinstance(event, ToolCallDelta):
            calls[event.choice, event.index] = _grown(calls.get((event.choice, event.index)), event)
        elif isinstance(event, RefusalDelta):
            refused.add(event.choice)
        elif isinstance(event, Finished):
            ends[event.choice] = "refusal" if event.choice in refused else event.reason
    numbers = sorted(texts.keys() | ends.keys() | {choice for choice, _ in calls})
    return ChatReply(
        id="", model="", created=0, choices=tuple(_choice(number, texts, calls, ends) for number in numbers)
    )


def _choice(
    number: int, texts: Mapping[int, list[str]], calls: Mapping[tuple[int, int], ToolCall], ends: Mapping[int, str]
) -> Choice:
    message = Message(
        role="assistant",
        parts=(TextPart(text="".join(texts.get(number, ()))),),
        tool_calls=tuple(call for (choice, _), call in sorted(calls.items()) if choice == number),
    )
    return Choice(index=number, message=message, finish_reason=ends.get(number))


def _grown(call: ToolCall | None, piece: ToolCallDelta) -> ToolCall:
    before = ToolCall(id="", name="", arguments="") if call is None else call
    return ToolCall(
        id=piece.id or before.id, name=piece.name or before.name, arguments=before.arguments + piece.arguments
    )


def rewritten_events(
    events: Sequence[ChatEvent], texts: Mapping[Place, str], calls: Mapping[int, str]
) -> Iterator[ChatEvent]:
    """The events with other texts in some places, each in one piece where its first one stood.

    Args:
        calls: the tool that a choice calls with its text.
    """
    reply_id = next((event.id for event in events if isinstance(event, Started)), "")
    indices: dict[int, list[int]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            seen = indices.setdefault(event.choice, [])
            if event.index not in seen:
                seen.append(event.index)
    left = dict(texts)
    for event in events:
        place = _place(event, indices)
        if isinstance(event, Finished) and event.choice in calls:
            yield Finished(reason="tool_calls", choice=event.choice)
        elif place is None or place not in texts:
            yield event
        elif isinstance(event, TextDelta):
            if place in left and event.choice in calls:
                tool, arguments = calls[event.choice], left.pop(place)
                called = _call_id(reply_id, event.choice)
                yield ToolCallDelta(index=0, choice=event.choice, id=called, name=tool, arguments=arguments)
            elif place in left:
                yield TextDelta(text=left.pop(place), choice=event.choice, part=event.part)
        elif isinstance(event, ToolCallDelta) and (place in left or event.id is not None):
            yield msgspec.structs.replace(event, arguments=left.pop(place, ""))


def _place(event: ChatEvent, indices: Mapping[int, Sequence[int]]) -> Place | None:
    if isinstance(event, TextDelta):
        return event.choice, None
    if isinstance(event, ToolCallDelta):
        return event.choice, sorted(indices[event.choice]).index(event.index)
    return None
