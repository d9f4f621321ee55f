"""Tools of the Gemini dialect, and which of them the model has to call.

A function's schema goes out as JSON Schema.  Whether it is strict has no place here and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fairlead.dialects.fields import BadField, plain, value_of
from fairlead.dialects.gemini.objects import Fields, kept, opened, packed, rest, rows, text_of
from fairlead.dialects.gemini.schema import json_schema
from fairlead.errors import InvalidRequest
from fairlead.types import Chat, Tool, ToolChoice

_HOSTED = frozenset(
    {
        "codeExecution",
        "computerUse",
        "enterpriseWebSearch",
        "exaAiSearch",
        "fileSearch",
        "googleMaps",
        "googleSearch",
        "googleSearchRetrieval",
        "mcpServers",
        "parallelAiSearch",
        "retrieval",
        "urlContext",
    }
)
"""The tools that Google runs, by its names."""
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "function": "ANY"}


def decode_tools(raw: msgspec.Raw | None) -> tuple[Tool, ...]:
    """The functions, and the tools that the provider runs.

    Raises:
        BadField: its path starts with `tools`.
    """
    tools: list[Tool] = []
    for index, row in enumerate(rows(raw, "tools")):
        for name, value in opened(row, f"tools[{index}]").items():
            if name != "functionDeclarations":
                tools.append(Tool(name="", hosted=name, extra={name: value.copy()}))
                continue
            at = f"tools[{index}].functionDeclarations"
            tools += [_function(each, f"{at}[{place}]") for place, each in enumerate(rows(value, at))]
    return tuple(tools)


def encode_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """The value of `tools`: all functions in one, then the others.

    Raises:
        InvalidRequest: a tool that another provider runs.
    """
    functions = [_encode_function(tool) for tool in tools if tool.hosted is None]
    hosted = [tool for tool in tools if tool.hosted is not None]
    for tool in hosted:
        if tool.hosted not in _HOSTED:
            raise InvalidRequest(
                f"`tools` hold {tool.hosted!r}, which this model's provider does not run.", param="tools"
            )
    return [*([{"functionDeclarations": functions}] if functions else []), *(dict(tool.extra) for tool in hosted)]


def decode_choice(raw: msgspec.Raw | None, extra: Fields) -> ToolChoice | None:
    """Which tools to call; what is more than the neutral form can say is kept in `extra`."""
    if raw is None:
        return None
    fields = opened(raw, "toolConfig")
    calling = fields.get("functionCallingConfig")
    found = None if calling is None else _choice(opened(calling, "toolConfig.functionCallingConfig"))
    left = rest(fields, *(("functionCallingConfig",) if found is not None else ()))
    if left:
        extra["toolConfig"] = packed(left)
    return found


def encode_choice(chat: Chat) -> dict[str, Any]:
    """The field `toolConfig`, where something is to be said in it.

    Raises:
        InvalidRequest: only one call at a time may be made, which cannot be said here.
    """
    if chat.parallel_tool_calls is False and chat.tools:
        raise InvalidRequest(
            "`parallel_tool_calls` cannot be turned off at this model's provider; leave it out.",
            param="parallel_tool_calls",
        )
    config: dict[str, Any] = dict(kept(chat.extra, "toolConfig"))
    if chat.tool_choice is not None:
        calling: dict[str, Any] = {"mode": _MODES[chat.tool_choice.mode]}
        if chat.tool_choice.mode == "function":
            calling["allowedFunctionNames"] = [chat.tool_choice.name]
        config["functionCallingConfig"] = calling
    return {"toolConfig": config} if config else {}


def _choice(fields: Fields) -> ToolChoice | None:
    mode, names = value_of(fields, "mode"), value_of(fields, "allowedFunctionNames")
    if not set(fields) <= {"mode", "allowedFunctionNames"}:
        return None
    match mode, names:
        case "AUTO", None:
            return ToolChoice(mode="auto")
        case "NONE", None:
            return ToolChoice(mode="none")
        case "ANY", None:
            return ToolChoice(mode="required")
        case "ANY", [str(name)]:
            return ToolChoice(mode="function", name=name)
    return None


def _function(raw: msgspec.Raw, at: str) -> Tool:
    fields = opened(raw, at)
    schema, known = fields.get("parametersJsonSchema"), ["name", "description", "parametersJsonSchema"]
    if schema is None and "parameters" in fields:
        schema = json_schema(fields["parameters"], f"{at}.parameters")
        known.append("parameters")
    try:
        description = plain(fields, "description", str)
    except BadField:
        raise BadField(f"{at}.description", "must be a string") from None
    return Tool(
        name=text_of(fields, "name", at),
        description=description,
        parameters=None if schema is None else schema.copy(),
        extra=rest(fields, *known),
    )


def _encode_function(tool: Tool) -> dict[str, Any]:
    told = {"description": tool.description, "parametersJsonSchema": tool.parameters}
    return {"name": tool.name, **{name: value for name, value in told.items() if value is not None}, **tool.extra}
