"""What the official SDKs know about each dialect's answers: one row each, extra fields forbidden at every depth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anthropic.types import ModelInfo
from anthropic.types.shared import ErrorResponse

import anthropic_official
import official_gemini
import official_openai

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
Check = Callable[[bytes], Any]


@dataclass(frozen=True, kw_only=True)
class Official:
    """Each takes bytes as they were sent, and fails where the SDK's models do not know them."""

    reply: Check
    events: Check | None
    """A whole stream; `None` where nothing is streamed."""
    error: Check
    models: Check
    """Gives the names."""


def anthropic_events(raw):
    """Without pings, which the SDK skips before it looks at an event."""
    return anthropic_official.check_events(raw.replace(PING, b""))


def anthropic_error(body):
    error = ErrorResponse.model_validate_json(body, strict=True)
    assert anthropic_official.undeclared(error) == set()
    return error


def anthropic_models(body):
    told = json.loads(body)
    assert set(told) == {"data", "has_more", "first_id", "last_id"}
    found = [ModelInfo.model_validate(row) for row in told["data"]]
    assert all(anthropic_official.undeclared(each) == set() for each in found)
    return [each.id for each in found]


def documented(*names):
    """A check for providers without a client here: an object of these fields and no others, as their pages list them."""

    def check(body):
        told = json.loads(body)
        assert set(told) <= set(names)
        assert names[0] in told
        return told

    return check


OFFICIAL = {
    "openai_chat": Official(
        reply=official_openai.check_completion,
        events=official_openai.check_chunks,
        error=official_openai.check_error,
        models=official_openai.check_models,
    ),
    "openai_responses": Official(
        reply=official_openai.check_response,
        events=official_openai.check_response_events,
        error=official_openai.check_error,
        models=official_openai.check_models,
    ),
    "openai_embeddings": Official(
        reply=official_openai.check_embeddings,
        events=None,
        error=official_openai.check_error,
        models=official_openai.check_models,
    ),
    "anthropic": Official(
        reply=anthropic_official.check_message,
        events=anthropic_events,
        error=anthropic_error,
        models=anthropic_models,
    ),
    "gemini": Official(
        reply=official_gemini.check_response,
        events=official_gemini.check_events,
        error=official_gemini.check_error,
        models=official_gemini.check_models,
    ),
    "gemini_embeddings": Official(
        reply=official_gemini.check_embeddings,
        events=None,
        error=official_gemini.check_error,
        models=official_gemini.check_models,
    ),
    "cohere_embeddings": Official(
        reply=documented("embeddings", "id", "meta", "response_type", "texts"),
        events=None,
        error=documented("message", "id"),
        models=official_openai.check_models,
    ),
    "voyage_embeddings": Official(
        reply=documented("data", "model", "object", "usage"),
        events=None,
        error=documented("detail"),
        models=official_openai.check_models,
    ),
}
"""By dialect."""
