"""Answers with embeddings in Voyage's form: OpenAI's, with another count."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.embeddings.answer import NULL, counted, decode_rows, encode_rows, open_answer
from fairlead.types import EmbedReply, Usage


class _Answer(msgspec.Struct):
    """The top level; vectors are left as they are."""

    data: msgspec.Raw = NULL
    error: msgspec.Raw = NULL
    model: Any = None
    usage: Any = None


_ANSWER = msgspec.json.Decoder(_Answer)


def usage(body: bytes) -> Usage | None:
    """The usage of a whole answer; `None` where the provider did not count.

    Raises:
        UpstreamProtocol: not an answer of this form.
        FairleadError: the body is an error in a 200; it is raised as that error.
    """
    return _counted(open_answer(body, _ANSWER, "data"))


def decode(body: bytes) -> EmbedReply:
    """The neutral form.

    Raises:
        UpstreamProtocol: it is not an answer of this form.
        FairleadError: the body is an error in a 200.
    """
    answer = open_answer(body, _ANSWER, "data")
    model = answer.model if isinstance(answer.model, str) else ""
    return EmbedReply(model=model, vectors=decode_rows(answer.data), usage=_counted(answer))


def encode(reply: EmbedReply) -> bytes:
    """A body in this form.

    Raises:
        UpstreamProtocol: a number that 32 bits cannot hold, where base64 is wanted.
    """
    body: dict[str, Any] = {"object": "list", "data": encode_rows(reply), "model": reply.model}
    if reply.usage is not None:
        body["usage"] = {"total_tokens": reply.usage.all_input_tokens}
    return msgspec.json.encode(body | reply.extra)


def _counted(answer: _Answer) -> Usage | None:
    return counted(answer.usage, "total_tokens")
