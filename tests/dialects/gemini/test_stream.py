"""Streams of the Gemini dialect."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.dialects.anthropic import stream as anthropic_stream
from fairlead.dialects.crossing import event_across
from fairlead.dialects.gemini import errors, stream
from fairlead.dialects.gemini.parts import UNSIGNED
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
from gemini_generated import LOGPROBS, raw
from gemini_official import check_events


def event(**fields):
    body = {**fields, "modelVersion": "gemini-x", "responseId": "r1"}
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def chunk(*parts, reason=None, index=0, usage=None, **more):
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": index, **more}
    if reason is not None:
        candidate["finishReason"] = reason
    return event(candidates=[candidate], **({} if usage is None else {"usageMetadata": usage}))


SOME = {"promptTokenCount": 10, "totalTokenCount": 10}
MORE = {"promptTokenCount": 10, "candidatesTokenCount": 3, "totalTokenCount": 13}
ALL = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 17}
PROMPT = Usage(input_tokens=10)
TOTAL = Usage(input_tokens=10, output_tokens=5, reasoning_tokens=2)
TEXT = chunk({"text": 'Grüße 🎈 "usageMetadata", error, finishReason\r\n\n'}, usage=MORE)
END = chunk({"text": ""}, reason="STOP", usage=ALL)
COUNT = event(usageMetadata=ALL)
BLOCKED = event(promptFeedback={"blockReason": "SAFETY"}, usageMetadata=SOME)
OVERLOADED = b'data: {"error":{"code":503,"message":"sk-1 overloaded","status":"UNAVAILABLE"}}\n\n'
WHOLE = b"".join(
    [
        chunk({"text": "hm", "thought": True}, usage=SOME),
        b": comment\n\n",
        TEXT,
        chunk({"functionCall": {"name": "f", "args": {"a": 1.0}}, "thoughtSignature": "AA=="}),
        END,
    ]
)
EVENTS = [
    Started(id="r1", model="gemini-x", created=0, usage=PROMPT),
    ReasoningDelta(text="hm"),
    TextDelta(text='Grüße 🎈 "usageMetadata", error, finishReason\r\n\n'),
    UsageReport(usage=Usage(input_tokens=10, output_tokens=3)),
    ToolCallDelta(
        index=0, id="call_r1_0", name="f", arguments='{"a":1.0}', extra={"thoughtSignature": raw("AA==")}
    ),
    Finished(reason="tool_calls"),
    UsageReport(usage=TOTAL),
]  # fmt: skip


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
        assert (scanner.usage, scanner.prompt) == (TOTAL, PROMPT)


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
            TEXT,
            END,
            COUNT,
            BLOCKED,
            OVERLOADED,
            chunk({"functionCall": {"name": "f"}}),
            chunk({"text": "b"}, index=1),
            chunk({"executableCode": {"code": "1"}}),
            b"\n",
            b"\r\n",
            b"data: x",
            b": c\n\n",
            b"event: error\ndata: sk-1\n\n",
            b'data: {"candidates":[{"content":{"parts":[{"text":3}]}}]}\n\n',
            b'data:{"candidates":\ndata:[]}\n\n',
        ]
    ),
    max_size=8,
).map(b"".join)


@given(PIECES, st.lists(st.integers(0, 900), max_size=6))
def test_any_stream_in_any_cut_gives_the_same(source, cuts):
    """Also one that is torn, out of order or not of this dialect at all."""
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


@pytest.mark.parametrize(
    ("source", "complete"),
    [
        (TEXT, False),
        (TEXT + COUNT, False),
        (TEXT + END, True),
        (BLOCKED, True),
        (TEXT + BLOCKED + COUNT, True),
        (chunk({"text": "a"}, reason="FINISH_REASON_UNSPECIFIED"), False),
        (chunk({"text": "a"}, reason="MAX_TOKENS"), True),
        # Of several candidates each has its own end.
        (TEXT + chunk({"text": "b"}, index=1) + END, False),
        (TEXT + chunk({"text": "b"}, index=1) + END + chunk(reason="STOP", index=1), True),
        (END + chunk({"text": "b"}, index=1), False),
        # Older models end every event.
        (chunk({"text": "a"}, reason="STOP") + chunk({"text": "b"}, reason="STOP"), True),
    ],
)
def test_a_stream_may_end_where_nothing_is_missing(source, complete):
    """Every candidate that was seen has said why it ended, or the prompt was blocked."""
    assert follow(source)[0].complete is complete
    assert decoded(source)[0].complete is complete


@pytest.mark.parametrize("rest", [COUNT, chunk(reason="STOP", index=1, usage=ALL), chunk({"text": "b"}, reason="STOP")])
def test_what_comes_after_the_end_is_read_all_the_same(rest):
    """Counts in an event of their own, other candidates, and more of an answer that seemed to be over."""
    first = chunk({"text": "a"}, reason="STOP")
    scanner, out = follow(first + rest)
    assert (out, scanner.complete) == (first + rest, True)
    assert (scanner.usage is not None) is (b"candidatesTokenCount" in rest)
    assert [each.text for each in decoded(first + rest)[1] if isinstance(each, TextDelta)] == (
        ["a", "b"] if b'"b"' in rest else ["a"]
    )


def test_a_candidate_ends_once():
    """Also where every event says that it does."""
    source = chunk({"text": "a"}, reason="STOP") + chunk({"text": "b"}, reason="STOP")
    assert decoded(source)[1][1:] == [TextDelta(text="a"), Finished(reason="stop"), TextDelta(text="b")]


@pytest.mark.parametrize(
    ("piece", "is_content"),
    [
        (chunk(), False),
        (event(candidates=[{"index": 0}]), False),
        (chunk({"text": ""}), False),
        (chunk({"text": "", "thoughtSignature": "AA=="}), False),
        (chunk({"text": " "}), True),
        (chunk({"text": "hm", "thought": True}), True),
        (chunk({"functionCall": {"name": "f"}}), True),
        (chunk({"executableCode": {}}), True),
        (chunk(reason="STOP"), True),
        (BLOCKED, True),
        (COUNT, False),
        (event(), False),
    ],
)
def test_content_is_what_the_model_says(piece, is_content):
    """The end of an empty answer is content, and so is a block."""
    assert follow(piece)[0].content is is_content


def test_nothing_flows_unread():
    """Every event may count."""
    scanner, _ = follow(TEXT)
    assert not scanner.flows(TEXT)


@pytest.mark.parametrize("before", [b"", TEXT])
@pytest.mark.parametrize("name", [b"event: error\n", b"event:error\r\n"])
@pytest.mark.parametrize("data", [b'{"message":"sk-1"}', b"sk-1", b'{"candidates":[]}'])
def test_an_event_named_error_is_one(before, name, data):
    """Whatever its data is: the provider's own words never reach the caller."""
    scanner, out = follow(before + name + b"data: " + data + b"\n\n" + TEXT, [len(before)])
    assert (out, type(scanner.error)) == (before, UpstreamUnavailable)


@pytest.mark.parametrize("before", [b"", TEXT])
def test_an_error_without_a_frame_is_one(before):
    """As the provider writes it outside a stream; it never reaches the caller."""
    bare = OVERLOADED.removeprefix(b"data: ")
    for source in (bare, b"[" + bare.strip() + b"]\n\n"):
        scanner, out = follow(before + source + TEXT)
        assert (out, type(scanner.error)) == (before, UpstreamUnavailable)


def test_an_error_ends_a_stream():
    """Mapped by what it names; nothing of it goes on, and nothing after it."""
    too_long = OVERLOADED.replace(b"503", b"400").replace(b"overloaded", b"exceeds the maximum number of tokens")
    scanner, out = follow(TEXT + too_long + TEXT)
    assert (out, type(scanner.error), scanner.complete) == (TEXT, ContextWindowExceeded, False)
    assert scanner.feed(TEXT) == b""


@pytest.mark.parametrize(
    ("piece", "progressed"),
    [(TEXT, True), (COUNT, True), (TEXT[:60], True), (b": ping\n\n", False), (b"\n\n", False), (b"data", False)],
)
def test_comments_are_no_progress(piece, progressed):
    """The clock of content runs on through them (FAULTS S5)."""
    scanner, _ = follow(TEXT)
    scanner.feed(piece)
    assert scanner.progressed is progressed


@pytest.mark.parametrize(
    ("source", "usage", "prompt"),
    [
        (chunk({"text": "a"}), None, None),
        (chunk({"text": "a"}, usage=SOME), None, PROMPT),
        (chunk({"text": "a"}, usage=SOME) + TEXT, Usage(input_tokens=10, output_tokens=3), PROMPT),
        (TEXT + chunk({"text": "a"}, usage=SOME), Usage(input_tokens=10, output_tokens=3), PROMPT),
        (TEXT + END, TOTAL, PROMPT),
        (TEXT + chunk(reason="STOP") + COUNT, TOTAL, PROMPT),
        (chunk(reason="STOP", usage=SOME), PROMPT, PROMPT),
        (BLOCKED, PROMPT, PROMPT),
        (chunk(usage={}), None, None),
    ],
)
def test_usage_is_what_the_last_event_makes_of_it(source, usage, prompt):
    """Counts are running totals; until output is counted only the prompt's cost is known (FAULTS S11, S12)."""
    scanner, _ = follow(source)
    assert (scanner.usage, scanner.prompt) == (usage, prompt)


@pytest.mark.parametrize("source", [b"data: <html>\n\n", b"data: []\n\n", b"event: x\ndata: null\n\n"])
def test_a_first_event_that_is_no_object_is_a_broken_protocol(source):
    """Nothing has gone out yet, so that another candidate can answer."""
    for read in (follow, decoded):
        with pytest.raises(UpstreamProtocol):
            read(source)


@pytest.mark.parametrize("source", [b"data: " + b"x" * 5_000_000, b"data: x\n" * 700_000])
def test_an_endless_event_is_refused(source):
    """Memory stays bounded (FAULTS S9)."""
    for read in (follow, decoded):
        with pytest.raises(UpstreamProtocol):
            read(source, range(0, len(source), 262_144))


@pytest.mark.parametrize("torn", [b"a\\ud800b", b"a\xffb"])
def test_torn_text_does_not_end_a_stream(torn):
    """It becomes U+FFFD in the neutral form and passes a relay untouched (FAULTS S10)."""
    source = chunk({"text": "TORN"}).replace(b"TORN", torn)
    assert follow(source)[1] == source
    assert decoded(source)[1][1:] == [TextDelta(text="a\ufffdb")]


def test_an_error_does_not_swallow_what_came_before_it():
    """Events in the same bytes are given back first, then the error is raised; before any content it is raised at once."""
    decoder = stream.decoder()
    assert len(decoder.feed(TEXT + OVERLOADED)) == 3
    with pytest.raises(UpstreamUnavailable):
        decoder.feed(b"")
    with pytest.raises(UpstreamUnavailable):
        decoded(COUNT + OVERLOADED)


def test_text_of_a_torn_stream_is_what_was_whole():
    """Thoughts, text and arguments count; a torn event does not."""
    source = (
        chunk({"text": "r", "thought": True})
        + chunk({"text": "c"}, {"functionCall": {"name": "f", "args": {"a": 1}}})
        + chunk({"functionCall": {"name": "g", "args": {}}})
    )
    assert stream.text(source + TEXT[:-5]) == 'rc{"a":1}'


@given(st.binary(max_size=80))
def test_text_never_fails(source):
    """Whatever a stream was."""
    assert isinstance(stream.text(b"data: " + source + b"\n\n"), str)
    assert isinstance(stream.text(source), str)


def said(events):
    """Without what only frames it."""
    return [each for each in events if not isinstance(each, Started | UsageReport)]


PARTS = {
    "text": {"text": "a"},
    "signed": {"text": "é", "thoughtSignature": "AA=="},
    "signature": {"text": "", "thoughtSignature": "AA=="},
    "thought": {"text": "hm", "thought": True},
    "proven": {"text": "hm", "thought": True, "thoughtSignature": "AA=="},
    "call": {"functionCall": {"name": "f", "args": {"a": [1.0]}}},
    "signed call": {"functionCall": {"id": "mine", "name": "f", "args": {}}, "thoughtSignature": "AA=="},
    "code": {"executableCode": {"language": "PYTHON", "code": "1"}},
    "image": {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
}


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(sorted(PARTS))), max_size=6),
    st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "OTHER"]),
    st.integers(0, 2000),
)
def test_any_parts_survive_the_way_through_the_neutral_form(places, reason, cut):
    """In any order and of several candidates, valid by the official models."""
    chunks = [chunk(PARTS[name], index=index) for index, name in places]
    ends = [
        chunk({"text": ""}, reason=reason, index=index, finishMessage="so", usage=ALL)
        for index in sorted({0, *(index for index, _ in places)})
    ]
    whole = b"".join([*chunks, *ends])
    events = decoded(whole, [min(cut, len(whole))])[1]
    out = encoded(events)
    check_events(out)
    for index in (0, 1):
        once, again = ([each for each in said(found) if each.choice == index] for found in (events, decoded(out)[1]))
        assert once == again


def test_a_call_goes_out_once_it_is_whole():
    """There are no pieces of arguments here; several by turns make one event, and the first says that nobody signed."""
    events = [
        Started(id="x", model="m", created=3),
        TextDelta(text="a"),
        ToolCallDelta(index=0, id="1", name="f"),
        ToolCallDelta(index=1, id="2", name="g"),
        ToolCallDelta(index=0, arguments='{"a":'),
        ToolCallDelta(index=1, arguments=""),
        ToolCallDelta(index=0, arguments="1}"),
        Finished(reason="tool_calls"),
        UsageReport(usage=TOTAL),
    ]
    first, calls, last = check_events(encoded(events))
    assert (first.text, first.response_id, first.model_version) == ("a", "x", "m")
    parts = calls.candidates[0].content.parts
    assert [(part.function_call.id, part.function_call.args) for part in parts] == [("1", {"a": 1}), ("2", {})]
    assert UNSIGNED.encode() in encoded(events)
    assert last.candidates[0].finish_reason.value == "STOP"
    assert last.usage_metadata.thoughts_token_count == 2


@pytest.mark.parametrize("ends", [True, False])
def test_arguments_that_are_no_object_break_a_stream(ends):
    """Where the call is over, or the stream."""
    encoder = stream.encoder(include_usage=True)
    encoder.encode(ToolCallDelta(index=0, id="1", name="f", arguments="{"))
    with pytest.raises(UpstreamProtocol):
        encoder.encode(Finished(reason="stop")) if ends else encoder.end()


def test_a_blocked_prompt_is_an_empty_answer_that_a_filter_ended():
    """As callers of other dialects expect it; and it comes back as it was."""
    events = decoded(BLOCKED)[1]
    assert events[1:] == [
        Finished(reason="content_filter", extra={"promptFeedback": raw({"blockReason": "SAFETY"})}),
        UsageReport(usage=PROMPT),
    ]
    (only,) = check_events(encoded(events))
    assert (only.candidates, only.prompt_feedback.block_reason.value) == (None, "SAFETY")


def test_what_is_said_about_a_candidate_goes_with_it():
    """At its end, or in the midst of it."""
    grounded = {"groundingMetadata": {"webSearchQueries": ["q"]}}
    source = chunk({"text": "a"}, **grounded) + chunk(reason="STOP", **grounded)
    events = decoded(source)[1]
    assert events[2] == OpaqueDelta(dialect="gemini", kind="candidate", raw=raw(grounded))
    assert events[3].extra == {"groundingMetadata": raw(grounded["groundingMetadata"])}
    _, middle, last = check_events(encoded(events))
    assert middle.candidates[0].grounding_metadata.web_search_queries == ["q"]
    assert last.candidates[0].grounding_metadata.web_search_queries == ["q"]


def test_log_probabilities_go_with_their_text():
    """Both ways."""
    out = encoded([TextDelta(text="é", logprobs=raw(LOGPROBS)), Finished(reason="stop")])
    check_events(out)
    assert decoded(out)[1][1:3] == [TextDelta(text="é"), TextDelta(text="", logprobs=raw(LOGPROBS))]


def test_what_says_nothing_is_not_written():
    """Beginnings, other dialects' own events, and reasoning that nobody can read; a refusal is text."""
    silent = [
        TextDelta(text=""),
        ReasoningDelta(text=""),
        ReasoningDelta(text="", encrypted="x"),
        OpaqueDelta(dialect="anthropic", kind="x", raw=raw({})),
        RefusalDelta(text="no"),
    ]
    assert [each.text for each in check_events(encoded(silent))] == ["no", ""]


@pytest.mark.parametrize("other", [openai_stream, anthropic_stream])
def test_a_stream_of_another_provider_is_written(other):
    """With its text, its call and its end."""
    encoder, decoder = other.encoder(include_usage=True), other.decoder()
    raw_stream = b"".join(encoder.encode(event_across(each)) for each in EVENTS) + encoder.end()
    events = [event_across(each) for each in decoder.feed(raw_stream)]
    last = check_events(encoded(events))[-1]
    again = decoded(encoded(events))[1]
    assert "".join(each.text for each in again if isinstance(each, TextDelta)) == EVENTS[2].text
    assert [json.loads(each.arguments) for each in again if isinstance(each, ToolCallDelta)] == [{"a": 1.0}]
    assert Finished(reason="tool_calls") in again
    assert last.usage_metadata.prompt_token_count == 10


def test_an_error_event_ends_a_stream_for_its_decoder():
    """What one end writes the other raises."""
    decoder = stream.decoder()
    with pytest.raises(UpstreamUnavailable):
        decoder.feed(errors.encode_event(UpstreamUnavailable("gone")))
