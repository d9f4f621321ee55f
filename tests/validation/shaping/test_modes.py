"""How a request for an answer that fits a schema is put to a model."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.call import Mode, Subset, Wanted
from fairlead.types import Chat, Message, ResponseFormat, TextPart, Thinking, Tool, ToolChoice
from fairlead.validation.shaping.modes import INSTRUCTION, Shaped, shaped, tool_name

FITTING = (
    b'{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}'
)
LONG = b'{"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}}}'
LIST = b'{"type": "array", "items": {"type": "string"}}'
MAP = b'{"type": "object", "additionalProperties": {"type": "string"}}'


def said(role: Any, text: str) -> Message:
    return Message(role=role, parts=(TextPart(text=text),))


USER = said("user", "Hi")


def chat(schema: bytes | None = FITTING, *messages: Message, strict: bool | None = None, **fields: Any) -> Chat:
    form = None
    if schema is not None:
        form = ResponseFormat(type="json_schema", name="thing", schema=msgspec.Raw(schema), strict=strict)
    return Chat(model="m", messages=messages or (USER,), response_format=form, **fields)


def wanting(schema: bytes = FITTING, name: str = "thing") -> Wanted:
    return Wanted(name=name, schema=schema)


def format_of(found: Shaped) -> ResponseFormat:
    assert found.chat.response_format is not None
    return found.chat.response_format


@pytest.mark.parametrize("strict", [None, True, False])
@pytest.mark.parametrize("subset", ["full", "openai", "anthropic", "gemini", "grammar", "plain"])
def test_a_schema_that_the_provider_takes_changes_nothing(subset, strict):
    """Not even the word for how strictly it is held to."""
    asked = chat(strict=strict)
    found = shaped(asked, wanting(), "native", subset)
    assert found.chat is asked
    assert (found.mode, found.lost) == ("native", ())


def test_a_schema_that_the_provider_takes_in_part_is_narrowed():
    """The model is held to what is left, and told the rest."""
    found = shaped(chat(LONG), wanting(LONG), "native", "openai")
    form = format_of(found)
    assert (form.name, form.strict, found.mode, found.lost) == ("thing", True, "native", ("/properties/a/maxLength",))
    assert json.loads(bytes(form.schema or b"")) == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"], "description": "at most 9 characters"}},
        "required": ["a"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("subset", ["anthropic", "gemini", "grammar"])
def test_strictness_is_no_word_of_providers_that_are_always_strict(subset):
    """It stays what the caller said."""
    unanchored = b'{"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}, "required": ["a"]}'
    found = shaped(chat(unanchored), wanting(unanchored), "native", subset)
    assert (format_of(found).strict, found.lost) == (None, ("/properties/a/pattern",))


@pytest.mark.parametrize("schema", [LONG, LIST, MAP])
def test_a_caller_who_wants_no_strictness_gets_none(schema):
    """The provider then takes any schema."""
    asked = chat(schema, strict=False)
    assert shaped(asked, wanting(schema), "native", "openai").chat is asked


def test_a_provider_of_another_dialect_is_told_to_be_strict():
    """The caller's may have no word for it."""
    assert format_of(shaped(chat(), wanting(), "native", "openai", enforce=True)).strict is True
    assert format_of(shaped(chat(), wanting(), "native", "anthropic", enforce=True)).strict is None


def test_a_schema_that_stands_elsewhere_becomes_the_response_format():
    """Such as the one of a type that a program gives."""
    asked = chat(None)
    form = format_of(shaped(asked, wanting(name="My thing"), "native", "openai"))
    assert form == ResponseFormat(type="json_schema", name="answer", schema=msgspec.Raw(FITTING), strict=True)


def test_a_schema_without_a_native_form_is_asked_for_in_words():
    """A map cannot list its properties."""
    found = shaped(chat(MAP), wanting(MAP), "native", "openai")
    assert (found.mode, found.chat.response_format) == ("prompted", None)


REFERRING = b"""{"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"],
 "additionalProperties": false, "$defs": {"A": {"type": "string", "title": "A"}}}"""
OPTIONAL = b'{"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}'
NULLABLE = b'{"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": false}'
OPEN = b'{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}'
UNION = b'{"oneOf": [{"type": "string"}, {"type": "null"}]}'


@pytest.mark.parametrize(
    ("schema", "subset", "is_whole"),
    [
        (FITTING, "openai", True),
        (REFERRING, "openai", True),
        (OPEN, "openai", True),
        (NULLABLE, "openai", True),
        (OPTIONAL, "openai", False),
        (LIST, "openai", False),
        (LONG, "openai", False),
        (MAP, "openai", False),
        (OPTIONAL, "anthropic", True),
        (LIST, "anthropic", True),
        (UNION, "anthropic", False),
        (OPTIONAL, "gemini", True),
        (LONG, "gemini", False),
        (LONG, "grammar", True),
        (LONG, "full", True),
        (OPTIONAL, "plain", True),
        (LIST, "plain", False),
    ],
)
def test_a_schema_is_asked_for_as_a_whole_where_nothing_of_it_is_lost_or_has_to_be_turned_back(
    schema, subset, is_whole
):
    """A property that became required and `null`, and a root under `value`, have to be."""
    assert shaped(chat(schema), wanting(schema), "native", subset, enforce=True).is_whole is is_whole


@pytest.mark.parametrize("subset", ["openai", "plain"])
@pytest.mark.parametrize(("strict", "is_whole"), [(None, False), (False, False), (True, True)])
def test_a_provider_that_has_to_be_told_to_be_strict_holds_to_nothing_else(subset, strict, is_whole):
    """OpenAI's models are only told what to write, else."""
    assert shaped(chat(strict=strict), wanting(), "native", subset).is_whole is is_whole


@pytest.mark.parametrize("mode", ["tool", "prompted"])
def test_no_other_way_holds_a_model_to_a_schema(mode):
    """Not even a tool that has to be called."""
    assert not shaped(chat(), wanting(), mode).is_whole


ANY = b'{"type":"object"}'


def any_object(**fields: Any) -> Chat:
    return Chat(model="m", messages=(USER,), response_format=ResponseFormat(type="json_object"), **fields)


@pytest.mark.parametrize("asks_json", [True, None])
@pytest.mark.parametrize("subset", ["full", "openai", "plain"])
@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
def test_a_caller_who_asks_for_any_json_object_is_left_alone(mode, subset, asks_json):
    """Without a word more, and without the promise that all of a schema is enforced."""
    asked = any_object(tools=(F,))
    found = shaped(asked, wanting(ANY), mode, subset, asks_json=asks_json, enforce=True, unenforced=True)
    assert found.chat is asked
    assert (found.mode, found.lost, found.is_whole) == ("native", (), False)


@pytest.mark.parametrize(
    ("mode", "subset", "options", "found_mode"),
    [
        ("native", "grammar", {"asks_json": False}, "native"),
        ("native", "plain", {"asks_json": False}, "prompted"),
        ("tool", "full", {"asks_json": False}, "tool"),
        ("prompted", "full", {"asks_json": False}, "prompted"),
        ("prompted", "full", {"asks_json": True, "without": frozenset({"stream"})}, "prompted"),
    ],
)
def test_where_no_json_object_can_be_asked_for_it_is_asked_for_in_another_way(mode, subset, options, found_mode):
    """As the schema of any object: Anthropic's dialect has no word for one, LM Studio refuses it."""
    found = shaped(any_object(stream=True), wanting(ANY), mode, subset, **options)
    form = found.chat.response_format
    assert found.mode == found_mode
    assert form is None or form.type == "json_schema"


@pytest.mark.parametrize(
    ("strict", "enforce", "told"), [(None, False, None), (True, False, False), (None, True, False)]
)
@pytest.mark.parametrize("schema", [MAP, b'{"type": "object", "properties": {"a": {}}}'])
def test_a_schema_that_cannot_be_enforced_is_told_unenforced_where_that_can_be(schema, strict, enforce, told):
    """A relay that says nothing of strictness stays as it is."""
    asked = chat(schema, strict=strict)
    found = shaped(asked, wanting(schema), "native", "openai", unenforced=True, asks_json=True, enforce=enforce)
    form = format_of(found)
    assert (form.type, bytes(form.schema or b""), form.strict) == ("json_schema", schema, told)
    assert (found.mode, found.lost, found.is_whole) == ("native", (), False)
    assert (found.chat is asked) is (strict is told)


def test_what_is_told_unenforced_is_an_object_all_the_same():
    """What is none stands under `value`."""
    schema = b'{"type": "array", "items": {"not": {}}, "minItems": {}}'
    union = b'{"anyOf": [{"type": "object"}, {"type": "string"}]}'
    for each in (schema, union):
        found = shaped(chat(each), wanting(each), "native", "openai", unenforced=True)
        assert json.loads(bytes(format_of(found).schema or b""))["properties"] == {"value": json.loads(each)}


def test_a_schema_that_can_be_told_in_no_other_way_is_asked_for_in_words_and_as_a_json_object():
    """In words alone where nobody knows whether the model takes that."""
    for asks_json, kind in ((True, "json_object"), (None, None), (False, None)):
        found = shaped(chat(MAP), wanting(MAP), "native", "plain", asks_json=asks_json)
        form = found.chat.response_format
        assert (found.mode, None if form is None else form.type) == ("prompted", kind)


F = Tool(name="f")


@pytest.mark.parametrize(
    ("without", "fields", "mode"),
    [
        ({"tools"}, {"tools": (F,)}, "prompted"),
        ({"tools"}, {"extra": {"tools": msgspec.Raw(b"[{}]")}}, "prompted"),
        ({"tools"}, {}, "native"),
        ({"stream"}, {"stream": True}, "prompted"),
        ({"stream"}, {"tools": (F,)}, "native"),
        (set(), {"tools": (F,), "stream": True}, "native"),
    ],
)
def test_what_the_native_way_does_not_go_with_is_asked_for_in_words(without, fields, mode):
    """Gemini 2.5 takes no tools beside a schema, for one."""
    assert shaped(chat(**fields), wanting(), "native", without=frozenset(without)).mode == mode


def test_the_answer_becomes_the_arguments_of_a_tool():
    """The only one, which has to be called."""
    found = shaped(chat(parallel_tool_calls=False), wanting(), "tool")
    (tool,) = found.chat.tools
    assert (tool.name, bytes(tool.parameters or b"")) == ("thing", FITTING)
    assert found.chat.tool_choice == ToolChoice(mode="function", name="thing")
    assert (found.chat.response_format, found.chat.parallel_tool_calls, found.mode) == (None, None, "tool")


def test_what_the_schema_is_for_is_what_the_tool_is_for():
    """A model that calls a tool reads that."""
    asked = chat()
    assert asked.response_format is not None
    form = msgspec.structs.replace(asked.response_format, description="Who called.")
    found = shaped(msgspec.structs.replace(asked, response_format=form), wanting(), "tool")
    assert (found.chat.tools[0].description or "").endswith("Who called.")


def test_the_arguments_of_a_tool_are_always_an_object():
    """What is none stands under `value`."""
    (tool,) = shaped(chat(LIST), wanting(LIST), "tool").chat.tools
    assert json.loads(bytes(tool.parameters or b""))["properties"] == {"value": json.loads(LIST)}


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("thing", "thing"),
        ("Thing-2", "Thing-2"),
        ("", "answer"),
        ("two words", "answer"),
        ("2nd", "answer"),
        ("x" * 65, "answer"),
    ],
)
def test_the_tool_is_called_as_the_schema_where_a_tool_can_be_called_so(name, tool):
    """Providers want letters, digits, `_` and `-`."""
    assert tool_name(wanting(name=name)) == tool


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": (F,)},
        {"extra": {"mcp_servers": msgspec.Raw(b"[{}]")}},
        {"thinking": Thinking(mode="enabled", budget_tokens=2_000)},
    ],
)
def test_no_tool_is_forced_beside_the_callers_own_or_on_a_model_that_thinks(fields):
    """The caller's have to stay callable, and Anthropic's models refuse to think and be forced."""
    found = shaped(chat(**fields), wanting(), "tool")
    assert found.mode == "prompted"
    assert found.chat.tools == fields.get("tools", ())


def test_a_model_that_is_told_not_to_think_is_forced():
    """That is no thinking."""
    assert shaped(chat(thinking=Thinking(mode="disabled")), wanting(), "tool").mode == "tool"


def test_a_schema_that_is_none_is_asked_for_in_words():
    """Whatever it says; the ladder will."""
    for mode in ("native", "tool", "prompted"):
        found = shaped(chat(b"[]"), wanting(b"[]"), mode, "openai", asks_json=True, unenforced=True)
        assert (found.mode, found.chat.response_format) == ("prompted", None)
    assert shaped(chat(b"[]"), wanting(b"{"), "prompted", asks_json=True).chat.response_format is None


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ([USER], ["system", "user"]),
        ([said("system", "Be."), USER], ["system", "system", "user"]),
        ([said("system", "Be."), said("developer", "Do."), USER], ["system", "developer", "developer", "user"]),
        ([USER, said("system", "Be.")], ["system", "user", "system"]),
        ([said("system", "Be.")], ["system", "system"]),
    ],
)
def test_words_stand_behind_what_the_caller_says_first(messages, roles):
    """So that the caller's beginning stays what a provider's cache knows."""
    found = shaped(chat(FITTING, *messages), wanting(), "prompted")
    assert [each.role for each in found.chat.messages] == roles
    assert [each for each in found.chat.messages if not each.text.startswith(INSTRUCTION)] == messages


def test_words_are_the_same_for_the_same_schema():
    """White space apart, values as they are written: `1.50` stays that."""
    spaced = b'{ "type": "number",\n "minimum": 1.50 }'
    first = shaped(chat(spaced), wanting(spaced), "prompted").chat.messages[0].text
    again = (
        shaped(chat(None, USER, USER), wanting(b'{"type":"number","minimum":1.50}'), "prompted").chat.messages[0].text
    )
    assert first == again == INSTRUCTION + '{"type":"number","minimum":1.50}'


def test_a_json_object_is_not_asked_for_where_no_form_goes_with_the_request():
    """Groq streams none."""
    for stream, kind in ((True, None), (False, "json_object")):
        found = shaped(chat(stream=stream), wanting(), "prompted", without=frozenset({"stream"}), asks_json=True)
        form = found.chat.response_format
        assert (None if form is None else form.type) == kind


@pytest.mark.parametrize(
    ("schema", "fields", "kind"),
    [(FITTING, {}, "json_object"), (LIST, {}, None), (FITTING, {"tools": (F,)}, None)],
)
def test_a_json_object_is_asked_for_beside_the_words_where_that_can_be(schema, fields, kind):
    """Not for what is no object, nor beside tools."""
    form = shaped(chat(schema, **fields), wanting(schema), "prompted", asks_json=True).chat.response_format
    assert (None if form is None else form.type) == kind


def size(asked: Chat) -> int:
    tools = sum(len(each.name) + len(each.description or "") + len(each.parameters or b"") for each in asked.tools)
    form = asked.response_format
    return sum(len(each.text.encode()) for each in asked.messages) + tools + len((form and form.schema) or b"")


SCHEMAS = st.dictionaries(
    st.sampled_from("abcdef"), st.sampled_from([{"type": "string"}, {"const": 1}, {"enum": ["é"]}])
)


@given(SCHEMAS, st.sampled_from(["native", "tool", "prompted"]), st.sampled_from(["full", "openai", "gemini", "plain"]))
def test_no_way_adds_more_to_a_prompt_than_a_reservation_counts_on(properties, mode: Mode, subset: Subset):
    """However small the schema."""
    for schema in ({"type": "object", "properties": properties}, {"items": {"properties": properties}}):
        wanted = wanting(json.dumps(schema, ensure_ascii=False).encode())
        for unenforced in (True, False):
            found = shaped(chat(None), wanted, mode, subset, unenforced=unenforced, asks_json=True)
            assert size(found.chat) - size(chat(None)) <= wanted.most_bytes
