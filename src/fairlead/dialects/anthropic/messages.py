"""Turns of the Anthropic dialect and neutral messages.

A turn of the user may hold results of tools beside text; in the neutral form each result is a message of its own, and
`same_turn` says what belongs together.  On the way out the results of several calls make one turn, as the API demands,
and the system prompts at the beginning become the top-level `system`.  A message's `name` has no place here and is left
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import msgspec

from fairlead.dialects.anthropic.blocks import (
    Block,
    Fields,
    decode_answer,
    decode_block,
    encode_answer,
    encode_cache,
    encode_parts,
    is_plain_text,
    read_blocks,
    rest,
    take_cache,
    text_of,
)
from fairlead.dialects.fields import BadField, value_of
from fairlead.types import Message, Part, Role, ToolCall

_SYSTEM = frozenset({"system", "developer"})
_WIRE: dict[Role, str] = {"tool": "user", "developer": "system"}


def decode_system(raw: msgspec.Raw | None) -> list[Message]:
    """The top-level system prompt as a message, where there is one."""
    if raw is None or bytes(raw) == b"null":
        return []
    blocks = read_blocks(raw, "system")
    return [Message(role="system", parts=_parts(blocks))] if blocks else []


def decode_turn(fields: Fields, at: str) -> list[Message]:
    """The messages of one turn.

    Raises:
        BadField: its path starts with `at`.
    """
    role = value_of(fields, "role")
    blocks = read_blocks(fields.get("content"), f"{at}.content")
    extra = rest(fields, "role", "content")
    if role == "assistant":
        parts, calls = decode_answer(blocks)
        return [Message(role="assistant", parts=parts, tool_calls=calls, extra=extra)]
    if role == "system":
        return [Message(role="system", parts=_parts(blocks), extra=extra)]
    if role == "user":
        return _user_messages(blocks, extra)
    raise BadField(f"{at}.role", "must be user, assistant or system")


def encode_messages(messages: Sequence[Message]) -> dict[str, Any]:
    """The fields `system` and `messages`.

    Raises:
        InvalidRequest: a part that this dialect has no form for.
    """
    leading = list(takewhile(lambda message: message.role in _SYSTEM, messages))
    turns: list[list[Message]] = []
    for message in messages[len(leading) :]:
        if turns and _joins(turns[-1][-1], message):
            turns[-1].append(message)
        else:
            turns.append([message])
    system = [part for message in leading for part in message.parts]
    body: dict[str, Any] = {}
    if system:
        body["system"] = _content(system)
    return {**body, "messages": [_encode_turn(turn) for turn in turns]}


def _user_messages(blocks: Sequence[Block], extra: Fields) -> list[Message]:
    messages: list[Message] = []
    pending: list[Block] = []
    for block in blocks:
        if block.kind != "tool_result":
            pending.append(block)
            continue
        if pending:
            messages.append(Message(role="user", parts=_parts(pending)))
            pending = []
        messages.append(_tool_message(block))
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


def _tool_message(block: Block) -> Message:
    fields = dict(block.fields)
    cache, failed = take_cache(fields), value_of(fields, "is_error")
    if failed is not None and not isinstance(failed, bool):
        raise BadField(f"{block.at}.is_error", "must be true or false")
    content = fields.get("content")
    inner = [] if content is None or bytes(content) == b"null" else read_blocks(content, f"{block.at}.content")
    return Message(
        role="tool",
        parts=_parts(inner),
        tool_call_id=text_of(fields, "tool_use_id", block.at),
        is_error=failed,
        cache=cache,
        extra=rest(fields, "tool_use_id", "content", "is_error"),
    )


def _parts(blocks: Sequence[Block]) -> tuple[Part, ...]:
    """Those of a turn in which no calls can stand."""
    parts: list[Part] = []
    for block in blocks:
        found = decode_block(block)
        if isinstance(found, ToolCall):
            raise BadField(f"{block.at}.type", "is nothing that this turn can hold")
        parts.append(found)
    return tuple(parts)


def _joins(before: Message, message: Message) -> bool:
    if _WIRE.get(before.role, before.role) != _WIRE.get(message.role, message.role):
        return False
    return message.same_turn or before.role == message.role == "tool"


def _encode_turn(turn: Sequence[Message]) -> dict[str, Any]:
    first = turn[0]
    body: dict[str, Any] = {"role": _WIRE.get(first.role, first.role)}
    if len(turn) == 1 and first.role != "tool" and not first.tool_calls:
        body["content"] = _content(first.parts)
    else:
        body["content"] = [block for message in turn for block in _blocks(message)]
    for message in turn:
        if message.role != "tool":
            body |= message.extra
    return body


def _blocks(message: Message) -> list[Any]:
    if message.role == "tool":
        return [_result(message)]
    if message.role == "assistant":
        return list(encode_answer(message, unsigned=False))
    return list(encode_parts(message.parts))


def _content(parts: Sequence[Part]) -> Any:
    return parts[0].text if is_plain_text(parts) else encode_parts(parts)  # type: ignore[union-attr]  # it is a text


def _result(message: Message) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": message.tool_call_id or ""}
    if message.parts:
        block["content"] = _content(message.parts)
    if message.is_error is not None:
        block["is_error"] = message.is_error
    if message.cache is not None:
        block["cache_control"] = encode_cache(message.cache)
    return block | message.extra
