"""Answers of the OpenAI chat dialect, written out by hand: a second opinion on `fairlead.dialects`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.testing.answers import Answer, json, sse

USAGE: Mapping[str, Any] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
"""What an answer reports where the script says nothing."""
_ID = "chatcmpl-fake"
_CREATED = 1_767_225_600


def tokens(prompt: int, completion: int, *, cached: int = 0, reasoning: int = 0) -> Mapping[str, Any]:
    """A usage block; `cached` is a part of `prompt`, `reasoning` a part of `completion`, as OpenAI counts."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def openai_reply(text: str, usage: Mapping[str, Any] | None = USAGE, *, model: str = "gpt-4o-mini") -> Answer:
    """A whole chat answer; without `usage` the block is absent."""
    message = {"role": "assistant", "content": text, "refusal": None}
    body: dict[str, Any] = {
        "id": _ID,
        "object": "chat.completion",
        "created": _CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
    }
    if usage is not None:
        body["usage"] = usage
    return json(body, headers={"x-request-id": "req_fake"})


def openai_stream(
    texts: Sequence[str],
    usage: Mapping[str, Any] | None = USAGE,
    *,
    model: str = "gpt-4o-mini",
    cut_at: int | None = None,
    stall_at: int | None = None,
    done: bool = True,
) -> Answer:
    """A streamed chat answer: the role, one event for each text, the finish, then usage (if any) and `[DONE]`.

    Args:
        cut_at: close after this many bytes; `answer.offset(events)` counts them.
        stall_at: fall silent after this many bytes.
    """
    deltas: list[tuple[Mapping[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": text}, None) for text in texts]
    deltas.append(({}, "stop"))
    events = [
        _chunk(model, [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}])
        for delta, reason in deltas
    ]
    if usage is not None:
        events.append({**_chunk(model, []), "usage": usage})
    return sse(events, cut_at=cut_at, stall_at=stall_at, done=done)


def _chunk(model: str, choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": model,
        "choices": list(choices),
    }


def openai_error(
    code: int,
    message: str,
    *,
    kind: str = "server_error",
    error_code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error answer; `kind` is OpenAI's `type`."""
    error = {"message": message, "type": kind, "param": None, "code": error_code}
    return json({"error": error}, code, headers)
