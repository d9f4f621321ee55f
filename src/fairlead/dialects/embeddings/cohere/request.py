"""Requests for embeddings in Cohere's form.

It demands to be told what they are for; a caller who does not say so gets `search_document`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.call import Request
from fairlead.dialects.bodies import faults_named, open_body, rejoined
from fairlead.dialects.embeddings import tasks
from fairlead.dialects.embeddings.body import (
    MOST_DIMENSIONS,
    encode_texts,
    measure,
    rest,
    texts_of,
)
from fairlead.dialects.fields import integer, model_name, string
from fairlead.types import Embed

DEFAULT_TASK = "search_document"
"""What `input_type`, which this form demands, is where the caller does not say it: what is stored and found later."""


def read(body: bytes, path: str = "") -> Request:  # noqa: ARG001 - all of it stands in the body
    """Read the top level of a body into relay form; texts stay raw.

    Raises:
        InvalidRequest: not a JSON object, a destination named in it, or a known field of the wrong type.
    """
    fields = open_body(body)
    with faults_named():
        most, known = measure(fields, "texts")
        return Request(
            dialect="cohere_embeddings",
            fields=fields,
            model=model_name(fields),
            max_output_tokens=0,
            input_bytes=most,
            prompt_tokens=known,
        )


join = rejoined


def decode(fields: Mapping[str, msgspec.Raw]) -> Embed:
    """The neutral form; unknown fields are kept in `extra`, other kinds of numbers than floats among them.

    Raises:
        InvalidRequest: names the field at fault.
    """
    with faults_named():
        extra = rest(fields, "model", "texts", "output_dimension", "input_type")
        if bytes(extra.get("embedding_types", b"")) == b'["float"]':
            del extra["embedding_types"]
        return Embed(
            model=model_name(fields),
            inputs=texts_of(fields, "texts"),
            dimensions=integer(fields, "output_dimension", 1, MOST_DIMENSIONS),
            task=tasks.neutral(string(fields, "input_type")),
            extra=extra,
        )


def encode(embed: Embed, quirks: frozenset[str] = frozenset()) -> bytes:  # noqa: ARG001 - nobody else speaks it
    """A body in this form; numbers always come as JSON.

    Raises:
        InvalidRequest: token numbers, or a task that it does not know.
    """
    body: dict[str, Any] = {
        "model": embed.model,
        "texts": encode_texts(embed),
        "input_type": tasks.said(embed.task or DEFAULT_TASK, tasks.COHERE, "Cohere"),
        "embedding_types": ["float"],
    }
    if embed.dimensions is not None:
        body["output_dimension"] = embed.dimensions
    return msgspec.json.encode(body | embed.extra)
