"""OpenAI's chat completions, the wire format that most providers and servers also speak."""

from __future__ import annotations

from fairlead.dialects.codec import Dialect
from fairlead.dialects.openai_chat import errors, reply, request, stream

OPENAI_CHAT = Dialect(
    name="openai_chat",
    paths=("/v1/chat/completions",),
    schema_fields=frozenset({"response_format", "tools"}),
    upstream_path="/chat/completions",
    # Organisation and project choose who is billed under a credential; they matter in passthrough mode.
    allowed_headers=frozenset({"openai-organization", "openai-project", "openai-beta", "x-client-request-id"}),
    request=request,
    reply=reply,
    stream=stream,
    errors=errors,
    leaves_out={
        "top_k": "`top_p` is the form that it has",
        "thinking": "it counts effort and no tokens; `reasoning_effort` is what it reads",
        "is_error": "what a tool says is text there, and says so itself",
        "cache": "its providers cache what they have seen by themselves",
    },
)

__all__ = ["OPENAI_CHAT"]
