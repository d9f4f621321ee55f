"""Whole answers of the Gemini dialect: their usage alone, and to and from the neutral form.

A prompt that is blocked has no candidate: in the neutral form that is one empty answer that a filter ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fairlead.dialects._json import load_object, mended, snippet
from fairlead.dialects.fields import BadField
from fairlead.dialects.gemini.errors import decode_in_band, is_error
from fairlead.dialects.gemini.logprobs import decode_logprobs, encode_logprobs
from fairlead.dialects.gemini.objects import Fields, opened, rest, rows, spelled
from fairlead.dialects.gemini.parts import decode_answer, encode_answer, read_parts
from fairlead.dialects.gemini.reasons import decode_reason, encode_reason
from fairlead.dialects.gemini.usage import decode_usage, encode_usage
from fairlead.errors import InvalidRequest, UpstreamProtocol
from fairlead.types import ChatReply, Choice, Message, Usage

_KNOWN = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
_CANDIDATE = ("content", "index", "finishReason", "logprobsResult")
_FIELDS = msgspec.json.Decoder(Fields)
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_ID_CHARS = 24
"""How much of an answer's id goes into those of its calls; other providers take 40 characters in all."""


def usage(body: bytes) -> Usage | None:
    """The usage of a whole answer; `None` where the provider did not count.

    Raises:
        UpstreamProtocol: not a JSON object, or neither an answer nor the reason why there is none.
        FairleadError: the body is an error in a 200; it is raised as that error.
    """
    top = load_object(body)
    if is_error(top):
        raise decode_in_band(body)
    if not top.get("candidates") and not blocked(top):
        raise _not_an_answer(snippet(body))
    return decode_usage(top.get("usageMetadata"))


def decode(body: bytes) -> ChatReply:
    """The neutral form; fields without a neutral place are kept in `extra`, those of a candidate in its message's.

    Raises:
        UpstreamProtocol: it is not an answer of this dialect.
        FairleadError: the body is an error in a 200.
    """
    counts = usage(body)
    top = load_object(body)
    reply_id = _string(top.get("responseId"))
    choices = read_choices(body, id_maker(reply_id))
    if not choices:
        choices = (Choice(index=0, message=Message(role="assistant"), finish_reason="content_filter"),)
    return ChatReply(
        id=reply_id,
        model=_string(top.get("modelVersion")),
        created=0,
        choices=choices,
        usage=counts,
        extra={name: value for name, value in top.items() if name not in _KNOWN and value is not None},
    )


def encode(reply: ChatReply) -> bytes:
    """A body in this dialect; it has no time of creation.

    Raises:
        UpstreamProtocol: the answer holds what this dialect has no form for, such as arguments that are no object.
    """
    told = {"responseId": reply.id, "modelVersion": reply.model}
    body: dict[str, Any] = {name: value for name, value in told.items() if value}
    if not blocked(reply.extra):
        try:
            body["candidates"] = [_candidate(choice) for choice in reply.choices]
        except InvalidRequest as error:
            raise UpstreamProtocol(
                "The provider's answer cannot be put into the form of Gemini's content.", detail=error.message
            ) from None
    if reply.usage is not None:
        body["usageMetadata"] = encode_usage(reply.usage)
    return msgspec.json.encode(body | reply.extra)


def blocked(body: Mapping[str, Any]) -> bool:
    """Whether the prompt was blocked, so that there is no candidate."""
    feedback = body.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason")) and not body.get("candidates")


def read_choices(body: bytes, made_id: Callable[[], str]) -> tuple[Choice, ...]:
    """The candidates of an answer, or of one event of a stream.

    Args:
        made_id: ids for calls that have none.

    Raises:
        UpstreamProtocol: one is not of this dialect.
    """
    try:
        return _choices(body, made_id)
    except (BadField, ValueError, RecursionError) as error:
        reason = f"{error}: {snippet(body)}"
    try:
        return _choices(mended(body), made_id)  # only the text may be torn (FAULTS S10)
    except (BadField, ValueError, RecursionError):
        raise UpstreamProtocol("The provider's answer holds an odd candidate.", detail=reason) from None


def id_maker(reply_id: str) -> Callable[[], str]:
    """Ids for calls that came without one: the same for the same place in the same answer."""
    count = 0
    stem = _ODD.sub("", reply_id)[:_ID_CHARS]

    def made_id() -> str:
        nonlocal count
        count += 1
        return f"call_{stem}_{count - 1}" if stem else f"call_{count - 1}"

    return made_id


def _choices(body: bytes, made_id: Callable[[], str]) -> tuple[Choice, ...]:
    candidates = rows(spelled(_FIELDS.decode(body)).get("candidates"), "candidates")
    return tuple(_choice(raw, f"candidates[{place}]", place, made_id) for place, raw in enumerate(candidates))


def _choice(raw: msgspec.Raw, at: str, place: int, made_id: Callable[[], str]) -> Choice:
    fields = opened(raw, at)
    content = opened(fields["content"], f"{at}.content") if "content" in fields else {}
    parts, calls = decode_answer(read_parts(content.get("parts"), f"{at}.content.parts"), made_id)
    told = {name: msgspec.json.decode(fields.get(name, b"null")) for name in _CANDIDATE[1:]}
    reason, own = decode_reason(told["finishReason"], called=bool(calls))
    index = told["index"]
    return Choice(
        index=index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else place,
        message=Message(role="assistant", parts=parts, tool_calls=calls, extra=rest(fields, *_CANDIDATE) | own),
        finish_reason=reason,
        logprobs=decode_logprobs(told["logprobsResult"]),
    )


def _candidate(choice: Choice) -> dict[str, Any]:
    return {
        "content": {"parts": encode_answer(choice.message), "role": "model"},
        "finishReason": encode_reason(choice.finish_reason, refused=choice.message.is_refusal),
        "index": choice.index,
        **encode_logprobs(choice.logprobs),
        **choice.message.extra,
    }


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _not_an_answer(detail: str) -> UpstreamProtocol:
    return UpstreamProtocol("The provider's answer holds no candidate.", detail=detail)
