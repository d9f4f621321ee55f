"""Which schemas the answer to a request has to fit."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fairlead.core.jsontop import top_level
from fairlead.dialects import DIALECTS
from fairlead.types import Chat, ResponseFormat
from fairlead.validation.expected import Expected, expected
from fairlead.validation.ladder.shape import Shapes

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
ASKED = [{"role": "user", "content": "hello"}]


def held(name: str | None, schema: object) -> Expected:
    """What the answer to a chat with this response format has to fit."""
    form = ResponseFormat(type="json_schema", name=name, schema=msgspec.Raw(json.dumps(schema).encode()))
    found = expected(Chat(model="m", messages=(), response_format=form), Shapes())
    assert found is not None
    return found


def test_the_callers_name_goes_before_the_title():
    """It is what metrics and errors tell."""
    assert held("Booking", SCHEMA | {"title": "Other"}).name == "Booking"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Booking", "Booking"),
        ("What a guest asks for!", "What_a_guest_asks_for"),
        ("a_b-c", "a_b-c"),
        ("x" * 100, "x" * 64),
        ("  ", "answer"),
        ("", "answer"),
    ],
)
def test_a_schema_without_a_name_has_its_title(title: str, name: str):
    """Made fit for those who take letters, digits, `_` and `-` in a name and no more."""
    assert held(None, SCHEMA | {"title": title}).name == name


@pytest.mark.parametrize("schema", [SCHEMA, True])
def test_a_schema_without_either_is_the_answer(schema: object):
    """So is one that allows everything."""
    assert held(None, schema).name == "answer"


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("anthropic", {"messages": ASKED, "max_tokens": 9, "output_config": {"format": {"type": "json_schema"}}}),
        ("gemini", {"contents": [{"parts": [{"text": "hello"}]}], "generationConfig": {}}),
    ],
)
def test_dialects_that_name_no_schema_are_told_apart_by_titles(dialect: Any, body: dict[str, Any]):
    """Anthropic's and Gemini's requests have no place for a name."""
    titled = SCHEMA | {"title": "Booking"}
    if dialect == "anthropic":
        body["output_config"]["format"]["schema"] = titled
    else:
        body["generationConfig"] = {"responseMimeType": "application/json", "responseJsonSchema": titled}
    chat = DIALECTS[dialect].request.decode(top_level(json.dumps({"model": "m"} | body).encode()))
    assert isinstance(chat, Chat)
    found = expected(chat, Shapes())
    assert found is not None
    assert found.name == "Booking"
