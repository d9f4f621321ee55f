"""Requests of the Gemini dialect: read for a relay, re-joined for a provider, and to and from the neutral form.

The model and what is asked of it stand in the path.  In `fields` they are `model` and `stream`, as if they had stood in
the body; a model that a body names beside that does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from fairlead.call import Request
from fairlead.core.jsontop import MalformedObject, top_level
from fairlead.core.jsontop import join as join_fields
from fairlead.dialects.bodies import faults_named, open_body
from fairlead.dialects.fields import MOST_TOKENS, BadField, boolean, integer, model_name, string
from fairlead.dialects.gemini.media import measure_media
from fairlead.dialects.gemini.messages import decode_contents, decode_system, encode_messages
from fairlead.dialects.gemini.objects import Fields, is_null, opened, packed, spelled
from fairlead.dialects.gemini.parameters import (
    MOST_CANDIDATES,
    decode_parameters,
    encode_parameters,
    under_config,
)
from fairlead.errors import NotFound
from fairlead.types import Chat

PATHS = ("/v1beta/models/", "/v1/models/")
"""Above the model; Google's clients use either, and what is not in v1 yet is read all the same."""

_WRAPPED = ("generateContentRequest", "generate_content_request")
"""Where a count of tokens may have the whole request; else it has its contents alone."""
_OPERATIONS = frozenset({"generateContent", "streamGenerateContent", "countTokens"})


def read(body: bytes, path: str = "") -> Request:
    """Read the path and the top level of a body into relay form; of the values only those that stages need are decoded.

    A stream of this dialect always counts its tokens, so that every caller wants that.  A count of tokens uses none.

    Raises:
        NotFound: the path names no operation of this dialect.
        InvalidRequest: not a JSON object, a destination named in it, or a known field of the wrong type.
    """
    name, operation = _target(path)
    fields = open_body(body)
    size = sum(map(len, fields.values()))
    is_stream = operation == "streamGenerateContent"
    told = {
        "model": msgspec.Raw(msgspec.json.encode(name)),
        "stream": msgspec.Raw(b"true" if is_stream else b"false"),
    }
    with faults_named():
        return _read({**fields, **told}, size, is_count=operation == "countTokens")


def join(request: Request, model: str, *, ask_usage: bool, defaults: Mapping[str, msgspec.Raw] | None = None) -> bytes:  # noqa: ARG001
    """The caller's fields, in their order, without what the path says; usage comes without being asked for.

    A field that the caller sent as null counts as sent: `defaults` fill only what is absent.
    """
    fields = {name: raw for name, raw in request.fields.items() if name not in {"model", "stream"}}
    for wrapped in _WRAPPED if request.operation == "count" else ():  # elsewhere it means nothing
        if wrapped in fields and not is_null(fields[wrapped]):
            inner = msgspec.json.decode(fields[wrapped], type=Fields)
            fields[wrapped] = packed({**inner, "model": msgspec.Raw(msgspec.json.encode(f"models/{model}"))})
    for name, value in (defaults or {}).items():
        fields.setdefault(name, value)
    return join_fields(fields)


def decode(fields: Mapping[str, msgspec.Raw]) -> Chat:
    """The neutral form; the system prompt is its first message, and unknown fields are kept in `extra`.

    Raises:
        InvalidRequest: names the field at fault.
    """
    with faults_named():
        model, stream = model_name(fields), boolean(fields, "stream")
        asked = _asked(fields)
        messages = decode_system(asked.get("systemInstruction")) + decode_contents(asked.get("contents"))
        known = decode_parameters(asked)
        return Chat(model=model, messages=tuple(messages), stream=stream, include_usage=stream, **known)


def encode(chat: Chat, quirks: frozenset[str] = frozenset()) -> bytes:  # noqa: ARG001 - nobody else speaks it
    """A body in this dialect, whose model stands in the path; a field that is `None` is absent.

    Raises:
        InvalidRequest: names what this dialect has no form for.
    """
    return msgspec.json.encode(encode_messages(chat.messages) | encode_parameters(chat))


def _target(path: str) -> tuple[str, str]:
    """The model and the operation."""
    above = next((each for each in PATHS if path.startswith(each)), None)
    name, colon, operation = path.removeprefix(above or "").rpartition(":")
    if above is None or not colon or operation not in _OPERATIONS:
        raise NotFound(
            f"no path {path[:200]!r} on this gateway; use `{above or PATHS[0]}MODEL:OPERATION` with one of "
            + ", ".join(f"`{each}`" for each in sorted(_OPERATIONS))
        )
    return unquote(name), operation


def _read(fields: Mapping[str, msgspec.Raw], size: int, *, is_count: bool) -> Request:
    # Whatever wraps a request that is to be answered is not what the provider reads.
    model, asked = model_name(fields), _asked(fields) if is_count else spelled(fields)
    contents = asked.get("contents")
    if contents is None or memoryview(contents)[0] not in b"[{":
        raise BadField("contents", "must be an array of objects")
    images, media_bytes = measure_media(contents)
    if is_count:
        return Request(dialect="gemini", fields=fields, model=model, operation="count", max_output_tokens=0)
    config = _config(asked)
    return Request(
        dialect="gemini",
        fields=fields,
        model=model,
        stream=boolean(fields, "stream"),
        include_usage=True,
        max_output_tokens=integer(config, "generationConfig.maxOutputTokens", 0, MOST_TOKENS),
        n=integer(config, "generationConfig.candidateCount", 1, MOST_CANDIDATES) or 1,
        service_tier=(string(asked, "serviceTier") or "").lower() or None,
        input_bytes=size - media_bytes,
        images=images,
        is_partial="cachedContent" in asked,
    )


def _config(asked: Fields) -> Fields:
    """The limits that a reservation goes by must be those that the provider reads: no key may stand twice."""
    raw = asked.get("generationConfig")
    if raw is None:
        return {}
    try:
        return under_config(spelled(top_level(bytes(raw)), "generationConfig"))
    except MalformedObject as error:
        raise BadField("generationConfig", f"cannot be read: {error}") from None


def _asked(fields: Mapping[str, msgspec.Raw]) -> Fields:
    """The request for content by the names of its fields, also where a count of tokens wraps it."""
    asked = spelled(fields)
    wrapped = asked.get("generateContentRequest")
    if wrapped is None:
        return asked
    inner = opened(wrapped, "generateContentRequest")
    return asked if "contents" in asked else inner
