"""Turns of the Gemini dialect and neutral messages.

A turn of the user may hold results of functions beside text; in the neutral form each result is a message of its own,
and `same_turn` says what belongs together.  A call or a result may come without an id: then a call gets one by its
place, and a result that of the first call by its name that has none yet.  On the way out the results of several calls
make one turn, the system prompts at the beginning become `systemInstruction`, and a later one, which has no form here,
is said by the user.  A message's `name` has no place and is left out, as are cache points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, value_of
from fairlead.dialects.gemini.objects import Fields, opened, rest, rows
from fairlead.dialects.gemini.parts import (
    WirePart,
    decode_answer,
    decode_part,
    encode_answer,
    encode_parts,
    read_parts,
)
from fairlead.dialects.gemini.results import decode_result, encode_result
from fairlead.types import Message, Part, ToolCall

_SYSTEM = frozenset({"system", "developer"})
_USERS = frozenset({"", "user", "function", "tool"})
"""The roles of a turn that is not the model's; `function` is an older name for one of results."""


class _Calls:
    """The calls so far, and which of them still wait for a result."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[tuple[str, str]] = []
        self.names: dict[str, str] = {}
        """By id."""

    def made_id(self) -> str:
        self._count += 1
        return f"call_{self._count - 1}"

    def begin(self, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            self._waiting.append((call.id, call.name))
            self.names[call.id] = call.name

    def answered(self, given: str | None, name: str) -> str:
        """The id of the call that a result answers."""
        for index, (call_id, called) in enumerate(self._waiting):
            if call_id == given or (given is None and called == name):
                del self._waiting[index]
                return call_id
        return self.made_id() if given is None else given


def decode_system(raw: msgspec.Raw | None) -> list[Message]:
    """The system prompt as a message, where there is one."""
    if raw is None:
        return []
    fields = opened(raw, "systemInstruction")
    parts = _parts(read_parts(fields.get("parts"), "systemInstruction.parts"))
    return [Message(role="system", parts=parts, extra=rest(fields, "role", "parts"))] if parts else []


def decode_contents(raw: msgspec.Raw | None) -> list[Message]:
    """The messages of all turns.

    Raises:
        BadField: names what is at fault.
    """
    if raw is None:
        raise BadField("contents", "must be an array of objects")
    calls = _Calls()
    messages: list[Message] = []
    for index, row in enumerate(rows(raw, "contents")):
        messages += _turn(opened(row, f"contents[{index}]"), f"contents[{index}]", calls)
    return messages


def encode_messages(messages: Sequence[Message]) -> dict[str, Any]:
    """The fields `systemInstruction` and `contents`.

    Raises:
        InvalidRequest: a part that this dialect has no form for, or a result of a call that nobody made.
    """
    leading = list(takewhile(lambda message: message.role in _SYSTEM, messages))
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    turns: list[list[Message]] = []
    for message in messages[len(leading) :]:
        if turns and _joins(turns[-1][-1], message):
            turns[-1].append(message)
        else:
            turns.append([message])
    system = [part for message in leading for part in message.parts]
    body: dict[str, Any] = {}
    if system:
        extra = {name: raw for message in leading for name, raw in message.extra.items()}
        body["systemInstruction"] = {"parts": encode_parts(system), **extra}
    return {**body, "contents": [_encode_turn(turn, names) for turn in turns]}


def _turn(fields: Fields, at: str, calls: _Calls) -> Iterator[Message]:
    role = value_of(fields, "role")
    parts = read_parts(fields.get("parts"), f"{at}.parts")
    extra = rest(fields, "role", "parts")
    if role == "model":
        found, made = decode_answer(parts, calls.made_id)
        calls.begin(made)
        yield Message(role="assistant", parts=found, tool_calls=made, extra=extra)
    elif role is None or (isinstance(role, str) and role in _USERS):
        yield from _user_messages(parts, extra, calls)
    else:
        raise BadField(f"{at}.role", "must be user or model")


def _user_messages(parts: Sequence[WirePart], extra: Fields, calls: _Calls) -> list[Message]:
    messages: list[Message] = []
    pending: list[WirePart] = []
    for part in parts:
        if part.kind != "functionResponse":
            pending.append(part)
            continue
        if pending:
            messages.append(Message(role="user", parts=_parts(pending)))
            pending = []
        messages.append(_result(part, calls))
    if pending or not messages:
        messages.append(Message(role="user", parts=_parts(pending)))
    # Results follow one another in a turn anyway: only what that rule does not say is noted.
    placed = [
        msgspec.structs.replace(message, same_turn=not messages[before].role == message.role == "tool")
        for before, message in enumerate(messages[1:])
    ]
    first = messages[0]
    if first.role == "user":
        first = msgspec.structs.replace(first, extra=extra)
    return [first, *placed]


def _result(part: WirePart, calls: _Calls) -> Message:
    message = decode_result(part)
    call_id = calls.answered(message.tool_call_id, message.name or "")
    name = None if calls.names.get(call_id) == message.name else message.name
    return msgspec.structs.replace(message, tool_call_id=call_id, name=name)


def _parts(parts: Sequence[WirePart]) -> tuple[Part, ...]:
    """Those of a turn in which neither calls nor results can stand."""
    for part in parts:
        if part.kind in {"functionCall", "functionResponse"}:
            raise BadField(f"{part.at}.{part.kind}", "is nothing that this turn can hold")
    return tuple(map(decode_part, parts))


def _joins(before: Message, message: Message) -> bool:
    if "assistant" in {before.role, message.role}:
        return False
    return message.same_turn or before.role == message.role == "tool"


def _encode_turn(turn: Sequence[Message], names: Mapping[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {"role": "model" if turn[0].role == "assistant" else "user"}
    body["parts"] = [part for message in turn for part in _encode(message, names)]
    for message in turn:
        if message.role != "tool":
            body |= message.extra
    return body


def _encode(message: Message, names: Mapping[str, str]) -> list[Any]:
    if message.role == "tool":
        return [encode_result(message, names)]
    return list(encode_answer(message) if message.role == "assistant" else encode_parts(message.parts))
