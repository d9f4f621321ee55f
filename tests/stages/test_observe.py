"""observe: one record a call, however it ends."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from fairlead.call import Call, Wanted
from fairlead.core.clip import CONTENT_BYTES
from fairlead.errors import InternalError, OutputInvalid, UpstreamUnavailable
from fairlead.pipeline import Next, Reply
from fairlead.record import Ended, encode_records
from fairlead.stages.observe import Content, Observe
from fairlead.testing import (
    RecordSink,
    VirtualClock,
    answers,
    assert_one_terminal_record,
    openai_reply,
    openai_stream,
)
from fairlead.testing.pipeline import Bench
from fairlead.verdict import Edit, FieldError, Validated


async def test_a_good_call_is_admitted_and_ended_once() -> None:
    """A good call leaves one `Admitted` with the request and one `Ended` with the answer."""
    bench = Bench()

    body = await bench.ask()

    assert_one_terminal_record(bench.sink.records)
    (admitted,), (ended,) = bench.sink.admitted, bench.sink.ended
    assert b'"Hello"' in (admitted.request or b"")
    assert (ended.outcome, ended.status, ended.response, ended.request) == ("ok", 200, body, None)
    assert ended.alias == "gpt-4o-mini"


async def test_the_record_shows_what_was_settled() -> None:
    """The record is written when every other stage has settled, so it carries the cost."""
    bench = Bench()

    await bench.ask()

    (ended,) = bench.sink.ended
    assert ended.cost_nanousd == 10 * 1_000 + 5 * 2_000
    assert ended.usage_source == "final"
    assert ended.attempts[0].cost_nanousd == ended.cost_nanousd
    assert ended.attempts[0].reserved_nanousd is not None
    assert ended.attempts[0].reserved_nanousd >= ended.cost_nanousd


async def test_a_refused_call_is_ended_without_being_admitted() -> None:
    """A call refused before its first attempt has an `Ended` alone, with its request."""
    bench = Bench()

    with pytest.raises(Exception, match="no model"):
        await bench.ask("nothing-like-it")

    assert bench.sink.admitted == []
    (ended,) = bench.sink.ended
    assert (ended.outcome, ended.error_code, ended.status) == ("error", "model_not_found", 404)
    assert ended.request is not None


async def test_a_failed_call_says_whose_fault_it_was() -> None:
    """The error class of the provider's failure stands on the record."""
    bench = Bench()
    bench.transport.then(answers.status(500))

    with pytest.raises(UpstreamUnavailable):
        await bench.ask()

    (ended,) = bench.sink.ended
    assert (ended.error_class, ended.error_code, ended.cost_nanousd) == ("provider", "upstream_unavailable", 0)


async def test_a_fault_of_ours_is_an_internal_error_and_still_recorded() -> None:
    """An exception that nobody foresaw becomes an `InternalError` whose message gives nothing away."""

    async def broken(call: Call, following: Next) -> Reply:
        raise RuntimeError("a secret detail")

    bench = Bench(stages={"screen": broken})

    with pytest.raises(InternalError) as caught:
        await bench.ask()

    assert "secret detail" not in str(caught.value)
    (ended,) = bench.sink.ended
    assert (ended.outcome, ended.error_class) == ("error", "internal")


async def test_a_cancelled_call_is_recorded_as_cancelled() -> None:
    """A caller who leaves before the answer leaves a record of class `cancelled`."""
    ended = await cut(abandoned=True)

    assert (ended.outcome, ended.error_class, ended.status) == ("cancelled", "cancelled", 499)


async def test_a_call_cut_by_our_own_end_is_not_blamed_on_its_caller() -> None:
    """A call that is cancelled although its caller is still there was cut by a shutdown."""
    ended = await cut(abandoned=False)

    assert (ended.outcome, ended.error_code, ended.status) == ("error", "overloaded", 503)


async def cut(*, abandoned: bool) -> Ended:
    """The record of a call that was cancelled while it waited for its answer."""
    bench = Bench()
    bench.transport.then(openai_reply("late").latency(60.0))
    call = bench.call()
    task = asyncio.ensure_future(bench.run(call))
    await bench.transport.until(lambda: bench.transport.requests)
    call.fate.abandoned = abandoned
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_one_terminal_record(bench.sink.records)
    (ended,) = bench.sink.ended
    return ended


async def test_a_stream_is_ended_when_it_has_ended_and_not_before() -> None:
    """While a stream runs there is no `Ended`; its record then holds the raw stream."""
    bench = Bench()
    bench.transport.then(openai_stream(["one", "two"]))

    reply = await bench.run(bench.call(stream=True))
    assert bench.sink.ended == []
    raw = await bench.see_through(reply)

    (ended,) = bench.sink.ended
    assert ended.stream
    assert raw in (ended.response or b"") or b"one" in (ended.response or b"")
    assert ended.first_token_ns is not None


QUOTED = "the-models-words"
SCHEMA = b"""{"properties": {"a": {"additionalProperties": {"properties": {"b": {"type": "integer"}}}}}}"""
OUTPUT = b"{" + QUOTED.encode() + b"}"
VERDICT = Validated(
    schema="Booking",
    fits=False,
    edits=(Edit(rung="coerce", kind="renamed", path=f"/a/{QUOTED}", before=QUOTED, after=QUOTED),),
    errors=(FieldError(path=f"/a/{QUOTED}/b", message=f"it is {QUOTED}", kind="type"),),
    output=OUTPUT,
)


async def judged(content: Content, verdict: Validated) -> Ended:
    """The record of a call whose answer was refused so."""

    async def refuse(call: Call, following: Next) -> Reply:
        call.validated = verdict
        call.request.wanted = Wanted(name="Booking", schema=SCHEMA)
        raise OutputInvalid.of("Booking", verdict.errors)

    sink, clock = RecordSink(), VirtualClock()
    bench = Bench(sink=sink, stages={"observe": Observe(sink, clock, content), "validate": refuse})
    with pytest.raises(OutputInvalid, match=QUOTED):
        await bench.ask()
    (ended,) = sink.ended
    return ended


async def test_a_verdict_is_recorded_with_the_refused_output() -> None:
    """Where contents are kept whole."""
    ended = await judged("full", VERDICT)
    (error,) = VERDICT.errors
    placed = msgspec.structs.replace(error, field="/a/*/b")
    assert ended.validated == msgspec.structs.replace(VERDICT, errors=(placed,))
    assert QUOTED in (ended.error_message or "")


@pytest.mark.parametrize("content", ["hash", "off"])
async def test_where_contents_are_not_kept_a_record_quotes_no_output(content: Content) -> None:
    """Neither in edits, nor in errors, nor in their paths, nor in the message of the call's own error."""
    ended = await judged(content, VERDICT)
    assert QUOTED.encode() not in encode_records([ended])
    assert ended.validated is not None
    assert [(each.path, each.kind) for each in ended.validated.errors] == [("/a/*/b", "type")]
    assert [(each.path, each.kind) for each in ended.validated.edits] == [("/a/*", "renamed")]
    assert (ended.validated.output or b"").startswith(b"sha256:") is (content == "hash")


async def test_a_record_stays_small_whatever_was_edited() -> None:
    """Ten thousand edits and an output of many megabytes are clipped before they reach the spool."""
    large = msgspec.structs.replace(VERDICT, edits=VERDICT.edits * 10_000, output=b"x" * 10 * CONTENT_BYTES)
    ended = await judged("full", large)
    assert len(encode_records([ended])) < CONTENT_BYTES + 100_000
    assert ended.validated is not None
    assert ended.validated.further_edits > 9_000
