"""Bodies of requests for embeddings: what all forms read and write in the same way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

import msgspec

from fairlead.dialects.fields import BadField, string
from fairlead.errors import InvalidRequest
from fairlead.types import Embed

MOST_DIMENSIONS = 65_536
"""The longest vector that is asked for; models stop at a few thousand."""
_ADDED_TOKENS = 16
"""What a provider may put around each text and bill: the words of a task, and where the text begins and ends."""
_LOOKED_AT = 64
"""Bytes in which an array of texts shows that it is one."""

_Token = Annotated[int, msgspec.Meta(ge=0)]
_INPUTS = msgspec.json.Decoder(str | list[str | _Token | list[_Token]])
_TEXTS = msgspec.json.Decoder(list[str])


def measure(fields: Mapping[str, msgspec.Raw], name: str) -> tuple[int, int | None]:
    """How many tokens there are at most, a text having no more than bytes; and how many there are, where that is known:
    what is told as token numbers is counted.

    Raises:
        BadField: absent, or of the wrong type.
    """
    raw = fields.get(name)
    if raw is None:
        raise BadField(name, "is missing")
    written = bytes(raw)
    if written[0] == 0x22 or written[1:_LOOKED_AT].lstrip()[:1] == b'"':
        return len(written) + (written.count(b'"') + 1) // 2 * _ADDED_TOKENS, None
    inputs = inputs_of(fields, name)
    if isinstance(inputs[0], str):
        return sum(len(str(text).encode()) + _ADDED_TOKENS for text in inputs), None
    tokens = sum(map(len, inputs))
    return tokens, tokens


def inputs_of(fields: Mapping[str, msgspec.Raw], name: str) -> tuple[str | tuple[int, ...], ...]:
    """A text, texts, token numbers, or several of those.

    Raises:
        BadField: anything else, or nothing at all.
    """
    reason = "must be a string, an array of strings, or token numbers: an array of integers, or of such arrays"
    try:
        value = _INPUTS.decode(fields.get(name, b"null"))
    except (ValueError, RecursionError):
        raise BadField(name, reason) from None
    if isinstance(value, str):
        return (value,)
    kinds = set(map(type, value))
    if len(kinds) != 1:
        raise BadField(name, reason if kinds else "must not be empty")
    if kinds == {int}:
        return (tuple(each for each in value if isinstance(each, int)),)
    return tuple(each if isinstance(each, str) else tuple(each) for each in value if not isinstance(each, int))


def texts_of(fields: Mapping[str, msgspec.Raw], name: str) -> tuple[str, ...]:
    """Texts alone.

    Raises:
        BadField: anything else, or none.
    """
    try:
        texts = _TEXTS.decode(fields.get(name, b"null"))
    except (ValueError, RecursionError):
        raise BadField(name, "must be an array of strings") from None
    if not texts:
        raise BadField(name, "must not be empty")
    return tuple(texts)


def encode_texts(embed: Embed) -> list[str]:
    """The inputs where only texts can be said.

    Raises:
        InvalidRequest: token numbers are among them.
    """
    texts = [each for each in embed.inputs if isinstance(each, str)]
    if len(texts) != len(embed.inputs):
        raise InvalidRequest("`input` holds token numbers, which only OpenAI's models take; send text.", param="input")
    return texts


def choice(fields: Mapping[str, msgspec.Raw], name: str, allowed: Collection[str]) -> str | None:
    """One of these words, or `None` where it is absent or null.

    Raises:
        BadField: anything else.
    """
    value = string(fields, name)
    if value is not None and value not in allowed:
        raise BadField(name, f"must be one of {', '.join(sorted(allowed))}")
    return value


def rest(fields: Mapping[str, msgspec.Raw], *known: str) -> dict[str, msgspec.Raw]:
    """The fields that have no neutral place, as copies of their own."""
    return {name: raw.copy() for name, raw in fields.items() if name not in known}
