"""The official SDK's models of chat completions and of all else that OpenAI answers, extra fields forbidden at every
depth."""

from __future__ import annotations

import json

from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import TypeAdapter

from anthropic_official import undeclared

RESPONSE_EVENT = TypeAdapter(ResponseStreamEvent)


def checked(model, body):
    found = model.model_validate_json(body, strict=True)
    assert undeclared(found) == set()
    return found


def check_completion(body):
    return checked(ChatCompletion, body)


def check_chunks(raw):
    """Each event is a chunk, but for the last."""
    *frames, done, rest = raw.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [checked(ChatCompletionChunk, frame.removeprefix(b"data: ")) for frame in frames]


def check_response(body):
    return checked(Response, body)


def check_response_events(raw):
    """Each event is named after its type, and valid."""
    events = []
    for frame in raw.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        event = RESPONSE_EVENT.validate_python(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {event.type}"
        assert undeclared(event) == set()
        events.append(event)
    return events


def check_embeddings(body):
    return checked(CreateEmbeddingResponse, body)


def check_error(body):
    told = json.loads(body)
    assert set(told) == {"error"}
    return checked(ErrorObject, json.dumps(told["error"]))


def check_models(body):
    told = json.loads(body)
    assert (set(told), told["object"]) == ({"object", "data"}, "list")
    return [checked(Model, json.dumps(row)).id for row in told["data"]]
