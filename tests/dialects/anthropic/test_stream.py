"""Streams of the Anthropic dialect."""

from __future__ import annotations

import json
from itertools import pairwise

import anthropic
import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_generated import raw
from anthropic_official import check_events
from fairlead.dialects.anthropic import errors, stream
from fairlead.dialects.openai_chat import stream as openai_stream
from fairlead.errors import ContextWindowExceeded, FairleadError, UpstreamProtocol, UpstreamUnavailable
from fairlead.types import (
    Finished,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReport,
)


def event(kind, **fields):
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def block(index, **fields):
    return event("content_block_start", index=index, content_block=fields)


def delta(index, kind, **fields):
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index):
    return event("content_block_stop", index=index)


def start(**usage):
    counts = {"input_tokens": 25, "output_tokens": 1, **usage}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counts,
    }
    return event("message_start", message=message)


def ended(reason="end_turn", **usage):
    return event(
        "message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 15, **usage}
    )


START = start(cache_read_input_tokens=7)
PING = event("ping")
TEXT = delta(0, "text_delta", text='Grüße 🎈 "usage", error, message_stop\r\n\n')
END = event("message_stop")
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "sk-1 Overloaded"})
WHOLE = b"".join(
    [
        START,
        block(0, type="text", text=""),
        PING,
        b": comment\n\n",
        TEXT,
        delta(0, "text_delta", text="b"),
        stop(0),
        block(1, type="tool_use", id="toolu_1", name="f", input={}),
        delta(1, "input_json_delta", partial_json=""),
        delta(1, "input_json_delta", partial_json='{"a":'),
        delta(1, "input_json_delta", partial_json="1}"),
        stop(1),
        ended("tool_use"),
        END,
    ]
)
TOTAL = Usage(input_tokens=25, cache_read_tokens=7, output_tokens=15)
EVENTS = [
    Started(id="msg_1", model="claude-x", created=0, usage=Usage(input_tokens=25, cache_read_tokens=7)),
    TextDelta(text="", part=0),
    TextDelta(text='Grüße 🎈 "usage", error, message_stop\r\n\n', part=0),
    TextDelta(text="b", part=0),
    ToolCallDelta(index=0, id="toolu_1", name="f"),
    ToolCallDelta(index=0, arguments='{"a":'),
    ToolCallDelta(index=0, arguments="1}"),
    Finished(reason="tool_calls"),
    UsageReport(usage=TOTAL),
]


def follow(source, cuts=()):
    """Feed a stream in pieces; the scanner and all that it let through."""
    scanner = stream.scanner(forward_usage=True)
    edges = [0, *sorted(cuts), len(source)]
    out = b"".join(scanner.feed(source[begin:end]) for begin, end in pairwise(edges))
    return scanner, out


def decoded(source, cuts=()):
    decoder = stream.decoder()
    edges = [0, *sorted(cuts), len(source)]
    events = [found for begin, end in pairwise(edges) for found in decoder.feed(source[begin:end])]
    return decoder, events


def encoded(events):
    encoder = stream.encoder(include_usage=True)
    return b"".join(encoder.encode(each) for each in events) + encoder.end()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_stream_split_at_any_byte_is_the_same(line_end):
    """Output, usage and end do not depend on how the bytes arrived (FAULTS S7, S8)."""
    source = WHOLE.replace(b"\n", line_end)
    for cut in range(len(source)):
        scanner, out = follow(source, [cut])
        assert (out, scanner.complete, scanner.content, scanner.error) == (source, True, True, None)
        assert scanner.usage == TOTAL


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_decoded_stream_split_at_any_byte_is_the_same(line_end):
    """Multi-byte characters and JSON escapes are never torn."""
    source = b"\xef\xbb\xbf" + WHOLE.replace(b"\n", line_end)
    for cut in range(len(source)):
        decoder, events = decoded(source, [cut])
        assert (events, decoder.complete) == (EVENTS, True)


PIECES = st.lists(
    st.sampled_from(
        [
            START,
            TEXT,
            block(1, type="redacted_thinking", data="x"),
            ended(),
            END,
            PING,
            OVERLOADED,
            b"\n",
            b"\r\n",
            b"data: x",
            b": c\n\n",
            b"event: error\ndata: sk-1\n\n",
            b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n',
            b'event: content_block_delta\ndata: {"type":"error"}\n\n',
            b'event:content_block_delta\ndata:{"type":\ndata:"content_block_delta"}\n\n',
        ]
    ),
    max_size=8,
).map(b"".join)


@given(PIECES, st.lists(st.integers(0, 900), max_size=6))
def test_any_stream_in_any_cut_gives_the_same(source, cuts):
    """Also one that is torn, out of order or not a message at all."""
    cuts = [min(cut, len(source)) for cut in cuts]
    scanned, read = [], []
    for chosen in ([], cuts, range(len(source))):
        try:
            scanner, out = follow(source, chosen)
            scanned.append((out, scanner.complete, scanner.content, scanner.usage, type(scanner.error)))
        except UpstreamProtocol:
            scanned.append("protocol")
        decoder, events = stream.decoder(), []
        failed = None
        for begin, end in pairwise([0, *sorted(chosen), len(source)]):
            try:
                events += decoder.feed(source[begin:end])
            except FairleadError as error:
                failed = type(error)
                break
        # An error behind content is raised by the next call, which a stream that ends here does not make.
        failed = failed or (type(decoder.error) if decoder.error is not None else None)
        said = [each for each in events if not isinstance(each, Started | UsageReport)]
        read.append((said, decoder.complete, failed))
    assert scanned[0] == scanned[1] == scanned[2]
    assert read[0] == read[1] == read[2]


@pytest.mark.parametrize("rest", [TEXT, END, OVERLOADED])
def test_nothing_counts_after_the_terminator(rest):
    """In one piece or in two (FAULTS S23)."""
    for cuts in ([], [len(WHOLE)]):
        scanner, out = follow(WHOLE + rest, cuts)
        assert (out, scanner.error) == (WHOLE, None)
        assert decoded(WHOLE + rest, cuts)[1] == EVENTS


@pytest.mark.parametrize(
    ("piece", "is_content"),
    [
        (START, False),
        (PING, False),
        (block(0, type="text", text=""), False),
        (block(0, type="text", text="x"), True),
        (block(0, type="thinking", thinking="", signature=""), False),
        (block(0, type="redacted_thinking", data="x"), True),
        (block(0, type="tool_use", id="t", name="f", input={}), True),
        (block(0, type="server_tool_use", id="t", name="f", input={}), True),
        (delta(0, "text_delta", text=""), False),
        (delta(0, "text_delta", text=" "), True),
        (delta(0, "thinking_delta", thinking="hm"), True),
        (delta(0, "signature_delta", signature="s"), True),
        (delta(0, "input_json_delta", partial_json="{"), True),
        (stop(0), False),
        (ended(), True),
        (ended(None), False),
        (event("invented"), False),
        (END, False),
    ],
)
def test_content_is_what_the_model_says(piece, is_content):
    """The beginning of a text is not; the end of an empty answer is."""
    assert follow(piece)[0].content is is_content


def test_a_piece_of_content_flows_once_the_first_was_seen():
    """Undecoded, as long as it is nothing else; what is held back, or an end, stops that."""
    scanner, _ = follow(START)
    assert not scanner.flows(TEXT)
    scanner.feed(TEXT)
    assert scanner.flows(TEXT)
    assert scanner.flows(TEXT + TEXT)
    for odd in (TEXT[:-1], TEXT + PING, PING, ended(), OVERLOADED, TEXT.replace(b"\n", b"\r\n"), TEXT + OVERLOADED):
        assert not scanner.flows(odd)
    assert scanner.feed(TEXT) == TEXT
    assert scanner.progressed
    scanner.feed(TEXT[:5])
    assert not scanner.flows(TEXT)
    scanner.feed(TEXT[5:] + END)
    assert not scanner.flows(TEXT)


@pytest.mark.parametrize("before", [b"", START, START + TEXT])
@pytest.mark.parametrize("name", [b"event: error\n", b"event:error\r\n"])
@pytest.mark.parametrize("data", [b'{"message":"sk-1"}', b"sk-1", b"", b'{"type":"content_block_delta"}'])
def test_an_event_named_error_is_one(before, name, data):
    """Whatever its data is: the provider's own words never reach the caller."""
    scanner, out = follow(before + name + b"data: " + data + b"\n\n" + TEXT, [len(before)])
    assert (out, type(scanner.error)) == (before, UpstreamUnavailable)


@pytest.mark.parametrize("before", [START, START + TEXT])
@pytest.mark.parametrize("line", [b"", b"event: content_block_stop\n"])
def test_an_error_by_another_name_is_one_too(before, line):
    """Its data says so."""
    source = b'data: {"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}}\n\n'
    scanner, out = follow(before + line + source, [len(before)])
    assert (out, type(scanner.error)) == (before, ContextWindowExceeded)
    decoder, _ = decoded(START + TEXT + line + source)
    assert isinstance(decoder.error, ContextWindowExceeded)


@pytest.mark.parametrize(
    ("chunk", "progressed"),
    [
        (TEXT, True),
        (PING + TEXT, True),
        (TEXT[:60], True),
        (END, True),
        (PING, False),
        (b": ping\n\n", False),
        (b"event: pi", False),
        (b"event: ping\ndata: {", False),
        (b"\n\n", False),
    ],
)
def test_comments_and_pings_are_no_progress(chunk, progressed):
    """The clock of content runs on through them (FAULTS S5)."""
    scanner, _ = follow(START + TEXT)
    scanner.feed(chunk)
    assert scanner.progressed is progressed


@pytest.mark.parametrize(
    ("source", "usage", "prompt"),
    [
        (START + TEXT, None, Usage(input_tokens=25, cache_read_tokens=7)),
        (START + TEXT + ended(), TOTAL, Usage(input_tokens=25, cache_read_tokens=7)),
        (
            START + ended() + ended(None, input_tokens=30),
            Usage(input_tokens=30, cache_read_tokens=7, output_tokens=15),
            0,
        ),
        (START + event("message_delta", delta={"stop_reason": "end_turn"}, usage=None), None, 0),
        (TEXT + ended(), Usage(output_tokens=15), None),
        (start(input_tokens=0, output_tokens=0) + ended(output_tokens=0), Usage(), Usage()),
        (event("message_start", message={"id": "x"}) + TEXT, None, None),
        (
            start(cache_creation={"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2})
            + ended(cache_creation_input_tokens=3, server_tool_use={"web_search_requests": 1, "web_fetch_requests": 0}),
            Usage(
                input_tokens=25,
                cache_write_5m_tokens=1,
                cache_write_1h_tokens=2,
                output_tokens=15,
                tool_requests=1,
            ),
            0,
        ),
    ],
)
def test_usage_is_what_the_last_event_makes_of_it(source, usage, prompt):
    """The output counted at the beginning is a placeholder: until there is more, only the prompt's cost is known
    (FAULTS S11, S12)."""
    scanner, _ = follow(source)
    assert scanner.usage == usage
    if prompt != 0:
        assert scanner.prompt == prompt


@pytest.mark.parametrize("source", [b"data: <html>\n\n", b"data: []\n\n", b"event: x\ndata: null\n\n"])
def test_a_first_event_that_is_no_object_is_a_broken_protocol(source):
    """Nothing has gone out yet, so that another candidate can answer."""
    with pytest.raises(UpstreamProtocol):
        follow(source)
    with pytest.raises(UpstreamProtocol):
        decoded(source)


@pytest.mark.parametrize("source", [b"data: " + b"x" * 5_000_000, b"data: x\n" * 700_000])
def test_an_endless_event_is_refused(source):
    """Memory stays bounded (FAULTS S9)."""
    for feed in (follow, decoded):
        with pytest.raises(UpstreamProtocol):
            feed(source, range(0, len(source), 262_144))


@pytest.mark.parametrize("torn", [b"a\\ud800b", b"a\xffb"])
def test_torn_text_does_not_end_a_stream(torn):
    """It becomes U+FFFD in the neutral form and passes a relay untouched (FAULTS S10)."""
    source = delta(0, "text_delta", text="TORN").replace(b"TORN", torn)
    assert follow(source)[1] == source
    assert decoded(source)[1] == [TextDelta(text="a\ufffdb", part=0)]


def test_an_error_does_not_swallow_what_came_before_it():
    """Events in the same bytes are given back first, then the error is raised; before any content it is raised at once."""
    decoder = stream.decoder()
    assert len(decoder.feed(START + TEXT + OVERLOADED)) == 2
    with pytest.raises(UpstreamUnavailable):
        decoder.feed(b"")
    with pytest.raises(UpstreamUnavailable):
        decoded(START + OVERLOADED)


def test_text_of_a_torn_stream_is_what_was_whole():
    """Thinking, text and arguments count; a torn event does not."""
    source = (
        START
        + block(0, type="text", text="0")
        + delta(0, "thinking_delta", thinking="r")
        + delta(0, "text_delta", text="c")
        + delta(1, "input_json_delta", partial_json="{}")
    )
    assert stream.text(source + TEXT[:-5]) == "0rc{}"


@given(st.binary(max_size=80))
def test_text_never_fails(source):
    """Whatever a stream was."""
    assert isinstance(stream.text(b"data: " + source + b"\n\n"), str)
    assert isinstance(stream.text(source), str)


CITATION = {
    "type": "char_location",
    "cited_text": "x",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 1,
}
RICH = b"".join(
    [
        start(service_tier="standard", speed="fast", cache_creation_input_tokens=0, cache_read_input_tokens=0),
        block(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="s=="),
        stop(0),
        block(1, type="redacted_thinking", data="x"),
        stop(1),
        block(2, type="server_tool_use", id="srv", name="web_search", input={}),
        delta(2, "input_json_delta", partial_json='{"query":"q"}'),
        stop(2),
        block(3, type="web_search_tool_result", tool_use_id="srv", content=[]),
        stop(3),
        block(4, type="text", text=""),
        delta(4, "citations_delta", citation=CITATION),
        delta(4, "text_delta", text="a"),
        stop(4),
        block(5, type="text", text=""),
        delta(5, "text_delta", text="b"),
        stop(5),
        block(6, type="tool_use", id="t1", name="f", input={}, caller={"type": "direct"}),
        delta(6, "input_json_delta", partial_json='{"a":1}'),
        stop(6),
        block(7, type="tool_use", id="t2", name="f", input={}),
        delta(7, "input_json_delta", partial_json="{}"),
        stop(7),
        event(
            "message_delta",
            delta={"stop_reason": "stop_sequence", "stop_sequence": "x"},
            usage={
                "input_tokens": 25,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 9,
                "output_tokens_details": {"thinking_tokens": 4},
            },
        ),
        END,
    ]
)


def test_a_stream_survives_the_way_through_the_neutral_form():
    """Blocks in their order, signatures, citations, tools of the provider, the reason and the counts."""
    decoder, events = decoded(RICH)
    assert decoder.complete
    out = encoded(events)
    check_events(out)
    bodies = [[json.loads(part.split(b"data: ")[1]) for part in each.split(b"\n\n")[:-1]] for each in (RICH, out)]
    first, again = bodies[0].pop(0), bodies[1].pop(0)
    assert bodies[0] == bodies[1]
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    first["message"]["usage"] |= {"output_tokens": 0, "cache_creation": split}
    assert first == again
    assert decoded(out)[1] == events


BLOCKS = {
    "text": [{"type": "text", "text": ""}, {"type": "text_delta", "text": "a"}, {"type": "text_delta", "text": "é"}],
    "cited": [{"type": "text", "text": ""}, {"type": "citations_delta", "citation": CITATION}],
    "silent": [{"type": "text", "text": ""}],
    "thinking": [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "s"},
    ],
    "omitted": [{"type": "thinking", "thinking": "", "signature": ""}, {"type": "signature_delta", "signature": "s"}],
    "sealed": [{"type": "redacted_thinking", "data": "x"}],
    "call": [
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"a"'},
        {"type": "input_json_delta", "partial_json": ":1}"},
    ],
    "bare": [{"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}}],
    "hosted": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": "{}"},
    ],
    "found": [{"type": "web_search_tool_result", "tool_use_id": "s", "content": []}],
}
"""The beginning of a block, and its pieces."""


@given(st.lists(st.sampled_from(sorted(BLOCKS)), max_size=6), st.integers(0, 4000))
def test_any_blocks_survive_the_way_through_the_neutral_form(names, cut):
    """In any order, event for event; a call without arguments gets the empty object that it means."""
    source = [START]
    for index, name in enumerate(names):
        first, *pieces = BLOCKS[name]
        source.append(block(index, **first))
        source += [event("content_block_delta", index=index, delta=piece) for piece in pieces]
        source.append(stop(index))
    called = not {"call", "bare"}.isdisjoint(names)
    whole = b"".join([*source, ended("tool_use" if called else "end_turn"), END])
    events = decoded(whole, [min(cut, len(whole))])[1]
    out = encoded(events)
    check_events(out)
    assert decoded(out)[1] == events
    frames = [[frame for frame in each.split(b"\n\n") if b"content_block" in frame] for each in (whole, out)]
    if "bare" in names:
        frames = [[frame for frame in each if b'"{}"' not in frame] for each in frames]
    assert frames[0] == frames[1]


def test_a_call_without_arguments_has_an_empty_object():
    """As soon as its block ends, so that it is JSON everywhere."""
    source = (
        START + block(0, type="tool_use", id="t", name="f", input={}) + delta(0, "input_json_delta", partial_json="")
    )
    assert decoded(source + stop(0))[1][1:] == [
        ToolCallDelta(index=0, id="t", name="f"),
        ToolCallDelta(index=0, arguments="{}"),
    ]
    given = block(0, type="tool_use", id="t", name="f", input={"a": 1}) + stop(0)
    assert decoded(START + given)[1][1:] == [ToolCallDelta(index=0, id="t", name="f", arguments='{"a":1}')]


def test_an_event_that_nobody_knows_yet_goes_through():
    """New ones may come at any time."""
    source = event("invented", x=[1])
    assert decoded(source)[1] == [
        OpaqueDelta(dialect="anthropic", kind="invented", raw=raw({"type": "invented", "x": [1]}))
    ]
    assert source in encoded(decoded(source)[1])


def test_odd_events_are_passed_over():
    """Shapes that say nothing are no reason to fail."""
    odd = (
        event("content_block_delta", index="x")
        + event("message_delta", delta=3)
        + b"event: x\ndata:\n\n"
        + b"data: {}\n\n"
    )
    assert [type(each) for each in decoded(START + odd)[1]] == [Started, OpaqueDelta]
    assert follow(START + odd)[1] == START + odd


PLAIN = [
    Started(id="x", model="m", created=1),
    ReasoningDelta(text="hm"),
    TextDelta(text="ü"),
    TextDelta(text="other", choice=1),
    RefusalDelta(text="no"),
    ToolCallDelta(index=0, id="c", name="f"),
    ToolCallDelta(index=0, arguments='{"a":1}'),
    ToolCallDelta(index=1, id="d", name="g", arguments="{}"),
    Finished(reason="stop"),
    UsageReport(usage=Usage(input_tokens=3, output_tokens=2, service_tier="default")),
]


def read_by_the_sdk(source):
    """What the official client's stream helper makes of it."""
    response = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=source)
    client = anthropic.Anthropic(
        api_key="k", max_retries=0, http_client=httpx2.Client(transport=httpx2.MockTransport(lambda _: response))
    )
    with client.messages.stream(model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}]) as found:
        return found.get_final_message()


def test_events_of_another_dialect_become_a_message():
    """Every event is valid, a block follows the other, and the official client puts it together."""
    out = encoded(PLAIN)
    kinds = [each.type.removeprefix("content_block_") for each in check_events(out)]
    assert kinds == [
        "message_start",
        *("start", "delta", "stop"),
        *("start", "delta", "delta", "stop"),
        *("start", "delta", "stop") * 2,
        "message_delta",
        "message_stop",
    ]
    message = read_by_the_sdk(out)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert (message.content[1].text, message.content[2].input, message.content[3].input) == ("üno", {"a": 1}, {})
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 3, 2)


def test_the_official_client_reads_what_it_wrote_first():
    """A stream of Anthropic's own, after the way through the neutral form."""
    message, again = read_by_the_sdk(RICH), read_by_the_sdk(encoded(decoded(RICH)[1]))
    assert again.content == message.content
    assert (again.stop_reason, again.stop_sequence) == ("stop_sequence", "x")


def test_calls_written_by_turns_are_put_one_after_the_other():
    """The dialect has one open block: the second waits until the first is whole (FAULTS S14)."""
    turns = [
        ToolCallDelta(index=0, id="a", name="f"),
        ToolCallDelta(index=2, id="b", name="g", arguments='{"b":'),
        ToolCallDelta(index=0, arguments='{"a"'),
        ToolCallDelta(index=2, arguments="2"),
        ToolCallDelta(index=0, arguments=":1}"),
        ToolCallDelta(index=2, arguments="}"),
        Finished(reason="tool_calls"),
    ]
    out = encoded([PLAIN[0], *turns])
    check_events(out)
    message = read_by_the_sdk(out)
    assert [(block.id, block.input) for block in message.content] == [("a", {"a": 1}), ("b", {"b": 2})]
    indices = [each.index for each in check_events(out) if each.type == "content_block_delta"]
    assert indices == sorted(indices)


ARGUMENTS = st.lists(st.sampled_from(['{"a":1}', "{}", '{"b":[{"c":"}"}]}']), min_size=1, max_size=4)


@given(ARGUMENTS, st.data())
def test_any_order_of_pieces_gives_the_same_calls(arguments, data):
    """However their arguments are cut and mixed."""
    left = {index: [text[at : at + 3] for at in range(0, len(text), 3)] for index, text in enumerate(arguments)}
    events = [ToolCallDelta(index=index, id=f"c{index}", name="f") for index in left]
    while any(left.values()):
        index = data.draw(st.sampled_from([index for index, pieces in left.items() if pieces]))
        events.append(ToolCallDelta(index=index, arguments=left[index].pop(0)))
    out = encoded([PLAIN[0], *events, Finished(reason="tool_calls")])
    check_events(out)
    found = {}
    for each in decoded(out)[1]:
        if isinstance(each, ToolCallDelta):
            found[each.index] = found.get(each.index, "") + each.arguments
    assert list(found.values()) == arguments


def test_a_call_without_a_name_of_its_own_gets_one():
    """The dialect demands an id."""
    message = read_by_the_sdk(encoded([PLAIN[0], ToolCallDelta(index=0, name="f", arguments="{}")]))
    assert message.content[0].id == "toolu_x_0"


def test_an_empty_answer_is_whole():
    """Also where nothing said how it began or ended."""
    assert [each.type for each in check_events(encoded([]))] == ["message_start", "message_delta", "message_stop"]
    foreign = OpaqueDelta(dialect="openai_chat", kind="x", raw=raw({}))
    silent = [TextDelta(text=""), ReasoningDelta(text=""), foreign]
    assert encoded(silent) == encoded([])
    loose = OpaqueDelta(dialect="anthropic", kind="content_block_delta", raw=raw({}))
    assert encoded([loose]) == encoded([])


def test_reasoning_ends_with_its_signature():
    """What comes then is another block."""
    events = [ReasoningDelta(text="a"), ReasoningDelta(text="", signature="s"), ReasoningDelta(text="b")]
    message = read_by_the_sdk(encoded([PLAIN[0], *events, Finished(reason="stop")]))
    assert [(block.thinking, block.signature) for block in message.content] == [("a", "s"), ("b", "")]


def test_a_stream_crosses_over_to_openai():
    """Without empty pieces, and without what that dialect has no form for."""
    encoder = openai_stream.encoder(include_usage=True)
    out = b"".join(encoder.encode(each) for each in decoded(RICH)[1]) + encoder.end()
    pieces = [
        choice["delta"]
        for frame in out.split(b"\n\n")[:-2]
        for choice in json.loads(frame.removeprefix(b"data: "))["choices"]
    ]
    assert [piece.get("content") for piece in pieces if piece.get("content")] == ["a", "b"]
    assert [piece["reasoning_content"] for piece in pieces if "reasoning_content" in piece] == ["hm"]
    assert b'"finish_reason":"stop"' in out
    assert b"web_search" not in out


def test_an_error_of_ours_in_a_stream_is_one_to_the_official_client():
    """It raises, and never takes the stream for a whole one."""
    with pytest.raises(anthropic.APIStatusError):
        read_by_the_sdk(
            START + block(0, type="text", text="") + TEXT + errors.encode_event(UpstreamUnavailable("busy"))
        )


def test_hostile_streams_raise_only_our_errors():
    """Deep nesting and huge numbers are a broken protocol."""
    for data in (b"[" * 100_000, b'{"type":' + b"[" * 5_000, b'{"a":1e999}'):
        with pytest.raises(FairleadError):
            follow(b"data: " + data + b"\n\n")


def test_frozen_events_are_not_changed():
    """An encoder keeps its own state."""
    before = msgspec.json.encode(PLAIN[5])
    encoded(PLAIN)
    assert msgspec.json.encode(PLAIN[5]) == before
