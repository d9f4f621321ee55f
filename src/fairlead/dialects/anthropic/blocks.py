"""Content blocks of the Anthropic dialect and their neutral parts; requests and replies share them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, value_of
from fairlead.errors import InvalidRequest
from fairlead.types import (
    AudioPart,
    CachePoint,
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

Fields = dict[str, msgspec.Raw]

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS = msgspec.json.Decoder(Fields)
_TEXT = msgspec.Raw(b'"text"')
_QUOTE = 0x22


class Block(msgspec.Struct, frozen=True):
    """A block with its top level open."""

    kind: str
    raw: msgspec.Raw
    fields: Fields
    at: str


def read_blocks(content: msgspec.Raw | None, at: str) -> list[Block]:
    """The blocks of a `content`; a string is short for one of text.

    Raises:
        BadField: its path starts with `at`.
    """
    if content is None or bytes(content) == b"null":
        raise BadField(at, "must be a string or an array of blocks")
    if memoryview(content)[0] == _QUOTE:
        return [Block("text", content, {"type": _TEXT, "text": content}, at)]
    try:
        raws = _RAWS.decode(content)
    except (ValueError, RecursionError):
        raise BadField(at, "must be a string or an array of blocks") from None
    return [_block(raw, f"{at}[{index}]") for index, raw in enumerate(raws)]


def decode_block(block: Block) -> Part | ToolCall:
    """The neutral form; a block that has none is kept as it is.

    Raises:
        BadField: a block of a known kind without what it needs.
    """
    decode = _KINDS.get(block.kind)
    part = None if decode is None else decode(block)
    return OpaquePart(dialect="anthropic", kind=block.kind, raw=block.raw.copy()) if part is None else part


def decode_answer(blocks: Sequence[Block]) -> tuple[tuple[Part, ...], tuple[ToolCall, ...]]:
    """The parts and the calls of an assistant's turn; a call knows how many parts stand before it."""
    parts: list[Part] = []
    calls: list[ToolCall] = []
    for block in blocks:
        found = decode_block(block)
        if isinstance(found, ToolCall):
            calls.append(msgspec.structs.replace(found, at=len(parts)))
        else:
            parts.append(found)
    whole = len(parts)
    placed = (msgspec.structs.replace(call, at=None) if call.at == whole else call for call in calls)
    return tuple(parts), tuple(placed)


def encode_answer(message: Message, *, unsigned: bool) -> list[dict[str, Any] | msgspec.Raw]:
    """The blocks of an assistant's turn, calls where they stood.

    Args:
        unsigned: write reasoning without a signature, too; a request must not hold it.

    Raises:
        InvalidRequest: a part without a form, or arguments that are no object.
    """
    blocks: list[dict[str, Any] | msgspec.Raw] = []
    waiting = list(message.tool_calls)
    for index, part in enumerate(message.parts):
        while waiting and waiting[0].at is not None and waiting[0].at <= index:
            blocks.append(encode_call(waiting.pop(0)))
        if unsigned or not _is_unsigned(part):
            blocks.append(encode_part(part))
    return blocks + [encode_call(call) for call in waiting]


def encode_parts(parts: Sequence[Part]) -> list[dict[str, Any] | msgspec.Raw]:
    """The blocks of any other turn; reasoning without a signature is left out, for it would be refused."""
    return [encode_part(part) for part in parts if not _is_unsigned(part)]


def encode_part(part: Part) -> dict[str, Any] | msgspec.Raw:
    """The block for a part.

    Raises:
        InvalidRequest: this dialect has none.
    """
    match part:
        case TextPart():
            return {"type": "text", "text": part.text, **_cache(part.cache), **part.extra}
        case RefusalPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return {"type": "image", "source": _image_source(part), **_cache(part.cache), **part.extra}
        case FilePart():
            title = {} if part.filename is None else {"title": part.filename}
            return {"type": "document", "source": _file_source(part), **title, **_cache(part.cache), **part.extra}
        case ReasoningPart():
            return _encode_reasoning(part)
        case OpaquePart(dialect="anthropic"):
            return part.raw
        case OpaquePart():
            raise _inexpressible(part.kind)
        case AudioPart():
            raise _inexpressible("audio")


def encode_call(call: ToolCall) -> dict[str, Any]:
    """A `tool_use` block.

    Raises:
        InvalidRequest: the arguments are no JSON object; this dialect has them decoded.
    """
    arguments = call.arguments.strip() or "{}"
    try:
        _FIELDS.decode(arguments)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            f"The arguments of tool call {call.id!r} are not a JSON object, which this model's provider demands.",
            param="messages",
        ) from None
    raw = msgspec.Raw(arguments.encode("utf-8", "replace"))
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": raw, **_cache(call.cache), **call.extra}


def is_plain_text(parts: Sequence[Part]) -> bool:
    """Whether these are one text and nothing else, which a string can say."""
    return len(parts) == 1 and isinstance(parts[0], TextPart) and parts[0].cache is None and not parts[0].extra


def take_cache(fields: Fields, name: str = "cache_control") -> CachePoint | None:
    """The cache point among these fields, taken out; one of an unknown form stays, for the way back."""
    point = _decode_cache(fields.get(name))
    if point is not None or bytes(fields.get(name, b"null")) == b"null":
        fields.pop(name, None)
    return point


def encode_cache(point: CachePoint) -> dict[str, Any]:
    """The value of `cache_control`."""
    return {"type": "ephemeral"} if point.ttl is None else {"type": "ephemeral", "ttl": point.ttl}


def rest(fields: Fields, *known: str) -> Fields:
    """The fields that have no neutral form, without the body that they came in."""
    return {name: raw.copy() for name, raw in fields.items() if name not in known and name != "type"}


def text_of(fields: Fields, name: str, at: str) -> str:
    """A string that must be there."""
    value = value_of(fields, name)
    if not isinstance(value, str):
        raise BadField(f"{at}.{name}", "must be a string")
    return value


def _block(raw: msgspec.Raw, at: str) -> Block:
    try:
        fields = _FIELDS.decode(raw)
    except (ValueError, RecursionError):
        raise BadField(at, "must be an object") from None
    return Block(text_of(fields, "type", at), raw, fields, at)


def _text(block: Block) -> Part:
    fields = dict(block.fields)
    cache = take_cache(fields)
    return TextPart(text=text_of(fields, "text", block.at), cache=cache, extra=rest(fields, "text"))


def _image(block: Block) -> Part | None:
    fields = dict(block.fields)
    cache = take_cache(fields)
    extra = rest(fields, "source")
    match _source(block):
        case {"type": "base64", "media_type": str(media_type), "data": str(data), **more} if not more:
            return ImagePart(url=f"data:{media_type};base64,{data}", cache=cache, extra=extra)
        case {"type": "url", "url": str(url), **more} if not more and not url.startswith("data:"):
            return ImagePart(url=url, cache=cache, extra=extra)
        case {"type": "file", "file_id": str(file_id), **more} if not more:
            return ImagePart(url="", file_id=file_id, cache=cache, extra=extra)
    return None


def _document(block: Block) -> Part | None:
    fields = dict(block.fields)
    cache, title = take_cache(fields), value_of(fields, "title")
    if title is not None and not isinstance(title, str):
        raise BadField(f"{block.at}.title", "must be a string")
    extra = rest(fields, "source", "title")
    match _source(block):
        case {"type": "base64", "media_type": str(media_type), "data": str(data), **more} if not more:
            url = f"data:{media_type};base64,{data}"
            return FilePart(file_data=url, filename=title, cache=cache, extra=extra)
        case {"type": "text", "media_type": "text/plain", "data": str(text), **more} if not more:
            return FilePart(text=text, filename=title, cache=cache, extra=extra)
        case {"type": "url", "url": str(url), **more} if not more:
            return FilePart(url=url, filename=title, cache=cache, extra=extra)
        case {"type": "file", "file_id": str(file_id), **more} if not more:
            return FilePart(file_id=file_id, filename=title, cache=cache, extra=extra)
    return None


def _thinking(block: Block) -> Part:
    signature = value_of(block.fields, "signature")
    return ReasoningPart(
        text=text_of(block.fields, "thinking", block.at),
        signature=signature if isinstance(signature, str) else "",
        extra=rest(block.fields, "thinking", "signature"),
    )


def _redacted(block: Block) -> Part:
    return ReasoningPart(encrypted=text_of(block.fields, "data", block.at), extra=rest(block.fields, "data"))


def _tool_use(block: Block) -> ToolCall:
    fields = dict(block.fields)
    cache = take_cache(fields)
    raw = fields.get("input")
    if raw is None or memoryview(raw)[0] != 0x7B:
        raise BadField(f"{block.at}.input", "must be an object")
    return ToolCall(
        id=text_of(fields, "id", block.at),
        name=text_of(fields, "name", block.at),
        arguments=bytes(raw).decode("utf-8", "replace"),
        cache=cache,
        extra=rest(fields, "id", "name", "input"),
    )


_KINDS: Mapping[str, Callable[[Block], Part | ToolCall | None]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
}


def _source(block: Block) -> dict[str, Any]:
    source = value_of(block.fields, "source")
    if not isinstance(source, dict):
        raise BadField(f"{block.at}.source", "must be an object")
    return source


def _decode_cache(raw: msgspec.Raw | None) -> CachePoint | None:
    if raw is None:
        return None
    match msgspec.json.decode(raw):
        case {"type": "ephemeral", "ttl": str(ttl), **more} if not more:
            return CachePoint(ttl=ttl)
        case {"type": "ephemeral", **more} if not more:
            return CachePoint()
    return None


def _cache(point: CachePoint | None) -> dict[str, Any]:
    return {} if point is None else {"cache_control": encode_cache(point)}


def _is_unsigned(part: Part) -> bool:
    return isinstance(part, ReasoningPart) and part.signature is None and part.encrypted is None


def _encode_reasoning(part: ReasoningPart) -> dict[str, Any]:
    if part.encrypted is not None:
        return {"type": "redacted_thinking", "data": part.encrypted, **part.extra}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature or "", **part.extra}


def _image_source(part: ImagePart) -> dict[str, Any]:
    if part.file_id is not None:
        return {"type": "file", "file_id": part.file_id}
    if not part.url.startswith("data:"):
        return {"type": "url", "url": part.url}
    media_type, data = _data_url(part.url)
    return {"type": "base64", "media_type": media_type, "data": data}


def _file_source(part: FilePart) -> dict[str, Any]:
    if part.file_id is not None:
        return {"type": "file", "file_id": part.file_id}
    if part.url is not None:
        return {"type": "url", "url": part.url}
    if part.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": part.text}
    media_type, data = _data_url(part.file_data or "")
    if not media_type.startswith("text/"):
        return {"type": "base64", "media_type": media_type, "data": data}
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRequest("A text document is not base64 of UTF-8.", param="messages") from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _data_url(url: str) -> tuple[str, str]:
    head, comma, data = url.partition(",")
    media_type, marker, _ = head.removeprefix("data:").partition(";base64")
    if not comma or not marker or not url.startswith("data:"):
        raise InvalidRequest("Inline media must be a `data:` URL with base64.", param="messages")
    return media_type, data


def _inexpressible(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"`messages` hold a part ({what}) that this model's provider has no form for.", param="messages"
    )
