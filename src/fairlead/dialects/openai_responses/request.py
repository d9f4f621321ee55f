"""Requests of the Responses dialect: read for a relay, re-joined for a provider, and to and from the neutral form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.call import Request
from fairlead.dialects.bodies import faults_named, open_body, rejoined
from fairlead.dialects.fields import (
    MOST_TOKENS,
    BadField,
    boolean,
    integer,
    model_name,
    string,
)
from fairlead.dialects.openai_responses.items import decode_input, encode_input
from fairlead.dialects.openai_responses.kept import goes_on_from, is_kept, is_partial
from fairlead.dialects.openai_responses.media import measure_media
from fairlead.dialects.openai_responses.parameters import decode_parameters, encode_parameters
from fairlead.types import Chat, Message, TextPart


def read(body: bytes, path: str = "") -> Request:  # noqa: ARG001 - all of it stands in the body
    """Read the top level of a body into relay form; of the values only those that stages need are decoded.

    A stream of this dialect always counts its tokens, so that every caller wants that.

    Raises:
        InvalidRequest: not a JSON object, a destination named in it, a known field of the wrong type, or an answer that
            nobody waits for: what it costs would not be known.
    """
    fields = open_body(body)
    with faults_named():
        if boolean(fields, "background"):
            raise BadField("background", "is not in this version; leave it out, and stream where an answer takes long")
        images, media_bytes = measure_media(fields.get("input"))
        return Request(
            dialect="openai_responses",
            fields=fields,
            model=model_name(fields),
            stream=boolean(fields, "stream"),
            include_usage=True,
            max_output_tokens=integer(fields, "max_output_tokens", 1, MOST_TOKENS),
            service_tier=string(fields, "service_tier"),
            input_bytes=sum(map(len, fields.values())) - media_bytes,
            images=images,
            is_partial=is_partial(fields),
            goes_on_from=goes_on_from(fields),
            is_kept=is_kept(fields),
            end_user=string(fields, "user"),
        )


join = rejoined


def decode(fields: Mapping[str, msgspec.Raw]) -> Chat:
    """The neutral form; the instructions are its first message, and unknown fields are kept in `extra`.

    Raises:
        InvalidRequest: names the field at fault.
    """
    with faults_named():
        model = model_name(fields)
        instructions = string(fields, "instructions")
        messages = [] if instructions is None else [Message(role="system", parts=(TextPart(text=instructions),))]
        messages += decode_input(fields.get("input"))
        stream = boolean(fields, "stream")
        return Chat(model=model, messages=tuple(messages), stream=stream, **decode_parameters(fields))


def encode(chat: Chat, quirks: frozenset[str] = frozenset()) -> bytes:  # noqa: ARG001 - there are none of it
    """A body in this dialect; a field that is `None` is absent.  A system prompt at the beginning is the instructions.

    Raises:
        InvalidRequest: names what this dialect has no form for.
    """
    messages = chat.messages
    body: dict[str, Any] = {"model": chat.model}
    if messages and _is_instruction(messages[0]):
        body["instructions"] = messages[0].text
        messages = messages[1:]
    body["input"] = encode_input(messages)
    if chat.stream:
        body["stream"] = True
    return msgspec.json.encode(body | encode_parameters(chat))


def _is_instruction(message: Message) -> bool:
    """Whether it is a system prompt of one text and nothing else."""
    if message.role != "system" or message.extra or len(message.parts) != 1:
        return False
    part = message.parts[0]
    return isinstance(part, TextPart) and not part.extra
