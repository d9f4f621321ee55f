"""The official SDK's models of what Gemini answers; they forbid extra fields themselves."""

from __future__ import annotations

import json

from google.genai.types import EmbedContentResponse, GenerateContentResponse, Model

CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}


def check_response(body):
    return GenerateContentResponse.model_validate_json(body)


def check_events(raw):
    frames = raw.replace(b"\r\n", b"\n").split(b"\n\n")
    assert frames.pop() == b""
    return [check_response(frame.removeprefix(b"data: ")) for frame in frames]


def check_embeddings(body):
    return EmbedContentResponse.model_validate_json(body)


def check_error(body):
    """As `google.rpc.Status` in JSON."""
    told = json.loads(body)
    assert set(told) == {"error"}
    error = told["error"]
    assert set(error) - {"details"} == {"code", "message", "status"}
    assert error["status"] == CODES.get(error["code"], error["status"])
    assert all(detail["@type"].startswith("type.googleapis.com/google.rpc.") for detail in error.get("details", ()))
    return error


def check_models(body):
    """The SDK renames one field before it looks at it."""
    told = json.loads(body)
    assert set(told) <= {"models", "nextPageToken"}
    return [
        Model.model_validate({"supportedActions": row.pop("supportedGenerationMethods"), **row}).name
        for row in told["models"]
    ]
