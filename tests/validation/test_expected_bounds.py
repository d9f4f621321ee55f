"""Which schemas an answer is held to, and what they may cost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fairlead.errors import InvalidRequest
from fairlead.types import Chat, ResponseFormat, Tool
from fairlead.validation.expected import MOST_BYTES, MOST_NODES, Expected, expected
from fairlead.validation.ladder.shape import Shape, Shapes

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


class Counted(Shapes):
    """Knows which schemas it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def of(self, raw: bytes, most: int = 5_000) -> Shape:
        self.asked.append(raw)
        return super().of(raw, most)


def raw(schema: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(schema).encode())


def wide(count: int, name: str = "p") -> dict[str, Any]:
    """A schema of about so many subschemas."""
    return {"properties": {f"{name}{i}": {} for i in range(count)}}


def asked(form: ResponseFormat | None = None, **tools: Any) -> Chat:
    made = tuple(Tool(name=name, parameters=None if each is None else raw(each)) for name, each in tools.items())
    return Chat(model="m", messages=(), response_format=form, tools=made)


def found_in(chat: Chat, shapes: Shapes | None = None) -> Expected:
    found = expected(chat, shapes or Shapes())
    assert found is not None
    return found


def schema_form(schema: Any) -> ResponseFormat:
    return ResponseFormat(type="json_schema", name="thing", schema=raw(schema))


@pytest.mark.parametrize("chat", [asked(), asked(ResponseFormat(type="text")), asked(free=None)])
def test_a_call_without_a_schema_expects_nothing(chat):
    """A tool may have no parameters."""
    assert expected(chat, Shapes()) is None


@pytest.mark.parametrize(
    ("form", "name", "schema"),
    [
        (schema_form(SCHEMA), "thing", json.dumps(SCHEMA).encode()),
        (ResponseFormat(type="json_schema", schema=raw(SCHEMA)), "answer", json.dumps(SCHEMA).encode()),
        (ResponseFormat(type="json_object"), "answer", b'{"type":"object"}'),
    ],
)
def test_the_text_is_held_to_the_schema_of_the_response_format(form, name, schema):
    """Or to be an object."""
    found = found_in(asked(form))
    assert (found.name, found.schema) == (name, schema)
    assert found.shape is not None
    assert found.shape.kinds == {"object"}


def test_a_tool_is_compiled_when_an_answer_calls_it():
    """Once, and no other: a request may hold hundreds."""
    shapes = Counted()
    found = found_in(asked(free=None, one=SCHEMA, two={"type": "string"}), shapes)
    assert (found.name, found.shape, list(found.tools), len(found.tools)) == ("one", None, ["one", "two"], 2)
    assert shapes.asked == []
    shape = found.tools.get("two")
    assert shape is not None
    assert shape is found.tools["two"]
    assert shapes.asked == [b'{"type": "string"}']
    assert found.tools.get("free") is found.tools.get("another") is None


@pytest.mark.parametrize(
    "schema", [{"type": 7}, [], {"$ref": "http://x"}, wide(MOST_NODES), {"title": "x" * MOST_BYTES}]
)
def test_a_tool_whose_schema_cannot_be_used_is_not_held_to_it(schema):
    """That is between the caller and the provider; it is tried once."""
    shapes = Counted()
    found = found_in(asked(bad=schema, good=SCHEMA), shapes)
    assert found.tools.get("bad") is found.tools.get("bad") is None
    assert found.tools.get("good") is not None
    assert len(shapes.asked) <= 2


@pytest.mark.parametrize("schema", [wide(MOST_NODES), {"title": "x" * MOST_BYTES}, {"type": 7}])
def test_a_response_format_that_cannot_be_used_is_refused_with_a_remedy(schema):
    """Before anything is spent."""
    with pytest.raises(InvalidRequest, match=r"cannot be used.*; make it simpler, or turn validation off"):
        expected(asked(schema_form(schema)), Shapes())


@pytest.mark.parametrize("each", [wide(MOST_NODES // 4), {"title": "x" * (MOST_BYTES // 4)}])
def test_all_schemas_of_a_call_share_what_they_may_cost(each):
    """Tools beyond it are as those whose schema cannot be used; another call has all of it again."""
    shapes = Shapes()
    chat = asked(schema_form({**each, "$comment": "x"}), **{f"t{i}": {**each, "$comment": str(i)} for i in range(9)})
    for _ in range(2):
        found = found_in(chat, shapes)
        assert [name for name in found.tools if found.tools.get(name) is not None] == ["t0", "t1"]


def test_schemas_that_are_refused_late_are_paid_for():
    """Else a call could have any number of them compiled nearly to their end."""
    shapes = Counted()
    bad = {
        f"t{i}": {"properties": {f"p{i}_{j}": {"type": "string"} for j in range(500)} | {"x": {"type": 7}}}
        for i in range(60)
    }
    found = found_in(asked(**bad, good=wide(MOST_NODES // 2)), shapes)
    assert not any(found.tools.get(name) for name in found.tools)
    assert len(shapes.asked) < 61
