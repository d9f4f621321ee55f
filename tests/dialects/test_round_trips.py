"""Conversations, answers and streams from every dialect into every other one: what both can say arrives."""

from __future__ import annotations

import itertools
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.dialects import DIALECTS
from fairlead.dialects.crossing import event_across, reply_across, request_across
from fairlead.types import (
    Chat,
    ChatReply,
    Choice,
    Finished,
    ImagePart,
    Message,
    Started,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Usage,
    UsageReport,
)

CHATS = [each for each in DIALECTS.values() if each.kind == "chat"]
PAIRS = pytest.mark.parametrize(
    ("caller", "provider"), list(itertools.permutations(CHATS, 2)), ids=lambda dialect: dialect.name
)
ALL = pytest.mark.parametrize("dialect", CHATS, ids=lambda dialect: dialect.name)

MOST = 30
"""Examples of each, as there are many pairs."""
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
NAMES = st.text("abcxyz_", min_size=1, max_size=8)
TEXTS = st.builds(TextPart, text=WORDS)
IMAGES = st.builds(ImagePart, url=st.sampled_from(["data:image/png;base64,AAAA", "data:image/jpeg;base64,/9j/"]))
VALUES = st.integers(-9, 9) | WORDS | st.booleans() | st.none() | st.lists(st.integers(0, 9), max_size=2)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)
SCHEMAS = st.sampled_from(
    [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    ]
)
TOOLS = st.builds(
    Tool,
    name=NAMES,
    description=WORDS,
    parameters=SCHEMAS.map(lambda schema: msgspec.Raw(msgspec.json.encode(schema))),
)


def written(value):
    return json.dumps(value, ensure_ascii=False)


@st.composite
def turns(draw):
    """A user's turn, and what the model said to it; where it called tools, their results."""
    parts = draw(st.lists(TEXTS | IMAGES, min_size=1, max_size=3))
    asked = [Message(role="user", parts=tuple(parts))]
    said = tuple(draw(st.lists(TEXTS, max_size=1)))
    number = draw(st.integers(0, 10**6))
    calls = [
        ToolCall(id=f"call_{number}_{place}", name=draw(NAMES), arguments=written(draw(OBJECTS)))
        for place in range(draw(st.integers(0 if said else 1, 3)))
    ]
    results = [Message(role="tool", parts=(draw(TEXTS),), tool_call_id=call.id) for call in calls]
    return [*asked, Message(role="assistant", parts=said, tool_calls=tuple(calls)), *results]


@st.composite
def chats(draw):
    """Conversations of what every dialect has."""
    system = draw(
        st.lists(st.builds(Message, role=st.just("system"), parts=TEXTS.map(lambda part: (part,))), max_size=1)
    )
    exchanges = [message for turn in draw(st.lists(turns(), max_size=3)) for message in turn]
    last = Message(role="user", parts=(draw(TEXTS),))
    tools = tuple(draw(st.lists(TOOLS, max_size=2, unique_by=lambda tool: tool.name)))
    choices = [None, *(ToolChoice(mode=mode) for mode in ("auto", "none", "required"))]
    return Chat(
        model="m",
        messages=(*system, *exchanges, last),
        stream=draw(st.booleans()),
        tools=tools,
        tool_choice=draw(st.sampled_from([*choices, *(ToolChoice(mode="function", name=tool.name) for tool in tools)]))
        if tools
        else None,
        temperature=draw(st.none() | st.sampled_from([0.0, 0.5, 1.0])),
        top_p=draw(st.none() | st.sampled_from([0.1, 1.0])),
        max_output_tokens=draw(st.integers(1, 9_999)),
    )


def conversation(chat):
    """What a model reads of it: however turns are cut, whatever ids are called."""
    numbers = {}
    told = []
    for message in chat.messages:
        role = "system" if message.role == "developer" else message.role
        parts = [
            part.text if isinstance(part, TextPart) else ("image", part.url)
            for part in message.parts
            if isinstance(part, TextPart | ImagePart)
        ]
        if role == "tool":
            told.append(("tool", numbers[message.tool_call_id], "".join(parts)))
            continue
        if told and told[-1][0] == role and not message.tool_calls:
            told[-1][1].extend(parts)
        else:
            told.append((role, parts, []))
        for call in message.tool_calls:
            numbers[call.id] = len(numbers)
            told[-1][2].append((call.name, json.loads(call.arguments)))
    return told


def parameters(chat):
    tools = [(tool.name, tool.description, json.loads(bytes(tool.parameters or b"null"))) for tool in chat.tools]
    return (chat.model, chat.stream, chat.temperature, chat.top_p, chat.max_output_tokens, chat.tool_choice, tools)


def through(dialect, chat):
    """As whoever speaks the dialect reads what it writes."""
    body = dialect.request.encode(chat)
    path = next((each for each in dialect.paths if not each.endswith("/count_tokens")), "")
    if path.endswith("/"):
        below = dialect.stream_path if chat.stream and dialect.stream_path else dialect.upstream_path
        path += below.removeprefix("/models/").replace("{model}", chat.model)
    return dialect.request.decode(dialect.request.read(body, path.partition("?")[0]).fields)


@PAIRS
@settings(max_examples=MOST)
@given(chat=chats())
def test_a_conversation_arrives_whole(caller, provider, chat):
    """Turns, images, calls with their results, tools and parameters; nothing is named as left behind."""
    crossed, left_out = request_across(through(caller, chat))
    arrived = through(provider, crossed)
    assert left_out == ()
    assert conversation(arrived) == conversation(chat)
    assert parameters(arrived) == parameters(chat)


USAGES = st.builds(
    Usage,
    input_tokens=st.integers(1, 99),
    cache_read_tokens=st.integers(0, 99),
    output_tokens=st.integers(1, 99),
    reasoning_tokens=st.integers(0, 99),
)


@st.composite
def answers(draw):
    """An answer of what every dialect has."""
    text = draw(st.none() | WORDS)
    calls = tuple(
        ToolCall(id=f"call_{place}", name=draw(NAMES), arguments=written(draw(OBJECTS)))
        for place in range(draw(st.integers(0 if text else 1, 2)))
    )
    parts = () if text is None else (TextPart(text=text),)
    message = Message(role="assistant", parts=parts, tool_calls=calls)
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    choices = (Choice(index=0, message=message, finish_reason=reason),)
    return ChatReply(id="r1", model="m", created=1_700_000_000, choices=choices, usage=draw(USAGES))


def said(reply):
    (choice,) = reply.choices
    calls = [(call.name, json.loads(call.arguments)) for call in choice.message.tool_calls]
    return choice.message.text, calls, choice.finish_reason, counted(reply.usage)


def counted(usage):
    """What a dialect without a word for the tier says."""
    return msgspec.structs.replace(usage, service_tier=None)


@PAIRS
@settings(max_examples=MOST)
@given(answer=answers())
def test_an_answer_arrives_whole(caller, provider, answer):
    """Text, calls, the reason for its end, and every bucket of its usage."""
    crossed = reply_across(provider.reply.decode(provider.reply.encode(answer)))
    assert said(caller.reply.decode(caller.reply.encode(crossed))) == said(answer)


@ALL
@settings(max_examples=MOST)
@given(answer=answers())
def test_the_usage_of_an_answer_is_read_without_its_content(dialect, answer):
    """And is the same."""
    assert counted(dialect.reply.usage(dialect.reply.encode(answer))) == answer.usage


@st.composite
def streams(draw):
    """The same answer in pieces."""
    answer = draw(answers())
    (choice,) = answer.choices
    events = [Started(id=answer.id, model=answer.model, created=answer.created)]
    text = choice.message.text
    cut = draw(st.integers(0, len(text)))
    events += [TextDelta(text=piece) for piece in (text[:cut], text[cut:]) if piece]
    for place, call in enumerate(choice.message.tool_calls):
        cut = draw(st.integers(0, len(call.arguments)))
        events.append(ToolCallDelta(index=place, id=call.id, name=call.name))
        events += [
            ToolCallDelta(index=place, arguments=piece) for piece in (call.arguments[:cut], call.arguments[cut:])
        ]
    return answer, [*events, Finished(reason=choice.finish_reason), UsageReport(usage=answer.usage)]


def streamed(dialect, events):
    encoder = dialect.streams.encoder(include_usage=True)
    return b"".join(map(encoder.encode, events)) + encoder.end()


def decoded(dialect, raw, *cuts):
    decoder = dialect.streams.decoder()
    events = [
        event for start, end in itertools.pairwise((0, *cuts, len(raw))) for event in decoder.feed(raw[start:end])
    ]
    return events, decoder.complete


def collected(events):
    """What a reader of a stream has in the end."""
    text, calls, reason, usage = "", {}, None, None
    for event in events:
        match event:
            case TextDelta():
                text += event.text
            case ToolCallDelta():
                name, arguments = calls.get(event.index, ("", ""))
                calls[event.index] = (event.name or name, arguments + event.arguments)
            case Finished():
                reason = event.reason
            case UsageReport():
                usage = event.usage
    return text, [(name, json.loads(arguments)) for name, arguments in calls.values()], reason, counted(usage)


@PAIRS
@settings(max_examples=MOST)
@given(made=streams())
def test_a_stream_arrives_whole(caller, provider, made):
    """As the whole answer would."""
    answer, events = made
    theirs, complete = decoded(provider, streamed(provider, events))
    assert complete
    ours, complete = decoded(caller, streamed(caller, map(event_across, theirs)))
    assert complete
    assert collected(ours) == said(answer)


@ALL
@settings(max_examples=MOST)
@given(made=streams(), data=st.data())
def test_a_stream_means_the_same_however_it_was_cut(dialect, made, data):
    """Into single bytes, too; for a scanner, which counts the same and lets everything through."""
    raw = streamed(dialect, made[1])
    cut = data.draw(st.integers(0, len(raw)))
    whole, _ = decoded(dialect, raw)
    assert decoded(dialect, raw, cut) == (whole, True)
    scanner = dialect.streams.scanner(forward_usage=True)
    passed = b"".join(scanner.feed(raw[at : at + 1]) for at in range(len(raw))) + scanner.feed(b":")
    assert passed.removesuffix(b":") == raw
    assert (scanner.complete, scanner.content) == (True, True)
    assert counted(scanner.usage) == made[0].usage
