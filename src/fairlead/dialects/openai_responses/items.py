"""Items of the Responses dialect and neutral messages.

Here thoughts, words and calls of one turn are items of their own, one after the other; in the neutral form they are one
message, in which each call knows where it stood.  Only two messages of the model's in a row stay two, `same_turn` says
so.  An item's `status` is the API's own note and is left out, and so is a message's `name`, which has no place here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, value_of
from fairlead.dialects.openai_responses.content import (
    Fields,
    decode_content,
    encode_content,
    encode_part,
    inexpressible,
    rest,
    text_of,
)
from fairlead.dialects.openai_responses.thoughts import decode_reasoning, encode_reasoning
from fairlead.types import Message, OpaquePart, Part, ReasoningPart, RefusalPart, Role, TextPart, ToolCall

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS = msgspec.json.Decoder(Fields)
_QUOTE = 0x22
_INPUT_ROLES: dict[str, Role] = {"user": "user", "system": "system", "developer": "developer"}
_CALLERS_OWN = ("_output", "_response", "_reference")
"""How the kinds of other items end that the caller adds; any others the model wrote."""

Spoken = list[TextPart | RefusalPart]
"""Parts that stand in one message item."""


class Item(msgspec.Struct, frozen=True):
    """An item with its top level open."""

    kind: str
    raw: msgspec.Raw
    fields: Fields
    at: str


def decode_input(raw: msgspec.Raw | None) -> list[Message]:
    """The messages of an `input`; a string is short for one of the user's.

    Raises:
        BadField: it is not well formed.
    """
    if raw is None or bytes(raw) == b"null":
        return []
    if memoryview(raw)[0] == _QUOTE:
        return [Message(role="user", parts=decode_content(raw, "input"))]
    messages: list[Message] = []
    turn = _Turn()
    for item in read_items(raw, "input"):
        is_written = _is_written(item)
        if not is_written or (item.kind == "message" and turn.spoke_last):
            messages += turn.messages()
            turn = _Turn(follows=is_written)
        if is_written:
            turn.add(item)
        else:
            messages.append(_callers_message(item))
    return messages + turn.messages()


def decode_output(raw: msgspec.Raw) -> Message:
    """All items of an answer as one message.

    Raises:
        BadField: it is not well formed.
    """
    turn = _Turn()
    for item in read_items(raw, "output"):
        turn.add(item)
    return turn.message()


def read_items(raw: msgspec.Raw, at: str) -> list[Item]:
    """The items of an array; one without a type is a message."""
    try:
        raws = _RAWS.decode(raw)
    except (ValueError, RecursionError):
        raise BadField(at, "must be a string or an array of items") from None
    return [read_item(each, f"{at}[{index}]") for index, each in enumerate(raws)]


def read_item(raw: msgspec.Raw, at: str) -> Item:
    """One item, its values still raw."""
    try:
        fields = _FIELDS.decode(raw)
    except (ValueError, RecursionError):
        raise BadField(at, "must be an object") from None
    kind = "message" if "type" not in fields and "role" in fields else text_of(fields, "type", at)
    return Item(kind, raw, fields, at)


def encode_input(messages: Sequence[Message]) -> list[dict[str, Any] | msgspec.Raw]:
    """The items of a request.

    Raises:
        InvalidRequest: a part that this dialect has no form for.
    """
    items: list[dict[str, Any] | msgspec.Raw] = []
    for message in messages:
        if message.role == "tool":
            items.append(_encode_result(message))
        elif message.role == "assistant":
            items += _encode_turn(message)
        else:
            items += _encode_message(message)
    return items


def encode_call(call: ToolCall) -> dict[str, Any]:
    """A `function_call` item."""
    return {
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        **call.extra,
    }


def in_order(message: Message) -> Iterator[Spoken | Part | ToolCall]:
    """What a turn consists of, in its order: words that stand together, other parts, and calls."""
    spoken: Spoken = []
    waiting = list(message.tool_calls)
    for index, part in enumerate(message.parts):
        is_due = bool(waiting) and waiting[0].at is not None and waiting[0].at <= index
        is_spoken = isinstance(part, TextPart | RefusalPart)
        if spoken and (is_due or not is_spoken):
            yield spoken
            spoken = []
        while waiting and waiting[0].at is not None and waiting[0].at <= index:
            yield waiting.pop(0)
        if isinstance(part, TextPart | RefusalPart):
            spoken.append(part)
        else:
            yield part
    if spoken:
        yield spoken
    yield from waiting


class _Turn:
    """What the model wrote in one turn."""

    def __init__(self, *, follows: bool = False) -> None:
        self.spoke_last = False
        """Whether the last item was a message."""
        self._follows = follows
        self._parts: list[Part] = []
        self._calls: list[ToolCall] = []
        self._extra: Fields = {}
        self._is_empty = True

    def add(self, item: Item) -> None:
        self._is_empty = False
        self.spoke_last = item.kind == "message"
        match item.kind:
            case "message":
                self._parts += decode_content(item.fields.get("content"), f"{item.at}.content")
                self._extra = rest(item.fields, "role", "content", "status") | self._extra
            case "function_call":
                self._calls.append(_call(item, at=len(self._parts)))
            case "reasoning":
                self._parts.append(decode_reasoning(item.fields, item.at))
            case _:
                self._parts.append(_opaque(item))

    def message(self) -> Message:
        whole = len(self._parts)
        calls = (msgspec.structs.replace(call, at=None) if call.at == whole else call for call in self._calls)
        return Message(
            role="assistant",
            parts=tuple(self._parts),
            tool_calls=tuple(calls),
            same_turn=self._follows,
            extra=self._extra,
        )

    def messages(self) -> list[Message]:
        return [] if self._is_empty else [self.message()]


def _is_written(item: Item) -> bool:
    """Whether the model wrote it, and not the caller."""
    if item.kind == "message":
        return bool(value_of(item.fields, "role") == "assistant")
    return not item.kind.endswith(_CALLERS_OWN)


def _callers_message(item: Item) -> Message:
    match item.kind:
        case "message":
            role = value_of(item.fields, "role")
            if not isinstance(role, str) or role not in _INPUT_ROLES:
                raise BadField(f"{item.at}.role", "must be user, assistant, system or developer")
            parts = decode_content(item.fields.get("content"), f"{item.at}.content")
            extra = rest(item.fields, "role", "content", "status")
            return Message(role=_INPUT_ROLES[role], parts=parts, extra=extra)
        case "function_call_output":
            return Message(
                role="tool",
                parts=decode_content(item.fields.get("output"), f"{item.at}.output"),
                tool_call_id=text_of(item.fields, "call_id", item.at),
                extra=rest(item.fields, "call_id", "output", "status"),
            )
    return Message(role="user", parts=(_opaque(item),))


def _call(item: Item, at: int) -> ToolCall:
    return ToolCall(
        id=text_of(item.fields, "call_id", item.at),
        name=text_of(item.fields, "name", item.at),
        arguments=text_of(item.fields, "arguments", item.at),
        at=at,
        extra=rest(item.fields, "call_id", "name", "arguments", "status"),
    )


def _opaque(item: Item) -> OpaquePart:
    return OpaquePart(dialect="openai_responses", kind=item.kind, raw=item.raw.copy())


def _encode_result(message: Message) -> dict[str, Any]:
    output = encode_content(message.parts, written=False) if message.parts else ""
    return {
        "type": "function_call_output",
        "call_id": message.tool_call_id or "",
        "output": output,
        **message.extra,
    }


def _encode_message(message: Message) -> list[dict[str, Any] | msgspec.Raw]:
    items: list[dict[str, Any] | msgspec.Raw] = [
        _foreign(part) for part in message.parts if isinstance(part, OpaquePart)
    ]
    # Reasoning of another provider's model is nothing that this dialect takes back: it is left out.
    parts = [part for part in message.parts if not isinstance(part, OpaquePart | ReasoningPart)]
    if parts or not items:
        content = encode_content(parts, written=False) if parts else ""
        items.append({"type": "message", "role": message.role, "content": content, **message.extra})
    return items


def _encode_turn(message: Message) -> Iterator[dict[str, Any] | msgspec.Raw]:
    extra = message.extra
    for piece in in_order(message):
        match piece:
            case list():
                yield {
                    "type": "message",
                    "role": "assistant",
                    "content": encode_content(piece, written=True),
                    **extra,
                }
                extra = {}
            case ToolCall():
                yield encode_call(piece)
            case OpaquePart():
                yield _foreign(piece)
            case ReasoningPart():
                if "id" in piece.extra:  # without one it is not this dialect's
                    yield encode_reasoning(piece)
            case _:
                yield encode_part(piece, written=True)


def _foreign(part: OpaquePart) -> msgspec.Raw:
    if part.dialect != "openai_responses":
        raise inexpressible(part)
    return part.raw
