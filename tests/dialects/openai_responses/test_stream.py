"""Streams of the Responses dialect."""

from __future__ import annotations

import json
from itertools import pairwise

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.dialects.anthropic import stream as anthropic_stream
from fairlead.dialects.crossing import event_across
from fairlead.dialects.openai_chat import stream as openai_stream
from fairlead.dialects.openai_responses import stream
from fairlead.errors import FairleadError, UpstreamProtocol, UpstreamRateLimited, UpstreamUnavailable
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
from openai_official import check_events
from responses_generated import SEARCHED, raw


def event(kind, **fields):
    data = json.dumps(
        {"type": f"response.{kind}", "sequence_number": 1, **fields}, ensure_ascii=False, separators=(",", ":")
    )
    return f"event: response.{kind}\ndata: {data}\n\n".encode()


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "model": "gpt-x",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
COUNTS = {"input_tokens": 25, "output_tokens": 15, "input_tokens_details": {"cached_tokens": 7}, "total_tokens": 40}
TOTAL = Usage(input_tokens=18, cache_read_tokens=7, output_tokens=15)


def added(place, kind, **fields):
    return event("output_item.added", output_index=place, item={"type": kind, "id": f"i{place}", **fields})


def done(place, kind, **fields):
    return event("output_item.done", output_index=place, item={"type": kind, "id": f"i{place}", **fields})


def part(place, index=0, kind="output_text"):
    return event("content_part.added", item_id=f"i{place}", output_index=place, content_index=index, part={"type": kind, "text": "", "annotations": []})  # fmt: skip


def delta(kind, place, text, **fields):
    return event(f"{kind}.delta", item_id=f"i{place}", output_index=place, content_index=0, delta=text, **fields)


def ended(kind="completed", **fields):
    return event(kind, response={**RESPONSE, "status": kind, "usage": COUNTS, **fields})


START = event("created", response=RESPONSE)
BEGUN = START + event("in_progress", response=RESPONSE)
TEXT = delta("output_text", 0, 'Grüße 🎈 "usage", error, response.completed\r\n\n', logprobs=[])
END = ended()
FAILED = event("failed", response={**RESPONSE, "error": {"code": "rate_limit_exceeded", "message": "sk-1"}})
ERROR = (
    b'event: error\ndata: {"type":"error","code":"server_error","message":"sk-1","param":null,"sequence_number":3}\n\n'
)
PING = b"event: ping\ndata: {}\n\n"
WHOLE = b"".join(
    [
        BEGUN,
        added(0, "message", role="assistant", content=[]),
        part(0),
        b": comment\n\n",
        TEXT,
        delta("output_text", 0, "b", logprobs=[]),
        event("output_text.done", item_id="i0", output_index=0, content_index=0, text="..."),
        event("content_part.done", item_id="i0", output_index=0, content_index=0, part={"type": "output_text"}),
        done(0, "message"),
        added(1, "function_call", call_id="call_1", name="f", arguments=""),
        delta("function_call_arguments", 1, '{"a":'),
        delta("function_call_arguments", 1, "1}"),
        event("function_call_arguments.done", item_id="i1", output_index=1, arguments='{"a":1}'),
        done(1, "function_call", call_id="call_1", name="f", arguments='{"a":1}'),
        END,
    ]
)
STARTED = Started(
    id="resp_1",
    model="gpt-x",
    created=7,
    extra={"parallel_tool_calls": raw(True), "tool_choice": raw("auto"), "tools": raw([])},
)
EVENTS = [
    STARTED,
    TextDelta(text="", part=0),
    TextDelta(text='Grüße 🎈 "usage", error, response.completed\r\n\n', part=0),
    TextDelta(text="b", part=0),
    ToolCallDelta(index=0, id="call_1", name="f", extra={"id": raw("i1")}),
    ToolCallDelta(index=0, arguments='{"a":'),
    ToolCallDelta(index=0, arguments="1}"),
    Finished(reason="tool_calls"),
    UsageReport(usage=TOTAL),
]


def follow(source, cuts=()):
    """Feed a stream in pieces; the scanner and all that it let through."""
    scanner = stream.scanner(forward_usage=False)
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
            added(0, "web_search_call"),
            added(1, "function_call", call_id="c", name="f", arguments=""),
            END,
            PING,
            FAILED,
            ERROR,
            b"\n",
            b"\r\n",
            b"data: x",
            b": c\n\n",
            b"event: error\ndata: sk-1\n\n",
            b'data: {"type":"response.output_text.delta","delta":"a"}\n\n',
            b'event: response.output_text.delta\ndata: {"type":"error"}\n\n',
            b'event:response.output_text.delta\ndata:{"type":\ndata:"x"}\n\n',
        ]
    ),
    max_size=8,
).map(b"".join)


@given(PIECES, st.lists(st.integers(0, 900), max_size=6))
def test_any_stream_in_any_cut_gives_the_same(source, cuts):
    """Also one that is torn, out of order or not a response at all."""
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


@pytest.mark.parametrize("rest", [TEXT, END, ERROR])
def test_nothing_counts_after_the_terminator(rest):
    """In one piece or in two (FAULTS S23)."""
    for cuts in ([], [len(WHOLE)]):
        scanner, out = follow(WHOLE + rest, cuts)
        assert (out, scanner.error) == (WHOLE, None)
        assert decoded(WHOLE + rest, cuts)[1] == EVENTS


@pytest.mark.parametrize(
    ("piece", "is_content"),
    [
        (BEGUN, False),
        (PING, False),
        (added(0, "message"), False),
        (added(0, "reasoning"), False),
        (added(0, "function_call"), True),
        (added(0, "web_search_call"), True),
        (part(0), False),
        (delta("output_text", 0, ""), False),
        (delta("output_text", 0, " "), True),
        (delta("refusal", 0, "no"), True),
        (delta("reasoning_summary_text", 0, "hm", summary_index=0), True),
        (delta("function_call_arguments", 0, "{"), True),
        (event("output_text.done", text="x"), False),
        (END, True),
        (ended("incomplete"), True),
        (event("invented"), False),
    ],
)
def test_content_is_what_the_model_says(piece, is_content):
    """The beginning of a message is not; the end of an empty answer is."""
    assert follow(piece)[0].content is is_content


def test_a_piece_of_content_flows_once_the_first_was_seen():
    """Undecoded, as long as it is nothing else; what is held back, or an end, stops that."""
    scanner, _ = follow(START)
    assert not scanner.flows(TEXT)
    scanner.feed(TEXT)
    arguments = delta("function_call_arguments", 1, "{")
    assert scanner.flows(TEXT)
    assert scanner.flows(TEXT + arguments)
    odd = TEXT.replace(b'"delta"', b'"error":{},"delta"')
    for other in (TEXT[:-1], TEXT + PING, PING, END, FAILED, odd, TEXT.replace(b"\n", b"\r\n"), TEXT + ERROR, TEXT[5:]):
        assert not scanner.flows(other)
    assert scanner.feed(TEXT) == TEXT
    assert scanner.progressed
    scanner.feed(TEXT[:5])
    assert not scanner.flows(TEXT)
    scanner.feed(TEXT[5:] + END)
    assert not scanner.flows(TEXT)


@pytest.mark.parametrize("before", [b"", START, START + TEXT])
@pytest.mark.parametrize("name", [b"event: error\n", b"event:error\r\n"])
@pytest.mark.parametrize("data", [b'{"message":"sk-1"}', b"sk-1", b"", b'{"type":"response.completed"}'])
def test_an_event_named_error_is_one(before, name, data):
    """Whatever its data is: the provider's own words never reach the caller."""
    scanner, out = follow(before + name + b"data: " + data + b"\n\n" + TEXT, [len(before)])
    assert (out, type(scanner.error)) == (before, UpstreamUnavailable)


@pytest.mark.parametrize("before", [START, START + TEXT])
@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (FAILED, UpstreamRateLimited),
        (FAILED.partition(b"\n")[2], UpstreamRateLimited),
        (ERROR.partition(b"\n")[2], UpstreamUnavailable),
        (b'data: {"error":{"code":"rate_limit_exceeded","message":"sk-1"}}\n\n', UpstreamRateLimited),
        (b'event: response.output_text.delta\ndata: {"error":{"message":"sk-1"}}\n\n', UpstreamUnavailable),
    ],
)
def test_a_failure_is_an_error_by_any_name(before, frame, kind):
    """The event of a failed response, and whatever has an error in it."""
    scanner, out = follow(before + frame, [len(before)])
    assert (out, type(scanner.error), scanner.complete) == (before, kind, False)
    decoder, _ = decoded(START + TEXT + frame)
    assert type(decoder.error) is kind


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
        (b"\n\n", False),
    ],
)
def test_comments_and_pings_are_no_progress(chunk, progressed):
    """The clock of content runs on through them (FAULTS S5)."""
    scanner, _ = follow(START + TEXT)
    scanner.feed(chunk)
    assert scanner.progressed is progressed


@pytest.mark.parametrize(
    ("source", "usage"),
    [
        (START + TEXT, None),
        (START + TEXT + END, TOTAL),
        (START + ended("incomplete"), TOTAL),
        (START + ended(usage=None), None),
        (
            START + ended(service_tier="flex", tool_usage={"web_search": {"num_requests": 2}}),
            msgspec.structs.replace(TOTAL, service_tier="flex", tool_requests=2),
        ),
        (event("completed"), None),
    ],
)
def test_usage_stands_in_the_last_event(source, usage):
    """And nowhere before it."""
    scanner, _ = follow(source)
    assert scanner.usage == usage
    assert scanner.prompt is None


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
    source = delta("output_text", 0, "TORN").replace(b"TORN", torn)
    assert follow(source)[1] == source
    assert decoded(source)[1] == [TextDelta(text="a\ufffdb", part=0)]


def test_an_error_does_not_swallow_what_came_before_it():
    """Events in the same bytes are given back first, then the error is raised; before any content it is raised at once."""
    decoder = stream.decoder()
    assert len(decoder.feed(START + TEXT + ERROR)) == 2
    with pytest.raises(UpstreamUnavailable):
        decoder.feed(b"")
    with pytest.raises(UpstreamUnavailable):
        decoded(START + ERROR)


def test_text_of_a_torn_stream_is_what_was_whole():
    """Thoughts, words and arguments count, once each; a torn event does not."""
    source = (
        START
        + delta("reasoning_text", 0, "r")
        + delta("output_text", 1, "c")
        + event("output_text.done", text="c")
        + delta("function_call_arguments", 2, "{}")
    )
    assert stream.text(source + TEXT[:-5] + b"\n\ndata: x\n\n") == "rc{}"


@given(st.binary(max_size=80))
def test_text_never_fails(source):
    """Whatever a stream was."""
    assert isinstance(stream.text(b"data: " + source + b"\n\n"), str)
    assert isinstance(stream.text(source), str)


def test_what_came_only_with_the_end_of_an_item_is_not_lost():
    """Arguments that no delta had, a call that was never announced, and reasoning that only the provider can read."""
    source = (
        START
        + added(0, "function_call", call_id="a", name="f", arguments="")
        + done(0, "function_call", call_id="a", name="f", arguments="{}")
        + done(1, "function_call", call_id="b", name="g", arguments="[]")
        + done(2, "reasoning", summary=[], encrypted_content="x")
    )
    assert decoded(source)[1][1:] == [
        ToolCallDelta(index=0, id="a", name="f", extra={"id": raw("i0")}),
        ToolCallDelta(index=0, arguments="{}"),
        ToolCallDelta(index=1, id="b", name="g", arguments="[]", extra={"id": raw("i1")}),
        ReasoningDelta(text="", encrypted="x"),
    ]


def test_thoughts_and_refusals_are_told_apart_from_words():
    """Summaries and the thoughts themselves are both reasoning; each part has a number of its own."""
    source = (
        delta("reasoning_summary_text", 0, "a", summary_index=0)
        + delta("reasoning_summary_text", 0, "b", summary_index=1)
        + delta("reasoning_text", 1, "c")
        + delta("refusal", 2, "no")
        + delta("output_text", 2, "", logprobs=[{"token": "a", "logprob": -1.0}])
    )
    assert decoded(source)[1] == [
        ReasoningDelta(text="a", part=0),
        ReasoningDelta(text="b", part=1),
        ReasoningDelta(text="c", part=2),
        RefusalDelta(text="no"),
        TextDelta(text="", part=3, logprobs=raw({"content": [{"token": "a", "logprob": -1.0}], "refusal": None})),
    ]


def test_a_piece_of_a_kind_that_nobody_else_has_is_kept():
    """Such as the code that a provider's own interpreter runs."""
    source = delta("code_interpreter_call_code", 0, "1+1")
    (kept,) = decoded(source + delta("code_interpreter_call_code", 0, ""))[1]
    assert (kept.dialect, kept.kind) == ("openai_responses", "response.code_interpreter_call_code.delta")
    assert json.loads(bytes(kept.raw))["delta"] == "1+1"
    assert follow(source)[0].content is True


def test_odd_events_are_passed_over():
    """Shapes that say nothing are no reason to fail."""
    odd = (
        event("output_item.added", output_index="x", item={})
        + delta("function_call_arguments", 9, "{")
        + event("output_text.delta", delta="")
        + b"event: x\ndata:\n\n"
        + b"data: {}\n\n"
    )
    assert [type(each) for each in decoded(START + odd)[1]] == [Started, OpaqueDelta]
    assert follow(START + odd)[1] == START + odd


# --- writing ---

CITED = {"type": "url_citation", "url": "https://x", "title": "x", "start_index": 0, "end_index": 1}
SEARCH = [
    event("output_item.added", output_index=0, item={**SEARCHED, "status": "in_progress"}),
    event("web_search_call.searching", output_index=0, item_id="ws_1"),
    event("output_item.done", output_index=0, item=SEARCHED),
]
PLAIN = [
    Started(id="x", model="m", created=1),
    ReasoningDelta(text="hm"),
    ReasoningDelta(text="."),
    TextDelta(text="ü"),
    TextDelta(text="other", choice=1),
    TextDelta(text="b"),
    RefusalDelta(text="no"),
    ToolCallDelta(index=0, id="c", name="f"),
    ToolCallDelta(index=0, arguments='{"a":1}'),
    ToolCallDelta(index=1, id="d", name="g", arguments="{}"),
    Finished(reason="tool_calls"),
    UsageReport(usage=Usage(input_tokens=3, output_tokens=2)),
]


def read_by_the_sdk(source):
    """What the official client's stream helper makes of it."""
    response = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=source)
    transport = httpx2.MockTransport(lambda _: response)
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))
    with client.responses.stream(model="m", input="x") as found:
        return found.get_final_response()


def test_events_of_another_dialect_become_a_response():
    """Each item and part is announced, and told once more at its end; the official client puts it together."""
    out = encoded(PLAIN)
    assert [each.type.removeprefix("response.") for each in check_events(out)] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    final = read_by_the_sdk(out)
    thought, message, first, second = final.output
    assert (thought.summary[0].text, final.output_text, message.content[1].refusal) == ("hm.", "üb", "no")
    assert [(call.call_id, call.name, call.arguments) for call in (first, second)] == [
        ("c", "f", '{"a":1}'),
        ("d", "g", "{}"),
    ]
    assert (final.status, final.usage.input_tokens, final.usage.output_tokens) == ("completed", 3, 2)


def test_the_last_event_holds_what_the_others_said():
    """Item by item, as each of them ended."""
    events = check_events(encoded(PLAIN))
    ends = {each.output_index: each.item for each in events if each.type == "response.output_item.done"}
    assert list(ends.values()) == events[-1].response.output
    assert [each.item.id for each in events if each.type == "response.output_item.added"] == [
        item.id for item in ends.values()
    ]


@pytest.mark.parametrize(
    ("reason", "kind", "details"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("invented", "completed", None),
    ],
)
def test_a_stream_ends_as_the_answer_did(reason, kind, details):
    """With the whole of it or with as much as there is; nothing follows."""
    last = check_events(encoded([PLAIN[0], TextDelta(text="a"), Finished(reason=reason)]))[-1]
    assert last.type == f"response.{kind}"
    assert (last.response.status, last.response.output[0].status) == (kind, kind)
    assert (last.response.incomplete_details and last.response.incomplete_details.reason) == details


def test_calls_written_by_turns_stay_apart():
    """Each has its place, however their pieces come (FAULTS S14)."""
    turns = [
        ToolCallDelta(index=0, id="a", name="f"),
        ToolCallDelta(index=2, id="b", name="g", arguments='{"b":'),
        ToolCallDelta(index=0, arguments='{"a":1'),
        TextDelta(text="meanwhile"),
        ToolCallDelta(index=2, arguments="2}"),
        ToolCallDelta(index=0, arguments="}"),
        Finished(reason="tool_calls"),
    ]
    out = encoded([PLAIN[0], *turns])
    check_events(out)
    final = read_by_the_sdk(out)
    assert [(each.call_id, each.arguments) for each in final.output[:2]] == [("a", '{"a":1}'), ("b", '{"b":2}')]
    assert final.output_text == "meanwhile"


def test_a_part_with_a_number_of_its_own_is_one():
    """In one message, as long as nothing else comes between."""
    events = [PLAIN[0], *(TextDelta(text=text, part=part) for text, part in (("", 0), ("a", 0), ("b", 1), ("c", 1)))]
    (message,) = read_by_the_sdk(encoded(events)).output
    assert [content.text for content in message.content] == ["a", "bc"]


def test_a_call_without_an_id_gets_one():
    """Its result has to name it."""
    (call,) = read_by_the_sdk(encoded([PLAIN[0], ToolCallDelta(index=0, name="f", arguments="{}")])).output
    assert (call.call_id, call.id) == ("call_x_0", "fc_x_0")


def test_log_probabilities_go_with_their_pieces():
    """In the deltas without the bytes, as the dialect has it, and whole at the end."""
    token = {
        "token": "a",
        "bytes": [97],
        "logprob": -0.5,
        "top_logprobs": [{"token": "b", "bytes": [98], "logprob": -2.0}],
    }
    out = encoded([PLAIN[0], TextDelta(text="a", logprobs=raw({"content": [token], "refusal": None}))])
    check_events(out)
    (message,) = read_by_the_sdk(out).output
    assert message.content[0].logprobs[0].top_logprobs[0].bytes == [98]


def test_an_empty_answer_is_whole():
    """Also where nothing said how it began or ended."""
    assert [each.type for each in check_events(encoded([]))] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
    foreign = OpaqueDelta(dialect="anthropic", kind="x", raw=raw({}))
    silent = [TextDelta(text=""), ReasoningDelta(text=""), RefusalDelta(text=""), foreign, *PLAIN[:0]]
    assert encoded(silent) == encoded([])
    assert encoded([PLAIN[0], PLAIN[0]]) == encoded([PLAIN[0]])


def test_a_stream_of_openais_own_survives_the_way_through_the_neutral_form():
    """Event for event where it matters, with a search, a thought that nobody can read, and new kinds of events."""
    source = [
        BEGUN,
        *SEARCH,
        added(1, "reasoning", summary=[]),
        delta("reasoning_summary_text", 1, "hm", summary_index=0),
        done(1, "reasoning", summary=[], encrypted_content="x"),
        added(2, "message"),
        part(2),
        delta("output_text", 2, "a", logprobs=[]),
        event("output_text.annotation.added", item_id="i2", output_index=2, content_index=0, annotation_index=0, annotation=CITED),
        event("invented", x=[1]),
        ended(),
    ]  # fmt: skip
    events = decoded(b"".join(source))[1]
    out = encoded(events)
    assert decoded(out)[1][1:] == events[1:]
    numbers = [json.loads(frame.partition(b"data: ")[2])["sequence_number"] for frame in out.split(b"\n\n")[:-1]]
    assert numbers == list(range(len(numbers)))
    searched, thought, message = json.loads(out.split(b"\n\n")[-2].partition(b"data: ")[2])["response"]["output"]
    assert searched == SEARCHED
    assert (thought["summary"][0]["text"], thought["encrypted_content"]) == ("hm", "x")
    assert message["content"][0]["text"] == "a"


def test_the_end_of_an_item_that_had_no_beginning_gets_one():
    """So that a reader knows what ends."""
    out = encoded(decoded(START + SEARCH[2])[1])
    kinds = [each.type for each in check_events(out)]
    assert kinds[2:4] == ["response.output_item.added", "response.output_item.done"]


CONTENT = st.one_of(
    st.builds(TextDelta, text=st.sampled_from(["", "a", "é"]), part=st.none() | st.integers(0, 2)),
    st.builds(ReasoningDelta, text=st.sampled_from(["", "hm"]), part=st.none() | st.integers(3, 4)),
    st.builds(RefusalDelta, text=st.sampled_from(["", "no"])),
    st.builds(ToolCallDelta, index=st.integers(0, 2), arguments=st.sampled_from(["", "{", "}"])),
)


@given(st.lists(CONTENT, max_size=10), st.sampled_from(["stop", "length"]))
def test_any_order_of_events_makes_a_valid_stream(content, reason):
    """And nothing that the model said is lost on the way back."""
    called = any(isinstance(each, ToolCallDelta) for each in content)
    reason = "tool_calls" if called and reason == "stop" else reason
    out = encoded([PLAIN[0], *content, Finished(reason=reason)])
    check_events(out)

    def said(events):
        texts = {kind: "".join(each.text for each in events if isinstance(each, kind)) for kind in (TextDelta, ReasoningDelta, RefusalDelta)}  # fmt: skip
        calls = {}
        for each in events:
            if isinstance(each, ToolCallDelta):
                calls[each.index] = calls.get(each.index, "") + each.arguments
        return texts, list(calls.values()), [each.reason for each in events if isinstance(each, Finished)]

    decoder, events = decoded(out)
    assert decoder.complete
    assert said(events) == said([*content, Finished(reason=reason)])


@pytest.mark.parametrize("other", [openai_stream, anthropic_stream])
def test_a_stream_crosses_over(other):
    """Its words and calls; what only this dialect has is not in it."""
    encoder = other.encoder(include_usage=True)
    source = b"".join([WHOLE.removesuffix(END), *SEARCH, done(3, "reasoning", encrypted_content="sealed"), END])
    out = b"".join(encoder.encode(event_across(each)) for each in decoded(source)[1]) + encoder.end()
    _, events = other.decoder(), other.decoder().feed(out)
    assert "".join(each.text for each in events if isinstance(each, TextDelta)).endswith("b")
    assert "".join(each.arguments for each in events if isinstance(each, ToolCallDelta)) == '{"a":1}'
    assert b"sealed" not in out
    assert b"web_search" not in out


def test_hostile_streams_raise_only_our_errors():
    """Deep nesting and huge numbers are a broken protocol."""
    for data in (b"[" * 100_000, b'{"type":' + b"[" * 5_000, b'{"a":1e999}'):
        with pytest.raises(FairleadError):
            follow(b"data: " + data + b"\n\n")


def test_frozen_events_are_not_changed():
    """An encoder keeps its own state."""
    before = msgspec.json.encode(PLAIN[7])
    encoded(PLAIN)
    assert msgspec.json.encode(PLAIN[7]) == before
