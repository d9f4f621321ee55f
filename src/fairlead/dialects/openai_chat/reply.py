"""Whole answers of the OpenAI dialect: their usage alone, and to and from the neutral form."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects._json import load_object, mended, snippet
from fairlead.dialects.fields import BadField
from fairlead.dialects.openai_chat.errors import decode_in_band, is_error
from fairlead.dialects.openai_chat.messages import decode_message, encode_answer
from fairlead.dialects.openai_chat.usage import PlainCounts, decode_usage, encode_usage
from fairlead.errors import UpstreamProtocol
from fairlead.types import ChatReply, Choice, ReasoningPart, Usage

_NULL = msgspec.Raw(b"null")
_REASONING = ("reasoning_content", "reasoning")
"""DeepSeek's name, and that of newer servers; some send both."""
_KNOWN = frozenset({"id", "object", "created", "model", "choices", "usage"})


class _Top(msgspec.Struct):
    """The top level; of the content not even the strings are decoded."""

    choices: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    usage: msgspec.Raw = _NULL
    service_tier: Any = None


class _Counted(msgspec.Struct):
    """The top level of nearly every answer: counts of the plain kind."""

    usage: PlainCounts
    choices: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    service_tier: str | None = None


class _Choice(msgspec.Struct):
    message: dict[str, msgspec.Raw]
    index: int | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = _NULL


_TOP = msgspec.json.Decoder(_Top)
_COUNTED = msgspec.json.Decoder(_Counted)
_CHOICES = msgspec.json.Decoder(list[_Choice])


def usage(body: bytes) -> Usage | None:
    """The usage of a whole answer; `None` where the provider did not count.

    Raises:
        UpstreamProtocol: not a JSON object, or one without choices.
        FairleadError: the body is an error in a 200; it is raised as that error.
    """
    try:
        counted = _COUNTED.decode(body)
        if counted.error is _NULL and not _is_null(counted.choices):
            plain = counted.usage.plain(counted.service_tier)
            if plain is not None:
                return plain
    except (ValueError, RecursionError):
        pass  # whatever it is, the careful way will say
    return _careful_usage(body)


def _careful_usage(body: bytes) -> Usage | None:
    try:
        top = _TOP.decode(body)
        counts = msgspec.json.decode(top.usage)
    except (ValueError, RecursionError):
        return _forgiving_usage(body)
    if not _is_null(top.error) or _is_null(top.choices):
        raise decode_in_band(body) if is_error(load_object(body)) else _not_an_answer(snippet(body))
    return decode_usage(counts, top.service_tier)


def _forgiving_usage(body: bytes) -> Usage | None:
    """The same of an answer in which the text is torn: a raw NUL, half a character (FAULTS S10)."""
    top = load_object(body)
    if is_error(top) or top.get("choices") is None:
        raise decode_in_band(body) if is_error(top) else _not_an_answer(snippet(body))
    return decode_usage(top.get("usage"), top.get("service_tier"))


def decode(body: bytes) -> ChatReply:
    """The neutral form; fields without a neutral place are kept in `extra`.

    Raises:
        UpstreamProtocol: it is not an answer of this dialect.
        FairleadError: the body is an error in a 200.
    """
    counts = usage(body)
    top = load_object(body)
    try:
        choices = _choices(body)
    except (BadField, ValueError, RecursionError) as error:
        choices = _mended_choices(body, error)
    created = top.get("created")
    return ChatReply(
        id=str(top.get("id") or ""),
        model=str(top.get("model") or ""),
        created=int(created) if isinstance(created, int | float) else 0,
        choices=choices,
        usage=counts,
        extra={name: value for name, value in top.items() if name not in _KNOWN},
    )


def encode(reply: ChatReply) -> bytes:
    """A body in this dialect."""
    body: dict[str, Any] = {
        "id": reply.id,
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.model,
        "choices": [_encode_choice(choice) for choice in reply.choices],
    }
    if reply.usage is not None:
        body["usage"] = encode_usage(reply.usage)
    return msgspec.json.encode(body | reply.extra)


def _choices(body: bytes) -> tuple[Choice, ...]:
    rows = _CHOICES.decode(_TOP.decode(body).choices)
    return tuple(_choice(row, position) for position, row in enumerate(rows))


def _mended_choices(body: bytes, reason: Exception) -> tuple[Choice, ...]:
    """Those of an answer in which only the text may be torn."""
    try:
        return _choices(mended(body))
    except (BadField, ValueError, RecursionError):
        raise _not_an_answer(f"{reason}: {snippet(body)}") from None


def _choice(row: _Choice, position: int) -> Choice:
    fields = {name: raw.copy() for name, raw in row.message.items()}
    fields.setdefault("role", msgspec.Raw(b'"assistant"'))
    thought = _reasoning(fields)
    message = decode_message(fields, f"choices[{position}].message")
    if thought:
        message = msgspec.structs.replace(message, parts=(ReasoningPart(text=thought), *message.parts))
    return Choice(
        index=position if row.index is None else row.index,
        message=message,
        finish_reason=row.finish_reason,
        logprobs=None if _is_null(row.logprobs) else row.logprobs.copy(),
    )


def _reasoning(fields: dict[str, msgspec.Raw]) -> str:
    """What the model thought, under the names that servers have for it, taken out of the message."""
    thoughts = [msgspec.json.decode(fields[name]) for name in _REASONING if name in fields]
    for name in _REASONING:
        fields.pop(name, None)
    return next((thought for thought in thoughts if isinstance(thought, str)), "")


def _encode_choice(choice: Choice) -> dict[str, Any]:
    return {
        "index": choice.index,
        "message": encode_answer(choice.message),
        "logprobs": choice.logprobs,
        "finish_reason": choice.finish_reason,
    }


def _is_null(raw: msgspec.Raw) -> bool:
    return len(raw) == 4 and bytes(raw) == b"null"


def _not_an_answer(detail: str) -> UpstreamProtocol:
    return UpstreamProtocol("The provider's answer is not a chat completion.", detail=detail)
