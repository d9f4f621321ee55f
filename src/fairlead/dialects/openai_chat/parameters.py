"""The parameters of a chat request, to and from the neutral form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, plain, value_of
from fairlead.errors import InvalidRequest
from fairlead.types import Chat, ResponseFormat, Tool, ToolChoice

_PLAIN: Mapping[str, type] = {
    "temperature": float,
    "top_p": float,
    "presence_penalty": float,
    "frequency_penalty": float,
    "n": int,
    "seed": int,
    "top_logprobs": int,
    "logprobs": bool,
    "parallel_tool_calls": bool,
    "reasoning_effort": str,
    "user": str,
}
"""Fields that have the same name and one plain type on both sides."""

_BINDING = frozenset(
    {
        "audio",
        "function_call",
        "functions",
        "modalities",
        "response_format",
        "tool_choice",
        "tools",
        "web_search_options",
    }
)
"""What is asked for beside text and functions, where it has no neutral form: without it the answer is another one."""
_NOTHING = frozenset({b"null", b"[]", b'["text"]'})
"""How these fields ask for nothing."""
_LIMITS = ("max_completion_tokens", "max_tokens")
_READ = frozenset(
    {
        *_PLAIN,
        *_LIMITS,
        "model",
        "messages",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "response_format",
        "stop",
    }
)


def decode_parameters(fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """Everything of a `Chat` but its model, messages and `stream`, as keyword arguments.

    What has no neutral form stays raw in `extra`: unknown fields, tools that are no functions and choices among them.

    Raises:
        BadField: a known field of the wrong type.
    """
    extra = {name: raw for name, raw in fields.items() if name not in _READ}
    known: dict[str, Any] = {name: plain(fields, name, kind) for name, kind in _PLAIN.items()}
    known["max_output_tokens"] = _limit(fields)
    # Older servers know only this name, newer models refuse it: the caller's choice is kept.
    known["spelt"] = frozenset({"max_tokens"}.intersection(fields))
    known["stop"] = _stop(fields)
    known["tools"] = _tools(fields, extra)
    known["tool_choice"] = _tool_choice(fields, extra)
    known["response_format"] = _response_format(fields, extra)
    known["include_usage"] = _include_usage(fields, extra)
    known["binding"] = frozenset(
        name for name in _BINDING.intersection(extra) if bytes(extra[name]).replace(b" ", b"") not in _NOTHING
    )
    return {**known, "extra": extra}


def encode_parameters(chat: Chat) -> dict[str, Any]:
    """The fields for these parameters; what is `None` is absent.

    Raises:
        InvalidRequest: a tool that another provider runs itself.
    """
    body: dict[str, Any] = {name: getattr(chat, name) for name in _PLAIN if getattr(chat, name) is not None}
    body |= chat.extra
    if chat.max_output_tokens is not None:
        body["max_tokens" if "max_tokens" in chat.spelt else "max_completion_tokens"] = chat.max_output_tokens
    if chat.stop:
        body["stop"] = chat.stop[0] if len(chat.stop) == 1 else chat.stop
    if chat.tools:
        body["tools"] = [_encode_tool(tool) for tool in chat.tools]
    if chat.tool_choice is not None:
        body["tool_choice"] = _encode_choice(chat.tool_choice)
    if chat.response_format is not None:
        body["response_format"] = _encode_format(chat.response_format)
    if chat.include_usage:
        options = msgspec.json.decode(chat.extra.get("stream_options", b"{}"))
        body["stream_options"] = {**options, "include_usage": True}
    return body


def _limit(fields: Mapping[str, msgspec.Raw]) -> int | None:
    limits = [limit for limit in (plain(fields, name, int) for name in _LIMITS) if limit is not None]
    return max(limits, default=None)


def _stop(fields: Mapping[str, msgspec.Raw]) -> tuple[str, ...]:
    value = value_of(fields, "stop")
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise BadField("stop", "must be a string or an array of strings")
    return tuple(stops)


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


_Fields = dict[str, msgspec.Raw]


def _tools(fields: Mapping[str, msgspec.Raw], extra: dict[str, msgspec.Raw]) -> tuple[Tool, ...]:
    raw = fields.get("tools")
    if raw is None:
        return ()
    try:
        rows = msgspec.json.decode(raw, type=list[_Fields] | None) or []
        tools = [_tool(row) for row in rows]
    except (ValueError, RecursionError) as error:
        raise BadField("tools", f"cannot be read: {error}") from None
    functions = [tool for tool in tools if tool is not None]
    if len(functions) != len(tools):
        extra["tools"] = raw
        return ()
    return tuple(functions)


def _tool(row: _Fields) -> Tool | None:
    """The function; `None` where it is none.

    Raises:
        ValueError: it is not well formed.
    """
    kind = msgspec.json.decode(row.get("type", b"null"), type=str)
    raw = row.get("function", msgspec.Raw(b"null"))
    function = msgspec.json.decode(raw, type=_Function | None)
    if kind != "function" or function is None:
        return None
    left = _all_but(msgspec.json.decode(raw, type=_Fields), *_Function.__struct_fields__)
    return Tool(
        name=function.name,
        description=function.description,
        parameters=_present(function.parameters),
        strict=function.strict,
        extra=_all_but(row, "type", "function")
        | ({"function": msgspec.Raw(msgspec.json.encode(left))} if left else {}),
    )


def _all_but(fields: _Fields, *known: str) -> _Fields:
    return {name: raw.copy() for name, raw in fields.items() if name not in known}


def _tool_choice(fields: Mapping[str, msgspec.Raw], extra: dict[str, msgspec.Raw]) -> ToolChoice | None:
    value = value_of(fields, "tool_choice")
    match value:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(mode=value)
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice(mode="function", name=name)
        case dict():
            extra["tool_choice"] = fields["tool_choice"]
            return None
    raise BadField("tool_choice", "must be auto, none, required or an object")


class _Schema(msgspec.Struct):
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


def _response_format(fields: Mapping[str, msgspec.Raw], extra: dict[str, msgspec.Raw]) -> ResponseFormat | None:
    raw = fields.get("response_format")
    if raw is None:
        return None
    try:
        form = msgspec.json.decode(raw, type=_Format | None)
    except (ValueError, RecursionError) as error:
        raise BadField("response_format", f"cannot be read: {error}") from None
    if form is None:
        return None
    match form.type:
        case "text" | "json_object":
            return ResponseFormat(type=form.type)
        case "json_schema" if form.json_schema is not None:
            schema = form.json_schema
            return ResponseFormat(
                type="json_schema",
                name=schema.name,
                description=schema.description,
                schema=_present(schema.schema),
                strict=schema.strict,
            )
        case "json_schema":
            raise BadField("response_format.json_schema", "must be an object")
    extra["response_format"] = raw
    return None


def _include_usage(fields: Mapping[str, msgspec.Raw], extra: dict[str, msgspec.Raw]) -> bool:
    options = value_of(fields, "stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise BadField("stream_options", "must be an object")
    if set(options) - {"include_usage"}:
        extra["stream_options"] = fields["stream_options"]
    return options.get("include_usage") is True


def _present(raw: msgspec.Raw) -> msgspec.Raw | None:
    """Without the null that stands for nothing; `copy` so that a schema does not keep its whole body alive."""
    return raw.copy() if len(raw) and bytes(raw) != b"null" else None


def _encode_tool(tool: Tool) -> dict[str, Any]:
    if tool.hosted is not None:
        raise InvalidRequest(f"`tools` hold {tool.hosted!r}, which this model's provider does not run.", param="tools")
    function = {"description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    present = {name: value for name, value in function.items() if value is not None}
    more = dict(tool.extra)
    kept = msgspec.json.decode(more.pop("function", b"{}"), type=_Fields)
    return {"type": "function", "function": {"name": tool.name, **present, **kept}, **more}


def _encode_choice(choice: ToolChoice) -> Any:
    if choice.mode == "function":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _encode_format(form: ResponseFormat) -> dict[str, Any]:
    if form.type != "json_schema":
        return {"type": form.type}
    # Other dialects have no name for a schema, this one demands it.
    name = "answer" if form.name is None else form.name
    inner = {"name": name, "description": form.description, "schema": form.schema, "strict": form.strict}
    return {"type": form.type, "json_schema": {name: value for name, value in inner.items() if value is not None}}
