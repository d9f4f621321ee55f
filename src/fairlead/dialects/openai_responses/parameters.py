"""The parameters of a Responses request, to and from the neutral form.

What this dialect cannot say is decided here.  Refused, for the answer would differ from what was asked for: more than one
choice, stop sequences and penalties.
A function without `strict` is strict here as far as its schema allows, and nowhere else: that is kept beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, boolean, plain, value_of
from fairlead.dialects.openai_responses.content import Fields, rest, text_of
from fairlead.errors import InvalidRequest
from fairlead.types import Chat, ResponseFormat, Tool, ToolChoice

BINDING = frozenset({"background", "conversation", "previous_response_id", "prompt", "tool_choice"})
"""What changes the request itself: where the rest of the prompt is, that nobody waits for the answer, or a choice among
tools that has no neutral form."""

_PLAIN: Mapping[str, type] = {
    "temperature": float,
    "top_p": float,
    "top_logprobs": int,
    "max_output_tokens": int,
    "parallel_tool_calls": bool,
    "user": str,
}
"""Fields that have the same name and one plain type on both sides."""

_READ = ("model", "input", "instructions", "stream", "tools", "tool_choice", "text", "reasoning", "include", *_PLAIN)
_LOGPROBS = "message.output_text.logprobs"
_TOOLS = msgspec.json.Decoder(list[Fields] | None)
_FIELDS = msgspec.json.Decoder(Fields | None)
_NULL = msgspec.Raw(b"null")
_UNNAMED = "answer"
"""What a schema is called that has no name; the dialect demands one."""


def decode_parameters(fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """Everything of a `Chat` but its model, messages and `stream`, as keyword arguments.

    What has no neutral form stays raw in `extra`.

    Raises:
        BadField: a known field of the wrong type.
    """
    extra = rest(dict(fields), *_READ)
    if "type" in fields:
        extra["type"] = fields["type"].copy()
    known = {
        **{name: plain(fields, name, kind) for name, kind in _PLAIN.items()},
        "logprobs": _logprobs(fields, extra),
        "reasoning_effort": _effort(fields, extra),
        "response_format": _format(fields, extra),
        "tools": _tools(fields),
        "tool_choice": _choice(fields, extra),
        "include_usage": boolean(fields, "stream"),  # a stream of this dialect always counts
    }
    binding = {name for name in BINDING.intersection(extra) if bytes(extra[name]) != b"false"}
    if "format" in _object(extra, "text"):
        binding.add("text.format")
    return {**known, "binding": frozenset(binding), "extra": extra}


def encode_parameters(chat: Chat) -> dict[str, Any]:
    """The fields for these parameters; what is `None` is absent.

    Raises:
        InvalidRequest: one that this dialect cannot say, see above.
    """
    _refuse_inexpressible(chat)
    body: dict[str, Any] = {name: getattr(chat, name) for name in _PLAIN if getattr(chat, name) is not None}
    body |= chat.extra
    if chat.logprobs:
        body["include"] = [_LOGPROBS, *msgspec.json.decode(chat.extra.get("include", b"[]"))]
    if chat.tools:
        body["tools"] = [_encode_tool(tool) for tool in chat.tools]
    if chat.tool_choice is not None:
        choice = chat.tool_choice
        body["tool_choice"] = {"type": "function", "name": choice.name} if choice.mode == "function" else choice.mode
    if chat.reasoning_effort is not None:
        body["reasoning"] = {**_object(chat.extra, "reasoning"), "effort": chat.reasoning_effort}
    if chat.response_format is not None:
        body["text"] = {**_object(chat.extra, "text"), "format": _encode_format(chat.response_format)}
    return body


def _refuse_inexpressible(chat: Chat) -> None:
    refused = {
        "n": chat.n is not None and chat.n > 1,
        "stop": bool(chat.stop),
        "presence_penalty": bool(chat.presence_penalty),
        "frequency_penalty": bool(chat.frequency_penalty),
    }
    for name, is_refused in refused.items():
        if is_refused:
            raise InvalidRequest(f"`{name}` has no form at this model's provider.", param=name)


def _logprobs(fields: Mapping[str, msgspec.Raw], extra: Fields) -> bool | None:
    value = value_of(fields, "include")
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadField("include", "must be an array")
    if others := [each for each in value if each != _LOGPROBS]:
        extra["include"] = msgspec.Raw(msgspec.json.encode(others))
    return True if _LOGPROBS in value else None


def _effort(fields: Mapping[str, msgspec.Raw], extra: Fields) -> str | None:
    reasoning = _opened(fields, "reasoning")
    if left := _all_but(reasoning, "effort"):
        extra["reasoning"] = msgspec.Raw(msgspec.json.encode(left))
    try:
        return plain(reasoning, "effort", str)  # type: ignore[no-any-return]  # asked for as a string
    except BadField:
        raise BadField("reasoning.effort", "must be a string") from None


def _format(fields: Mapping[str, msgspec.Raw], extra: Fields) -> ResponseFormat | None:
    text = _opened(fields, "text")
    form = _opened(text, "format", "text.")
    kind = value_of(form, "type") if form else None
    found = None
    known = {"format"}
    if kind in {"text", "json_object"}:
        found = ResponseFormat(type=kind)
    elif kind == "json_schema":
        found = _schema(form)
    elif form:
        known = set()
    if left := _all_but(text, *known):
        extra["text"] = msgspec.Raw(msgspec.json.encode(left))
    return found


def _schema(form: Fields) -> ResponseFormat:
    if "schema" not in form:
        raise BadField("text.format.schema", "must be an object")
    try:
        name, strict = plain(form, "name", str), plain(form, "strict", bool)
        description = plain(form, "description", str)
    except BadField as error:
        raise BadField(f"text.format.{error.param}", "has the wrong type") from None
    return ResponseFormat(
        type="json_schema", name=name, description=description, schema=form["schema"].copy(), strict=strict
    )


def _encode_format(form: ResponseFormat) -> dict[str, Any]:
    if form.type != "json_schema":
        return {"type": form.type}
    told = {"description": form.description, "strict": form.strict}
    schema = {} if form.schema is None else form.schema
    present = {name: value for name, value in told.items() if value is not None}
    return {"type": form.type, "name": form.name or _UNNAMED, "schema": schema, **present}


def _tools(fields: Mapping[str, msgspec.Raw]) -> tuple[Tool, ...]:
    try:
        rows = _TOOLS.decode(fields.get("tools", _NULL))
    except (ValueError, RecursionError):
        raise BadField("tools", "must be an array of objects") from None
    return tuple(_tool(row, f"tools[{index}]") for index, row in enumerate(rows or ()))


def _tool(fields: Fields, at: str) -> Tool:
    kind, name = text_of(fields, "type", at), value_of(fields, "name")
    if kind != "function":
        named = isinstance(name, str)
        return Tool(name=name if named else "", hosted=kind, extra=rest(fields, *(["name"] if named else [])))
    try:
        description, strict = plain(fields, "description", str), plain(fields, "strict", bool)
    except BadField as error:
        raise BadField(f"{at}.{error.param}", "has the wrong type") from None
    extra = rest(fields, "name", "description", "parameters", "strict")
    schema = fields.get("parameters", _NULL)
    return Tool(
        name=text_of(fields, "name", at),
        description=description,
        parameters=None if bytes(schema) == b"null" else schema.copy(),
        strict=strict,
        extra=extra if strict is not None else {**extra, "strict": _NULL},
    )


def _encode_tool(tool: Tool) -> dict[str, Any]:
    if tool.hosted is not None:
        named = {"name": tool.name} if tool.name else {}
        return {"type": tool.hosted, **named, **tool.extra}
    described = {} if tool.description is None else {"description": tool.description}
    strict = False if tool.strict is None else tool.strict
    return {
        "type": "function",
        "name": tool.name,
        **described,
        "parameters": tool.parameters,
        "strict": strict,
        **tool.extra,
    }


def _choice(fields: Mapping[str, msgspec.Raw], extra: Fields) -> ToolChoice | None:
    value = value_of(fields, "tool_choice")
    match value:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(mode=value)
        case {"type": "function", "name": str(name), **more} if not more:
            return ToolChoice(mode="function", name=name)
        case dict():
            extra["tool_choice"] = fields["tool_choice"].copy()
            return None
    raise BadField("tool_choice", "must be auto, none, required or an object")


def _opened(fields: Mapping[str, msgspec.Raw], name: str, above: str = "") -> Fields:
    """The fields of an object; none where it is absent or null."""
    try:
        return _FIELDS.decode(fields.get(name, _NULL)) or {}
    except (ValueError, RecursionError):
        raise BadField(f"{above}{name}", "must be an object") from None


def _all_but(fields: Fields, *known: str) -> Fields:
    return {name: raw for name, raw in fields.items() if name not in known and bytes(raw) != b"null"}


def _object(fields: Fields, name: str) -> dict[str, Any]:
    """An object kept in `extra`, to be added to."""
    return dict(_opened(fields, name))
