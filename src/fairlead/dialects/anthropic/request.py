"""Requests of the Anthropic dialect: read for a relay, re-joined for a provider, and to and from the neutral form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.call import Request
from fairlead.dialects.anthropic.media import measure_media
from fairlead.dialects.anthropic.messages import decode_system, decode_turn, encode_messages
from fairlead.dialects.anthropic.parameters import decode_parameters, encode_parameters
from fairlead.dialects.bodies import faults_named, open_body, rejoined
from fairlead.dialects.fields import (
    MOST_TOKENS,
    BadField,
    array,
    boolean,
    integer,
    model_name,
    string,
    value_of,
)
from fairlead.types import Chat

_COUNT = "/count_tokens"
_Messages = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def read(body: bytes, path: str = "") -> Request:
    """Read the top level of a body into relay form; of the values only those that stages need are decoded.

    A stream of this dialect always counts its tokens, so that every caller wants that.  A count of tokens uses none.

    Raises:
        InvalidRequest: not a JSON object, a destination named in it, or a known field of the wrong type.
    """
    fields = open_body(body)
    with faults_named():
        images, media_bytes = measure_media(array(fields, "messages"))
        if path.endswith(_COUNT):
            return Request(
                dialect="anthropic", fields=fields, model=model_name(fields), operation="count", max_output_tokens=0
            )
        return Request(
            dialect="anthropic",
            fields=fields,
            model=model_name(fields),
            stream=boolean(fields, "stream"),
            include_usage=True,
            max_output_tokens=integer(fields, "max_tokens", 0, MOST_TOKENS),
            service_tier=string(fields, "service_tier"),
            input_bytes=sum(map(len, fields.values())) - media_bytes,
            images=images,
            end_user=_end_user(fields),
        )


join = rejoined


def decode(fields: Mapping[str, msgspec.Raw]) -> Chat:
    """The neutral form; the system prompt is its first message, and unknown fields are kept in `extra`.

    Raises:
        InvalidRequest: names the field at fault.
    """
    with faults_named():
        model = model_name(fields)
        messages = decode_system(fields.get("system"))
        try:
            rows = _Messages.decode(fields.get("messages", b"null"))
        except (ValueError, RecursionError):
            raise BadField("messages", "must be an array of objects") from None
        for index, row in enumerate(rows):
            messages += decode_turn(row, f"messages[{index}]")
        stream = boolean(fields, "stream")
        return Chat(model=model, messages=tuple(messages), stream=stream, **decode_parameters(fields))


def encode(chat: Chat, quirks: frozenset[str] = frozenset()) -> bytes:  # noqa: ARG001 - nobody else speaks it
    """A body in this dialect; a field that is `None` is absent, but for `max_tokens`: see `DEFAULT_MAX_TOKENS`.

    Raises:
        InvalidRequest: names what this dialect has no form for.
    """
    body: dict[str, Any] = {"model": chat.model, **encode_messages(chat.messages)}
    if chat.stream:
        body["stream"] = True
    return msgspec.json.encode(body | encode_parameters(chat))


def _end_user(fields: Mapping[str, msgspec.Raw]) -> str | None:
    if "metadata" not in fields:
        return None
    metadata = value_of(fields, "metadata")
    if metadata is None:
        return None
    user = metadata.get("user_id") if isinstance(metadata, dict) else 0
    if user is not None and not isinstance(user, str):
        raise BadField("metadata", "must be an object whose `user_id` is a string")
    return user
