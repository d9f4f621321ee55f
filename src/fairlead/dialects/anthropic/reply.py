"""Whole answers of the Anthropic dialect: their usage alone, and to and from the neutral form."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects._json import load_object, mended, snippet
from fairlead.dialects.anthropic.blocks import decode_answer, encode_answer, read_blocks
from fairlead.dialects.anthropic.errors import decode_in_band, is_error
from fairlead.dialects.anthropic.reasons import decode_reason, encode_reason
from fairlead.dialects.anthropic.usage import decode_usage, encode_usage, uncounted
from fairlead.dialects.fields import BadField
from fairlead.errors import InvalidRequest, UpstreamProtocol
from fairlead.types import ChatReply, Choice, Message, Usage

_NULL = msgspec.Raw(b"null")
_KNOWN = frozenset({"id", "type", "role", "model", "content", "stop_reason", "usage"})


class _Top(msgspec.Struct):
    """The top level; of the content not even the strings are decoded."""

    content: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    usage: msgspec.Raw = _NULL
    type: Any = None


_TOP = msgspec.json.Decoder(_Top)


def usage(body: bytes) -> Usage | None:
    """The usage of a whole answer; `None` where the provider did not count.

    Raises:
        UpstreamProtocol: not a JSON object, or one without content.
        FairleadError: the body is an error in a 200; it is raised as that error.
    """
    try:
        top = _TOP.decode(body)
        counts = msgspec.json.decode(top.usage)
    except (ValueError, RecursionError):
        return _forgiving_usage(body)
    if top.type == "error" or not _is_null(top.error) or _is_null(top.content):
        raise decode_in_band(body) if is_error(load_object(body)) else _not_an_answer(snippet(body))
    return decode_usage(counts)


def decode(body: bytes) -> ChatReply:
    """The neutral form; fields without a neutral place are kept in `extra`.

    Raises:
        UpstreamProtocol: it is not an answer of this dialect.
        FairleadError: the body is an error in a 200.
    """
    counts = usage(body)
    top = load_object(body)
    try:
        message = _message(body)
    except (BadField, ValueError, RecursionError) as error:
        message = _mended_message(body, error)
    extra = {name: value for name, value in top.items() if name not in _KNOWN and value is not None}
    reason = top.get("stop_reason")
    if isinstance(reason, str):
        reason, own = decode_reason(reason)
        extra |= own
    if more := uncounted(top.get("usage")):
        extra["usage"] = more
    choice = Choice(index=0, message=message, finish_reason=reason if isinstance(reason, str) else None)
    return ChatReply(
        id=str(top.get("id") or ""),
        model=str(top.get("model") or ""),
        created=0,
        choices=(choice,),
        usage=counts,
        extra=extra,
    )


def encode(reply: ChatReply) -> bytes:
    """A body in this dialect, of the first choice: it has no room for another.  It has no time of creation either, and
    its usage cannot be unknown.

    Raises:
        UpstreamProtocol: the answer holds what this dialect has no form for, such as arguments that are no object.
    """
    message, reason = Message(role="assistant"), None
    if reply.choices:
        message, reason = reply.choices[0].message, reply.choices[0].finish_reason
    try:
        content = encode_answer(message, unsigned=True)
    except InvalidRequest as error:
        raise UpstreamProtocol(
            "The provider's answer cannot be put into the form of Anthropic's Messages.", detail=error.message
        ) from None
    extra = dict(reply.extra)
    counts = encode_usage(reply.usage) | extra.pop("usage", {})
    body = {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": encode_reason(reason, called=bool(message.tool_calls), refused=message.is_refusal),
        "stop_sequence": None,
        "usage": counts,
    }
    return msgspec.json.encode(body | extra)


def _message(body: bytes) -> Message:
    parts, calls = decode_answer(read_blocks(_TOP.decode(body).content, "content"))
    return Message(role="assistant", parts=parts, tool_calls=calls)


def _mended_message(body: bytes, reason: Exception) -> Message:
    """That of an answer in which only the text may be torn (FAULTS S10)."""
    try:
        return _message(mended(body))
    except (BadField, ValueError, RecursionError):
        raise _not_an_answer(f"{reason}: {snippet(body)}") from None


def _forgiving_usage(body: bytes) -> Usage | None:
    top = load_object(body)
    if is_error(top) or top.get("content") is None:
        raise decode_in_band(body) if is_error(top) else _not_an_answer(snippet(body))
    return decode_usage(top.get("usage"))


def _is_null(raw: msgspec.Raw) -> bool:
    return len(raw) == 4 and bytes(raw) == b"null"


def _not_an_answer(detail: str) -> UpstreamProtocol:
    return UpstreamProtocol("The provider's answer is not a message.", detail=detail)
