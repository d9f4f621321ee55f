"""OpenAI's Responses, and what speaks it."""

from __future__ import annotations

import msgspec

from fairlead.dialects.codec import Dialect
from fairlead.dialects.openai_responses import errors, reply, request, stream
from fairlead.dialects.openai_responses.kept import ask, kept_id

OPENAI_RESPONSES = Dialect(
    name="openai_responses",
    paths=("/v1/responses",),
    schema_fields=frozenset({"text", "tools"}),
    upstream_path="/responses",
    # As with chat completions: organisation and project choose who is billed under a credential.
    allowed_headers=frozenset({"openai-organization", "openai-project", "openai-beta", "x-client-request-id"}),
    request=request,
    reply=reply,
    stream=stream,
    errors=errors,
    # Its providers keep every answer; a caller of another dialect has not asked for that, and could not fetch it.
    asks={"store": msgspec.Raw(b"false")},
    kept_path="/v1/responses/",
    kept=ask,
    kept_id=kept_id,
    leaves_out={
        "seed": "it steers how an answer is drawn, and no provider promises more",
        "top_k": "`top_p` is the form that it has",
        "thinking": "it counts effort and no tokens; `reasoning_effort` is what it reads",
        "is_error": "what a tool says is text there, and says so itself",
        "name": "a message has a role there, and nobody's name",
        "cache": "its providers cache what they have seen by themselves",
    },
)

__all__ = ["OPENAI_RESPONSES"]
