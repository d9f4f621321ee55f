"""What the Gemini dialect answers beside content: lists of models, and counts of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_METHODS = ("generateContent", "countTokens")
"""Streams are not listed; `generateContent` stands for them, too."""


def count(tokens: int) -> dict[str, Any]:
    """The answer to a count of tokens."""
    return {"totalTokens": tokens}


def model(name: str) -> dict[str, Any]:
    """One model."""
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": _METHODS}


def models(names: Sequence[str]) -> dict[str, Any]:
    """All of them, on one page."""
    return {"models": [model(name) for name in names]}
