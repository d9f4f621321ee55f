"""Requests for embeddings in Gemini's form: one request for each text, all for one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from fairlead.call import Request
from fairlead.dialects.bodies import faults_named, open_body
from fairlead.dialects.embeddings import tasks
from fairlead.dialects.embeddings.body import MOST_DIMENSIONS, encode_texts, rest
from fairlead.dialects.fields import BadField, array, model_name
from fairlead.types import Embed

_BELOW = "/models/"
_METHOD = ":batchEmbedContents"


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[_Part]
    role: str | None = None


class _One(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    content: _Content
    model: str = ""
    task_type: str | None = None
    output_dimensionality: int | None = None


_REQUESTS = msgspec.json.Decoder(list[_One])


def read(body: bytes, path: str = "") -> Request:
    """Read the top level of a body into relay form; the model stands in the path.

    Raises:
        InvalidRequest: not a JSON object, a destination named in it, or a known field of the wrong type.
    """
    fields = open_body(body)
    if path.endswith(_METHOD) and _BELOW in path:
        named = unquote(path.removesuffix(_METHOD).rpartition(_BELOW)[2])
        fields["model"] = msgspec.Raw(msgspec.json.encode(named))
    with faults_named():
        return Request(
            dialect="gemini_embeddings",
            fields=fields,
            model=model_name(fields),
            max_output_tokens=0,
            input_bytes=len(array(fields, "requests")),
        )


def join(request: Request, model: str, *, ask_usage: bool, defaults: Mapping[str, msgspec.Raw] | None = None) -> bytes:  # noqa: ARG001
    """The caller's texts for another model, which each of them names."""
    fields = {**(defaults or {}), **request.fields}
    return encode(msgspec.structs.replace(decode(fields), model=model))


def decode(fields: Mapping[str, msgspec.Raw]) -> Embed:
    """The neutral form; unknown fields are kept in `extra`.

    Raises:
        InvalidRequest: names the field at fault; what is asked for has to be the same for all texts.
    """
    with faults_named():
        model = model_name(fields)
        try:
            rows = _REQUESTS.decode(fields.get("requests", b"null"))
        except (ValueError, RecursionError) as error:
            raise BadField("requests", f"must be an array of requests about text: {error}") from None
        asked = {(row.task_type, row.output_dimensionality) for row in rows}
        if len(asked) != 1:
            raise BadField("requests", "must ask for the same of all texts" if rows else "must not be empty")
        task, dimensions = asked.pop()
        if dimensions is not None and not 1 <= dimensions <= MOST_DIMENSIONS:
            raise BadField("requests[0].outputDimensionality", f"must be an integer from 1 to {MOST_DIMENSIONS}")
        return Embed(
            model=model,
            inputs=tuple("".join(part.text for part in row.content.parts) for row in rows),
            dimensions=dimensions,
            task=tasks.neutral(task),
            extra=rest(fields, "model", "requests"),
        )


def encode(embed: Embed, quirks: frozenset[str] = frozenset()) -> bytes:  # noqa: ARG001 - nobody else speaks it
    """A body in this form; numbers always come as JSON.

    Raises:
        InvalidRequest: token numbers, or a task that it does not know.
    """
    told = {
        "taskType": tasks.said(embed.task, tasks.GEMINI, "Gemini"),
        "outputDimensionality": embed.dimensions,
    }
    same: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    model = f"models/{embed.model.removeprefix('models/')}"
    rows = [{"model": model, "content": {"parts": [{"text": text}]}, **same} for text in encode_texts(embed)]
    return msgspec.json.encode({"requests": rows, **embed.extra})
