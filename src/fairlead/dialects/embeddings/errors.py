"""Errors of embeddings, both ways.

All forms but Google's, which are those of its content, are read by the decoder of OpenAI's, which knows `error`, `message`
and `detail`; what is written is each form's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from fairlead.dialects.openai_chat import errors as openai_errors
from fairlead.errors import FairleadError

_INVALID_TOKEN = 498
"""Cohere's status for a key that it does not know."""


class EmbeddingErrors:
    """`errors.py` of a form of embeddings; see `ErrorCodec`.

    Args:
        encode: the body of an error answer.
        statuses: what this provider's own statuses mean elsewhere.
    """

    def __init__(self, encode: Callable[[FairleadError], bytes], statuses: Mapping[int, int] | None = None) -> None:
        self._encode = encode
        self._statuses = statuses or {}

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> FairleadError:
        """See `ErrorCodec`."""
        return openai_errors.decode(self._statuses.get(status, status), headers, body)

    def encode(self, error: FairleadError) -> bytes:
        """See `ErrorCodec`."""
        return self._encode(error)

    def encode_event(self, error: FairleadError) -> bytes:
        """The same: nothing is streamed."""
        return self._encode(error)


def _cohere(error: FairleadError) -> bytes:
    return msgspec.json.encode({"message": error.message})


def _voyage(error: FairleadError) -> bytes:
    return msgspec.json.encode({"detail": error.message})


OPENAI = EmbeddingErrors(openai_errors.encode)
COHERE = EmbeddingErrors(_cohere, {_INVALID_TOKEN: 401})
VOYAGE = EmbeddingErrors(_voyage)
