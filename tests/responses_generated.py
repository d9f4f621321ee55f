"""Conversations and answers that the Responses dialect can express, for property tests."""

from __future__ import annotations

import json

import msgspec
from hypothesis import strategies as st

from fairlead.types import (
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
    Usage,
)


def raw(value):
    return msgspec.Raw(msgspec.json.encode(value))


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.text("abcXYZ_09", min_size=1, max_size=8)
CITED = [{"type": "url_citation", "url": "https://x", "title": "x", "start_index": 0, "end_index": 1}]
MARKED = {"prompt_cache_breakpoint": raw({"mode": "explicit"})}
OBJECTS = st.dictionaries(WORDS, st.integers(-9, 9) | WORDS | st.booleans() | st.none(), max_size=3)
ARGUMENTS = OBJECTS.map(lambda value: json.dumps(value, ensure_ascii=False)) | st.just("{torn")

TEXTS = st.builds(TextPart, text=WORDS, extra=st.just({}) | st.just(MARKED))
WRITTEN = st.builds(TextPart, text=WORDS, extra=st.just({}) | st.just({"annotations": raw(CITED)}))
SPOKEN = WRITTEN | st.builds(RefusalPart, text=WORDS)
IMAGES = st.builds(
    ImagePart,
    url=st.sampled_from(["data:image/png;base64,AAAA", "https://example.com/a.png"]),
    detail=st.sampled_from([None, "high", "original"]),
    extra=st.just({}) | st.just(MARKED),
) | st.builds(ImagePart, url=st.just(""), file_id=NAMES)
FILES = st.sampled_from(
    [{"file_id": "f"}, {"file_data": "data:application/pdf;base64,AAAA"}, {"url": "https://x/a.pdf"}]
).flatmap(
    lambda source: st.builds(
        FilePart, **{name: st.just(value) for name, value in source.items()}, filename=st.none() | NAMES
    )
)
SUMMARIES = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
THOUGHTS = [{"type": "reasoning_text", "text": "hm"}]


@st.composite
def reasoning(draw):
    """With one summary, several, none, or the thoughts themselves."""
    text, kept = draw(
        st.tuples(st.text("ab", max_size=3), st.just({}))
        | st.just(("a\n\nb", {"summary": raw(SUMMARIES)}))
        | st.just(("hm", {"content": raw(THOUGHTS)}))
        | st.just(("a\n\nb", {"summary": raw(SUMMARIES), "content": raw(THOUGHTS)}))
    )
    return ReasoningPart(
        text=text, encrypted=draw(st.none() | WORDS), extra={"id": raw(f"rs_{draw(st.integers(0, 9))}"), **kept}
    )


SEARCHED = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
OPAQUE = st.just(OpaquePart(dialect="openai_responses", kind="web_search_call", raw=raw(SEARCHED)))


ANSWERED = SPOKEN | reasoning() | OPAQUE
NOTED = st.just({}) | st.just({"id": raw("msg_1"), "phase": raw("commentary")})


@st.composite
def assistant_turns(draw, parts=ANSWERED, extras=NOTED):
    """Parts and calls in any order, as models write them."""
    parts = tuple(draw(st.lists(parts, max_size=4)))
    places = sorted(draw(st.lists(st.integers(0, len(parts)), min_size=0 if parts else 1, max_size=3)))
    calls = tuple(
        ToolCall(
            id=draw(NAMES),
            name=draw(NAMES),
            arguments=draw(ARGUMENTS),
            at=None if place == len(parts) else place,
            extra=draw(st.just({}) | st.just({"id": raw("fc_1"), "caller": raw({"type": "direct"})})),
        )
        for place in places
    )
    speaks = any(isinstance(part, TextPart | RefusalPart) for part in parts)
    return Message(role="assistant", parts=parts, tool_calls=calls, extra=draw(extras) if speaks else {})


INNER = st.lists(TEXTS | IMAGES | FILES, min_size=1, max_size=3).map(tuple)
RESULTS = st.builds(
    Message,
    role=st.just("tool"),
    parts=INNER,
    tool_call_id=NAMES,
    extra=st.just({}) | st.just({"id": raw("fco_1")}),
)
OTHERS = st.builds(Message, role=st.sampled_from(["user", "system", "developer"]), parts=INNER)
REFERENCES = st.just(
    Message(
        role="user",
        parts=(
            OpaquePart(
                dialect="openai_responses", kind="item_reference", raw=raw({"type": "item_reference", "id": "x"})
            ),
        ),
    )
)


@st.composite
def conversations(draw):
    """What may follow one another; what the model wrote in one go is one message."""
    system = draw(st.lists(st.builds(Message, role=st.just("system"), parts=st.tuples(TEXTS)), max_size=1))
    placed = []
    for message in draw(st.lists(OTHERS | RESULTS | REFERENCES | assistant_turns(), max_size=6)):
        if not (placed and placed[-1].role == message.role == "assistant"):
            placed.append(message)
    return (*system, *placed)


TOOLS = (
    st.builds(
        Tool,
        name=NAMES,
        description=st.none() | WORDS,
        parameters=st.just(raw({"type": "object", "properties": {}})),
        strict=st.booleans(),
        extra=st.just({}) | st.just({"defer_loading": raw(True)}),
    )
    | st.builds(Tool, name=NAMES, extra=st.just({"strict": raw(None)}))
    | st.just(Tool(name="", hosted="web_search", extra={"search_context_size": raw("low")}))
    | st.just(Tool(name="grep", hosted="custom", extra={"format": raw({"type": "text"})}))
)
CHOICES = st.sampled_from(
    [ToolChoice(mode=mode) for mode in ("auto", "none", "required")] + [ToolChoice(mode="function", name="f")]
)
FORMATS = st.sampled_from([ResponseFormat(type="text"), ResponseFormat(type="json_object")]) | st.builds(
    ResponseFormat,
    type=st.just("json_schema"),
    name=NAMES,
    schema=st.just(raw({"type": "object"})),
    strict=st.none() | st.booleans(),
)
EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "store": st.just(raw(False)),
        "metadata": st.just(raw({"a": "b"})),
        "include": st.just(raw(["reasoning.encrypted_content"])),
        "reasoning": st.just(raw({"summary": "auto"})),
        "text": st.just(raw({"verbosity": "low"})),
        "previous_response_id": st.just(raw("resp_0")),
        "background": st.sampled_from([raw(True), raw(False)]),
    },
)


@st.composite
def chats(draw):
    """Whole requests."""
    stream, extra = draw(st.booleans()), draw(EXTRAS)
    bound = {"previous_response_id"} | ({"background"} if bytes(extra.get("background", b"")) == b"true" else set())
    return Chat(
        model=draw(NAMES),
        messages=draw(conversations()),
        stream=stream,
        include_usage=stream,
        tools=tuple(draw(st.lists(TOOLS, max_size=3))),
        tool_choice=draw(st.none() | CHOICES),
        parallel_tool_calls=draw(st.none() | st.booleans()),
        response_format=draw(st.none() | FORMATS),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        max_output_tokens=draw(st.none() | st.integers(1, 9999)),
        logprobs=draw(st.sampled_from([None, True])),
        top_logprobs=draw(st.none() | st.integers(0, 20)),
        reasoning_effort=draw(st.none() | st.sampled_from(["none", "low", "max"])),
        user=draw(st.none() | WORDS),
        binding=frozenset(bound & extra.keys()),
        extra=extra,
    )


COUNTS = st.integers(0, 10**6)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_5m_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    tool_requests=COUNTS,
)
