"""Requests of the OpenAI dialect: read for a relay, re-joined for a provider, and to and from the neutral form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.call import Request
from fairlead.core.jsontop import MalformedObject, top_level
from fairlead.core.jsontop import join as join_fields
from fairlead.dialects.fields import (
    DESTINATIONS,
    MOST_TOKENS,
    BadField,
    array,
    boolean,
    integer,
    model_name,
    string,
    value_of,
)
from fairlead.dialects.openai_chat.media import measure_media
from fairlead.dialects.openai_chat.messages import decode_message, encode_message
from fairlead.dialects.openai_chat.parameters import decode_parameters, encode_parameters
from fairlead.errors import InvalidRequest
from fairlead.types import Chat

_MAX_N = 128

_SAME_LIMIT = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Two names of one limit: a default for one does not stand beside the caller's other."""

_OPTIONS = frozenset({"max_completion_tokens", "max_tokens", "n", "service_tier", "stream", "stream_options", "user"})
"""Fields that `_read_options` decodes; most bodies have few of them, or none."""
_LOOKED_AT = DESTINATIONS | _OPTIONS

_BINDING = frozenset({"tool_calls", "function_call", "audio"})
"""What else a message may hold that the model has to read: calls that are not of functions, and what it said aloud."""
_WITH_USAGE = msgspec.Raw(b'{"include_usage":true}')
_Messages = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def read(body: bytes, path: str = "") -> Request:  # noqa: ARG001 - all of it stands in the body
    """Read the top level of a body into relay form; of the values only those that stages need are decoded.

    Raises:
        InvalidRequest: not a JSON object, a destination named in it, or a known field of the wrong type.
    """
    try:
        fields = top_level(body)
    except MalformedObject as error:
        raise InvalidRequest(f"The body cannot be read: {error}.") from None
    named = _LOOKED_AT.intersection(fields)
    if not named.isdisjoint(DESTINATIONS):
        name = min(DESTINATIONS.intersection(fields))
        raise InvalidRequest(f"`{name}` cannot be chosen by a caller; it is set in the configuration.", param=name)
    try:
        images, media_bytes = measure_media(array(fields, "messages"))
        request = Request(
            dialect="openai_chat",
            fields=fields,
            model=model_name(fields),
            input_bytes=sum(map(len, fields.values())) - media_bytes,
            images=images,
        )
        if named:
            _read_options(request, fields)
    except BadField as error:
        raise InvalidRequest(f"{error}.", param=error.param) from None
    return request


def join(request: Request, model: str, *, ask_usage: bool, defaults: Mapping[str, msgspec.Raw] | None = None) -> bytes:
    """The caller's fields, in their order, with the model replaced.

    A field that the caller sent as null counts as sent: `defaults` fill only what is absent.
    """
    asks = ask_usage and request.stream and not request.include_usage
    if model == request.model and not asks and not defaults:
        return join_fields(request.fields)
    fields = dict(request.fields)
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    if asks:
        fields["stream_options"] = _asking_usage(fields.get("stream_options"))
    for name, value in (defaults or {}).items():
        if name not in fields and _SAME_LIMIT.get(name) not in fields:
            fields[name] = value
    return join_fields(fields)


def decode(fields: Mapping[str, msgspec.Raw]) -> Chat:
    """The neutral form; unknown fields are kept in `extra`.

    Raises:
        InvalidRequest: names the field at fault.
    """
    try:
        model = model_name(fields)
        try:
            rows = _Messages.decode(fields.get("messages", b"null"))
        except (ValueError, RecursionError):
            raise BadField("messages", "must be an array of objects") from None
        messages = tuple(decode_message(row, f"messages[{index}]") for index, row in enumerate(rows))
        stream, known = boolean(fields, "stream"), decode_parameters(fields)
        if not all(_BINDING.isdisjoint(message.extra) for message in messages):
            known["binding"] |= {"messages"}
        return Chat(model=model, messages=messages, stream=stream, **known)
    except BadField as error:
        raise InvalidRequest(f"{error}.", param=error.param) from None


def encode(chat: Chat, quirks: frozenset[str] = frozenset()) -> bytes:
    """A body in this dialect; a field that is `None` is absent.

    Raises:
        InvalidRequest: names what this dialect has no form for.
    """
    rows = [encode_message(message) for message in chat.messages]
    if "no_developer" in quirks:
        rows = [{**row, "role": "system"} if row["role"] == "developer" else row for row in rows]
    body: dict[str, Any] = {"model": chat.model, "messages": rows}
    if chat.stream:
        body["stream"] = True
    body |= encode_parameters(chat)
    if "max_tokens" in quirks and "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if "no_stream_options" in quirks:
        body.pop("stream_options", None)
    return msgspec.json.encode(body)


def _read_options(request: Request, fields: Mapping[str, msgspec.Raw]) -> None:
    """What stages read beside model and messages."""
    limits = [integer(fields, name, 1, MOST_TOKENS) for name in _SAME_LIMIT]
    n = integer(fields, "n", 1, _MAX_N)
    request.stream = boolean(fields, "stream")
    request.include_usage = _include_usage(fields)
    request.max_output_tokens = max((limit for limit in limits if limit is not None), default=None)
    request.n = 1 if n is None else n
    request.service_tier = string(fields, "service_tier")
    request.end_user = string(fields, "user")


def _include_usage(fields: Mapping[str, msgspec.Raw]) -> bool:
    options = value_of(fields, "stream_options")
    if options is None:
        return False
    asked = options.get("include_usage") if isinstance(options, dict) else 0
    if asked is not None and not isinstance(asked, bool):
        raise BadField("stream_options", "must be an object whose `include_usage` is true or false")
    return bool(asked)


def _asking_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    if options is None:
        return _WITH_USAGE
    known = msgspec.json.decode(options, type=dict[str, msgspec.Raw] | None)
    return msgspec.Raw(join_fields({**(known or {}), "include_usage": msgspec.Raw(b"true")}))
