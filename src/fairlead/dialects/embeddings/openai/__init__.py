"""Embeddings as OpenAI has them."""

from fairlead.dialects.embeddings.openai import reply, request

__all__ = ["reply", "request"]
