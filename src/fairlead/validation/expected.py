"""Which schemas the answer to a request has to fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from fairlead.errors import InvalidRequest
from fairlead.types import Chat
from fairlead.validation.ladder.bounds import InvalidSchema
from fairlead.validation.ladder.shape import Shape, Shapes

_ANY_OBJECT: Final = b'{"type":"object"}'
_UNNAMED: Final = "answer"
MOST_BYTES: Final = 256 * 1024
"""Of all schemas together that are worked with for one call."""
MOST_NODES: Final = 2_000
"""What compiling them may cost together, see `fairlead.validation.ladder.cost`; callers choose them, and all calls
wait meanwhile: some 20 ms at the most."""
_BYTES_A_NODE: Final = 16
"""What a schema that is refused counts for."""

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
    """The arguments of calls, by the tool's name; a tool whose schema cannot be used is not found."""
    offered: frozenset[str] = frozenset()
    """All tools that may be called."""
    called: str | None = None
    """The one that has to be."""
    is_called: bool = False
    """Whether one of them has to be."""


class _Allowance:
    """What is left for the schemas of one call."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._bytes = MOST_BYTES
        self._nodes = MOST_NODES

    def shape(self, raw: bytes) -> Shape:
        """The shape of one of them.

        Raises:
            InvalidSchema: it is none, or more than what is left.
        """
        if len(raw) > self._bytes:
            raise InvalidSchema(
                f"it is longer than the {MOST_BYTES} bytes that the schemas of a call may have together"
            )
        self._bytes -= len(raw)
        try:
            shape = self._shapes.of(raw, self._nodes)
        except InvalidSchema:
            self._nodes = max(0, self._nodes - len(raw) // _BYTES_A_NODE)
            raise
        self._nodes -= shape.cost
        return shape


class _Tools(Mapping[str, Shape]):
    """The arguments of tools; each is compiled when an answer calls it, and once."""

    def __init__(self, parameters: Mapping[str, msgspec.Raw], allowance: _Allowance) -> None:
        self._parameters = parameters
        self._allowance = allowance
        self._known: dict[str, Shape | None] = {}

    def __getitem__(self, name: str) -> Shape:
        if name not in self._known:
            self._known[name] = self._compiled(self._parameters[name])
        shape = self._known[name]
        if shape is None:
            raise KeyError(name)
        return shape

    def _compiled(self, parameters: msgspec.Raw) -> Shape | None:
        """What is wrong with a tool's schema is between the caller and the provider."""
        try:
            return self._allowance.shape(bytes(parameters))
        except InvalidSchema:
            return None

    def __iter__(self) -> Iterator[str]:
        """All that have a schema, usable or not: to find that out would be to compile them."""
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


def expected(chat: Chat, shapes: Shapes) -> Expected | None:
    """What the answer to `chat` has to fit; `None`: anything will do.

    Raises:
        InvalidRequest: the schema of its text cannot be used.
    """
    form, allowance = chat.response_format, _Allowance(shapes)
    parameters = {tool.name: tool.parameters for tool in chat.tools if tool.parameters is not None}
    tools = _Tools(parameters, allowance)
    calls = _calls(chat)
    if form is None or form.type == "text":
        return Expected(name=next(iter(parameters)), tools=tools, **calls) if parameters else None
    schema = _ANY_OBJECT if form.schema is None else bytes(form.schema)
    try:
        shape = allowance.shape(schema)
    except InvalidSchema as error:
        raise InvalidRequest(
            f"the schema of the answer cannot be used: {error}; make it simpler, or turn validation off for this call",
            param="response_format",
        ) from None
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
