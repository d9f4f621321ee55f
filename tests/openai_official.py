"""The official SDK's models of responses, extra fields forbidden at every depth."""

from __future__ import annotations

import json

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

EVENT = TypeAdapter(ResponseStreamEvent)
REQUIRED_ANYWAY = {"error", "incomplete_details", "instructions", "metadata", "temperature", "top_p"}
"""Fields that the SDK types as optional, and that every answer of the API has all the same."""


def undeclared(value):
    """The fields that the SDK's models do not know, wherever they stand."""
    found = set()
    if isinstance(value, BaseModel):
        found |= set(value.model_extra or {})
        for name in type(value).model_fields:
            found |= undeclared(getattr(value, name))
    elif isinstance(value, list):
        for each in value:
            found |= undeclared(each)
    return found


def check_response(body):
    response = Response.model_validate_json(body, strict=True)
    assert undeclared(response) == set()
    assert set(json.loads(body)) >= REQUIRED_ANYWAY
    return response


def check_events(raw):
    """Each event is named after its type, numbered, and valid."""
    events = []
    for number, frame in enumerate(raw.decode().split("\n\n")[:-1]):
        name, data = frame.split("\n")
        event = EVENT.validate_python(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {event.type}"
        assert event.sequence_number == number
        assert undeclared(event) == set()
        events.append(event)
    return events
