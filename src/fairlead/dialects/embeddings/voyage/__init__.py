"""Embeddings as Voyage has them."""

from fairlead.dialects.embeddings.voyage import reply, request

__all__ = ["reply", "request"]
