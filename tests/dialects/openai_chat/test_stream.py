"""Streams of the OpenAI dialect."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from fairlead.dialects.openai_chat import stream
from fairlead.errors import ContextWindowExceeded, FairleadError, UpstreamProtocol, UpstreamUnavailable
from fairlead.types import (
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReport,
)

DONE = b"data: [DONE]\n\n"
COUNTS = {"prompt_tokens": 3, "completion_tokens": 2}


def event(delta=None, *, finish=None, index=0, **fields):
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **fields}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
TEXT = event({"content": 'Grüße 🎈 "usage" and [DONE]'})
STOP = event({}, finish="stop")
USAGE = event(usage=COUNTS)
WHOLE = b": ping\n\n" + ROLE + TEXT + event({"content": "b"}, usage=None) + STOP + USAGE + DONE


def follow(raw, cuts=(), *, forward_usage=True):
    """Feed a stream in pieces; the scanner and all that it let through."""
    scanner = stream.scanner(forward_usage=forward_usage)
    edges = [0, *sorted(cuts), len(raw)]
    out = b"".join(scanner.feed(raw[start:end]) for start, end in pairwise(edges))
    return scanner, out


def decoded(raw, cuts=()):
    decoder = stream.decoder()
    edges = [0, *sorted(cuts), len(raw)]
    events = [found for start, end in pairwise(edges) for found in decoder.feed(raw[start:end])]
    return decoder, events


@pytest.mark.parametrize("forward_usage", [True, False])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_stream_split_at_any_byte_is_the_same(forward_usage, line_end):
    """Output, usage and end do not depend on how the bytes arrived."""
    raw = WHOLE.replace(b"\n", line_end)
    _, whole = follow(raw, forward_usage=forward_usage)
    assert whole == (raw if forward_usage else raw.replace(USAGE.replace(b"\n", line_end), b""))
    for cut in range(len(raw)):
        scanner, out = follow(raw, [cut], forward_usage=forward_usage)
        assert (out, scanner.complete, scanner.content) == (whole, True, True)
        assert scanner.usage == Usage(input_tokens=3, output_tokens=2)


PIECES = st.lists(
    st.sampled_from(
        [
            ROLE,
            TEXT,
            STOP,
            USAGE,
            DONE,
            b": ping\n\n",
            b"\n",
            b"\r\n",
            b"data: x",
            b'data: {"error":{}}\n\n',
            event({"content": "b"}, usage=None),
            b'event: error\ndata: {"message":"sk-1"}\n\n',
            b"event: error\ndata: sk-1\n\n",
        ]
    ),
    max_size=8,
).map(b"".join)


@given(PIECES, st.lists(st.integers(0, 900), max_size=6), st.booleans())
def test_any_stream_in_any_cut_gives_the_same_output(raw, cuts, forward_usage):
    """Also one that is torn, out of order or not a chat at all."""
    cuts = [min(cut, len(raw)) for cut in cuts]
    results = []
    for chosen in ([], cuts, range(len(raw))):
        try:
            scanner, out = follow(raw, chosen, forward_usage=forward_usage)
            results.append((out, scanner.complete, scanner.content, scanner.usage, type(scanner.error)))
        except UpstreamProtocol:
            results.append("protocol")
    assert results[0] == results[1] == results[2]


def test_a_decoded_stream_split_at_any_byte_is_the_same():
    """Multi-byte characters and JSON escapes are never torn."""
    _, whole = decoded(WHOLE)
    assert whole == [
        Started(id="x", model="m", created=1),
        TextDelta(text='Grüße 🎈 "usage" and [DONE]'),
        TextDelta(text="b"),
        Finished(reason="stop"),
        UsageReport(usage=Usage(input_tokens=3, output_tokens=2)),
    ]
    for cut in range(len(WHOLE)):
        decoder, events = decoded(WHOLE, [cut])
        assert (events, decoder.complete) == (whole, True)


@pytest.mark.parametrize("rest", [TEXT, DONE, b'data: {"error":{"message":"late"}}\n\n'])
def test_nothing_counts_after_the_terminator(rest):
    """Content, a second terminator or an error after `[DONE]` is dropped, in one piece or in two."""
    for cuts in ([], [len(WHOLE)]):
        scanner, out = follow(WHOLE + rest, cuts)
        assert (out, scanner.error) == (WHOLE, None)
        assert decoded(WHOLE + rest, cuts)[1] == decoded(WHOLE)[1]


@pytest.mark.parametrize(
    ("delta", "finish", "is_content"),
    [
        ({"role": "assistant", "content": ""}, None, False),
        ({"role": "assistant", "content": None, "refusal": None}, None, False),
        ({}, None, False),
        ({"content": " "}, None, True),
        ({"reasoning_content": "hm"}, None, True),
        ({"reasoning": "hm"}, None, True),
        ({"refusal": "no"}, None, True),
        ({"tool_calls": [{"index": 0}]}, None, True),
        ({"audio": {"data": "AA"}}, None, True),
        ({}, "stop", True),
    ],
)
def test_content_is_what_the_model_says(delta, finish, is_content):
    """A role alone is not; the end of an empty answer is."""
    assert follow(event(delta, finish=finish))[0].content is is_content


def test_a_stream_without_content_has_none():
    """Pings and the terminator alone are an empty stream."""
    scanner, _ = follow(b": ping\n\n" + event() + DONE)
    assert (scanner.content, scanner.complete) == (False, True)


def test_an_error_in_place_of_content_is_not_forwarded():
    """It is mapped, and what follows is dropped."""
    scanner, out = follow(ROLE + b'data: {"error":{"code":"overloaded_error"}}\n\n' + TEXT)
    assert (out, type(scanner.error), scanner.content) == (ROLE, UpstreamUnavailable, False)


def test_a_late_error_is_not_forwarded_either():
    """The gateway writes its own."""
    scanner, out = follow(TEXT + b'data: {"error":{"code":"context_length_exceeded"}}\n\n', [len(TEXT)])
    assert (out, type(scanner.error), scanner.content) == (TEXT, ContextWindowExceeded, True)


def test_an_event_named_error_is_one():
    """Even where its data does not say so, as long as another candidate can still answer."""
    scanner, out = follow(ROLE + b'event: error\ndata: {"message":"x"}\n\n' + TEXT)
    assert (out, type(scanner.error)) == (ROLE, UpstreamUnavailable)


@pytest.mark.parametrize("cuts", [[], [len(TEXT)], [len(TEXT) + 9]])
@pytest.mark.parametrize("data", [b'{"message":"no such key sk-1"}', b"sk-1 is wrong", b"", b'{"a":1}'])
@pytest.mark.parametrize("line", [b"event: error\n", b"event:error\r\n"])
def test_an_event_named_error_is_one_after_content_too(line, data, cuts):
    """Whatever its data is: the provider's own words, an echoed key among them, never reach the caller."""
    scanner, out = follow(TEXT + line + b"data: " + data + b"\n\n" + TEXT, cuts)
    assert (out, type(scanner.error)) == (TEXT, UpstreamUnavailable)


def test_an_event_named_error_in_the_middle_of_a_chunk_is_one():
    """Whole events before it go out, none after it."""
    scanner, _ = follow(TEXT)
    assert scanner.feed(TEXT + b'event: error\ndata: {"m":"sk-1"}\n\n' + TEXT) == TEXT
    assert scanner.error is not None


@pytest.mark.parametrize("before", [b"", TEXT])
@pytest.mark.parametrize(
    ("chunk", "progressed"),
    [
        (TEXT, True),
        (b": ping\n\n" + TEXT, True),
        (TEXT[:40], True),
        (DONE, True),
        (USAGE, True),
        (b": ping\n\n", False),
        (b":\n\n: {}\n\n", False),
        (b": pi", False),
        (b"\n\n", False),
        (b"data:\n\n", False),
        (b"data: \r\n\r\n", False),
        (b"event: ping\ndata: {}\n\n", False),
        (b'event: ping\ndata: {"t', False),
    ],
)
def test_comments_and_pings_are_no_progress(before, chunk, progressed):
    """The clock of content runs on through them (FAULTS S5)."""
    scanner, _ = follow(before)
    scanner.feed(chunk)
    assert scanner.progressed is progressed


def test_nothing_progresses_once_a_stream_is_over():
    """What comes after the end is dropped."""
    scanner, _ = follow(WHOLE)
    scanner.feed(TEXT)
    assert scanner.progressed is False


def test_usage_is_found_wherever_it_stands():
    """Also before the choices, where later events begin in the same way, and next to one that is null."""
    early = event({"content": "a"}).replace(b'"choices"', b'"usage": null, "choices"')
    told = event({"content": "b"}, usage=COUNTS)
    nested = event({"content": "c", "usage": None}, usage=COUNTS)
    for last in (told, nested, told.replace(b'"choices"', b'"x": {"usage":null}, "choices"')):
        scanner, out = follow(early + early + last, [len(early), 2 * len(early)], forward_usage=False)
        assert (out, scanner.usage) == (early + early + last, Usage(input_tokens=3, output_tokens=2))


def test_the_word_error_in_a_text_is_no_error():
    """Keys are looked at, not words."""
    raw = TEXT + event({"content": '{"error": 1}'}) + event({"content": "x"}, error=None)
    scanner, out = follow(raw, [len(TEXT)])
    assert (out, scanner.error) == (raw, None)


def test_a_chunk_with_both_choices_and_usage_passes():
    """Running totals are not taken out; the largest counts until the last word comes."""
    totals = [event({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": n}) for n in (1, 5, 4)]
    raw = b"".join(totals)
    scanner, out = follow(raw, forward_usage=False)
    assert (out, scanner.usage) == (raw, Usage(input_tokens=3, output_tokens=5))
    assert scanner.feed(USAGE) == b""
    assert scanner.usage == Usage(input_tokens=3, output_tokens=2)


def test_explicit_zero_usage_is_known():
    """Zero is not unknown."""
    scanner, _ = follow(TEXT + event(usage={"prompt_tokens": 0, "completion_tokens": 0}))
    assert scanner.usage == Usage()


@pytest.mark.parametrize("raw", [b"data: <html>\n\n", b"data: []\n\n", b"data: null\n\n"])
def test_a_first_event_that_is_no_object_is_a_broken_protocol(raw):
    """Nothing has gone out yet, so that another candidate can answer."""
    with pytest.raises(UpstreamProtocol):
        follow(raw)
    with pytest.raises(UpstreamProtocol):
        decoded(raw)


@pytest.mark.parametrize("raw", [b"data: " + b"x" * 5_000_000, b"data: x\n" * 700_000])
def test_an_endless_event_is_refused(raw):
    """Memory stays bounded."""
    with pytest.raises(UpstreamProtocol):
        follow(raw, range(0, len(raw), 262_144))


def test_a_lone_surrogate_does_not_end_a_stream():
    """It becomes U+FFFD in the neutral form and passes a relay untouched."""
    raw = b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud800b"}}]}\n\n'
    assert follow(raw)[1] == raw
    assert decoded(raw)[1][1] == TextDelta(text="a\ufffdb")


def test_broken_utf8_does_not_end_a_stream():
    """It becomes U+FFFD in the neutral form."""
    assert decoded(b'data: {"choices":[{"index":0,"delta":{"content":"a\xffb"}}]}\n\n')[1][1].text == "a\ufffdb"


def test_interleaved_tool_calls_keep_their_index():
    """Two parallel calls in pieces, one of them after a gap in the numbering."""
    calls = [
        {"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 2, "id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 2, "function": {"arguments": "{}"}},
        {"index": 0, "function": {"arguments": ":1}"}},
    ]
    raw = b"".join(event({"tool_calls": [call]}) for call in calls)
    pieces = [found for found in decoded(raw)[1] if isinstance(found, ToolCallDelta)]
    assert "".join(piece.arguments for piece in pieces if piece.index == 0) == '{"a":1}'
    assert [(piece.id, piece.name) for piece in pieces[:2]] == [("c0", "f"), ("c2", "g")]
    assert stream.text(raw) == '{"a"{}:1}'


def test_odd_events_are_passed_over():
    """Unknown fields, event names and shapes are no reason to fail."""
    raw = event({"content": "a", "x": 1}) + b'event: new\ndata: {"choices":[3,{"delta":4}]}\n\n' + b"data:\n\n"
    assert [type(found) for found in decoded(raw)[1]] == [Started, TextDelta]


def test_an_error_does_not_swallow_what_came_before_it():
    """Events in the same bytes are given back first, then the error is raised."""
    decoder = stream.decoder()
    assert decoder.feed(TEXT + b'data: {"error":{"message":"x"}}\n\n')[1] == TextDelta(
        text='Grüße 🎈 "usage" and [DONE]'
    )
    assert decoder.error is not None
    with pytest.raises(UpstreamUnavailable):
        decoder.feed(b"")


def test_an_error_before_content_is_raised_at_once():
    """The caller can still choose another candidate."""
    with pytest.raises(UpstreamUnavailable):
        decoded(ROLE + b'data: {"error":{"message":"x"}}\n\n')


def test_text_of_a_torn_stream_is_what_was_whole():
    """Reasoning, text, refusals and arguments count; a torn event does not."""
    raw = event({"reasoning_content": "r"}) + event({"content": "c", "refusal": "n"}) + TEXT[:-5]
    assert stream.text(raw) == "rcn"


@given(st.binary(max_size=80))
def test_text_never_fails(raw):
    """Whatever a stream was."""
    assert isinstance(stream.text(b"data: " + raw + b"\n\n"), str)


EVENTS = [
    Started(id="x", model="m", created=1),
    ReasoningDelta(text="hm"),
    TextDelta(text="ü"),
    TextDelta(text="b", choice=1),
    RefusalDelta(text="no", choice=1),
    ToolCallDelta(index=0, id="c", name="f"),
    ToolCallDelta(index=0, arguments='{"a":1}'),
    Finished(reason="tool_calls"),
    Finished(reason="stop", choice=1),
    UsageReport(usage=Usage(input_tokens=3, output_tokens=2)),
]


def encoded(*, include_usage):
    encoder = stream.encoder(include_usage=include_usage)
    return b"".join(encoder.encode(found) for found in EVENTS) + encoder.end()


def test_events_survive_the_way_out_and_back():
    """Encoder and decoder are inverse."""
    decoder, events = decoded(encoded(include_usage=True))
    assert events == EVENTS
    assert decoder.complete


@pytest.mark.parametrize("include_usage", [True, False])
def test_the_official_sdk_reads_every_chunk(include_usage):
    """Each chunk is valid; with usage each carries null, and the last one has no choices."""
    *frames, last, tail = encoded(include_usage=include_usage).split(b"\n\n")
    assert (last, tail) == (b"data: [DONE]", b"")
    bodies = [json.loads(frame.removeprefix(b"data: ")) for frame in frames]
    for body in bodies:
        assert ChatCompletionChunk.model_validate(body).model_extra == {}
        assert ("usage" in body) is include_usage
    if include_usage:
        assert bodies[-1]["choices"] == []
        assert bodies[-1]["usage"]["total_tokens"] == 5
        assert all(body["usage"] is None for body in bodies[:-1])


def test_every_choice_begins_with_its_role():
    """As OpenAI does it."""
    bodies = [json.loads(frame[6:]) for frame in encoded(include_usage=False).split(b"\n\n")[:-2]]
    firsts = {}
    for body in bodies:
        choice = body["choices"][0]
        firsts.setdefault(choice["index"], choice["delta"].get("role"))
    assert firsts == {0: "assistant", 1: "assistant"}


def test_hostile_streams_raise_only_our_errors():
    """Deep nesting and huge numbers are a broken protocol."""
    for data in (b"[" * 100_000, b'{"choices":' + b"[" * 5_000, b'{"a":1e999}'):
        with pytest.raises(FairleadError):
            follow(b"data: " + data + b"\n\n")


def called(*calls):
    """The calls that a decoder makes of chunks with these pieces: each one's id, name and arguments."""
    found = {}
    decoder = stream.decoder()
    for call in calls:
        for event in decoder.feed(
            b"data: " + json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}).encode() + b"\n\n"
        ):
            if isinstance(event, ToolCallDelta):
                told = found.setdefault(event.index, [event.id, event.name, ""])
                told[2] += event.arguments
    return list(found.values())


@pytest.mark.parametrize("index", [{}, {"index": 0}])
def test_calls_of_one_index_are_told_apart_by_their_ids(index):
    """As servers write them that number no calls; a piece without an id belongs to the last one."""
    assert called(
        {**index, "id": "a", "function": {"name": "f", "arguments": '{"x":'}},
        {**index, "function": {"arguments": "1}"}},
        {**index, "id": "b", "function": {"name": "f", "arguments": "{}"}},
        {"index": 1, "id": "c", "function": {"name": "g", "arguments": "{}"}},
    ) == [["a", "f", '{"x":1}'], ["b", "f", "{}"], ["c", "g", "{}"]]


def test_an_id_alone_is_no_new_call():
    """Some servers make one up for each piece, and others say name and id again with each."""
    assert called(
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
        {"index": 0, "id": "other", "function": {"arguments": '"x":'}},
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "1}"}},
    ) == [["a", "f", '{"x":1}']]
