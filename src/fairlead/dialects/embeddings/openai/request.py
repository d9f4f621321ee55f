"""Requests for embeddings in OpenAI's form, and the one field beside it that others have: what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import msgspec

from fairlead.call import Request
from fairlead.dialects.bodies import faults_named, open_body, rejoined
from fairlead.dialects.embeddings.body import (
    MOST_DIMENSIONS,
    choice,
    inputs_of,
    measure,
    rest,
)
from fairlead.dialects.embeddings.tasks import neutral
from fairlead.dialects.fields import BadField, integer, model_name, string
from fairlead.types import Embed

_Encoding = Literal["float", "base64"]
_ENCODINGS = frozenset({"float", "base64"})


def read(body: bytes, path: str = "") -> Request:  # noqa: ARG001 - all of it stands in the body
    """Read the top level of a body into relay form; texts stay raw.

    Raises:
        InvalidRequest: not a JSON object, a destination named in it, or a known field of the wrong type.
    """
    fields = open_body(body)
    with faults_named():
        most, known = measure(fields, "input")
        return Request(
            dialect="openai_embeddings",
            fields=fields,
            model=model_name(fields),
            max_output_tokens=0,
            input_bytes=most,
            prompt_tokens=known,
            end_user=string(fields, "user"),
        )


join = rejoined


def decode(fields: Mapping[str, msgspec.Raw]) -> Embed:
    """The neutral form; unknown fields are kept in `extra`.

    `input_type` and `task` are no fields of OpenAI's; they are what other providers and servers call it.

    Raises:
        InvalidRequest: names the field at fault.
    """
    with faults_named():
        kind, task = string(fields, "input_type"), string(fields, "task")
        if kind is not None and task is not None:
            raise BadField("task", "says the same as `input_type`; send one of them")
        return Embed(
            model=model_name(fields),
            inputs=inputs_of(fields, "input"),
            dimensions=integer(fields, "dimensions", 1, MOST_DIMENSIONS),
            encoding=cast("_Encoding | None", choice(fields, "encoding_format", _ENCODINGS)),
            task=neutral(task if kind is None else kind),
            user=string(fields, "user"),
            extra=rest(fields, "model", "input", "dimensions", "encoding_format", "input_type", "task", "user"),
        )


def encode(embed: Embed, quirks: frozenset[str] = frozenset()) -> bytes:  # noqa: ARG001 - none is about embeddings
    """A body in this form; a field that is `None` is absent."""
    told = {
        "dimensions": embed.dimensions,
        "encoding_format": embed.encoding,
        "input_type": embed.task,
        "user": embed.user,
    }
    present = {name: value for name, value in told.items() if value is not None}
    return msgspec.json.encode({"model": embed.model, "input": embed.inputs, **present, **embed.extra})
