"""From one dialect into another."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given

from anthropic_generated import chats, raw
from fairlead.dialects.anthropic import ANTHROPIC
from fairlead.dialects.crossing import event_across, reply_across, request_across
from fairlead.dialects.gemini import GEMINI
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.dialects.openai_responses import OPENAI_RESPONSES
from fairlead.errors import InvalidRequest
from fairlead.types import (
    CachePoint,
    Chat,
    ChatReply,
    Choice,
    Finished,
    ImagePart,
    Message,
    ReasoningDelta,
    ReasoningPart,
    Started,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
)

X = {"x_only": raw(1)}
CHAT = Chat(
    model="m",
    messages=(
        Message(role="user", parts=(TextPart(text="a", extra=X),), extra=X),
        Message(
            role="assistant",
            parts=(ReasoningPart(text="hm", signature="s"), ReasoningPart(encrypted="e"), TextPart(text="b")),
            tool_calls=(ToolCall(id="c", name="f", arguments="{}", extra=X),),
        ),
    ),
    tools=(Tool(name="f", extra=X),),
    extra=X,
)


def test_what_only_one_dialect_means_stays_behind_and_is_named():
    """Also what stands deep inside."""
    crossed, left = request_across(CHAT)
    assert left == ("x_only", "messages[0].x_only", "messages[0].x_only", "messages[1].x_only", "tools[0].x_only")
    assert request_across(crossed)[1] == ()
    assert crossed.messages[1].parts == (ReasoningPart(text="hm"), ReasoningPart(), TextPart(text="b"))
    assert crossed.tools == (Tool(name="f"),)


def test_what_cannot_be_left_behind_is_refused_by_name():
    """What makes it another request, and a tool that only its own dialect's providers run."""
    bound = msgspec.structs.replace(CHAT, binding=frozenset({"x_only"}))
    hosted = msgspec.structs.replace(CHAT, tools=(*CHAT.tools, Tool(name="s", hosted="search")))
    for chat, param in ((bound, "x_only"), (hosted, "tools")):
        with pytest.raises(InvalidRequest) as caught:
            request_across(chat)
        assert caught.value.param == param


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI_CHAT, OPENAI_RESPONSES])
def test_nothing_that_was_kept_reaches_another_provider(dialect):
    """Neither a foreign field nor a foreign signature."""
    crossed, _ = request_across(CHAT)
    assert b"x_only" not in dialect.request.encode(crossed)
    assert b"signature" not in dialect.request.encode(crossed)


@given(chats())
def test_any_chat_of_anthropics_is_written_or_refused_in_openais_form(chat):
    """And what is written is read again."""
    try:
        crossed, _ = request_across(chat)
        body = OPENAI_CHAT.request.encode(crossed)
    except InvalidRequest as error:
        refused = error
    else:
        assert len(json.loads(body)["messages"]) == len(chat.messages)
        OPENAI_CHAT.request.decode(msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
        return
    assert refused.param in {"messages", "tools"}


def test_an_answer_crosses_without_what_was_kept():
    """Its words, calls and counts stay."""
    choice = Choice(index=0, message=CHAT.messages[1], finish_reason="stop")
    crossed = reply_across(ChatReply(id="i", model="m", created=0, choices=(choice,), extra={"x_only": 1}))
    assert b"x_only" not in ANTHROPIC.reply.encode(crossed)
    assert crossed.choices[0].message.tool_calls == (ToolCall(id="c", name="f", arguments="{}"),)


@pytest.mark.parametrize(
    ("event", "crossed"),
    [
        (Started(id="i", model="m", created=0, extra=X), Started(id="i", model="m", created=0)),
        (ReasoningDelta(text="a", signature="s"), ReasoningDelta(text="a")),
        (ToolCallDelta(index=0, id="c", extra=X), ToolCallDelta(index=0, id="c")),
        (Finished(reason="stop", extra=X), Finished(reason="stop")),
        (TextDelta(text="a", part=1), TextDelta(text="a", part=1)),
    ],
)
def test_an_event_crosses_without_what_was_kept(event, crossed):
    """What the model said stays."""
    assert event_across(event) == crossed


def test_what_the_model_refuses_stays_behind_and_is_named():
    """Only what is there to leave, also where what is empty is not `None`."""
    chat = Chat(model="m", messages=(), temperature=0.0, stop=("x",), seed=1)
    crossed, left = request_across(chat, frozenset({"temperature", "top_p", "stop"}))
    assert left == ("stop", "temperature")
    assert crossed == Chat(model="m", messages=(), seed=1)
    assert request_across(Chat(model="m", messages=()), frozenset({"stop"}))[1] == ()


def test_of_parameters_that_exclude_each_other_the_first_stays():
    """The others are named."""
    both = Chat(model="m", messages=(), temperature=0.5, top_p=0.9)
    one_of = ("temperature", "top_p")
    assert request_across(both, (), one_of) == (Chat(model="m", messages=(), temperature=0.5), ("top_p",))
    second = Chat(model="m", messages=(), top_p=0.9)
    assert request_across(second, (), one_of) == (second, ())


SAID = {
    "openai_chat": {"messages": [{"role": "user", "content": "x"}]},
    "anthropic": {"messages": [{"role": "user", "content": "x"}]},
    "openai_responses": {"input": "x"},
    "gemini": {"contents": [{"parts": [{"text": "x"}]}]},
}
FUNCTION = {"type": "function", "function": {"name": "f"}}
CUSTOM = {"type": "custom", "custom": {"name": "sql"}}


def read_by(dialect, **fields):
    """The neutral form of a body with these fields."""
    path = "/v1beta/models/m:generateContent" if dialect is GEMINI else ""
    body = msgspec.json.encode({"model": "m", **SAID[dialect.name], **fields})
    return dialect.request.decode(dialect.request.read(body, path).fields)


@pytest.mark.parametrize(
    ("dialect", "path", "fields"),
    [
        (OPENAI_CHAT, "tools", {"tools": [FUNCTION, CUSTOM]}),
        (OPENAI_CHAT, "tool_choice", {"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}),
        (OPENAI_CHAT, "response_format", {"response_format": {"type": "grammar", "grammar": "x"}}),
        (OPENAI_CHAT, "functions", {"functions": [{"name": "f"}]}),
        (OPENAI_CHAT, "modalities", {"modalities": ["text", "audio"]}),
        (OPENAI_CHAT, "audio", {"audio": {"voice": "alloy", "format": "wav"}}),
        (OPENAI_CHAT, "web_search_options", {"web_search_options": {}}),
        (
            OPENAI_CHAT,
            "messages",
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", **CUSTOM}]}]},
        ),
        (OPENAI_CHAT, "messages", {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}),
        (OPENAI_RESPONSES, "tool_choice", {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}),
        (OPENAI_RESPONSES, "text.format", {"text": {"format": {"type": "grammar"}}}),
        (ANTHROPIC, "mcp_servers", {"mcp_servers": [{"url": "https://x"}]}),
        (ANTHROPIC, "tool_choice", {"tool_choice": {"type": "new"}}),
        (ANTHROPIC, "output_config.format", {"output_config": {"format": {"type": "new"}}}),
        (GEMINI, "cachedContent", {"cachedContent": "cachedContents/x"}),
        (
            GEMINI,
            "toolConfig.functionCallingConfig",
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}}},
        ),
        (GEMINI, "generationConfig.responseModalities", {"generationConfig": {"responseModalities": ["IMAGE"]}}),
        (GEMINI, "generationConfig.responseMimeType", {"generationConfig": {"responseMimeType": "text/x.enum"}}),
    ],
)
def test_what_was_asked_for_is_never_left_out(dialect, path, fields):
    """A tool, a form of the answer or a part of the prompt that another dialect cannot say: another answer would come."""
    with pytest.raises(InvalidRequest) as caught:
        request_across(read_by(dialect, **fields))
    assert caught.value.param == path


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        (OPENAI_CHAT, {"modalities": ["text"], "functions": [], "audio": None, "tools": []}),
        (ANTHROPIC, {"mcp_servers": [], "output_config": {"effort": "low", "format": None}}),
        (OPENAI_RESPONSES, {"text": {"verbosity": "low"}, "background": False}),
        (GEMINI, {"generationConfig": {"responseModalities": ["TEXT"]}, "cachedContent": None}),
    ],
)
def test_what_asks_for_nothing_does_not_keep_a_call_in_its_dialect(dialect, fields):
    """SDKs send such defaults."""
    request_across(read_by(dialect, **fields))


def test_text_that_is_empty_does_not_cross_beside_something_else():
    """SDKs write it beside calls, and Anthropic refuses it; a call stays where it stood."""
    call = ToolCall(id="c", name="f", arguments="{}", at=2)
    parts = (TextPart(text=""), TextPart(text="a"), TextPart(text="b"))
    said = Message(role="assistant", parts=parts, tool_calls=(call,))
    silent = Message(role="assistant", parts=(TextPart(text=""),), tool_calls=(call,))
    empty = Message(role="user", parts=(TextPart(text=""),))
    crossed, _ = request_across(Chat(model="m", messages=(said, silent, empty)))
    first, second, third = ANTHROPIC.request.decode(
        msgspec.json.decode(ANTHROPIC.request.encode(crossed), type=dict[str, msgspec.Raw])
    ).messages
    assert (first.text, first.tool_calls[0].at) == ("ab", 1)
    assert (second.parts, len(second.tool_calls)) == ((), 1)
    assert third == empty


@pytest.mark.parametrize(
    ("told", "crossed"),
    [("model_length", "length"), ("error", "length"), ("eos_token", "stop"), ("invented", "invented")],
)
def test_a_reason_of_one_server_alone_crosses_as_what_it_means(told, crossed):
    """An answer that broke off never becomes a whole one."""
    assert event_across(Finished(reason=told)) == Finished(reason=crossed)
    choice = Choice(index=0, message=Message(role="assistant"), finish_reason=told)
    only = reply_across(ChatReply(id="i", model="m", created=0, choices=(choice,))).choices[0]
    assert only.finish_reason == crossed


@pytest.mark.parametrize(
    ("dialect", "named"),
    [
        (OPENAI_CHAT, {"messages[0].cache", "messages[2].is_error", "messages[2].cache", "tools[0].cache", "cache"}),
        (
            OPENAI_RESPONSES,
            {
                "messages[0].name",
                "messages[0].cache",
                "messages[2].is_error",
                "messages[2].cache",
                "tools[0].cache",
                "cache",
            },
        ),
        (ANTHROPIC, {"messages[0].name", "messages[0].detail"}),
        (
            GEMINI,
            {
                *("messages[0].name", "messages[0].detail", "messages[0].cache"),
                *("messages[2].cache", "tools[0].cache", "tools[0].strict", "cache"),
            },
        ),
    ],
)
def test_what_messages_and_tools_say_without_a_place_is_named(dialect, named):
    """And is really not said; the name of a tool whose result it is, is no such name."""
    point = CachePoint(ttl="1h")
    chat = Chat(
        model="m",
        messages=(
            Message(
                role="user",
                name="ann_user",
                parts=(TextPart(text="a", cache=point), ImagePart(url="data:image/png;base64,AAAA", detail="high")),
            ),
            Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments="{}"),)),
            Message(role="tool", tool_call_id="c", name="f", is_error=True, cache=point, parts=(TextPart(text="b"),)),
        ),
        tools=(Tool(name="f", strict=True, cache=point),),
        cache=point,
    )
    crossed, left = request_across(chat, dialect.leaves_out.keys())
    assert set(left) == named
    body = dialect.request.encode(crossed)
    said = {"name": b"ann_user", "detail": b"detail", "is_error": b"error", "cache": b"1h", "strict": b"strict"}
    for name, words in said.items():
        assert (words in body) is not any(path.endswith(name) for path in named)


def test_what_parts_and_calls_say_beside_the_dialect_is_named():
    """Other servers of OpenAI's dialect read it; it comes back where the call stays there."""
    mark = {"cache_control": {"type": "ephemeral"}}
    tool = {"type": "function", "function": {"name": "f", "x_in": 1}, **mark}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"a": 1}}
    turns = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", **mark},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}, **mark},
            ],
        },
        {"role": "assistant", "tool_calls": [call]},
    ]
    chat = read_by(OPENAI_CHAT, messages=turns, tools=[tool])
    assert request_across(chat)[1] == (
        *("messages[0].cache_control", "messages[0].cache_control", "messages[1].extra_content"),
        *("tools[0].cache_control", "tools[0].function"),
    )
    again = json.loads(OPENAI_CHAT.request.encode(chat))
    assert (again["messages"], again["tools"]) == (turns, [tool])
