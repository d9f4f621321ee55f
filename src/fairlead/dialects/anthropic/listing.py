"""What the Anthropic dialect answers beside messages: lists of models, and counts of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_LONG_AGO = "1970-01-01T00:00:00Z"
"""What the dialect writes where a release date is not known (platform.claude.com, *List Models*)."""


def count(tokens: int) -> dict[str, Any]:
    """The answer to a count of tokens."""
    return {"input_tokens": tokens}


def model(name: str) -> dict[str, Any]:
    """One model."""
    return {"type": "model", "id": name, "display_name": name, "created_at": _LONG_AGO, "lifecycle": "active"}


def models(names: Sequence[str]) -> dict[str, Any]:
    """All of them, on one page."""
    return {
        "data": [model(name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
