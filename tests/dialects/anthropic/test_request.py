"""Requests of the Anthropic dialect."""

from __future__ import annotations

import base64
import json

import anthropic
import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_generated import chats, raw
from fairlead.dialects.anthropic import ANTHROPIC, request
from fairlead.dialects.anthropic.parameters import DEFAULT_MAX_TOKENS
from fairlead.dialects.openai_chat import request as openai_request
from fairlead.errors import InvalidRequest
from fairlead.types import (
    AudioPart,
    CachePoint,
    Chat,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
)

HELLO = [{"role": "user", "content": "hello"}]
CACHED = {"type": "ephemeral", "ttl": "1h"}
PNG = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def body(**fields):
    return msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": HELLO, **fields})


def decoded(**fields):
    return request.decode(request.read(body(**fields)).fields)


def encoded(*messages, **fields):
    return json.loads(request.encode(Chat(model="m", messages=messages, **fields)))


def user(*parts):
    return Message(role="user", parts=parts)


def again(**fields):
    """The body that a decoded one is encoded to."""
    return json.loads(request.encode(decoded(**fields)))


def test_the_fields_that_stages_need_are_read():
    """Model, stream, limit, tier and user come from the top level; usage always comes."""
    read = request.read(body(stream=True, service_tier="auto", metadata={"user_id": "u"}))
    assert (read.dialect, read.model, read.stream, read.include_usage) == ("anthropic", "m", True, True)
    assert (read.max_output_tokens, read.service_tier, read.end_user, read.n) == (9, "auto", "u", 1)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("model", "null"),
        ("model", '"a\\nb"'),
        ("messages", "{}"),
        ("stream", '"true"'),
        ("max_tokens", "-1"),
        ("max_tokens", "1.5"),
        ("max_tokens", "true"),
        ("max_tokens", "10000001"),
        ("service_tier", "1"),
        ("metadata", "3"),
        ("metadata", '{"user_id":3}'),
    ],
)
def test_a_known_field_of_the_wrong_type_is_named(field, text):
    """The error's `param` is the field at fault."""
    fields = {"model": '"m"', "messages": "[]", field: text}
    with pytest.raises(InvalidRequest) as raised:
        request.read(("{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}").encode())
    assert raised.value.param == field


@pytest.mark.parametrize("field", ["base_url", "api_key", "extra_headers"])
def test_a_destination_in_the_body_is_refused(field):
    """A caller never chooses where a request goes, nor with which key."""
    with pytest.raises(InvalidRequest) as raised:
        request.read(body(**{field: "https://evil.example"}))
    assert raised.value.param == field


def test_no_tokens_at_all_may_be_asked_for():
    """That only warms the cache."""
    assert request.read(body(max_tokens=0)).max_output_tokens == 0


def test_the_bytes_of_media_are_no_tokens():
    """Images and documents count as pieces, also within the result of a tool; plain text documents are tokens."""
    data = base64.b64encode(bytes(150_000)).decode()
    image = {"type": "image", "source": {**PNG, "data": data}}
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x" * 5000}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image, {"type": "text", "text": "x"}]}
    read = request.read(body(messages=[{"role": "user", "content": [image, pdf, result, plain]}]))
    assert read.images == 1 + 4 + 1
    assert 5000 < read.input_bytes < 6500


def test_a_relay_replaces_the_model_alone():
    """Whatever else the caller sent goes on, byte for byte."""
    raw_body = b'{"model":"m", "max_tokens":5,"x":{"a" : 1.0},"messages":[]}'
    read = request.read(raw_body)
    joined = request.join(read, "claude", ask_usage=True, defaults={"top_k": raw(3), "max_tokens": raw(7)})
    assert joined == b'{"model":"claude","max_tokens":5,"x":{"a" : 1.0},"messages":[],"top_k":3}'
    assert request.join(read, "m", ask_usage=True) == b'{"model":"m","max_tokens":5,"x":{"a" : 1.0},"messages":[]}'


@given(chats())
def test_a_chat_survives_the_way_out_and_back(chat):
    """Whatever both forms can express."""
    assert request.decode(request.read(request.encode(chat)).fields) == chat


@given(chats())
def test_what_is_encoded_twice_is_the_same(chat):
    """The body says all that the chat says."""
    out = request.encode(chat)
    assert request.encode(request.decode(request.read(out).fields)) == out


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["text", "image", "tool_use", "tool_result"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "text", "source", "input", "id", "name", "cache_control", "is_error"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata"]), HOSTILE
)
def test_any_value_decodes_or_is_refused_by_name(field, value):
    """Never anything else; and what was encoded once is not changed by another way through."""
    try:
        once = request.encode(request.decode(request.read(body(**{field: value})).fields))
    except InvalidRequest as error:
        refused = error
    else:
        assert request.encode(request.decode(request.read(once).fields)) == once
        return
    assert refused.param


@pytest.mark.parametrize(
    ("system", "parts"),
    [
        ("be brief", (TextPart(text="be brief"),)),
        (
            [{"type": "text", "text": "a", "cache_control": CACHED}, {"type": "text", "text": "b"}],
            (TextPart(text="a", cache=CachePoint(ttl="1h")), TextPart(text="b")),
        ),
    ],
)
def test_the_system_prompt_is_the_first_message(system, parts):
    """As text or as blocks."""
    assert decoded(system=system).messages[0] == Message(role="system", parts=parts)
    assert again(system=system)["system"] == system


def test_system_and_developer_messages_at_the_beginning_are_the_system_prompt():
    """Later ones stay where they stand."""
    text = [Message(role=role, parts=(TextPart(text=role),)) for role in ("system", "developer", "user", "system")]
    out = encoded(*text)
    assert out["system"] == [{"type": "text", "text": "system"}, {"type": "text", "text": "developer"}]
    assert out["messages"] == [{"role": "user", "content": "user"}, {"role": "system", "content": "system"}]


BLOCKS = [
    ({"type": "text", "text": "a"}, TextPart(text="a")),
    ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, TextPart(text="a", cache=CachePoint())),
    (
        {"type": "text", "text": "a", "cache_control": {"type": "new"}},
        TextPart(text="a", extra={"cache_control": raw({"type": "new"})}),
    ),
    ({"type": "image", "source": PNG}, ImagePart(url="data:image/png;base64,AAAA")),
    ({"type": "image", "source": {"type": "url", "url": "https://x/a"}}, ImagePart(url="https://x/a")),
    ({"type": "image", "source": {"type": "file", "file_id": "f"}}, ImagePart(url="", file_id="f")),
    (
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
            "title": "t",
            "cache_control": CACHED,
            "context": "c",
        },
        FilePart(
            file_data="data:application/pdf;base64,AA",
            filename="t",
            cache=CachePoint(ttl="1h"),
            extra={"context": raw("c")},
        ),
    ),
    (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hm"}},
        FilePart(text="hm"),
    ),
    ({"type": "document", "source": {"type": "url", "url": "https://x/a"}}, FilePart(url="https://x/a")),
    ({"type": "document", "source": {"type": "file", "file_id": "f"}}, FilePart(file_id="f")),
    *(
        (block, OpaquePart(dialect="anthropic", kind=block["type"], raw=raw(block)))
        for block in (
            {"type": "document", "source": {"type": "content", "content": "x"}},
            {"type": "image", "source": {"type": "new", "x": 1}},
            {"type": "search_result", "source": "s", "title": "t", "content": []},
            {"type": "container_upload", "file_id": "f"},
            {"type": "invented", "x": [1]},
        )
    ),
]


@pytest.mark.parametrize(("block", "part"), BLOCKS)
@pytest.mark.parametrize("place", ["user", "tool"])
def test_a_block_and_its_part(block, part, place):
    """In a turn of the user and in the result of a tool; what has no neutral form is kept as it is."""
    content = [block, {"type": "text", "text": "-"}]
    if place == "tool":
        content = [{"type": "tool_result", "tool_use_id": "t", "content": content}]
    messages = [{"role": "user", "content": content}]
    assert decoded(messages=messages).messages[0].parts == (part, TextPart(text="-"))
    assert again(messages=messages)["messages"] == messages


def test_an_assistants_turn_keeps_its_order():
    """Thinking, signed and sealed, text, and calls where they stood among them."""
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s=="},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1.0}},
        {"type": "text", "text": "so"},
        {
            "type": "tool_use",
            "id": "t2",
            "name": "g",
            "input": {},
            "cache_control": CACHED,
            "caller": {"type": "direct"},
        },
        {"type": "tool_use", "id": "t3", "name": "g", "input": {}},
    ]
    chat = decoded(messages=[{"role": "assistant", "content": content}])
    assert chat.messages[0].parts == (
        ReasoningPart(text="hm", signature="s=="),
        ReasoningPart(encrypted="x"),
        TextPart(text="so"),
    )
    first, second, third = chat.messages[0].tool_calls
    assert first == ToolCall(id="t1", name="f", arguments='{"a":1.0}', at=2)
    assert (second.at, second.cache, list(second.extra)) == (None, CachePoint(ttl="1h"), ["caller"])
    assert third.at is None
    assert again(messages=[{"role": "assistant", "content": content}])["messages"][0]["content"] == content


def test_results_of_tools_are_messages_of_their_own():
    """Parallel ones, with images, failed ones, and text behind them in the same turn."""
    content = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "1"},
        {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "image", "source": PNG}], "is_error": False},
        {"type": "tool_result", "tool_use_id": "t3", "is_error": True, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "go on"},
    ]
    first, second, third, last = decoded(messages=[{"role": "user", "content": content}]).messages
    assert first == Message(role="tool", tool_call_id="t1", parts=(TextPart(text="1"),))
    assert (second.parts, second.is_error) == ((ImagePart(url="data:image/png;base64,AAAA"),), False)
    assert (third.parts, third.is_error, third.cache) == ((), True, CachePoint())
    assert last == Message(role="user", parts=(TextPart(text="go on"),), same_turn=True)
    assert again(messages=[{"role": "user", "content": content}])["messages"] == [{"role": "user", "content": content}]


def test_results_of_several_calls_make_one_turn():
    """As the API demands; in OpenAI's form each is a message, and what the user says then is a turn of its own."""
    tools = [Message(role="tool", tool_call_id=name, parts=(TextPart(text=name),)) for name in "ab"]
    out = encoded(*tools, user(TextPart(text="so")))["messages"]
    assert [[block["tool_use_id"] for block in out[0]["content"]], out[1]] == [
        ["a", "b"],
        {"role": "user", "content": "so"},
    ]


@pytest.mark.parametrize(
    ("wire", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(mode="auto"), False),
        ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice(mode="required"), True),
        ({"type": "tool", "name": "f"}, ToolChoice(mode="function", name="f"), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
        ({"type": "new", "x": 1}, None, None),
    ],
)
def test_the_choice_of_tools(wire, choice, parallel):
    """Both ways; one that is unknown is kept."""
    chat = decoded(tool_choice=wire)
    assert (chat.tool_choice, chat.parallel_tool_calls) == (choice, parallel)
    assert again(tool_choice=wire)["tool_choice"] == wire


def test_calls_one_by_one_can_be_asked_for_without_a_choice():
    """This dialect says it within the choice."""
    tool = Tool(name="f")
    assert encoded(tools=(tool,), parallel_tool_calls=False)["tool_choice"] == {
        "type": "auto",
        "disable_parallel_tool_use": True,
    }
    assert "tool_choice" not in encoded(tools=(tool,), parallel_tool_calls=True)
    assert "tool_choice" not in encoded(parallel_tool_calls=False)


def test_tools_of_ones_own_and_of_the_provider():
    """The schema goes through as it is; a hosted tool keeps its place and settings."""
    tools = [
        {"name": "f", "description": "d", "strict": True, "input_schema": {"type": "object"}, "cache_control": CACHED},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        {"type": "mcp_toolset", "mcp_server_name": "s"},
        {"type": "custom", "name": "g", "input_schema": {}, "input_examples": [{}]},
    ]
    chat = decoded(tools=tools)
    assert [(tool.name, tool.hosted) for tool in chat.tools] == [
        ("f", None),
        ("web_search", "web_search_20250305"),
        ("", "mcp_toolset"),
        ("g", None),
    ]
    assert chat.tools[0].cache == CachePoint(ttl="1h")
    assert again(tools=tools)["tools"] == tools


def test_a_tool_without_parameters_takes_an_empty_object():
    """This dialect demands a schema."""
    assert encoded(tools=(Tool(name="f"),))["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}}
    ]


@pytest.mark.parametrize(
    ("field", "value", "name", "neutral"),
    [
        ("stop_sequences", ["a", "b"], "stop", ("a", "b")),
        ("metadata", {"user_id": "u"}, "user", "u"),
        ("temperature", 0.5, "temperature", 0.5),
        ("top_k", 5, "top_k", 5),
        (
            "thinking",
            {"type": "enabled", "budget_tokens": 2000},
            "thinking",
            Thinking(mode="enabled", budget_tokens=2000),
        ),
        (
            "thinking",
            {"type": "adaptive", "display": "omitted"},
            "thinking",
            Thinking(mode="adaptive", display="omitted"),
        ),
        ("thinking", {"type": "disabled"}, "thinking", Thinking(mode="disabled")),
        ("thinking", {"type": "enabled", "new": 1}, "thinking", None),
        ("cache_control", {"type": "ephemeral"}, "cache", CachePoint()),
        ("output_config", {"effort": "max"}, "reasoning_effort", "max"),
        ("output_config", {"new": 1}, "reasoning_effort", None),
        (
            "output_config",
            {"format": {"type": "json_schema", "schema": {"a": 1}}},
            "response_format",
            ResponseFormat(type="json_schema", schema=raw({"a": 1})),
        ),
        ("output_config", {"effort": "low", "format": {"type": "new"}}, "response_format", None),
        ("metadata", {"user_id": "u", "x": 1}, "user", "u"),
        ("service_tier", "standard_only", "user", None),
        ("container", {"id": "c"}, "user", None),
        ("mcp_servers", [{"url": "https://x"}], "user", None),
    ],
)
def test_a_parameter_and_its_neutral_form(field, value, name, neutral):
    """And back again, also where there is none."""
    assert getattr(decoded(**{field: value}), name) == neutral
    assert again(**{field: value})[field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("system", 3),
        ("system", [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]),
        ("messages", [3]),
        ("messages", [{"role": "tool", "content": "x"}]),
        ("messages", [{"role": "user"}]),
        ("messages", [{"role": "user", "content": [{"text": "x"}]}]),
        ("messages", [{"role": "user", "content": [{"type": "image"}]}]),
        ("messages", [{"role": "user", "content": [{"type": "tool_result"}]}]),
        ("messages", [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": []}]}]),
        ("tools", {}),
        ("tools", [{"input_schema": {}}]),
        ("tools", [{"name": "f", "strict": 1}]),
        ("tool_choice", "auto"),
        ("thinking", True),
        ("output_config", []),
        ("stop_sequences", "x"),
        ("temperature", "hot"),
        ("max_tokens", None),
    ],
)
def test_what_cannot_be_decoded_is_named(field, value):
    """The path of the field at fault; only null is as good as absent."""
    if value is None:
        assert decoded(**{field: value}).max_output_tokens is None
        return
    with pytest.raises(InvalidRequest) as raised:
        decoded(**{field: value})
    assert raised.value.param.startswith(field)


def test_a_limit_is_always_sent():
    """This dialect demands one: where the caller set none it is the stated default."""
    assert encoded()["max_tokens"] == DEFAULT_MAX_TOKENS == 4096
    thinks = Thinking(mode="enabled", budget_tokens=24_576)
    assert encoded(thinking=thinks)["max_tokens"] == 24_576 + DEFAULT_MAX_TOKENS
    assert encoded(thinking=thinks, max_output_tokens=30_000)["max_tokens"] == 30_000
    assert encoded(max_output_tokens=7)["max_tokens"] == 7


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("presence_penalty", 0.5),
        ("frequency_penalty", -1.0),
        ("response_format", ResponseFormat(type="json_object")),
    ],
)
def test_what_this_dialect_cannot_say_is_refused_by_name(field, value):
    """Where the answer would lack what was asked for."""
    with pytest.raises(InvalidRequest) as raised:
        encoded(**{field: value})
    assert raised.value.param == field


@pytest.mark.parametrize(
    "part",
    [
        AudioPart(data="AA", format="wav"),
        OpaquePart(dialect="openai_chat", kind="new", raw=raw({})),
        ImagePart(url="data:image/png,AAAA"),
        FilePart(file_data="AAAA"),
        FilePart(file_data="data:text/plain;base64,@"),
    ],
)
def test_a_part_that_this_dialect_has_no_form_for_is_refused(part):
    """By the field that holds it."""
    with pytest.raises(InvalidRequest) as raised:
        encoded(user(part))
    assert raised.value.param == "messages"


def test_arguments_that_are_no_object_are_refused():
    """This dialect has them decoded; none at all are an empty object."""
    call = ToolCall(id="c", name="f", arguments="{")
    with pytest.raises(InvalidRequest):
        encoded(Message(role="assistant", tool_calls=(call,)))
    empty = msgspec.structs.replace(call, arguments="")
    out = encoded(Message(role="assistant", tool_calls=(empty,)))
    assert out["messages"][0]["content"][0]["input"] == {}


def test_what_only_tunes_is_left_out_or_brought_into_range():
    """By the rules that the module states."""
    out = encoded(
        user(TextPart(text="x"), RefusalPart(text="no"), ReasoningPart(text="unsigned")),
        n=1,
        seed=3,
        presence_penalty=0.0,
        temperature=1.7,
        reasoning_effort="minimal",
        response_format=ResponseFormat(type="json_schema", name="n", strict=True, schema=raw({"type": "object"})),
    )
    assert out == {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "no"}]}],
        "max_tokens": 4096,
        "temperature": 1.0,
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    }
    assert encoded(reasoning_effort="none")["thinking"] == {"type": "disabled"}


def test_a_text_document_goes_as_text():
    """Only PDF goes as base64."""
    data = base64.b64encode("Grüße".encode()).decode()
    block = encoded(user(FilePart(file_data=f"data:text/markdown;base64,{data}")))["messages"][0]["content"][0]
    assert block["source"] == {"type": "text", "media_type": "text/plain", "data": "Grüße"}


def test_a_chat_of_the_openai_dialect_crosses_over():
    """System prompt, image, parallel calls and their results."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    source = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/a.png"}}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        ],
        "stop": "x",
        "max_tokens": 3,
    }
    chat = openai_request.decode(openai_request.read(json.dumps(source).encode()).fields)
    out = json.loads(request.encode(msgspec.structs.replace(chat, extra={})))
    assert out == {
        "model": "m",
        "system": "s",
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]},
        ],
        "max_tokens": 3,
        "stop_sequences": ["x"],
    }


def test_a_chat_of_this_dialect_crosses_over_to_openai():
    """What that dialect has no form for is refused by name, and reasoning stays behind."""
    content = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "so"}]
    chat = decoded(system="s", messages=[*HELLO, {"role": "assistant", "content": content}])
    out = json.loads(openai_request.encode(chat))
    assert out["messages"][2] == {"role": "assistant", "content": "so"}
    for block in ({"type": "search_result"}, {"type": "document", "source": {"type": "url", "url": "https://x"}}):
        with pytest.raises(InvalidRequest):
            openai_request.encode(decoded(messages=[{"role": "user", "content": [block]}]))
    with pytest.raises(InvalidRequest):
        openai_request.encode(decoded(tools=[{"type": "web_search_20250305", "name": "web_search"}]))


def sent_by_the_sdk(**fields):
    """The body that the official client builds."""
    bodies = []

    def answer(sent):
        bodies.append(sent.content)
        return httpx2.Response(400, json={"type": "error", "error": {"type": "invalid_request_error", "message": "x"}})

    client = anthropic.Anthropic(
        api_key="k", max_retries=0, http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**{"model": "claude-x", "max_tokens": 5, "messages": HELLO, **fields})
    return bodies[0]


TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}}}
USED = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stream": True},
        {"system": "s"},
        {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": PNG}, {"type": "text", "text": "?"}]}]},
        {"messages": [{"role": "user", "content": [block for block, _ in BLOCKS[:-1]]}]},
        {"messages": [*HELLO, {"role": "assistant", "content": [USED]}], "tools": [TOOL]},
        {
            "messages": [
                *HELLO,
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "s"}, USED]},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [{"type": "image", "source": PNG}],
                            "is_error": True,
                        }
                    ],
                },
            ],
            "tools": [TOOL],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        },
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048},
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 1}]},
        {"stop_sequences": ["x"], "metadata": {"user_id": "u"}, "service_tier": "auto", "speed": "fast"},
        {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}, "container": "c", "inference_geo": "us"},
        {"extra_body": {"temperature": 0.5, "top_k": 3, "context_management": {"edits": []}}},
    ],
)
def test_what_the_official_client_sends_is_read_and_kept(fields):
    """Decoded and encoded again it says the same."""
    sent = sent_by_the_sdk(**fields)
    read = request.read(sent)
    assert json.loads(request.encode(request.decode(read.fields))) == json.loads(sent)
    assert json.loads(request.join(read, "claude-x", ask_usage=True)) == json.loads(sent)


def test_the_dialect_is_whole():
    """Its name and paths, and the headers that decide how a body is read."""
    assert (ANTHROPIC.name, ANTHROPIC.upstream_path) == ("anthropic", "/messages")
    assert ANTHROPIC.paths == ("/v1/messages", "/v1/messages/count_tokens")
    assert ANTHROPIC.allowed_headers == {"anthropic-version", "anthropic-beta"}
