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


def outputs(reply: ChatReply, expected: Expected) -> list[Output]:
    """What of a whole answer has to fit."""
    return [output for choice in reply.choices for output in _of_choice(choice, expected)]


def _of_choice(choice: Choice, expected: Expected) -> Iterator[Output]:
    message, reason = choice.message, choice.finish_reason
    if message.is_refusal or reason in _UNJUDGED:
        return
    is_cut = reason == "length"
    if expected.shape is not None and not message.tool_calls:
        yield Output(place=(choice.index, None), text=message.text, shape=expected.shape, is_cut=is_cut)
    for number, call in enumerate(message.tool_calls):
        shape = expected.tools.get(call.name)
        if shape is not None:
            text = call.arguments or "{}"  # how some models call what takes nothing
            yield Output(place=(choice.index, number), text=text, shape=shape, tool=call.name, is_cut=is_cut)


def rewritten(reply: ChatReply, texts: Mapping[Place, str]) -> ChatReply:
    """The answer with other texts in some places."""
    return msgspec.structs.replace(
        reply,
        choices=tuple(
            msgspec.structs.replace(choice, message=_message(choice.index, choice.message, texts))
            for choice in reply.choices
        ),
    )


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
    call = next((each for each in message.tool_calls if each.name == tool), None)
    if call is None:
        return choice
    parts = (*(part for part in message.parts if not isinstance(part, TextPart)), TextPart(text=call.arguments))
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


def rewritten_events(events: Sequence[ChatEvent], texts: Mapping[Place, str]) -> Iterator[ChatEvent]:
    """The events with other texts in some places, each in one piece where its first one stood."""
    indices: dict[int, list[int]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            seen = indices.setdefault(event.choice, [])
            if event.index not in seen:
                seen.append(event.index)
    left = dict(texts)
    for event in events:
        place = _place(event, indices)
        if place is None or place not in texts:
            yield event
        elif isinstance(event, TextDelta):
            if place in left:
                yield TextDelta(text=left.pop(place), choice=event.choice, part=event.part)
        elif isinstance(event, ToolCallDelta) and (place in left or event.id is not None):
            yield msgspec.structs.replace(event, arguments=left.pop(place, ""))


def _place(event: ChatEvent, indices: Mapping[int, Sequence[int]]) -> Place | None:
    if isinstance(event, TextDelta):
        return event.choice, None
    if isinstance(event, ToolCallDelta):
        return event.choice, sorted(indices[event.choice]).index(event.index)
    return None
