"""Content parts of the Responses dialect and their neutral form; requests and replies share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, value_of
from fairlead.errors import InvalidRequest
from fairlead.types import AudioPart, FilePart, ImagePart, OpaquePart, Part, ReasoningPart, RefusalPart, TextPart

Fields = dict[str, msgspec.Raw]

_PARTS = msgspec.json.Decoder(list[Fields])
_QUOTE = 0x22
_USUAL_DETAIL = "auto"
"""How an image is looked at where nobody says; the dialect demands the word."""


def decode_content(content: msgspec.Raw | None, at: str) -> tuple[Part, ...]:
    """The parts of a `content` or an `output`; a string is short for one of text.

    Raises:
        BadField: its path starts with `at`.
    """
    if content is None or bytes(content) == b"null":
        raise BadField(at, "must be a string or an array of parts")
    if memoryview(content)[0] == _QUOTE:
        return (TextPart(text=text_of({"content": content}, "content", at)),)
    try:
        rows = _PARTS.decode(content)
    except (ValueError, RecursionError):
        raise BadField(at, "must be a string or an array of parts") from None
    return tuple(_part(row, f"{at}[{index}]") for index, row in enumerate(rows))


def encode_content(parts: Sequence[Part], *, written: bool) -> str | list[dict[str, Any]]:
    """A `content` or an `output`: one plain text is a string.

    Args:
        written: whether the model wrote it, which its text says.

    Raises:
        InvalidRequest: a part that this dialect has no form for.
    """
    if len(parts) == 1 and isinstance(parts[0], TextPart) and not parts[0].extra:
        return parts[0].text
    return [encode_part(part, written=written) for part in parts]


def encode_part(part: Part, *, written: bool) -> dict[str, Any]:
    """One part.

    Raises:
        InvalidRequest: this dialect has no form for it.
    """
    match part:
        case TextPart() if written:
            return {"type": "output_text", "text": part.text, "annotations": [], **part.extra}
        case TextPart():
            return {"type": "input_text", "text": part.text, **part.extra}
        case RefusalPart():
            return {"type": "refusal", "refusal": part.text}
        case ImagePart():
            source = {"image_url": part.url} if part.file_id is None else {"file_id": part.file_id}
            detail = _USUAL_DETAIL if part.detail is None else part.detail
            return {"type": "input_image", "detail": detail, **source, **part.extra}
        case FilePart(text=str()):
            return {"type": "input_text", "text": part.text}
        case FilePart():
            named = {
                "file_id": part.file_id,
                "file_data": part.file_data,
                "file_url": part.url,
                "filename": part.filename,
            }
            return {
                "type": "input_file",
                **{name: told for name, told in named.items() if told is not None},
                **part.extra,
            }
        case AudioPart() | ReasoningPart() | OpaquePart():
            raise inexpressible(part)


def inexpressible(part: Part) -> InvalidRequest:
    """Why a part cannot be sent."""
    what = part.kind if isinstance(part, OpaquePart) else type(part).__name__.removesuffix("Part").lower()
    return InvalidRequest(
        f"`messages` hold a part ({what}) that this model's provider has no form for.", param="messages"
    )


def rest(fields: Fields, *known: str) -> Fields:
    """The fields that have no neutral form, without the body that they came in; null says nothing."""
    return {
        name: raw.copy()
        for name, raw in fields.items()
        if name not in known and name != "type" and bytes(raw) != b"null"
    }


def text_of(fields: Fields, name: str, at: str) -> str:
    """A string that must be there."""
    value = value_of(fields, name)
    if not isinstance(value, str):
        raise BadField(f"{at}.{name}", "must be a string")
    return value


def _part(fields: Fields, at: str) -> Part:
    kind = value_of(fields, "type")
    decode = _KINDS.get(kind) if isinstance(kind, str) else None
    if decode is None:
        raise BadField(f"{at}.type", f"must be one of {', '.join(sorted(_KINDS))}")
    return decode(fields, at)


def _text(fields: Fields, at: str) -> Part:
    extra = {name: raw for name, raw in rest(fields, "text").items() if bytes(raw) != b"[]"}
    return TextPart(text=text_of(fields, "text", at), extra=extra)


def _image(fields: Fields, at: str) -> Part:
    url, file_id, detail = (_optional(fields, name, at) for name in ("image_url", "file_id", "detail"))
    return ImagePart(
        url=url or "",
        file_id=file_id,
        detail=None if detail == _USUAL_DETAIL else detail,
        extra=rest(fields, "image_url", "file_id", "detail"),
    )


def _file(fields: Fields, at: str) -> Part:
    return FilePart(
        file_id=_optional(fields, "file_id", at),
        file_data=_optional(fields, "file_data", at),
        filename=_optional(fields, "filename", at),
        url=_optional(fields, "file_url", at),
        extra=rest(fields, "file_id", "file_data", "filename", "file_url"),
    )


def _refusal(fields: Fields, at: str) -> Part:
    return RefusalPart(text=text_of(fields, "refusal", at))


_KINDS: Mapping[str, Callable[[Fields, str], Part]] = {
    "input_text": _text,
    "output_text": _text,
    "input_image": _image,
    "input_file": _file,
    "refusal": _refusal,
}


def _optional(fields: Fields, name: str, at: str) -> str | None:
    value = value_of(fields, name)
    if value is None or isinstance(value, str):
        return value
    raise BadField(f"{at}.{name}", "must be a string")
