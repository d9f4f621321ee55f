"""The parameters of a Messages request, to and from the neutral form.

What this dialect cannot say is decided here.  Refused, for the answer would lack what was asked for: more than one
choice, log probabilities, audio, penalties, and JSON without a schema.  Left out, for they only tune: `seed`, the name
and strictness of a schema.  A temperature over 1 becomes 1, the effort `minimal` becomes `low`, and `none` turns
thinking off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.dialects.anthropic.blocks import Fields, encode_cache, rest, take_cache
from fairlead.dialects.fields import MOST_TOKENS, BadField, boolean, integer, plain, value_of
from fairlead.errors import InvalidRequest
from fairlead.types import Chat, ResponseFormat, Thinking, Tool, ToolChoice

DEFAULT_MAX_TOKENS = 4096
"""What `max_tokens`, which this dialect demands, is where the caller set no limit: the most that every Claude writes.
A budget for thinking comes on top, for the limit contains what is thought."""

_TOOLS = msgspec.json.Decoder(list[Fields])
_READ = (
    "model",
    "messages",
    "system",
    "stream",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
)
_NO_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')
_NOTHING = frozenset({b"null", b"[]"})
_EFFORTS = {"minimal": "low"}
_MODES = {"auto": "auto", "none": "none", "required": "any"}


def decode_parameters(fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """Everything of a `Chat` but its model, messages and `stream`, as keyword arguments.

    What has no neutral form stays raw in `extra`.

    Raises:
        BadField: a known field of the wrong type.
    """
    known = dict(fields)
    cache = take_cache(known)
    extra = rest(known, *_READ)
    if "type" in known:
        extra["type"] = known["type"]
    choice, parallel = _tool_choice(fields, extra)
    effort, form, binding = _output_config(fields, extra)
    binding |= {name for name in ("mcp_servers", "tool_choice") if bytes(extra.get(name, b"[]")) not in _NOTHING}
    return {
        "max_output_tokens": integer(fields, "max_tokens", 0, MOST_TOKENS),
        "temperature": plain(fields, "temperature", float),
        "top_p": plain(fields, "top_p", float),
        "top_k": plain(fields, "top_k", int),
        "stop": _stop(fields),
        "tools": _tools(fields),
        "tool_choice": choice,
        "parallel_tool_calls": parallel,
        "thinking": _thinking(fields, extra),
        "reasoning_effort": effort,
        "response_format": form,
        "user": _user(fields, extra),
        "cache": cache,
        "include_usage": boolean(fields, "stream"),  # a stream of this dialect always counts
        "binding": frozenset(binding),
        "extra": extra,
    }


def encode_parameters(chat: Chat) -> dict[str, Any]:
    """The fields for these parameters; what is `None` is absent, but for the limit.

    Raises:
        InvalidRequest: one that this dialect cannot say, see above.
    """
    _refuse_inexpressible(chat)
    body: dict[str, Any] = dict(chat.extra)
    body["max_tokens"] = _default_limit(chat) if chat.max_output_tokens is None else chat.max_output_tokens
    if chat.temperature is not None:
        body["temperature"] = min(chat.temperature, 1.0)
    sampling = {"top_p": chat.top_p, "top_k": chat.top_k}
    body |= {name: value for name, value in sampling.items() if value is not None}
    if chat.stop:
        body["stop_sequences"] = chat.stop
    if chat.tools:
        body["tools"] = [_encode_tool(tool) for tool in chat.tools]
    if chat.cache is not None:
        body["cache_control"] = encode_cache(chat.cache)
    if chat.user is not None:
        body["metadata"] = {**_object(chat.extra, "metadata"), "user_id": chat.user}
    return body | _encode_choice(chat) | _encode_thinking(chat) | _encode_output(chat)


def _default_limit(chat: Chat) -> int:
    budget = None if chat.thinking is None else chat.thinking.budget_tokens
    return DEFAULT_MAX_TOKENS + (budget or 0)


def _refuse_inexpressible(chat: Chat) -> None:
    refused = {
        "n": chat.n is not None and chat.n > 1,
        "logprobs": bool(chat.logprobs),
        "presence_penalty": bool(chat.presence_penalty),
        "frequency_penalty": bool(chat.frequency_penalty),
        "response_format": chat.response_format is not None and chat.response_format.type == "json_object",
    }
    for name, is_refused in refused.items():
        if is_refused:
            remedy = "; send a JSON schema" if name == "response_format" else ""
            raise InvalidRequest(f"`{name}` has no form at this model's provider{remedy}.", param=name)


def _stop(fields: Mapping[str, msgspec.Raw]) -> tuple[str, ...]:
    value = value_of(fields, "stop_sequences")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(stop, str) for stop in value):
        raise BadField("stop_sequences", "must be an array of strings")
    return tuple(value)


def _tools(fields: Mapping[str, msgspec.Raw]) -> tuple[Tool, ...]:
    raw = fields.get("tools")
    if raw is None or bytes(raw) == b"null":
        return ()
    try:
        rows = _TOOLS.decode(raw)
    except (ValueError, RecursionError):
        raise BadField("tools", "must be an array of objects") from None
    return tuple(_tool(row, f"tools[{index}]") for index, row in enumerate(rows))


def _tool(fields: Fields, at: str) -> Tool:
    fields = dict(fields)
    kind, name, cache = value_of(fields, "type"), value_of(fields, "name"), take_cache(fields)
    if kind is not None and not isinstance(kind, str):
        raise BadField(f"{at}.type", "must be a string")
    if kind not in {None, "custom"}:
        known = "name" if isinstance(name, str) else ""
        return Tool(name=name if known else "", hosted=kind, cache=cache, extra=rest(fields, known))
    if not isinstance(name, str):
        raise BadField(f"{at}.name", "must be a string")
    extra = rest(fields, "name", "description", "input_schema", "strict")
    if kind is not None:
        extra["type"] = fields["type"].copy()
    schema = fields.get("input_schema")
    try:
        description, strict = plain(fields, "description", str), plain(fields, "strict", bool)
    except BadField as error:
        raise BadField(f"{at}.{error.param}", "has the wrong type") from None
    return Tool(
        name=name,
        description=description,
        parameters=None if schema is None else schema.copy(),
        strict=strict,
        cache=cache,
        extra=extra,
    )


def _encode_tool(tool: Tool) -> dict[str, Any]:
    cache = {} if tool.cache is None else {"cache_control": encode_cache(tool.cache)}
    if tool.hosted is not None:
        named = {"name": tool.name} if tool.name else {}
        return {"type": tool.hosted, **named, **cache, **tool.extra}
    told = {"description": tool.description, "strict": tool.strict}
    return {
        "name": tool.name,
        **{name: value for name, value in told.items() if value is not None},
        "input_schema": _NO_SCHEMA if tool.parameters is None else tool.parameters,
        **cache,
        **tool.extra,
    }


def _tool_choice(fields: Mapping[str, msgspec.Raw], extra: Fields) -> tuple[ToolChoice | None, bool | None]:
    value = value_of(fields, "tool_choice")
    if value is None:
        return None, None
    if not isinstance(value, dict):
        raise BadField("tool_choice", "must be an object")
    alone = value.pop("disable_parallel_tool_use", None)
    parallel = None if alone is None else not alone
    match value:
        case {"type": "auto", **more} if not more:
            return ToolChoice(mode="auto"), parallel
        case {"type": "any", **more} if not more:
            return ToolChoice(mode="required"), parallel
        case {"type": "none", **more} if not more:
            return ToolChoice(mode="none"), parallel
        case {"type": "tool", "name": str(name), **more} if not more:
            return ToolChoice(mode="function", name=name), parallel
    extra["tool_choice"] = fields["tool_choice"].copy()
    return None, None


def _encode_choice(chat: Chat) -> dict[str, Any]:
    choice = chat.tool_choice
    if choice is None:
        if chat.parallel_tool_calls is not False or not chat.tools:
            return {}  # parallel calls are what the provider does anyway
        choice = ToolChoice(mode="auto")
    if choice.mode == "function":
        body: dict[str, Any] = {"type": "tool", "name": choice.name}
    else:
        body = {"type": _MODES[choice.mode]}
    if chat.parallel_tool_calls is not None and choice.mode != "none":
        body["disable_parallel_tool_use"] = not chat.parallel_tool_calls
    return {"tool_choice": body}


def _thinking(fields: Mapping[str, msgspec.Raw], extra: Fields) -> Thinking | None:
    value = value_of(fields, "thinking")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadField("thinking", "must be an object")
    mode, budget, display = (value.pop(name, None) for name in ("type", "budget_tokens", "display"))
    is_budget = budget is None or (isinstance(budget, int) and not isinstance(budget, bool))
    if isinstance(mode, str) and is_budget and isinstance(display, str | None) and not value:
        return Thinking(mode=mode, budget_tokens=budget, display=display)
    extra["thinking"] = fields["thinking"].copy()
    return None


def _encode_thinking(chat: Chat) -> dict[str, Any]:
    if chat.thinking is None:
        return {"thinking": {"type": "disabled"}} if chat.reasoning_effort == "none" else {}
    told = {"budget_tokens": chat.thinking.budget_tokens, "display": chat.thinking.display}
    return {"thinking": {"type": chat.thinking.mode, **{name: v for name, v in told.items() if v is not None}}}


def _output_config(
    fields: Mapping[str, msgspec.Raw], extra: Fields
) -> tuple[str | None, ResponseFormat | None, set[str]]:
    """The effort, the form of the answer, and the path of a form that has no neutral one."""
    raw = fields.get("output_config")
    if raw is None or bytes(raw) == b"null":
        return None, None, set()
    try:
        config = msgspec.json.decode(raw, type=Fields)
        form = msgspec.json.decode(config["format"], type=Fields | None) if "format" in config else None
    except (ValueError, RecursionError):
        raise BadField("output_config", "must be an object, and its `format`, too") from None
    known = {"effort"}
    found = None
    if form is not None and set(form) == {"type", "schema"} and value_of(form, "type") == "json_schema":
        found = ResponseFormat(type="json_schema", schema=form["schema"].copy())
        known.add("format")
    left = rest(config, *known) | ({"type": config["type"]} if "type" in config else {})
    if left:
        extra["output_config"] = msgspec.Raw(msgspec.json.encode(left))
    return plain(config, "effort", str), found, set() if found or not form else {"output_config.format"}


def _encode_output(chat: Chat) -> dict[str, Any]:
    config = _object(chat.extra, "output_config")
    if chat.reasoning_effort not in {None, "none"}:
        config["effort"] = _EFFORTS.get(chat.reasoning_effort or "", chat.reasoning_effort)
    if chat.response_format is not None and chat.response_format.type == "json_schema":
        schema = chat.response_format.schema
        config["format"] = {"type": "json_schema", "schema": _NO_SCHEMA if schema is None else schema}
    return {"output_config": config} if config else {}


def _user(fields: Mapping[str, msgspec.Raw], extra: Fields) -> str | None:
    value = value_of(fields, "metadata")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadField("metadata", "must be an object")
    user = value.pop("user_id", None)
    if user is not None and not isinstance(user, str):
        raise BadField("metadata.user_id", "must be a string")
    if value:
        extra["metadata"] = msgspec.Raw(msgspec.json.encode(value))
    return user


def _object(fields: Fields, name: str) -> dict[str, Any]:
    """An object kept in `extra`, to be added to."""
    raw = fields.get(name)
    return {} if raw is None else dict(msgspec.json.decode(raw, type=Fields))
