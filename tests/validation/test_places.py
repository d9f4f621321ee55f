"""Where in an answer something is wrong, told without what the model wrote."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.call import Request, Wanted
from fairlead.types import Chat, Tool
from fairlead.validation.places import told_names, told_place

BOOKING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "guests": {"type": "array", "items": {"$ref": "#/$defs/guest"}},
        "a/b~c": {"type": "string"},
        "rooms": {"additionalProperties": {"required": ["key"]}},
    },
    "dependentRequired": {"deposit": ["card"]},
    "$defs": {"guest": {"properties": {"age": {"type": "integer"}}}},
}


def asking(schema: object = None, *tools: object) -> Request:
    """A request that is held to these."""
    chat = Chat(
        model="m",
        messages=(),
        tools=tuple(Tool(name="t", parameters=msgspec.Raw(json.dumps(each).encode())) for each in tools),
    )
    wanted = None if schema is None else Wanted(name="s", schema=json.dumps(schema).encode())
    return Request(dialect="openai_chat", fields={}, model="m", chat=chat, wanted=wanted)


def test_the_names_are_those_of_properties_wherever_they_stand():
    """In definitions, below free names, and where one is only required."""
    assert told_names(asking(BOOKING)) == {"guests", "a/b~c", "rooms", "key", "deposit", "age"}


def test_the_names_of_a_tools_arguments_count():
    """An answer may be a call."""
    assert told_names(asking(None, {"properties": {"x": {}}}, {"properties": {"y": {}}})) == {"x", "y"}


@pytest.mark.parametrize("schema", [True, {}, {"properties": 5, "required": "no"}, {"required": [5]}, [None]])
def test_what_names_nothing_has_no_names(schema: object):
    """A schema that is none is looked at all the same."""
    assert told_names(asking(schema)) == set()


@pytest.mark.parametrize("schema", [b"{", b"[" * 100_000])
def test_what_is_no_json_has_no_names(schema: bytes):
    """Nothing is told then."""
    request = Request(dialect="openai_chat", fields={}, model="m", wanted=Wanted(name="s", schema=schema))
    assert told_names(request) == set()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", ""),
        ("/guests", "/guests"),
        ("/guests/17/age", "/guests/*/age"),
        ("/rooms/Ada Lovelace/key", "/rooms/*/key"),
        ("/rooms/4111111111111111", "/rooms/*"),
        ("/a~1b~0c", "/a~1b~0c"),
        ("/", "/*"),
    ],
)
def test_a_place_keeps_the_names_of_the_schema_and_nothing_else(path: str, told: str):
    """Elements of lists and free names are told apart by nobody, so neither is told."""
    assert told_place(path, told_names(asking(BOOKING))) == told


@given(st.lists(st.text()))
def test_nothing_of_a_place_is_told_without_a_schema(steps: list[str]):
    """As many steps as there are, and no word of them."""
    path = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    assert told_place(path, ()) == "/*" * len(steps)
