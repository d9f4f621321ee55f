"""Conversations and answers that the Gemini dialect can express, for property tests."""

from __future__ import annotations

import json

import msgspec
from hypothesis import strategies as st

from fairlead.types import (
    AudioPart,
    Chat,
    ChatReply,
    Choice,
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
SOME_WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
NAMES = st.text("abcXYZ_09", min_size=1, max_size=8)
SIGNATURES = st.sampled_from(["c2lnbmVk", "AA-_", "AA+/"])
SIGNED = st.just({}) | SIGNATURES.map(lambda value: {"thoughtSignature": raw(value)})
OBJECTS = st.dictionaries(WORDS, st.integers(-9, 9) | WORDS | st.booleans() | st.none(), max_size=3)
ARGUMENTS = OBJECTS.map(lambda value: json.dumps(value, ensure_ascii=False))

TEXTS = st.builds(TextPart, text=WORDS, extra=SIGNED | st.just({"partMetadata": raw({"a": [1]})}))
IMAGES = st.builds(
    ImagePart,
    url=st.sampled_from(["data:image/png;base64,AAAA", "https://example.com/a.png"]),
    extra=SIGNED | st.just({"mediaResolution": raw({"level": "MEDIA_RESOLUTION_LOW"})}),
) | st.builds(
    ImagePart,
    url=st.just(""),
    file_id=st.just("gs://bucket/a"),
    extra=st.just({"fileData": raw({"mimeType": "image/webp"})}),
)
FILES = st.sampled_from(
    [
        {"file_data": "data:application/pdf;base64,AAAA"},
        {"file_data": "data:video/mp4;base64,AAAA"},
        {"file_id": "https://generativelanguage.googleapis.com/v1beta/files/abc"},
        {"url": "https://x/a.pdf"},
        {"url": "https://x/a"},
        {"text": "hm"},
    ]
).map(lambda source: FilePart(**source))
SOUNDS = st.builds(AudioPart, data=st.just("AAAA"), format=st.sampled_from(["wav", "mp3", "ogg"]))
MEDIA = IMAGES | FILES | SOUNDS
REASONING = st.builds(ReasoningPart, text=SOME_WORDS, signature=st.none() | SIGNATURES)
RAN = {"executableCode": {"language": "PYTHON", "code": "1"}}
OPAQUE = st.just(OpaquePart(dialect="gemini", kind="executableCode", raw=raw(RAN)))


@st.composite
def model_turns(draw, parts=TEXTS | REASONING | OPAQUE | IMAGES):
    """Parts and calls in any order, as models write them."""
    parts = tuple(draw(st.lists(parts, max_size=4)))
    places = sorted(draw(st.lists(st.integers(0, len(parts)), max_size=3)))
    calls = tuple(
        ToolCall(
            id=f"{draw(NAMES)}{number}",
            name=draw(NAMES),
            arguments=draw(ARGUMENTS),
            at=None if place == len(parts) else place,
            extra=draw(SIGNED),
        )
        for number, place in enumerate(places)
    )
    return Message(role="assistant", parts=parts, tool_calls=calls)


INNER = st.lists(TEXTS | MEDIA, max_size=3).map(tuple)
USERS = st.builds(Message, role=st.just("user"), parts=INNER)
SAID = WORDS.filter(lambda text: not text.lstrip().startswith("{")) | OBJECTS.filter(
    lambda value: value and not {"output", "error"} & value.keys()
).map(lambda value: json.dumps(value, ensure_ascii=False))


@st.composite
def results(draw):
    """The result of a function that nobody in the conversation has called, so that it says its name."""
    text = (TextPart(text=draw(SAID)),) if draw(st.booleans()) else ()
    # What a function shows is nobody's thought: nothing signs it.
    media = tuple(draw(st.lists(IMAGES.filter(lambda part: "thoughtSignature" not in part.extra) | FILES, max_size=2)))
    return Message(
        role="tool",
        parts=(*text, *media),
        name=draw(NAMES),
        tool_call_id=f"result-{draw(NAMES)}",
        is_error=draw(st.none() | st.just(True)) if text else None,
        extra=draw(st.just({}) | st.just({"functionResponse": raw({"scheduling": "SILENT"})})),
    )


@st.composite
def conversations(draw):
    """What may follow one another in turns, told apart where the neutral form must."""
    system = draw(
        st.lists(st.builds(Message, role=st.just("system"), parts=st.lists(TEXTS, min_size=1).map(tuple)), max_size=1)
    )
    rest = draw(st.lists(USERS | results() | model_turns(), min_size=1, max_size=6))
    placed = []
    for message in rest:
        before = placed[-1] if placed else None
        # Two pieces of a user's own within one turn are one message.
        may_join = before is not None and {before.role, message.role} == {"user", "tool"}
        may_join = may_join and all(each.parts for each in (before, message) if each.role == "user")
        placed.append(msgspec.structs.replace(message, same_turn=bool(may_join) and draw(st.booleans())))
    return (*system, *placed)


FUNCTIONS = st.builds(
    Tool,
    name=NAMES,
    description=st.none() | WORDS,
    parameters=st.none() | st.just(raw({"type": "object", "properties": {}})),
    extra=st.just({}) | st.just({"behavior": raw("BLOCKING")}),
)
HOSTED = st.sampled_from([{"googleSearch": raw({})}, {"codeExecution": raw({})}, {"urlContext": raw({})}]).map(
    lambda extra: Tool(name="", hosted=next(iter(extra)), extra=extra)
)
CHOICES = st.sampled_from(
    [ToolChoice(mode=mode) for mode in ("auto", "none", "required")] + [ToolChoice(mode="function", name="f")]
)
THINKING = st.sampled_from(
    [
        (None, None),
        (None, "low"),
        (None, "high"),
        (Thinking(mode="enabled", budget_tokens=2048), None),
        (Thinking(mode="disabled"), None),
        (Thinking(mode="adaptive"), None),
        (Thinking(mode="adaptive", display="summarized"), "medium"),
        (Thinking(mode="enabled", budget_tokens=1, display="omitted"), None),
    ]
)
FORMATS = st.sampled_from(
    [
        None,
        ResponseFormat(type="text"),
        ResponseFormat(type="json_object"),
        ResponseFormat(type="json_schema", schema=raw({"type": "object"})),
    ]
)


@st.composite
def chats(draw):
    """Whole requests."""
    stream = draw(st.booleans())
    thinking, effort = draw(THINKING)
    extra = draw(
        st.just({})
        | st.just(
            {
                "cachedContent": raw("cachedContents/x"),
                "generationConfig": raw({"mediaResolution": "MEDIA_RESOLUTION_LOW"}),
            }
        )
        | st.just({"safetySettings": raw([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}])})
    )
    return Chat(
        model=draw(NAMES),
        messages=draw(conversations()),
        stream=stream,
        include_usage=stream,
        tools=(*draw(st.lists(FUNCTIONS, max_size=2)), *draw(st.lists(HOSTED, max_size=2))),
        tool_choice=draw(st.none() | CHOICES),
        response_format=draw(FORMATS),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(1, 99)),
        max_output_tokens=draw(st.none() | st.integers(0, 9999)),
        n=draw(st.none() | st.integers(1, 8)),
        stop=tuple(draw(st.lists(WORDS, max_size=2))),
        seed=draw(st.none() | st.integers(-9, 9)),
        presence_penalty=draw(st.none() | st.floats(-2, 2)),
        frequency_penalty=draw(st.none() | st.floats(-2, 2)),
        logprobs=draw(st.none() | st.booleans()),
        top_logprobs=draw(st.none() | st.integers(0, 5)),
        reasoning_effort=effort,
        thinking=thinking,
        binding=frozenset({"cachedContent"} & extra.keys()),
        extra=extra,
    )


COUNTS = st.integers(0, 10**6)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    audio_input_tokens=COUNTS,
    audio_output_tokens=COUNTS,
    image_input_tokens=COUNTS,
    image_output_tokens=COUNTS,
    service_tier=st.sampled_from([None, "priority", "flex"]),
)
LOGPROBS = {
    "content": [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": list("é".encode()),
            "top_logprobs": [{"token": "é", "logprob": -0.5, "bytes": list("é".encode())}],
        }
    ],
    "refusal": None,
}


@st.composite
def replies(draw):
    """Whole answers."""
    choices = []
    for index in range(draw(st.integers(1, 3))):
        message = draw(model_turns())
        ends = ["length", "content_filter", "tool_calls" if message.tool_calls else "stop"]
        extra = draw(st.just({}) | st.just({"avgLogprobs": raw(-0.25)}) | st.just({"finishMessage": raw("so")}))
        choices.append(
            Choice(
                index=index,
                message=msgspec.structs.replace(message, extra=extra),
                finish_reason=draw(st.sampled_from(ends)),
                logprobs=draw(st.none() | st.just(raw(LOGPROBS))),
            )
        )
    return ChatReply(
        id=draw(NAMES),
        model=draw(NAMES),
        created=0,
        choices=tuple(choices),
        usage=draw(st.none() | USAGES),
        extra=draw(st.just({}) | st.just({"modelStatus": {"modelStage": "STABLE"}})),
    )
