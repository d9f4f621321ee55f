"""Reasoning items of the Responses dialect and their neutral part.

A model of this dialect shows a summary of what it thought, or the thoughts themselves, beside what only the provider can
read.  Whatever is more than one summary is kept as it is, for the way back.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, value_of
from fairlead.dialects.openai_responses.content import Fields, rest
from fairlead.types import ReasoningPart


class _Text(msgspec.Struct):
    type: str
    text: str


_TEXTS = msgspec.json.Decoder(list[_Text] | None)


def decode_reasoning(fields: Fields, at: str) -> ReasoningPart:
    """The neutral part of a reasoning item.

    Raises:
        BadField: it is not well formed.
    """
    encrypted = value_of(fields, "encrypted_content")
    if encrypted is not None and not isinstance(encrypted, str):
        raise BadField(f"{at}.encrypted_content", "must be a string")
    summary, content = _texts(fields, "summary", at), _texts(fields, "content", at)
    known = ["encrypted_content", "status"]
    if len(summary) == 1 and summary[0] and not content:
        known.append("summary")
    extra = rest(fields, *known)
    if bytes(extra.get("summary", b"")) == b"[]":
        del extra["summary"]
    return ReasoningPart(text="\n\n".join(summary or content), encrypted=encrypted, extra=extra)


def encode_reasoning(part: ReasoningPart) -> dict[str, Any]:
    """A reasoning item; its id is among what was kept."""
    is_kept = "content" in part.extra or not part.text
    summary = [] if is_kept else [{"type": "summary_text", "text": part.text}]
    encrypted = {} if part.encrypted is None else {"encrypted_content": part.encrypted}
    return {"type": "reasoning", "summary": summary, **encrypted, **part.extra}


def _texts(fields: Fields, name: str, at: str) -> list[str]:
    raw = fields.get(name)
    if raw is None:
        return []
    try:
        return [each.text for each in _TEXTS.decode(raw) or ()]
    except (ValueError, RecursionError):
        raise BadField(f"{at}.{name}", "must be an array of texts") from None
