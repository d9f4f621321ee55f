"""Whole answers of the Responses dialect: their usage alone, and to and from the neutral form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fairlead.dialects._json import load_object, mended, snippet
from fairlead.dialects.fields import BadField
from fairlead.dialects.openai_responses.content import encode_part
from fairlead.dialects.openai_responses.errors import decode_in_band, is_error
from fairlead.dialects.openai_responses.items import decode_output, encode_call, in_order
from fairlead.dialects.openai_responses.reasons import decode_reason
from fairlead.dialects.openai_responses.thoughts import encode_reasoning
from fairlead.dialects.openai_responses.usage import decode_usage
from fairlead.dialects.openai_responses.written import (
    Head,
    finished,
    item_id,
    item_status,
    neutral_logprobs,
    token_logprobs,
)
from fairlead.errors import InvalidRequest, UpstreamProtocol
from fairlead.types import (
    ChatReply,
    Choice,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    Usage,
)

_NULL = msgspec.Raw(b"null")
_KNOWN = frozenset({"id", "object", "created_at", "model", "output", "usage", "status", "error", "incomplete_details"})


class _Top(msgspec.Struct):
    """The top level; of the output not even the strings are decoded."""

    output: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    usage: msgspec.Raw = _NULL
    service_tier: Any = None
    tool_usage: Any = None
    status: Any = None
    type: Any = None


_TOP = msgspec.json.Decoder(_Top)


def usage(body: bytes) -> Usage | None:
    """The usage of a whole answer; `None` where the provider did not count.

    Raises:
        UpstreamProtocol: not a JSON object, or one without output.
        FairleadError: the body is an error in a 200, such as a failed response; it is raised as that error.
    """
    try:
        top = _TOP.decode(body)
        counts = msgspec.json.decode(top.usage)
    except (ValueError, RecursionError):
        return _forgiving_usage(body)
    if not _is_null(top.error) or _is_null(top.output) or top.status == "failed" or top.type == "error":
        raise decode_in_band(body) if is_error(load_object(body)) else _not_an_answer(snippet(body))
    return decode_usage(counts, top.service_tier, top.tool_usage)


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
    message, logprobs = _without_logprobs(message)
    reason, own = decode_reason(top.get("status"), top.get("incomplete_details"), called=bool(message.tool_calls))
    created = top.get("created_at")
    return ChatReply(
        id=str(top.get("id") or ""),
        model=str(top.get("model") or ""),
        created=int(created) if isinstance(created, int | float) else 0,
        choices=(Choice(index=0, message=message, finish_reason=reason, logprobs=logprobs),),
        usage=counts,
        extra={name: value for name, value in top.items() if name not in _KNOWN} | own,
    )


def encode(reply: ChatReply) -> bytes:
    """A body in this dialect.  What was asked for is not known here: it shows the API's defaults.

    Raises:
        UpstreamProtocol: the answer holds what this dialect has no form for, such as a second choice.
    """
    if len(reply.choices) > 1:
        raise _inexpressible(f"{len(reply.choices)} choices")
    choice = reply.choices[0] if reply.choices else Choice(index=0, message=Message(role="assistant"))
    head = Head(id=reply.id, model=reply.model, created=reply.created)
    try:
        output = list(_encode_output(head, choice))
    except InvalidRequest as error:
        raise _inexpressible(error.message) from None
    return msgspec.json.encode(finished(head, output, choice.finish_reason, reply.usage, reply.extra))


def _encode_output(head: Head, choice: Choice) -> Iterator[dict[str, Any] | msgspec.Raw]:
    status = item_status(choice.finish_reason)
    extra = choice.message.extra
    tokens = token_logprobs(choice.logprobs)
    for position, piece in enumerate(in_order(choice.message)):
        match piece:
            case list():
                name = {"id": item_id(head, "message", position)}
                content = [encode_part(part, written=True) for part in piece]
                if tokens and content[0]["type"] == "output_text":
                    content[0]["logprobs"], tokens = tokens, []
                body = {"type": "message", "role": "assistant", "status": status, "content": content}
                yield {**name, **body, **extra}
                extra = {}
            case ToolCall():
                call = piece if piece.id else msgspec.structs.replace(piece, id=f"call_{head.id}_{position}")
                yield {"id": item_id(head, "function_call", position), "status": status, **encode_call(call)}
            case _:
                yield _encode_other(head, piece, position)


def _encode_other(head: Head, part: Part, position: int) -> dict[str, Any] | msgspec.Raw:
    match part:
        case ReasoningPart():
            return {"id": item_id(head, "reasoning", position), **encode_reasoning(part)}
        case OpaquePart(dialect="openai_responses"):
            return part.raw
    return encode_part(part, written=True)


def _without_logprobs(message: Message) -> tuple[Message, msgspec.Raw | None]:
    """The message, and apart from it the log probabilities of its tokens: they belong to the choice."""
    tokens: list[Any] = []
    parts: list[Part] = []
    for part in message.parts:
        kept = part
        if isinstance(part, TextPart) and "logprobs" in part.extra:
            extra = dict(part.extra)
            tokens += msgspec.json.decode(extra.pop("logprobs"), type=list[Any])
            kept = msgspec.structs.replace(part, extra=extra)
        parts.append(kept)
    return msgspec.structs.replace(message, parts=tuple(parts)), neutral_logprobs(tokens)


def _message(body: bytes) -> Message:
    return decode_output(_TOP.decode(body).output)


def _mended_message(body: bytes, reason: Exception) -> Message:
    """That of an answer in which only the text may be torn (FAULTS S10)."""
    try:
        return _message(mended(body))
    except (BadField, ValueError, RecursionError):
        raise _not_an_answer(f"{reason}: {snippet(body)}") from None


def _forgiving_usage(body: bytes) -> Usage | None:
    top = load_object(body)
    if is_error(top) or top.get("output") is None:
        raise decode_in_band(body) if is_error(top) else _not_an_answer(snippet(body))
    return decode_usage(top.get("usage"), top.get("service_tier"), top.get("tool_usage"))


def _is_null(raw: msgspec.Raw) -> bool:
    return len(raw) == 4 and bytes(raw) == b"null"


def _not_an_answer(detail: str) -> UpstreamProtocol:
    return UpstreamProtocol("The provider's answer is not a response.", detail=detail)


def _inexpressible(detail: str) -> UpstreamProtocol:
    return UpstreamProtocol("The provider's answer cannot be put into the form of OpenAI's Responses.", detail=detail)
