"""The official SDK's models, which forbid fields that they do not know, at every depth."""

from __future__ import annotations

import json

from google.genai import types
from pydantic import TypeAdapter

_CONTENT = TypeAdapter(list[types.Content])
_TOOLS = TypeAdapter(list[types.Tool])
_BESIDE = {"safetySettings", "cachedContent"}


def check_request(body):
    """Each field of a request by the SDK's own model."""
    fields = json.loads(body)
    _CONTENT.validate_python(fields.pop("contents"))
    types.Content.model_validate(fields.pop("systemInstruction", {}))
    _TOOLS.validate_python(fields.pop("tools", []))
    types.ToolConfig.model_validate(fields.pop("toolConfig", {}))
    types.GenerationConfig.model_validate(fields.pop("generationConfig", {}))
    assert set(fields) <= _BESIDE


def check_reply(body):
    return types.GenerateContentResponse.model_validate_json(body)


def check_events(raw):
    """Each event is an answer of its own."""
    frames = raw.decode().split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    return [check_reply(frame.removeprefix("data: ")) for frame in frames]
