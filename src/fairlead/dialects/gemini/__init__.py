"""Google's Generative Language API, and what speaks it."""

from __future__ import annotations

from fairlead.dialects.codec import Dialect
from fairlead.dialects.gemini import errors, reply, request, stream
from fairlead.dialects.gemini.listing import count, model, models

GEMINI = Dialect(
    name="gemini",
    paths=request.PATHS,
    schema_fields=frozenset({"generationConfig", "generation_config", "tools"}),
    upstream_path="/models/{model}:generateContent",
    stream_path="/models/{model}:streamGenerateContent?alt=sse",
    count_path="/models/{model}:countTokens",
    terminated=False,
    # The project whose quota counts, as `openai-project` names one; what the caller's SDK is called stays here.
    allowed_headers=frozenset({"x-goog-user-project"}),
    request=request,
    reply=reply,
    stream=stream,
    errors=errors,
    leaves_out={
        "user": "a request of this dialect names nobody",
        "name": "a message has a role there, and nobody's name",
        "detail": "how closely an image is looked at is not told there",
        "strict": "a function has no such word there",
        "cache": "its providers cache what they have seen by themselves",
    },
    sign="x-goog-api-client",
    count=count,
    model=model,
    models=models,
)

__all__ = ["GEMINI"]
