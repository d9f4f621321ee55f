"""Requests for embeddings in Voyage's form.

It has two words for what embeddings are for, and takes any other text as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fairlead.call import Request
from fairlead.dialects.bodies import faults_named, open_body, rejoined
from fairlead.dialects.embeddings import tasks
from fairlead.dialects.embeddings.body import (
    MOST_DIMENSIONS,
    choice,
    encode_texts,
    inputs_of,
    measure,
    rest,
)
from fairlead.dialects.fields import BadField, integer, model_name, string
from fairlead.types import Embed


def read(body: bytes, path: str = "") -> Request:  # noqa: ARG001 - all of it stands in the body
    """Read the top level of a body into relay form; texts stay raw.

    Raises:
        InvalidRequest: not a JSON object, a destination named in it, or a known field of the wrong type.
    """
    fields = open_body(body)
    with faults_named():
        most, known = measure(fields, "input")
        return Request(
            dialect="voyage_embeddings",
            fields=fields,
            model=model_name(fields),
            max_output_tokens=0,
            input_bytes=most,
            prompt_tokens=known,
        )


join = rejoined


def decode(fields: Mapping[str, msgspec.Raw]) -> Embed:
    """The neutral form; unknown fields are kept in `extra`.

    Raises:
        InvalidRequest: names the field at fault.
    """
    with faults_named():
        inputs = inputs_of(fields, "input")
        if not all(isinstance(each, str) for each in inputs):
            raise BadField("input", "must be a string or an array of strings")
        packed = choice(fields, "encoding_format", {"base64"})
        return Embed(
            model=model_name(fields),
            inputs=inputs,
            dimensions=integer(fields, "output_dimension", 1, MOST_DIMENSIONS),
            encoding=None if packed is None else "base64",
            task=tasks.neutral(string(fields, "input_type")),
            extra=rest(fields, "model", "input", "output_dimension", "encoding_format", "input_type"),
        )


def encode(embed: Embed, quirks: frozenset[str] = frozenset()) -> bytes:  # noqa: ARG001 - nobody else speaks it
    """A body in this form; a field that is `None` is absent.

    Raises:
        InvalidRequest: token numbers, or a task that it does not know.
    """
    told = {
        "input_type": tasks.said(embed.task, tasks.VOYAGE, "Voyage"),
        "output_dimension": embed.dimensions,
        "encoding_format": "base64" if embed.encoding == "base64" else None,
    }
    present = {name: value for name, value in told.items() if value is not None}
    return msgspec.json.encode({"model": embed.model, "input": encode_texts(embed), **present, **embed.extra})
