"""Embeddings: OpenAI's form, in which callers ask for them, and those of other providers."""

from __future__ import annotations

from fairlead.dialects.codec import Dialect
from fairlead.dialects.embeddings import cohere, errors, gemini, openai, voyage
from fairlead.dialects.gemini import errors as google_errors
from fairlead.dialects.gemini import listing

_NO_USER = {"user": "it changes no vector"}

OPENAI_EMBEDDINGS = Dialect(
    name="openai_embeddings",
    kind="embeddings",
    paths=("/v1/embeddings",),
    upstream_path="/embeddings",
    # Organisation and project choose who is billed under a credential; they matter in passthrough mode.
    allowed_headers=frozenset({"openai-organization", "openai-project", "openai-beta", "x-client-request-id"}),
    request=openai.request,
    reply=openai.reply,
    errors=errors.OPENAI,
)
GEMINI_EMBEDDINGS = Dialect(
    name="gemini_embeddings",
    kind="embeddings",
    paths=(),
    upstream_path="/models/{model}:batchEmbedContents",
    allowed_headers=frozenset(),
    request=gemini.request,
    reply=gemini.reply,
    errors=google_errors,
    leaves_out=_NO_USER,
    model=listing.model,
    models=listing.models,
)
COHERE_EMBEDDINGS = Dialect(
    name="cohere_embeddings",
    kind="embeddings",
    paths=(),
    upstream_path="/v2/embed",
    allowed_headers=frozenset(),
    request=cohere.request,
    reply=cohere.reply,
    errors=errors.COHERE,
    leaves_out=_NO_USER,
)
VOYAGE_EMBEDDINGS = Dialect(
    name="voyage_embeddings",
    kind="embeddings",
    paths=(),
    upstream_path="/embeddings",
    allowed_headers=frozenset(),
    request=voyage.request,
    reply=voyage.reply,
    errors=errors.VOYAGE,
    leaves_out=_NO_USER,
)

__all__ = ["COHERE_EMBEDDINGS", "GEMINI_EMBEDDINGS", "OPENAI_EMBEDDINGS", "VOYAGE_EMBEDDINGS"]
