"""What the official SDKs know about each dialect's answers: one row each, extra fields forbidden at every depth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anthropic.types import ModelInfo
from anthropic.types.shared import ErrorResponse

import anthropic_official
import gemini_official
import openai_official

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


OFFICIAL = {
    "openai_chat": Official(
        reply=openai_official.check_completion,
        events=openai_official.check_chunks,
        error=openai_official.check_error,
        models=openai_official.check_models,
    ),
    "openai_responses": Official(
        reply=openai_official.check_response,
        events=openai_official.check_response_events,
        error=openai_official.check_error,
        models=openai_official.check_models,
    ),
    "openai_embeddings": Official(
        reply=openai_official.check_embeddings,
        events=None,
        error=openai_official.check_error,
        models=openai_official.check_models,
    ),
    "anthropic": Official(
        reply=anthropic_official.check_message,
        events=anthropic_events,
        error=anthropic_error,
        models=anthropic_models,
    ),
    "gemini": Official(
        reply=gemini_official.check_response,
        events=gemini_official.check_events,
        error=gemini_official.check_error,
        models=gemini_official.check_models,
    ),
    "gemini_embeddings": Official(
        reply=gemini_official.check_embeddings,
        events=None,
        error=gemini_official.check_error,
        models=gemini_official.check_models,
    ),
}
"""By dialect."""
