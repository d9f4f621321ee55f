"""Conversations and answers that the Anthropic dialect can express, for property tests."""

from __future__ import annotations

import json

import msgspec
from hypothesis import strategies as st

from fairlead.types import (
    CachePoint,
    Chat,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)


def raw(value):
    return msgspec.Raw(msgspec.json.encode(value))


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.text("abcXYZ_09", min_size=1, max_size=8)
CACHES = st.none() | st.builds(CachePoint, ttl=st.sampled_from([None, "5m", "1h"]))
CITED = [{"type": "char_location", "cited_text": "x", "document_index": 0, "start_char_index": 0, "end_char_index": 1}]
OBJECTS = st.dictionaries(WORDS, st.integers(-9, 9) | WORDS | st.booleans() | st.none(), max_size=3)
ARGUMENTS = OBJECTS.map(lambda value: json.dumps(value, ensure_ascii=False))
EXTRAS = st.just({}) | st.just({"x_new": raw([1, {"a": None}])})

TEXTS = st.builds(TextPart, text=WORDS, cache=CACHES, extra=st.just({}) | st.just({"citations": raw(CITED)}))
IMAGES = st.builds(
    ImagePart,
    url=st.sampled_from(["data:image/png;base64,AAAA", "https://example.com/a.png"]),
    cache=CACHES,
    extra=EXTRAS,
) | st.builds(ImagePart, url=st.just(""), file_id=NAMES, cache=CACHES)
DOCUMENTS = st.sampled_from(
    [{"file_id": "f"}, {"file_data": "data:application/pdf;base64,AAAA"}, {"url": "https://x/a.pdf"}, {"text": "hm"}]
).flatmap(
    lambda source: st.builds(
        FilePart,
        **{name: st.just(value) for name, value in source.items()},
        filename=st.none() | NAMES,
        cache=CACHES,
        extra=st.just({}) | st.just({"citations": raw({"enabled": True}), "context": raw("c")}),
    )
)
REASONING = st.builds(ReasoningPart, text=WORDS, signature=WORDS) | st.builds(ReasoningPart, encrypted=WORDS)
SEARCHED = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
OPAQUE = st.just(OpaquePart(dialect="anthropic", kind="server_tool_use", raw=raw(SEARCHED)))


@st.composite
def assistant_turns(draw, parts=TEXTS | REASONING | OPAQUE):
    """Parts and calls in any order, as models write them."""
    parts = tuple(draw(st.lists(parts, max_size=4)))
    places = sorted(draw(st.lists(st.integers(0, len(parts)), max_size=3)))
    calls = tuple(
        ToolCall(
            id=draw(NAMES),
            name=draw(NAMES),
            arguments=draw(ARGUMENTS),
            at=None if place == len(parts) else place,
            cache=draw(CACHES),
            extra=draw(st.just({}) | st.just({"caller": raw({"type": "direct"})})),
        )
        for place in places
    )
    return Message(role="assistant", parts=parts, tool_calls=calls)


INNER = st.lists(TEXTS | IMAGES | DOCUMENTS, max_size=3).map(tuple)
RESULTS = st.builds(
    Message,
    role=st.just("tool"),
    parts=INNER,
    tool_call_id=NAMES,
    is_error=st.none() | st.booleans(),
    cache=CACHES,
    extra=EXTRAS,
)
USERS = st.builds(Message, role=st.just("user"), parts=INNER)


@st.composite
def conversations(draw):
    """What may follow one another in turns, told apart where the neutral form must."""
    system = draw(
        st.lists(st.builds(Message, role=st.just("system"), parts=st.lists(TEXTS, min_size=1).map(tuple)), max_size=1)
    )
    rest = draw(st.lists(USERS | RESULTS | assistant_turns(), min_size=1, max_size=6))
    placed = []
    for message in rest:
        before = placed[-1] if placed else None
        # Two pieces of a user's own within one turn are one message.
        may_join = (
            before is not None and {before.role, message.role} == {"user", "tool"} and before.parts and message.parts
        )
        same = bool(may_join) and draw(st.booleans())
        placed.append(msgspec.structs.replace(message, same_turn=same))
    return (*system, *placed)


TOOLS = st.builds(
    Tool,
    name=NAMES,
    description=st.none() | WORDS,
    parameters=st.just(raw({"type": "object", "properties": {}})),
    strict=st.none() | st.booleans(),
    cache=CACHES,
    extra=st.just({}) | st.just({"type": raw("custom")}) | st.just({"defer_loading": raw(True)}),
) | st.builds(
    Tool,
    name=st.just("web_search"),
    hosted=st.just("web_search_20250305"),
    cache=CACHES,
    extra=st.just({"max_uses": raw(3)}),
)
CHOICES = st.sampled_from(
    [ToolChoice(mode=mode) for mode in ("auto", "required")] + [ToolChoice(mode="function", name="f")]
)
THINKING = st.sampled_from(
    [
        Thinking(mode="enabled", budget_tokens=2048),
        Thinking(mode="disabled"),
        Thinking(mode="adaptive", display="omitted"),
    ]
)


@st.composite
def chats(draw):
    """Whole requests."""
    stream = draw(st.booleans())
    choice = draw(st.none() | CHOICES)
    return Chat(
        model=draw(NAMES),
        messages=draw(conversations()),
        stream=stream,
        include_usage=stream,
        tools=tuple(draw(st.lists(TOOLS, max_size=3))),
        tool_choice=choice,
        parallel_tool_calls=None if choice is None else draw(st.none() | st.booleans()),
        response_format=draw(st.none() | st.just(ResponseFormat(type="json_schema", schema=raw({"type": "object"})))),
        temperature=draw(st.none() | st.floats(0, 1)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(1, 99)),
        max_output_tokens=draw(st.integers(0, 9999)),
        stop=tuple(draw(st.lists(WORDS, max_size=2))),
        reasoning_effort=draw(st.none() | st.sampled_from(["low", "max"])),
        thinking=draw(st.none() | THINKING),
        cache=draw(CACHES),
        user=draw(st.none() | WORDS),
        extra=draw(st.just({}) | st.just({"service_tier": raw("auto"), "container": raw("c"), "speed": raw("fast")})),
    )


COUNTS = st.integers(0, 10**6)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_5m_tokens=COUNTS,
    cache_write_1h_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    tool_requests=COUNTS,
    service_tier=st.sampled_from([None, "standard", "priority", "batch"]),
)
