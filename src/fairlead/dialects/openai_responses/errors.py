"""Errors of the Responses dialect, both ways: OpenAI's own form, and that of its streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.dialects._json import loads
from fairlead.dialects.openai_chat import errors as openai
from fairlead.errors import FairleadError, UpstreamProtocol

decode = openai.decode
encode = openai.encode


def decode_in_band(body: bytes) -> FairleadError:
    """An error that came inside a 200: a failed response, the event of one, or an event that is nothing else."""
    try:
        value = loads(body)
    except UpstreamProtocol:
        return openai.decode_in_band(body)
    response = value.get("response") if isinstance(value, dict) else None
    if isinstance(response, dict):
        return openai.decode_in_band(msgspec.json.encode({"error": response.get("error")}))
    return openai.decode_in_band(body)


def is_error(body: Mapping[str, Any], event: bytes = b"") -> bool:
    """Whether a body in a 200, or an event of that name, is an error."""
    return (
        event == b"error"
        or body.get("type") in {"error", "response.failed"}
        or bool(body.get("error"))
        or body.get("status") == "failed"
    )


def encode_event(error: FairleadError) -> bytes:
    """The error as the last event of a stream; nothing follows it.

    The documented fields alone are an event like any other to OpenAI's clients: they raise only where there is an
    `error` beside them.  How many events came before is not known here, so that its number is 0.
    """
    told = msgspec.json.decode(encode(error), type=dict[str, Any])["error"]
    event = {
        "type": "error",
        "code": told["code"],
        "message": told["message"],
        "param": told["param"],
        "sequence_number": 0,
        "error": told,
    }
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"
