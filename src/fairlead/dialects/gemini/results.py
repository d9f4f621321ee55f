"""Results of functions in the Gemini dialect, which are objects, and neutral ones, which are text and media.

Text that is a JSON object is the object itself; any other text stands under `output`, and what a tool says that failed
under `error`, as Google documents these names.  That a tool has not failed needs no word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, value_of
from fairlead.dialects.gemini.objects import Fields, kept, opened, packed, rest, text_of
from fairlead.dialects.gemini.parts import WirePart, decode_part, encode_part, read_parts
from fairlead.errors import InvalidRequest
from fairlead.types import Message, Part, RefusalPart, TextPart

_OBJECT = msgspec.json.Decoder(Fields)
_QUOTE = 0x22


def decode_result(part: WirePart) -> Message:
    """The message for a `functionResponse`, its id and name as they are told.

    Raises:
        BadField: it has no name, or a `response` that is no object.
    """
    at = f"{part.at}.functionResponse"
    fields = opened(part.fields["functionResponse"], at)
    given = value_of(fields, "id")
    text, failed = _response(fields.get("response"), f"{at}.response")
    media = [decode_part(each) for each in read_parts(fields.get("parts"), f"{at}.parts")]
    extra = rest(part.fields, "functionResponse", "thought")
    if more := rest(fields, "id", "name", "response", "parts"):
        extra["functionResponse"] = packed(more)
    return Message(
        role="tool",
        parts=(*text, *media),
        name=text_of(fields, "name", at),
        tool_call_id=given if isinstance(given, str) and given else None,
        is_error=True if failed else None,
        extra=extra,
    )


def encode_result(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    """The part with a `functionResponse`.

    Args:
        names: the functions that were called, by the id of the call.

    Raises:
        InvalidRequest: nobody has made that call, so that the function has no name.
    """
    name = message.name or names.get(message.tool_call_id or "")
    if name is None:
        raise InvalidRequest(
            f"`messages` hold a result of tool call {message.tool_call_id!r}, which no message makes; send that too.",
            param="messages",
        )
    told = {"id": message.tool_call_id} if message.tool_call_id else {}
    texts = [part.text for part in message.parts if isinstance(part, TextPart | RefusalPart)]
    media = [encode_part(part) for part in message.parts if not isinstance(part, TextPart | RefusalPart)]
    function = {
        **told,
        "name": name,
        "response": _encode_response("".join(texts), failed=bool(message.is_error)) if texts else {},
        **({"parts": media} if media else {}),
        **kept(message.extra, "functionResponse"),
    }
    more = {field: raw for field, raw in message.extra.items() if field != "functionResponse"}
    return {"functionResponse": function, **more}


def _response(raw: msgspec.Raw | None, at: str) -> tuple[list[Part], bool]:
    if raw is None:
        return [], False
    try:
        fields = _OBJECT.decode(raw)
    except (ValueError, RecursionError):
        raise BadField(at, "must be an object") from None
    if not fields:
        return [], False
    if len(fields) > 1:
        return [TextPart(text=_text(raw))], False
    for name, failed in (("error", True), ("output", False)):
        if name in fields and memoryview(fields[name])[0] == _QUOTE:
            return [TextPart(text=text_of(fields, name, at))], failed
    return [TextPart(text=_text(fields.get("error", raw)))], "error" in fields


def _encode_response(text: str, *, failed: bool) -> Any:
    try:
        is_object = bool(_OBJECT.decode(text)) and text == text.strip()
    except (ValueError, RecursionError):
        is_object = False
    whole = msgspec.Raw(text.encode("utf-8", "replace"))
    if failed:
        return {"error": whole if is_object else text}
    if is_object and _response(whole, "") == ([TextPart(text=text)], False):
        return whole
    return {"output": text}  # as itself it would be read as something else


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode("utf-8", "replace")
