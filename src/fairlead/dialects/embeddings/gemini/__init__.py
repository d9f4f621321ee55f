"""Embeddings as Gemini has them: `batchEmbedContents`."""

from fairlead.dialects.embeddings.gemini import reply, request

__all__ = ["reply", "request"]
