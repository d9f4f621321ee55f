"""Anthropic's Messages, and what speaks it."""

from __future__ import annotations

from fairlead.dialects.anthropic import errors, reply, request, stream
from fairlead.dialects.anthropic.listing import count, model, models
from fairlead.dialects.codec import Dialect

ANTHROPIC = Dialect(
    name="anthropic",
    paths=("/v1/messages", "/v1/messages/count_tokens"),
    schema_fields=frozenset({"output_config", "tools"}),
    has_json=False,
    upstream_path="/messages",
    count_path="/messages/count_tokens",
    # The version decides how the body is read, and a beta what it may hold.
    allowed_headers=frozenset({"anthropic-version", "anthropic-beta"}),
    request=request,
    reply=reply,
    stream=stream,
    errors=errors,
    leaves_out={
        "seed": "it steers how an answer is drawn, and no provider promises more",
        "name": "a message has a role there, and nobody's name",
        "detail": "how closely an image is looked at is not told there",
    },
    sign="anthropic-version",
    request_id="request-id",
    count=count,
    model=model,
    models=models,
)

__all__ = ["ANTHROPIC"]
