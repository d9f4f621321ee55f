"""Output items and the Response object around them, as whole answers and streams both write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fairlead.dialects.openai_responses.reasons import encode_reason
from fairlead.dialects.openai_responses.usage import encode_tool_usage, encode_usage
from fairlead.types import FinishReason, Usage

_DEFAULTS: dict[str, Any] = {
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What the API reference documents for a request that says nothing; an encoder does not know what was asked."""

_PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs"}


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is called, and what else is known of it from the start."""

    id: str = ""
    model: str = ""
    created: int = 0
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


def running(head: Head) -> dict[str, Any]:
    """The Response object of a stream that has only begun."""
    return _body(head) | {"status": "in_progress", "output": [], "usage": None} | head.extra


def finished(
    head: Head, output: Sequence[Any], reason: FinishReason | None, usage: Usage | None, extra: dict[str, Any]
) -> dict[str, Any]:
    """The whole Response object."""
    known = {**encode_reason(reason), "output": output, "usage": encode_usage(usage), **encode_tool_usage(usage)}
    return _body(head) | known | head.extra | extra


def item_id(head: Head, kind: str, position: int) -> str:
    """An id for an item that has none; it follows from the answer's own and the item's place."""
    return f"{_PREFIXES[kind]}_{head.id}_{position}"


def item_status(reason: FinishReason | None) -> str:
    """The status of an item that was written to the end, or to where the answer was cut."""
    status: str = encode_reason(reason)["status"]
    return status


def output_text(text: str, logprobs: Any = ()) -> dict[str, Any]:
    """A part of text."""
    told = {"logprobs": logprobs} if logprobs else {}
    return {"type": "output_text", "text": text, "annotations": [], **told}


def token_logprobs(raw: msgspec.Raw | None) -> list[Any]:
    """The log probabilities of each token, out of the neutral form."""
    value = None if raw is None else msgspec.json.decode(raw)
    content = value.get("content") if isinstance(value, dict) else None
    return content if isinstance(content, list) else []


def neutral_logprobs(tokens: list[Any]) -> msgspec.Raw | None:
    """The neutral form of the log probabilities of tokens; `None` where there are none."""
    return msgspec.Raw(msgspec.json.encode({"content": tokens, "refusal": None})) if tokens else None


def _body(head: Head) -> dict[str, Any]:
    return {"id": head.id, "object": "response", "created_at": head.created, "model": head.model, **_DEFAULTS}
