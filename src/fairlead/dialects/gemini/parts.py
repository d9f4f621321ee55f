"""Parts of the Gemini dialect and neutral ones; requests and answers share them.

A signature belongs to the part that it came with, and goes back with it.  Newer models refuse a turn whose calls nobody
signed, as those of other providers are: such a turn goes out with the mark that Google documents for that case
(ai.google.dev, *Thought signatures*), which is not read back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, boolean, value_of
from fairlead.dialects.gemini.files import decode_file, decode_inline, encode_media
from fairlead.dialects.gemini.objects import Fields, kept, opened, packed, rest, rows, text_of
from fairlead.errors import InvalidRequest
from fairlead.types import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
)

UNSIGNED = "skip_thought_signature_validator"
"""In place of a signature on a call that none was given for."""

_ABOUT = ("thought", "thoughtSignature", "mediaResolution", "mediaProcessing")
"""Fields that say something about a part and are not what it holds; those named for metadata are among them, too."""
_OBJECT = msgspec.json.Decoder(Fields)


class WirePart(msgspec.Struct, frozen=True):
    """A part with its top level open."""

    kind: str
    """The field that says what it holds."""
    raw: msgspec.Raw
    fields: Fields
    at: str


def read_parts(raw: msgspec.Raw | None, at: str) -> list[WirePart]:
    """The parts of a turn.

    Raises:
        BadField: its path starts with `at`.
    """
    return [_wire_part(row, f"{at}[{index}]") for index, row in enumerate(rows(raw, at))]


def decode_part(part: WirePart) -> Part:
    """The neutral form; a part that has none is kept as it is.

    Raises:
        BadField: a part of a known kind without what it needs.
    """
    fields, found = part.fields, None
    if part.kind == "text":
        return _text(part)
    if part.kind == "inlineData" and not boolean(fields, "thought"):
        found = decode_inline(fields, part.at)
    elif part.kind == "fileData" and not boolean(fields, "thought"):
        found = decode_file(fields, part.at)
    return OpaquePart(dialect="gemini", kind=part.kind, raw=part.raw.copy()) if found is None else found


def decode_call(part: WirePart, made_id: str) -> ToolCall:
    """The call in a `functionCall`.

    Args:
        made_id: its id where the provider gave none.

    Raises:
        BadField: it has no name, or arguments that are no object.
    """
    at = f"{part.at}.functionCall"
    fields = opened(part.fields["functionCall"], at)
    arguments = fields.get("args")
    if arguments is not None and memoryview(arguments)[0] != 0x7B:
        raise BadField(f"{at}.args", "must be an object")
    given = value_of(fields, "id")
    extra = rest(part.fields, "functionCall", "thought")
    signature = value_of(part.fields, "thoughtSignature")
    if isinstance(signature, str) and signature.replace("/", "_") == UNSIGNED:  # in either alphabet of base64
        del extra["thoughtSignature"]
    if more := rest(fields, "id", "name", "args"):
        extra["functionCall"] = packed(more)
    return ToolCall(
        id=given if isinstance(given, str) and given else made_id,
        name=text_of(fields, "name", at),
        arguments="{}" if arguments is None else bytes(arguments).decode("utf-8", "replace"),
        extra=extra,
    )


def decode_answer(
    parts: Sequence[WirePart], made_id: Callable[[], str]
) -> tuple[tuple[Part, ...], tuple[ToolCall, ...]]:
    """The parts and the calls of a model's turn; a call knows how many parts stand before it."""
    found: list[Part] = []
    calls: list[ToolCall] = []
    for part in parts:
        if part.kind == "functionResponse":
            raise BadField(f"{part.at}.functionResponse", "is nothing that a model's turn can hold")
        if part.kind == "functionCall":
            calls.append(msgspec.structs.replace(decode_call(part, made_id()), at=len(found)))
        else:
            found.append(decode_part(part))
    whole = len(found)
    placed = (msgspec.structs.replace(call, at=None) if call.at == whole else call for call in calls)
    return tuple(found), tuple(placed)


def encode_answer(message: Message) -> list[dict[str, Any] | msgspec.Raw]:
    """The parts of a model's turn, calls where they stood.

    Raises:
        InvalidRequest: a part without a form, or arguments that are no object.
    """
    calls = [encode_call(call) for call in message.tool_calls]
    if calls and not any("thoughtSignature" in call for call in calls):
        calls[0]["thoughtSignature"] = UNSIGNED
    waiting = list(zip(message.tool_calls, calls, strict=True))
    out: list[dict[str, Any] | msgspec.Raw] = []
    for index, part in enumerate(message.parts):
        while waiting and waiting[0][0].at is not None and waiting[0][0].at <= index:
            out.append(waiting.pop(0)[1])
        out += encode_parts([part])
    return out + [call for _, call in waiting]


def encode_parts(parts: Sequence[Part]) -> list[dict[str, Any] | msgspec.Raw]:
    """The parts of any turn; reasoning of which nothing can be read or proven is left out.

    Raises:
        InvalidRequest: this dialect has no form for one.
    """
    return [encode_part(part) for part in parts if not _is_silent(part)]


def encode_part(part: Part) -> dict[str, Any] | msgspec.Raw:
    """The part of this dialect.

    Raises:
        InvalidRequest: it has none.
    """
    match part:
        case TextPart():
            return {"text": part.text, **part.extra}
        case RefusalPart():
            return {"text": part.text}
        case ReasoningPart():
            signed = {} if part.signature is None else {"thoughtSignature": part.signature}
            return {"text": part.text, "thought": True, **signed, **part.extra}
        case ImagePart() | AudioPart() | FilePart():
            return encode_media(part)
        case OpaquePart(dialect="gemini"):
            return part.raw
    raise InvalidRequest(
        f"`messages` hold a part ({part.kind}) that this model's provider has no form for.", param="messages"
    )


def encode_call(call: ToolCall) -> dict[str, Any]:
    """The part with a `functionCall`.

    Raises:
        InvalidRequest: the arguments are no JSON object; this dialect has them decoded.
    """
    arguments = call.arguments.strip() or "{}"
    try:
        _OBJECT.decode(arguments)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            f"The arguments of tool call {call.id!r} are not a JSON object, which this model's provider demands.",
            param="messages",
        ) from None
    told = {"id": call.id} if call.id else {}
    function = {**told, "name": call.name, "args": msgspec.Raw(arguments.encode("utf-8", "replace"))}
    more = {name: raw for name, raw in call.extra.items() if name != "functionCall"}
    return {"functionCall": function | kept(call.extra, "functionCall"), **more}


def _wire_part(raw: msgspec.Raw, at: str) -> WirePart:
    fields = opened(raw, at)
    holds = [name for name in fields if name not in _ABOUT and not name.endswith("Metadata")]
    return WirePart(holds[0] if len(holds) == 1 else "part", raw, fields, at)


def _text(part: WirePart) -> Part:
    fields = part.fields
    text = text_of(fields, "text", part.at)
    if not boolean(fields, "thought"):
        return TextPart(text=text, extra=rest(fields, "text", "thought"))
    signature = value_of(fields, "thoughtSignature")
    known = ("thoughtSignature",) if isinstance(signature, str) else ()
    return ReasoningPart(
        text=text, signature=signature if known else None, extra=rest(fields, "text", "thought", *known)
    )


def _is_silent(part: Part) -> bool:
    return isinstance(part, ReasoningPart) and not part.text and part.signature is None and not part.extra
