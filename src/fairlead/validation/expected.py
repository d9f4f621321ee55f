"""Which schemas the answer to a request has to fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from fairlead.errors import InvalidRequest
from fairlead.types import Chat
from fairlead.validation.ladder.bounds import InvalidSchema
from fairlead.validation.ladder.shape import Shape, Shapes

_ANY_OBJECT: Final = b'{"type":"object"}'
_UNNAMED: Final = "answer"
_UNFIT: Final = re.compile(r"[^A-Za-z0-9-]+")
"""What stands in no name; OpenAI's, which are the strictest, take letters, digits, `_` and `-`."""
_MOST_LETTERS: Final = 64


class _Titled(msgspec.Struct):
    title: str = ""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer has to fit."""

    name: str
    """What the caller calls it; where the dialect has no name for a schema, its title."""
    schema: bytes | None = None
    """JSON Schema of the text, as sent; `None`: the text is free."""
    shape: Shape | None = None
    """The same, compiled."""
    tools: Mapping[str, Shape] = {}
    """The arguments of calls, by the tool's name; a tool whose schema cannot be used is not among them."""
    offered: frozenset[str] = frozenset()
    """All tools that may be called."""
    called: str | None = None
    """The one that has to be."""
    is_called: bool = False
    """Whether one of them has to be."""


def expected(chat: Chat, shapes: Shapes) -> Expected | None:
    """What the answer to `chat` has to fit; `None`: anything will do.

    Raises:
        InvalidRequest: the schema of its text cannot be used.
    """
    form = chat.response_format
    tools = {tool.name: shape for tool in chat.tools if (shape := _tool(tool.parameters, shapes)) is not None}
    calls = _calls(chat)
    if form is None or form.type == "text":
        return Expected(name=next(iter(tools)), tools=tools, **calls) if tools else None
    schema = _ANY_OBJECT if form.schema is None else bytes(form.schema)
    try:
        shape = shapes.of(schema)
    except InvalidSchema as error:
        raise InvalidRequest(f"the schema of the answer cannot be used: {error}", param="response_format") from None
    return Expected(name=form.name or _title(schema) or _UNNAMED, schema=schema, shape=shape, tools=tools, **calls)


def _calls(chat: Chat) -> dict[str, Any]:
    """Which tools may be called, and whether the request leaves a choice."""
    names = [tool.name for tool in chat.tools if tool.hosted is None]
    choice, called = chat.tool_choice, None
    is_called = choice is not None and choice.mode in {"required", "function"} and bool(names)
    if choice is not None and choice.mode == "function":
        called = choice.name
    elif is_called and len(names) == 1:
        called = names[0]
    return {"offered": frozenset(names), "called": called, "is_called": is_called}


def _title(schema: bytes) -> str:
    """The schema's title as a name; empty where it has none."""
    try:
        title = msgspec.json.decode(schema, type=_Titled).title
    except msgspec.DecodeError:
        return ""
    return _UNFIT.sub("_", title).strip("_")[:_MOST_LETTERS]


def _tool(parameters: msgspec.Raw | None, shapes: Shapes) -> Shape | None:
    """A tool's arguments; what is wrong with its schema is between the caller and the provider."""
    if parameters is None:
        return None
    try:
        return shapes.of(bytes(parameters))
    except InvalidSchema:
        return None
