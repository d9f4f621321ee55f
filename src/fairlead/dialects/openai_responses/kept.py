"""What a provider of the Responses dialect keeps: under which id, how it is asked for, and what goes on from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.call import Request, Resource
from fairlead.dialects.fields import BadField, boolean, string, value_of
from fairlead.dialects.frames import parsed
from fairlead.errors import InvalidRequest, MethodNotAllowed, NotFound


class _Response(msgspec.Struct):
    id: str = ""


class _Event(msgspec.Struct):
    response: _Response | None = None


class _Item(msgspec.Struct):
    type: Any = None
    role: Any = None


_NULL = msgspec.Raw(b"null")
_RESPONSE = msgspec.json.Decoder(_Response)
_EVENT = msgspec.json.Decoder(_Event)
_ITEMS = msgspec.json.Decoder(list[_Item])

_BELOW = re.compile(r"([A-Za-z0-9_-]{1,200})(?:/(input_items|cancel))?")
_METHODS = {None: ("GET", "DELETE"), "input_items": ("GET",), "cancel": ("POST",)}
_QUERY = re.compile(
    r"(?:(?:include(?:\[\]|%5B%5D)?|after|before|limit|order)=[A-Za-z0-9_.%-]{0,200}&?){0,16}", re.IGNORECASE
)
"""What may be asked beside; a stream that was left cannot be taken up again."""


def ask(method: str, below: str, query: str) -> Request:
    """The request for a stored answer, for what went into it, or for its end.

    Raises:
        NotFound: nothing can be there.
        MethodNotAllowed: not in this way.
        InvalidRequest: a query that cannot be passed on.
    """
    found = _BELOW.fullmatch(below)
    if found is None:
        raise NotFound(f"no stored answer {below[:200]!r}", param="response_id")
    methods = _METHODS[found[2]]
    if method not in methods:
        raise MethodNotAllowed(f"this path takes {' and '.join(methods)}", param=", ".join(methods))
    if not _QUERY.fullmatch(query):
        raise InvalidRequest("of the query only `include`, `after`, `before`, `limit` and `order` can be passed on")
    path = f"/responses/{below}" + (f"?{query}" if query else "")
    return Request(
        dialect="openai_responses",
        fields={},
        model="",
        operation="kept",
        max_output_tokens=0,
        goes_on_from=("response_id", found[1]),
        resource=Resource(method=method, path=path),
    )


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
    return any(bytes(raw) != b"null" for raw in named) or _refers(bytes(fields.get("input", _NULL)))


def _refers(items: bytes) -> bool:
    """Whether an item is a mere reference, which need not say so: one without a type that is no message is one, too."""
    if not items.startswith(b"["):
        return False
    try:
        rows = _ITEMS.decode(items)
    except (ValueError, RecursionError):
        return False  # the provider refuses it
    return any(row.type == "item_reference" or (row.type is None and row.role is None) for row in rows)


def goes_on_from(fields: Mapping[str, msgspec.Raw]) -> tuple[str, str] | None:
    """The field that names the answer or the conversation before, and its id.

    Raises:
        BadField: it is not well formed.
    """
    previous = string(fields, "previous_response_id")
    value: Any = value_of(fields, "conversation")
    if value is not None and previous is not None:
        raise BadField("conversation", "cannot stand beside `previous_response_id`")
    if previous is not None:
        return "previous_response_id", previous
    if isinstance(value, dict):
        value = value.get("id")
    if value is None or isinstance(value, str):
        return None if value is None else ("conversation", value)
    raise BadField("conversation", "must be a string, or an object with an `id`")
