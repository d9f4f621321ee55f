"""Answers with embeddings in Cohere's form; they do not say which model gave them."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects._json import snippet
from fairlead.dialects.embeddings.answer import NULL, checked, counted, not_an_answer, open_answer
from fairlead.types import EmbedReply, Usage


class _Answer(msgspec.Struct):
    """The top level; vectors are left as they are."""

    embeddings: msgspec.Raw = NULL
    error: msgspec.Raw = NULL
    meta: Any = None


class _Vectors(msgspec.Struct):
    floats: tuple[tuple[float, ...], ...] = msgspec.field(name="float")


_ANSWER = msgspec.json.Decoder(_Answer)
_VECTORS = msgspec.json.Decoder(_Vectors)


def usage(body: bytes) -> Usage | None:
    """What is billed of a whole answer; `None` where the provider did not count.

    Raises:
        UpstreamProtocol: not an answer of this form.
        FairleadError: the body is an error in a 200; it is raised as that error.
    """
    return _counted(open_answer(body, _ANSWER, "embeddings"))


def decode(body: bytes) -> EmbedReply:
    """The neutral form.

    Raises:
        UpstreamProtocol: it is not an answer of this form.
        FairleadError: the body is an error in a 200.
    """
    answer = open_answer(body, _ANSWER, "embeddings")
    try:
        vectors = _VECTORS.decode(answer.embeddings).floats
    except (ValueError, RecursionError) as error:
        raise not_an_answer(f"{error}: {snippet(body)}") from None
    return EmbedReply(model="", vectors=checked(vectors), usage=_counted(answer))


def encode(reply: EmbedReply) -> bytes:
    """A body in this form."""
    body: dict[str, Any] = {"embeddings": {"float": reply.vectors}, "response_type": "embeddings_by_type"}
    if reply.usage is not None:
        body["meta"] = {"billed_units": {"input_tokens": reply.usage.all_input_tokens}}
    return msgspec.json.encode(body | reply.extra)


def _counted(answer: _Answer) -> Usage | None:
    return counted(answer.meta, "billed_units", "input_tokens")
