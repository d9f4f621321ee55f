"""The official SDK's response models, extra fields forbidden at every depth."""

from __future__ import annotations

import json

from anthropic.types import Message, RawMessageStreamEvent
from pydantic import BaseModel, TypeAdapter

EVENT = TypeAdapter(RawMessageStreamEvent)


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


def check_message(body):
    message = Message.model_validate_json(body, strict=True)
    assert undeclared(message) == set()
    return message


def check_events(raw):
    """Each event is named after its type, and valid."""
    events = []
    for frame in raw.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        event = EVENT.validate_python(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {event.type}"
        assert undeclared(event) == set()
        events.append(event)
    return events
