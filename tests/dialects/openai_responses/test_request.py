"""Requests of the Responses dialect."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given

from fairlead.core.jsontop import top_level
from fairlead.dialects.anthropic import request as anthropic_request
from fairlead.dialects.crossing import request_across
from fairlead.dialects.openai_chat import request as openai_request
from fairlead.dialects.openai_responses import request
from fairlead.errors import InvalidRequest
from fairlead.types import (
    AudioPart,
    Chat,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)
from responses_generated import SEARCHED, chats, raw


def body(**fields):
    return msgspec.json.encode({"model": "m", "input": "Say hello", **fields})


def decoded(**fields):
    return request.decode(top_level(body(**fields)))


def encoded(*messages, **fields):
    return json.loads(request.encode(Chat(model="m", messages=messages, **fields)))


def item(kind, **fields):
    return {"type": kind, **fields}


TEXT = Message(role="user", parts=(TextPart(text="hi"),))
CALL = item("function_call", id="fc_1", call_id="call_1", name="f", arguments="{}", status="completed")
RESULT = item("function_call_output", call_id="call_1", output="sunny")
THOUGHT = item("reasoning", id="rs_1", summary=[{"type": "summary_text", "text": "hm"}], encrypted_content="x")


def said(text, **fields):
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return item("message", role="assistant", content=content, **fields)


# --- reading for a relay ---


def test_what_stages_read_is_read():
    """Model, stream, limit, tier and user; a stream always counts."""
    read = request.read(body(stream=True, max_output_tokens=5, service_tier="flex", user="u"))
    assert (read.dialect, read.model, read.stream, read.include_usage) == ("openai_responses", "m", True, True)
    assert (read.max_output_tokens, read.service_tier, read.end_user) == (5, "flex", "u")
    assert (request.read(body()).max_output_tokens, request.read(body()).stream) == (None, False)


def test_a_prompt_may_stand_elsewhere():
    """With a stored prompt or a response before it there need be no input."""
    assert request.read(b'{"model":"m","previous_response_id":"resp_1"}').images == 0
    assert request.read(b'{"model":"m","input":null}').images == 0


@pytest.mark.parametrize(
    ("source", "param"),
    [
        (b"[]", None),
        (b'{"model":"m","model":"n"}', None),
        (b'{"input":"x"}', "model"),
        (body(input=3), "input"),
        (body(input={"role": "user"}), "input"),
        (body(stream="yes"), "stream"),
        (body(max_output_tokens=0), "max_output_tokens"),
        (body(service_tier=1), "service_tier"),
        (body(user=1), "user"),
        (body(base_url="http://x"), "base_url"),
        (body(background=True), "background"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(source, param):
    """Before anybody is asked."""
    with pytest.raises(InvalidRequest) as caught:
        request.read(source)
    assert caught.value.param == param


def test_a_relay_changes_the_model_alone():
    """Fields stay in their order, and the bytes of their values; a default fills only what is absent."""
    source = b'{"input": "a\\u00e9", "model": "m", "temperature": null, "x": 1.50}'
    read = request.read(source)
    assert request.join(read, "m", ask_usage=True) == b'{"input":"a\\u00e9","model":"m","temperature":null,"x":1.50}'
    joined = request.join(read, "n", ask_usage=True, defaults={"temperature": raw(1), "top_p": raw(0.5)})
    assert joined == b'{"input":"a\\u00e9","model":"n","temperature":null,"x":1.50,"top_p":0.5}'


@pytest.mark.parametrize(
    ("items", "pieces", "size"),
    [
        ("input_image", 0, 0),
        ([{"role": "user", "content": [item("input_image", image_url="data:image/png;base64,AAAA")]}], 1, 4),
        ([{"role": "user", "content": [item("input_image", file_id="f")]}], 1, 0),
        ([{"role": "user", "content": [item("input_image", image_url="https://x/a.png")]}], 1, 0),
        ([{"role": "user", "content": [item("input_image", image_url="data:image/svg+xml,<svg>")]}], 1, 0),
        ([item("function_call_output", output=[item("input_file", file_data="data:a/b;base64," + "A" * 70_000)])], 2, 70_000),
        ([{"role": "user", "content": [item("input_text", text='"input_image"')]}], 0, 0),
        ([{"role": "user", "content": ["input_image", {"type": "input_file"}, item("input_file", file_data=3)]}], 2, 0),
        (["input_image", "input_file"], 0, 0),
        ([[item("input_image")]], 0, 0),
    ],
)  # fmt: skip
def test_inline_media_is_measured(items, pieces, size):
    """Its bytes are no tokens; what is malformed counts as text."""
    read = request.read(body(input=items))
    assert read.images == pieces
    assert read.input_bytes == sum(map(len, read.fields.values())) - size


# --- to the neutral form ---


def test_a_string_is_a_users_message():
    """And the instructions are a system prompt before it."""
    chat = decoded(instructions="Be brief.")
    assert [(message.role, message.text) for message in chat.messages] == [
        ("system", "Be brief."),
        ("user", "Say hello"),
    ]
    assert decoded(instructions=None).messages == decoded().messages


def test_what_the_model_wrote_in_one_turn_is_one_message():
    """Thoughts, words and calls, each call where it stood; results follow by themselves."""
    chat = decoded(input=[{"role": "user", "content": "hi"}, THOUGHT, said("so", id="msg_1"), CALL, {**CALL, "call_id": "c2"}, RESULT])  # fmt: skip
    assert [message.role for message in chat.messages] == ["user", "assistant", "tool"]
    turn = chat.messages[1]
    assert turn.parts == (
        ReasoningPart(text="hm", encrypted="x", extra={"id": raw("rs_1")}),
        TextPart(text="so"),
    )
    assert turn.tool_calls[0] == ToolCall(id="call_1", name="f", arguments="{}", extra={"id": raw("fc_1")})
    assert [call.id for call in turn.tool_calls] == ["call_1", "c2"]
    assert turn.extra == {"id": raw("msg_1")}
    assert chat.messages[2] == Message(role="tool", tool_call_id="call_1", parts=(TextPart(text="sunny"),))


def test_two_messages_of_the_model_in_a_row_stay_two():
    """Unless a call stands before the second: its result must follow it at once."""
    first, second = said("a", phase="commentary"), said("b", phase="final_answer")
    messages = decoded(input=[first, second, CALL]).messages
    assert [(message.text, message.same_turn) for message in messages] == [("a", False), ("b", True)]
    assert [message.extra for message in messages] == [{"phase": raw("commentary")}, {"phase": raw("final_answer")}]
    (joined,) = decoded(input=[first, CALL, second]).messages
    assert (joined.text, joined.tool_calls[0].at) == ("ab", 1)
    again = encoded(*messages)["input"]
    assert [each.get("phase") for each in again] == ["commentary", "final_answer", None]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a", (TextPart(text="a"),)),
        ([item("input_text", text="a"), item("output_text", text="b", annotations=[], logprobs=[])], (TextPart(text="a"), TextPart(text="b"))),
        ([item("output_text", text="b", annotations=[{"a": 1}])], (TextPart(text="b", extra={"annotations": raw([{"a": 1}])}),)),
        ([item("input_image", image_url="https://x", detail="auto")], (ImagePart(url="https://x"),)),
        ([item("input_image", file_id="f", detail="low")], (ImagePart(url="", file_id="f", detail="low"),)),
        ([item("input_file", file_url="https://x", filename="a")], (FilePart(url="https://x", filename="a"),)),
        ([item("refusal", refusal="no")], (RefusalPart(text="no"),)),
        ([], ()),
    ],
)  # fmt: skip
def test_parts_of_a_content(content, parts):
    """Those of a message and those of a result alike."""
    assert decoded(input=[{"role": "user", "content": content}]).messages[0].parts == parts
    assert decoded(input=[item("function_call_output", call_id="c", output=content)]).messages[0].parts == parts


def test_an_item_of_another_kind_is_kept_as_it_is():
    """In the model's turn where the model wrote it, alone where the caller added it."""
    added = [item("item_reference", id="x"), item("custom_tool_call_output", call_id="c", output="o")]
    chat = decoded(input=[SEARCHED, said("a"), *added])
    assert [message.role for message in chat.messages] == ["assistant", "user", "user"]
    assert chat.messages[0].parts[0] == OpaquePart(
        dialect="openai_responses", kind="web_search_call", raw=raw(SEARCHED)
    )
    assert encoded(*chat.messages)["input"][2:] == added


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"instructions": ["x"]}, "instructions"),
        ({"input": {}}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 3}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [item("input_image", image_url=3)]}]}, "input[0].content[0].image_url"),
        ({"input": [item("function_call", name="f", arguments="{}")]}, "input[0].call_id"),
        ({"input": [item("function_call", call_id="c", name="f", arguments={})]}, "input[0].arguments"),
        ({"input": [item("function_call_output", output="x")]}, "input[0].call_id"),
        ({"input": [item("reasoning", summary="x")]}, "input[0].summary"),
        ({"input": [item("reasoning", summary=[], encrypted_content=1)]}, "input[0].encrypted_content"),
        ({"tools": {}}, "tools"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "strict": 1}]}, "tools[0].strict"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"text": 3}, "text"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {}, "strict": 1}}}, "text.format.strict"),
        ({"reasoning": "low"}, "reasoning"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"include": "x"}, "include"),
        ({"temperature": "x"}, "temperature"),
    ],
)
def test_what_is_not_well_formed_is_refused_by_its_path(fields, param):
    """As the caller wrote it."""
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param


def test_parameters_in_neutral_form():
    """What has one, and what is kept beside it."""
    chat = decoded(
        max_output_tokens=5,
        temperature=1,
        top_logprobs=2,
        include=["message.output_text.logprobs", "file_search_call.results"],
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}, "verbosity": "low"},
        tools=[item("function", name="f", parameters={}, strict=True), item("mcp", server_label="x")],
        tool_choice={"type": "function", "name": "f"},
        metadata={"a": "b"},
        store=None,
        type="x",
    )
    assert (chat.max_output_tokens, chat.temperature, chat.logprobs, chat.top_logprobs) == (5, 1.0, True, 2)
    assert chat.reasoning_effort == "low"
    assert chat.response_format == ResponseFormat(type="json_schema", name="n", schema=raw({}), strict=True)
    assert chat.tools == (
        Tool(name="f", parameters=raw({}), strict=True),
        Tool(name="", hosted="mcp", extra={"server_label": raw("x")}),
    )
    assert chat.tool_choice == ToolChoice(mode="function", name="f")
    assert {name: json.loads(bytes(value)) for name, value in chat.extra.items()} == {
        "include": ["file_search_call.results"],
        "reasoning": {"summary": "auto"},
        "text": {"verbosity": "low"},
        "metadata": {"a": "b"},
        "type": "x",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
        {"text": {"format": {"type": "grammar", "definition": "x"}}},
    ],
)
def test_a_choice_or_a_format_that_nobody_else_has_is_kept(fields):
    """As it stands."""
    chat = decoded(**fields)
    assert json.loads(request.encode(chat)).items() >= fields.items()


# --- from the neutral form ---


@given(chats())
def test_whatever_this_dialect_can_express_survives_the_way_there_and_back(chat):
    """Items, parts, calls in their places, tools and parameters."""
    assert request.decode(top_level(request.encode(chat))) == chat


def test_a_system_prompt_at_the_beginning_is_the_instructions():
    """One of a single text; any other is an item."""
    system = Message(role="system", parts=(TextPart(text="a"),))
    many = Message(role="system", parts=(TextPart(text="a"), TextPart(text="b")))
    developer = Message(role="developer", parts=(TextPart(text="a"),))
    assert encoded(system, TEXT)["instructions"] == "a"
    assert [each["role"] for each in encoded(system, system, TEXT)["input"]] == ["system", "user"]
    for other in (many, developer):
        assert "instructions" not in encoded(other, TEXT)
        assert encoded(other, TEXT)["input"][0]["role"] == other.role


def test_what_stands_in_no_item_is_left_out():
    """A message's name, and reasoning that another provider's model wrote."""
    thought = Message(role="assistant", parts=(ReasoningPart(text="hm"), TextPart(text="a")), name="n")
    assert encoded(thought)["input"] == [item("message", role="assistant", content="a")]
    empty = Message(role="tool", tool_call_id="c")
    assert encoded(empty)["input"] == [item("function_call_output", call_id="c", output="")]
    assert encoded(Message(role="user"))["input"] == [item("message", role="user", content="")]


def test_a_function_says_whether_it_is_strict():
    """Elsewhere it is not, unless it says so; here it would be."""
    tools = (Tool(name="f"), Tool(name="g", strict=True, parameters=raw({})))
    assert encoded(TEXT, tools=tools)["tools"] == [
        item("function", name="f", parameters=None, strict=False),
        item("function", name="g", parameters={}, strict=True),
    ]
    unsaid = decoded(tools=[item("function", name="f", parameters={})])
    assert json.loads(request.encode(unsaid))["tools"][0]["strict"] is None


def test_a_schema_has_a_name():
    """The dialect demands one."""
    form = ResponseFormat(type="json_schema", schema=raw({"type": "object"}))
    assert encoded(TEXT, response_format=form)["text"]["format"]["name"] == "answer"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"stop": ("x",)}, "stop"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ],
)
def test_what_this_dialect_cannot_say_is_refused_by_name(fields, param):
    """The answer would differ from what was asked for."""
    with pytest.raises(InvalidRequest) as caught:
        encoded(TEXT, **fields)
    assert caught.value.param == param
    assert encoded(TEXT, n=1, presence_penalty=0.0)["model"] == "m"


@pytest.mark.parametrize(
    "part",
    [AudioPart(data="x", format="wav"), OpaquePart(dialect="anthropic", kind="server_tool_use", raw=raw({}))],
)
@pytest.mark.parametrize("role", ["user", "assistant", "tool"])
def test_a_part_without_a_form_is_refused(part, role):
    """Whoever wrote it."""
    with pytest.raises(InvalidRequest, match="no form"):
        encoded(Message(role=role, parts=(part,), tool_call_id="c"))


def test_a_document_of_plain_text_is_text():
    """The dialect has no other place for it."""
    message = Message(role="user", parts=(FilePart(text="a"), TextPart(text="b")))
    assert encoded(message)["input"][0]["content"] == [item("input_text", text="a"), item("input_text", text="b")]


# --- into other dialects ---


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"background": True},
        {"prompt": {"id": "pmpt_1"}},
        {"tools": [item("web_search")]},
    ],
)
def test_what_makes_it_another_request_does_not_cross(fields):
    """It is refused by its name."""
    with pytest.raises(InvalidRequest) as caught:
        request_across(decoded(**fields))
    assert caught.value.param == next(iter(fields))


def test_what_only_says_how_an_answer_is_kept_stays_behind_and_is_named():
    """The answer is the same without it."""
    crossed, left = request_across(decoded(store=False, metadata={}, prompt_cache_key="k", background=False))
    assert set(left) == {"store", "metadata", "prompt_cache_key", "background"}
    assert b"prompt_cache_key" not in openai_request.encode(crossed)


def test_parallel_calls_cross_over_as_one_turn():
    """With their results behind them, as both other dialects demand it."""
    history = [{"role": "user", "content": "hi"}, THOUGHT, CALL, {**CALL, "call_id": "c2"}, RESULT, {**RESULT, "call_id": "c2"}]  # fmt: skip
    crossed, left = request_across(decoded(input=history))
    rows = json.loads(openai_request.encode(crossed))["messages"]
    assert [row["role"] for row in rows] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in rows[1]["tool_calls"]] == ["call_1", "c2"]
    assert "content" not in rows[1]
    turns = json.loads(anthropic_request.encode(msgspec.structs.replace(crossed, max_output_tokens=5)))["messages"]
    assert [[block["type"] for block in turn["content"]] for turn in turns[1:]] == [
        ["tool_use"] * 2,
        ["tool_result"] * 2,
    ]
    assert left == ("messages[1].id",) * 3


def test_an_item_that_only_this_dialect_has_is_refused_by_the_other():
    """A reference, for one: what it refers to is nowhere else."""
    crossed, _ = request_across(decoded(input=[item("item_reference", id="x")]))
    for other in (openai_request, anthropic_request):
        with pytest.raises(InvalidRequest, match="item_reference"):
            other.encode(crossed)


def test_hostile_bodies_raise_only_our_errors():
    """Deep nesting and lone surrogates are the caller's fault."""
    for source in (b'{"model":"m","input":' + b"[" * 100_000, b'{"model":"m","input":"\\ud800"}'):
        with pytest.raises(InvalidRequest):
            request.decode(request.read(source).fields)
