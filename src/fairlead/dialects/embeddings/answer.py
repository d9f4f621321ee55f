"""Answers with embeddings: what all forms read and write in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from fairlead.dialects._json import load_object, snippet
from fairlead.dialects.embeddings.vectors import pack, unpack
from fairlead.dialects.openai_chat.errors import decode_in_band, is_error
from fairlead.dialects.openai_chat.usage import MOST_TOKENS
from fairlead.errors import UpstreamProtocol
from fairlead.types import EmbedReply, Usage

NULL = msgspec.Raw(b"null")

_Top = TypeVar("_Top", bound=msgspec.Struct)


class Row(msgspec.Struct):
    """One element of `data`, as OpenAI and Voyage have it."""

    embedding: tuple[float, ...] | str
    """Numbers, or base64 of them."""
    index: int | None = None


_ROWS = msgspec.json.Decoder(list[Row])


def open_answer(body: bytes, decoder: msgspec.json.Decoder[_Top], vectors: str) -> _Top:
    """The top level of a whole answer.

    Args:
        vectors: the field that holds what was asked for.

    Raises:
        UpstreamProtocol: it is not an answer of this form.
        FairleadError: the body is an error in a 200; it is raised as that error.
    """
    try:
        top = decoder.decode(body)
        if not is_null(getattr(top, vectors)) and is_null(getattr(top, "error", NULL)):
            return top
        reason = f"no `{vectors}`"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise decode_in_band(body) if is_error(load_object(body)) else not_an_answer(f"{reason}: {snippet(body)}")


def decode_rows(raw: msgspec.Raw) -> tuple[tuple[float, ...], ...]:
    """The vectors of `data`, in the order of their inputs.

    Raises:
        UpstreamProtocol: they are none, or do not say which input each belongs to.
    """
    try:
        rows = _ROWS.decode(raw)
        vectors = [each.embedding if isinstance(each.embedding, tuple) else unpack(each.embedding) for each in rows]
    except (ValueError, RecursionError) as error:
        raise not_an_answer(str(error)) from None
    places = [place if row.index is None else row.index for place, row in enumerate(rows)]
    if sorted(places) != list(range(len(rows))):
        raise not_an_answer("an `index` is missing or stands twice")
    return checked([vector for _, vector in sorted(zip(places, vectors, strict=True))])


def encode_rows(reply: EmbedReply) -> list[dict[str, Any]]:
    """`data` of an answer, numbers as the caller wants them.

    Raises:
        UpstreamProtocol: a number that 32 bits cannot hold.
    """
    try:
        vectors = reply.vectors if reply.encoding != "base64" else [pack(vector) for vector in reply.vectors]
    except ValueError as error:
        raise not_an_answer(str(error)) from None
    return [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]


def checked(vectors: Sequence[tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
    """Vectors that are all of one length.

    Raises:
        UpstreamProtocol: they are not.
    """
    if len(set(map(len, vectors))) > 1:
        raise not_an_answer("vectors of several lengths")
    return tuple(vectors)


def counted(told: Any, *names: str) -> Usage | None:
    """So many input tokens as stand below these names, and nothing else; `None` where there is no count."""
    for name in names:
        told = told.get(name) if isinstance(told, dict) else None
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= MOST_TOKENS:
        return None
    return Usage(input_tokens=told)


def is_null(raw: msgspec.Raw) -> bool:
    """Whether a raw value is absent or null."""
    return len(raw) == 4 and bytes(raw) == b"null"


def not_an_answer(detail: str) -> UpstreamProtocol:
    """The provider's answer holds no embeddings."""
    return UpstreamProtocol("The provider's answer holds no embeddings that can be read.", detail=detail)
