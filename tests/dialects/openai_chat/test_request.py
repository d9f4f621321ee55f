"""Requests of the OpenAI dialect."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.dialects.openai_chat import request
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
    Tool,
    ToolCall,
    ToolChoice,
)

HELLO = [{"role": "user", "content": "hello"}]


def body(**fields):
    return json.dumps({"model": "m", "messages": HELLO, **fields}).encode()


def test_the_fields_that_stages_need_are_read():
    """Model, stream, usage, limits, count and user come from the top level."""
    read = request.read(
        body(stream=True, stream_options={"include_usage": True}, max_tokens=5, max_completion_tokens=9, n=2, user="u")
    )
    assert (read.model, read.stream, read.include_usage) == ("m", True, True)
    assert (read.max_output_tokens, read.n, read.end_user) == (9, 2, "u")


def test_null_is_as_good_as_absent():
    """OpenAI documents these fields as nullable."""
    read = request.read(
        body(stream=None, stream_options=None, max_tokens=None, max_completion_tokens=None, n=None, user=None)
    )
    assert (read.stream, read.include_usage, read.max_output_tokens, read.n, read.end_user) == (
        False,
        False,
        None,
        1,
        None,
    )


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("model", "null"),
        ("model", '""'),
        ("model", "3"),
        ("model", '"a\\nb"'),
        ("model", json.dumps("x" * 257)),
        ("messages", "null"),
        ("messages", "{}"),
        ("messages", '"[]"'),
        ("stream", '"true"'),
        ("stream", "1"),
        ("stream_options", "true"),
        ("stream_options", '{"include_usage":"yes"}'),
        ("max_tokens", "-1"),
        ("max_tokens", "0"),
        ("max_tokens", "1e309"),
        ("max_tokens", "1.5"),
        ("max_tokens", "true"),
        ("max_tokens", '"10"'),
        ("max_tokens", "10000001"),
        ("max_completion_tokens", "9" * 400),
        ("n", "10000"),
        ("n", "0"),
        ("user", "{}"),
    ],
)
def test_a_known_field_of_the_wrong_type_is_named(field, text):
    """The error's `param` is the field at fault."""
    fields = {"model": '"m"', "messages": "[]", field: text}
    raw = "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"
    with pytest.raises(InvalidRequest) as raised:
        request.read(raw.encode())
    assert raised.value.param == field


@pytest.mark.parametrize("field", ["max_tokens", "n"])
def test_not_a_number_is_refused_before_any_field(field):
    """NaN is no JSON."""
    with pytest.raises(InvalidRequest):
        request.read(b'{"model":"m","messages":[],"' + field.encode() + b'":NaN}')


@pytest.mark.parametrize("field", ["base_url", "api_base", "custom_host", "api_key", "extra_headers", "extra_body"])
def test_a_destination_in_the_body_is_refused(field):
    """A caller never chooses where a request goes, nor with which key."""
    with pytest.raises(InvalidRequest) as raised:
        request.read(body(**{field: "https://evil.example"}))
    assert raised.value.param == field


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["model", "data:image/png;base64,AAAA", "image_url", "file", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "image_url", "url", "file", "function", "name", "include_usage"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
FIELD_NAMES = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "n",
    "user",
    "tools",
    "tool_choice",
    "response_format",
    "stop",
    "temperature",
    "x",
]


@given(st.dictionaries(st.sampled_from(FIELD_NAMES), HOSTILE, max_size=8))
@example({"model": "m", "messages": [{"content": [{"type": [], "image_url": 3}]}]})
def test_hostile_values_are_refused_or_read(fields):
    """Neither reading nor decoding raises anything but InvalidRequest, and the bound on input stays positive."""
    raw = json.dumps({"model": "m", "messages": [], **fields}).encode()
    try:
        read = request.read(raw)
        assert 0 <= read.input_bytes <= len(raw)
        request.decode(read.fields)
    except InvalidRequest:
        pass


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(raw):
    """Nothing else is raised."""
    with pytest.raises(InvalidRequest):
        request.read(raw)


def test_join_replaces_the_model_alone():
    """Unknown fields, order and values stay as they were."""
    read = request.read(b'{"x_vendor":{"a": 1.0},"model":"alias","messages":[ ],"temperature":0.10}')
    assert request.join(read, "real", ask_usage=True) == (
        b'{"x_vendor":{"a": 1.0},"model":"real","messages":[ ],"temperature":0.10}'
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}),
    ],
)
def test_join_asks_for_usage_at_a_streams_end(options, expected):
    """Other stream options are kept."""
    read = request.read(body(stream=True, stream_options=options))
    assert json.loads(request.join(read, "m", ask_usage=True))["stream_options"] == expected


def test_join_leaves_a_body_without_stream_alone():
    """Only a stream is asked for usage."""
    assert "stream_options" not in json.loads(request.join(request.read(body()), "m", ask_usage=True))


def test_defaults_fill_only_what_is_absent():
    """What the caller sent, null included, stays."""
    read = request.read(body(temperature=None, max_completion_tokens=7))
    defaults = {name: msgspec.Raw(b"1") for name in ("temperature", "top_p", "max_tokens")}
    joined = json.loads(request.join(read, "m", ask_usage=False, defaults=defaults))
    assert (joined["temperature"], joined["top_p"], "max_tokens" in joined) == (None, 1, False)


def test_inline_media_is_counted_and_not_taken_for_text():
    """Base64 is no text: an image counts one, audio one for each 64 KiB, and links stay text."""
    data = base64.b64encode(b"x" * 60_000).decode()
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}", "filename": "a.pdf"}},
    ]
    read = request.read(body(messages=[{"role": "user", "content": parts}]))
    assert read.images == 6
    assert read.input_bytes < 600


def test_a_data_url_that_is_no_base64_counts_as_text():
    """Text cannot be smuggled past a budget as media."""
    url = "data:text/plain," + "x" * 5_000
    part = {"type": "image_url", "image_url": {"url": url}}
    read = request.read(body(messages=[{"role": "user", "content": [part]}]))
    assert (read.images, read.input_bytes > 5_000) == (1, True)


TEXTS = st.text(max_size=8)
RAWS = st.sampled_from([msgspec.Raw(b'{"type":"object"}'), msgspec.Raw(b"[1, 2]"), msgspec.Raw(b'"x"')])
EXTRAS = st.dictionaries(st.sampled_from(["x_one", "cache_control", "metadata"]), RAWS, max_size=2)
PARTS = st.one_of(
    st.builds(TextPart, text=TEXTS),
    st.builds(ImagePart, url=TEXTS, detail=st.none() | TEXTS),
    st.builds(AudioPart, data=TEXTS, format=TEXTS),
    st.builds(FilePart, file_id=st.none() | TEXTS, file_data=st.none() | TEXTS, filename=st.none() | TEXTS),
    st.builds(RefusalPart, text=TEXTS),
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
    parts=st.lists(PARTS, max_size=3).map(tuple),
    name=st.none() | TEXTS,
    tool_calls=st.lists(st.builds(ToolCall, id=TEXTS, name=TEXTS, arguments=TEXTS), max_size=2).map(tuple),
    tool_call_id=st.none() | TEXTS,
    extra=EXTRAS,
).filter(lambda message: message.parts or message.tool_calls or message.extra)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.none() | st.integers(-(2**63), 2**63 - 1)
CHATS = st.builds(
    Chat,
    model=st.text(alphabet="abc-/.:", min_size=1, max_size=9),
    messages=st.lists(MESSAGES, max_size=3).map(tuple),
    stream=st.booleans(),
    include_usage=st.booleans(),
    tools=st.lists(
        st.builds(
            Tool,
            name=TEXTS,
            description=st.none() | TEXTS,
            parameters=st.none() | RAWS,
            strict=st.none() | st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    tool_choice=st.none()
    | st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"]))
    | st.builds(ToolChoice, mode=st.just("function"), name=TEXTS),
    parallel_tool_calls=st.none() | st.booleans(),
    response_format=st.none()
    | st.builds(ResponseFormat, type=st.sampled_from(["text", "json_object"]))
    | st.builds(ResponseFormat, type=st.just("json_schema"), name=TEXTS, schema=st.none() | RAWS),
    temperature=NUMBERS,
    top_p=NUMBERS,
    max_output_tokens=INTEGERS,
    n=INTEGERS,
    stop=st.lists(TEXTS, max_size=3).map(tuple),
    seed=INTEGERS,
    presence_penalty=NUMBERS,
    frequency_penalty=NUMBERS,
    logprobs=st.none() | st.booleans(),
    top_logprobs=INTEGERS,
    reasoning_effort=st.none() | TEXTS,
    user=st.none() | TEXTS,
    extra=EXTRAS,
)


@given(CHATS)
def test_a_chat_survives_the_way_out_and_back(chat):
    """Encoding and decoding lose nothing of the neutral form."""
    fields = msgspec.json.decode(request.encode(chat), type=dict[str, msgspec.Raw])
    assert request.decode(fields) == chat


def test_the_callers_name_of_the_limit_is_kept():
    """`max_tokens` does not turn into `max_completion_tokens`, which older servers do not know."""
    chat = request.decode(request.read(body(max_tokens=5)).fields)
    assert chat.max_output_tokens == 5
    encoded = json.loads(request.encode(chat))
    assert (encoded["max_tokens"], "max_completion_tokens" in encoded) == (5, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "custom", "custom": {"name": "sql"}}]),
        ("tool_choice", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}),
        ("response_format", {"type": "grammar", "grammar": "x"}),
        ("stream_options", {"include_usage": True, "include_obfuscation": False}),
        ("logit_bias", {"1": 2}),
    ],
)
def test_what_has_no_neutral_form_comes_back_as_it_was(field, value):
    """Newer features of the dialect survive a chat that was decoded on the way."""
    chat = request.decode(request.read(body(**{field: value})).fields)
    assert json.loads(request.encode(chat))[field] == value


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("messages", {"messages": ["hello"]}),
        ("messages[0].role", {"messages": [{"role": "robot", "content": "x"}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": 3}]}),
        (
            "messages[0].content[1].type",
            {"messages": [{"role": "user", "content": [*[{"type": "text", "text": ""}], {}]}]},
        ),
        ("messages[0].name", {"messages": [{"role": "user", "content": "x", "name": 3}]}),
        ("messages[0].tool_calls[0].function", {"messages": [{"role": "assistant", "tool_calls": [{}]}]}),
        ("stop", {"stop": [1]}),
        ("tools", {"tools": [{"type": "function", "function": {}}]}),
        ("tool_choice", {"tool_choice": "maybe"}),
        ("response_format.json_schema", {"response_format": {"type": "json_schema"}}),
        ("temperature", {"temperature": "hot"}),
        ("temperature", {"temperature": 10**400}),
    ],
)
def test_a_field_that_cannot_be_decoded_is_named_by_its_path(param, fields):
    """The caller learns where to look."""
    raw = {"model": "m", "messages": HELLO, **fields}
    with pytest.raises(InvalidRequest) as raised:
        request.decode(msgspec.json.decode(json.dumps(raw), type=dict[str, msgspec.Raw]))
    assert raised.value.param == param


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [3]},
        {"role": "user", "content": [{"type": "text"}]},
        {"role": "user", "content": [{"type": "image_url"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": 3}}]},
        {"role": "assistant", "tool_calls": {}},
        {"role": "assistant", "tool_calls": [{"function": {"name": 1}}]},
    ],
)
def test_a_malformed_message_is_refused(message):
    """With the path of the field."""
    with pytest.raises(InvalidRequest) as raised:
        request.decode(request.read(body(messages=[message])).fields)
    assert raised.value.param.startswith("messages[0].")


def test_arguments_that_came_as_an_object_are_read_as_their_text():
    """Some servers send them so."""
    call = {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
    chat = request.decode(request.read(body(messages=[{"role": "assistant", "tool_calls": [call]}])).fields)
    assert chat.messages[0].tool_calls == (ToolCall(id="c", name="f", arguments='{"a":1}'),)


def test_media_of_a_malformed_message_counts_as_text():
    """It is left for the provider to refuse."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 999}}
    for messages in ([3, {"content": [part]}], [{"content": part}], [{"content": ["image_url"]}]):
        read = request.read(body(messages=messages))
        assert (read.images, read.input_bytes > 9) == (0, True)


@pytest.mark.parametrize(
    "part",
    [
        OpaquePart(dialect="anthropic", kind="search_result", raw=msgspec.Raw(b"{}")),
        ImagePart(url="", file_id="f"),
        FilePart(url="https://example.com/a.pdf"),
    ],
)
def test_a_part_of_another_dialect_is_refused_by_name(part):
    """It is never left out in silence."""
    with pytest.raises(InvalidRequest) as raised:
        request.encode(Chat(model="m", messages=(Message(role="user", parts=(part, TextPart(text="x"))),)))
    assert raised.value.param == "messages"


def test_a_tool_that_another_provider_runs_is_refused():
    """Nobody here would run it."""
    with pytest.raises(InvalidRequest) as raised:
        request.encode(Chat(model="m", messages=(), tools=(Tool(name="s", hosted="web_search"),)))
    assert raised.value.param == "tools"


def test_what_this_dialect_can_say_otherwise_is_said_so():
    """A plain document is text; reasoning and cache points are nothing that it takes back."""
    parts = (ReasoningPart(text="hm", signature="s"), FilePart(text="doc"), TextPart(text="x", cache=CachePoint()))
    body = json.loads(request.encode(Chat(model="m", messages=(Message(role="user", parts=parts),))))
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "doc"}, {"type": "text", "text": "x"}]}
    ]


@pytest.mark.parametrize("message", [Message(role="tool", tool_call_id="c"), Message(role="assistant")])
def test_a_message_without_anything_says_so(message):
    """A result of a tool that returned nothing, a turn that was thought alone: `content` has to be there."""
    encoded = json.loads(request.encode(Chat(model="m", messages=(message,))))
    assert encoded["messages"][0]["content"] == ""
