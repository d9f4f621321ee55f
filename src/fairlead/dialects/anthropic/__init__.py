"""Anthropic's Messages, and what speaks it."""

from __future__ import annotations

from fairlead.dialects.anthropic import errors, reply, request, stream
from fairlead.dialects.codec import Dialect

ANTHROPIC = Dialect(
    name="anthropic",
    path="/v1/messages",
    upstream_path="/messages",
    # The version decides how the body is read, and a beta what it may hold.
    allowed_headers=frozenset({"anthropic-version", "anthropic-beta"}),
    request=request,
    reply=reply,
    stream=stream,
    errors=errors,
)

__all__ = ["ANTHROPIC"]
