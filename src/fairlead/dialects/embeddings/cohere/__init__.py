"""Embeddings as version 2 of Cohere's API has them."""

from fairlead.dialects.embeddings.cohere import reply, request

__all__ = ["reply", "request"]
