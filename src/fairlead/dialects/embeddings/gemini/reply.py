"""Answers with embeddings in Gemini's form; they do not say which model gave them, and not always what was used."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects._json import snippet
from fairlead.dialects.embeddings.answer import NULL, checked, counted, not_an_answer, open_answer
from fairlead.types import EmbedReply, Usage


class _Answer(msgspec.Struct, rename="camel"):
    """The top level; vectors are left as they are."""

    embeddings: msgspec.Raw = NULL
    error: msgspec.Raw = NULL
    usage_metadata: Any = None


class _Vector(msgspec.Struct):
    values: tuple[float, ...]


_ANSWER = msgspec.json.Decoder(_Answer)
_VECTORS = msgspec.json.Decoder(list[_Vector])


def usage(body: bytes) -> Usage | None:
    """The usage of a whole answer; `None` where the provider did not count.

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
        vectors = [each.values for each in _VECTORS.decode(answer.embeddings)]
    except (ValueError, RecursionError) as error:
        raise not_an_answer(f"{error}: {snippet(body)}") from None
    return EmbedReply(model="", vectors=checked(vectors), usage=_counted(answer))


def encode(reply: EmbedReply) -> bytes:
    """A body in this form."""
    body: dict[str, Any] = {"embeddings": [{"values": vector} for vector in reply.vectors]}
    if reply.usage is not None:
        tokens = reply.usage.all_input_tokens
        body["usageMetadata"] = {"promptTokenCount": tokens, "totalTokenCount": tokens}
    return msgspec.json.encode(body | reply.extra)


def _counted(answer: _Answer) -> Usage | None:
    return counted(answer.usage_metadata, "promptTokenCount")
