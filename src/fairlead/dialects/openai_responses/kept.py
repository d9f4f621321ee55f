"""Under which id a provider of the Responses dialect keeps an answer, and what a request goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, boolean, string, value_of
from fairlead.dialects.frames import parsed


class _Response(msgspec.Struct):
    id: str = ""


class _Event(msgspec.Struct):
    response: _Response | None = None


_NULL = msgspec.Raw(b"null")
_RESPONSE = msgspec.json.Decoder(_Response)
_EVENT = msgspec.json.Decoder(_Event)


def kept_id(raw: bytes) -> str | None:
    """The id out of a whole answer, or out of the first event of a stream that has it; `None` where there is none."""
    try:
        if raw.lstrip().startswith(b"{"):
            return _RESPONSE.decode(raw).id or None
        for _, data in parsed(raw):
            response = _EVENT.decode(data).response if data else None
            if response is not None:
                return response.id or None
    except (ValueError, RecursionError):
        pass  # what is torn has no id that anybody could ask for
    return None


def is_kept(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the provider keeps the answer, as it does where nobody says otherwise."""
    return boolean(fields, "store") if "store" in fields and bytes(fields["store"]) != b"null" else True


def is_partial(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether part of the prompt is kept by the provider: what was said before, a prompt of its own, single items."""
    named = (fields.get(name, _NULL) for name in ("previous_response_id", "conversation", "prompt"))
    return any(bytes(raw) != b"null" for raw in named) or b'"item_reference"' in bytes(fields.get("input", _NULL))


def goes_on_from(fields: Mapping[str, msgspec.Raw]) -> tuple[str, str] | None:
    """The field that names the answer or the conversation before, and its id.

    Raises:
        BadField: it is not well formed.
    """
    previous = string(fields, "previous_response_id")
    if previous is not None:
        return "previous_response_id", previous
    value: Any = value_of(fields, "conversation")
    if isinstance(value, dict):
        value = value.get("id")
    if value is None or isinstance(value, str):
        return None if value is None else ("conversation", value)
    raise BadField("conversation", "must be a string, or an object with an `id`")
