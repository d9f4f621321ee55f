"""Messages of the OpenAI dialect and their neutral form; requests and replies share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import msgspec

from fairlead.dialects.fields import BadField, value_of
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
    Role,
    TextPart,
    ToolCall,
)

_ROLES: Mapping[str, Role] = {role: role for role in get_args(Role)}
_KNOWN = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})


def decode_message(fields: Mapping[str, msgspec.Raw], at: str) -> Message:
    """The neutral form of a message; what it has no place for is kept in `extra`.

    Raises:
        BadField: its path starts with `at`.
    """
    role = value_of(fields, "role")
    if not isinstance(role, str) or role not in _ROLES:
        raise BadField(f"{at}.role", f"must be one of {', '.join(sorted(_ROLES))}")
    extra = {name: raw for name, raw in fields.items() if name not in _KNOWN}
    calls = _tool_calls(fields, f"{at}.tool_calls", extra)
    parts = _parts(value_of(fields, "content"), f"{at}.content")
    refusal = value_of(fields, "refusal")
    if isinstance(refusal, str):
        parts = (*parts, RefusalPart(text=refusal))
    return Message(
        role=_ROLES[role],
        parts=parts,
        name=_optional_string(fields, "name", at),
        tool_calls=calls,
        tool_call_id=_optional_string(fields, "tool_call_id", at),
        extra=extra,
    )


def encode_message(message: Message) -> dict[str, Any]:
    """A message of a request: one text is a string, anything else is a list of parts.

    Raises:
        InvalidRequest: a part that this dialect has no form for.
    """
    body: dict[str, Any] = {"role": message.role}
    # Reasoning of another provider's model is nothing that this dialect takes back: it is left out.
    parts = [part for part in message.parts if not isinstance(part, ReasoningPart)]
    if len(parts) == 1 and isinstance(parts[0], TextPart) and not parts[0].extra:
        body["content"] = parts[0].text
    elif parts:
        body["content"] = [_encode_part(part) for part in parts]
    elif not message.tool_calls and not message.extra:
        body["content"] = ""  # nothing at all is refused, such as a result of a tool that returned nothing
    if message.name is not None:
        body["name"] = message.name
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        body["tool_calls"] = [encode_tool_call(call) for call in message.tool_calls]
    return body | message.extra


def encode_answer(message: Message) -> dict[str, Any]:
    """A message of a reply: text is one string, a refusal stands beside it, and absent means null."""
    text = [part.text for part in message.parts if isinstance(part, TextPart)]
    refusals = [part.text for part in message.parts if isinstance(part, RefusalPart)]
    body: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(text) if text else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    reasoning = [part.text for part in message.parts if isinstance(part, ReasoningPart) and part.text]
    if reasoning:
        body["reasoning_content"] = "".join(reasoning)  # as the stream has it, and as DeepSeek names it
    if message.tool_calls:
        body["tool_calls"] = [encode_tool_call(call) for call in message.tool_calls]
    return body | message.extra


def encode_tool_call(call: ToolCall) -> dict[str, Any]:
    """A function call as it stands in a message."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function, **call.extra}


def _optional_string(fields: Mapping[str, msgspec.Raw], name: str, at: str) -> str | None:
    value = value_of(fields, name)
    if value is None or isinstance(value, str):
        return value
    raise BadField(f"{at}.{name}", "must be a string")


def _tool_calls(fields: Mapping[str, msgspec.Raw], at: str, extra: dict[str, msgspec.Raw]) -> tuple[ToolCall, ...]:
    calls = value_of(fields, "tool_calls")
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise BadField(at, "must be an array")
    if any(isinstance(call, dict) and call.get("type", "function") != "function" for call in calls):
        extra["tool_calls"] = fields["tool_calls"]  # custom tools have no neutral form: kept for the way back
        return ()
    return tuple(_tool_call(call, f"{at}[{index}]") for index, call in enumerate(calls))


def _tool_call(call: Any, at: str) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise BadField(f"{at}.function", "must be an object")
    name, arguments = function.get("name"), function.get("arguments", "")
    if not isinstance(name, str):
        raise BadField(f"{at}.function.name", "must be a string")
    if not isinstance(arguments, str):  # some servers send the object itself
        arguments = msgspec.json.encode(arguments).decode()
    call_id = call.get("id")
    return ToolCall(
        id=call_id if isinstance(call_id, str) else "",
        name=name,
        arguments=arguments,
        extra=_rest(call, "id", "function"),
    )


def _parts(content: Any, at: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(text=content),)
    if not isinstance(content, list):
        raise BadField(at, "must be a string or an array of parts")
    return tuple(_part(part, f"{at}[{index}]") for index, part in enumerate(content))


def _part(part: Any, at: str) -> Part:
    if not isinstance(part, dict):
        raise BadField(at, "must be an object")
    kind = part.get("type")
    decode = _PARTS.get(kind) if isinstance(kind, str) else None
    if decode is None:
        raise BadField(f"{at}.type", f"must be one of {', '.join(sorted(_PARTS))}")
    return decode(part, at)


def _text_part(part: dict[str, Any], at: str) -> Part:
    return TextPart(text=_string(part, "text", at), extra=_rest(part, "text"))


def _image_part(part: dict[str, Any], at: str) -> Part:
    image = _inner(part, "image_url", at)
    detail = image.get("detail")
    return ImagePart(
        url=_string(image, "url", f"{at}.image_url"),
        detail=detail if isinstance(detail, str) else None,
        extra=_rest(part, "image_url"),
    )


def _audio_part(part: dict[str, Any], at: str) -> Part:
    audio, at = _inner(part, "input_audio", at), f"{at}.input_audio"
    return AudioPart(data=_string(audio, "data", at), format=_string(audio, "format", at))


def _file_part(part: dict[str, Any], at: str) -> Part:
    names = ("file_id", "file_data", "filename")
    file = _inner(part, "file", at)
    known = {name: _string(file, name, f"{at}.file") for name in names if file.get(name) is not None}
    return FilePart(
        file_id=known.get("file_id"),
        file_data=known.get("file_data"),
        filename=known.get("filename"),
        extra=_rest(part, "file"),
    )


def _refusal_part(part: dict[str, Any], at: str) -> Part:
    return RefusalPart(text=_string(part, "refusal", at))


_PARTS: Mapping[str, Callable[[dict[str, Any], str], Part]] = {
    "text": _text_part,
    "image_url": _image_part,
    "input_audio": _audio_part,
    "file": _file_part,
    "refusal": _refusal_part,
}


def _inner(part: dict[str, Any], name: str, at: str) -> dict[str, Any]:
    value = part.get(name)
    if not isinstance(value, dict):
        raise BadField(f"{at}.{name}", "must be an object")
    return value


def _rest(values: dict[str, Any], *known: str) -> dict[str, msgspec.Raw]:
    """What else a part or a call says, such as `cache_control`, which other servers of this dialect read."""
    return {
        name: msgspec.Raw(msgspec.json.encode(value))
        for name, value in values.items()
        if name != "type" and name not in known and value is not None
    }


def _string(values: dict[str, Any], name: str, at: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise BadField(f"{at}.{name}", "must be a string")
    return value


def _encode_part(part: Part) -> dict[str, Any]:
    match part:
        case OpaquePart() | ReasoningPart():
            raise _inexpressible(part.kind if isinstance(part, OpaquePart) else "reasoning")
        case ImagePart(file_id=str()):
            raise _inexpressible("image by file id")
        case FilePart(url=str()):
            raise _inexpressible("document by URL")
        case FilePart(text=str()):
            return {"type": "text", "text": part.text}
        case TextPart():
            return {"type": "text", "text": part.text, **part.extra}
        case ImagePart():
            detail = {} if part.detail is None else {"detail": part.detail}
            return {"type": "image_url", "image_url": {"url": part.url, **detail}, **part.extra}
        case AudioPart():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
        case FilePart():
            named = {"file_id": part.file_id, "file_data": part.file_data, "filename": part.filename}
            file = {name: value for name, value in named.items() if value is not None}
            return {"type": "file", "file": file, **part.extra}
        case RefusalPart():
            return {"type": "refusal", "refusal": part.text}


def _inexpressible(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"`messages` hold a part ({what}) that this model's provider has no form for.", param="messages"
    )
