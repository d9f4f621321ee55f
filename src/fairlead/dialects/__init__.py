"""Wire formats, each a folder of its own; everything else finds them here by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fairlead.call import Call
from fairlead.dialects import static
from fairlead.dialects.anthropic import ANTHROPIC
from fairlead.dialects.codec import Dialect
from fairlead.dialects.embeddings import COHERE_EMBEDDINGS, GEMINI_EMBEDDINGS, OPENAI_EMBEDDINGS, VOYAGE_EMBEDDINGS
from fairlead.dialects.gemini import GEMINI
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.dialects.openai_responses import OPENAI_RESPONSES
from fairlead.pipeline import Reply
from fairlead.types import DialectName

DIALECTS: Mapping[DialectName, Dialect] = MappingProxyType(
    {
        each.name: each
        for each in (
            OPENAI_CHAT,
            OPENAI_RESPONSES,
            ANTHROPIC,
            GEMINI,
            OPENAI_EMBEDDINGS,
            GEMINI_EMBEDDINGS,
            COHERE_EMBEDDINGS,
            VOYAGE_EMBEDDINGS,
        )
    }
)
"""Every dialect by its name."""


def dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        KeyError: there is none; the message lists those there are.
    """
    for known, found in DIALECTS.items():
        if known == name:
            return found
    raise KeyError(f"no dialect {name!r}; there are: {', '.join(sorted(DIALECTS))}")


def static_reply(call: Call, text: str) -> Reply | None:
    """A reply that no provider gave, in the caller's dialect; `None` where a text is no answer."""
    spoken = DIALECTS[call.dialect_in]
    return static.static_reply(spoken, call, text) if spoken.kind == "chat" else None


__all__ = ["DIALECTS", "Dialect", "dialect", "static_reply"]
