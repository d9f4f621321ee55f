"""Captured records and the log store in memory."""

from __future__ import annotations

import json

import pytest

from fairlead.errors import StateUnavailable
from fairlead.ports import Batch, LogQuery, LogStore, Sink
from fairlead.record import Admitted, Ended, Gauges, Identity
from fairlead.testing import ListLogStore, RecordSink
from fairlead.types import Usage

SECOND_NS = 10**9
IDENTITY = Identity(tenant="team:t", key_id="k1", user="ann", team="t")


def admitted(call_id: str, at_s: int = 1) -> Admitted:
    return Admitted(
        call_id=call_id,
        started_at_ns=at_s * SECOND_NS,
        dialect="openai_chat",
        alias="gpt",
        model="gpt",
        stream=False,
        identity=IDENTITY,
        provider="p",
        upstream_model="m",
        request=b'{"q":"needle"}',
    )


def ended(call_id: str, at_s: int = 1, **rest: object) -> Ended:
    fields: dict[str, object] = {
        "call_id": call_id,
        "started_at_ns": at_s * SECOND_NS,
        "duration_ns": 5,
        "dialect": "openai_chat",
        "alias": "gpt",
        "model": "gpt",
        "stream": False,
        "identity": IDENTITY,
        "status": 200,
        "outcome": "ok",
        "usage": Usage(input_tokens=3, output_tokens=2),
        "cost_nanousd": 1_500,
        "response": b"answer",
    }
    return Ended(**{**fields, **rest})  # type: ignore[arg-type]


def batch(*records: Admitted | Ended | Gauges, offset: int = 1, segment: str = "s", finished: bool = False) -> Batch:
    return Batch(segment=segment, offset=offset, records=records, finished=finished)


def test_a_sink_sorts_what_it_was_given() -> None:
    """Records keep their order, and each kind can be looked at alone."""
    sink = RecordSink()
    port: Sink = sink
    records = [admitted("a"), Gauges(worker="w", at_ns=1), ended("a")]
    for record in records:
        port(record)
    assert sink.records == records
    assert (sink.admitted, sink.gauges, sink.ended) == ([records[0]], [records[1]], [records[2]])


async def test_a_batch_counts_once_however_often_it_comes() -> None:
    """The same offset again, and a call that has ended already, change nothing."""
    store: LogStore = ListLogStore()
    assert await store.ingest(batch(admitted("a"), ended("a"))) == 1
    assert await store.ingest(batch(admitted("a"), ended("a"))) == 0
    assert await store.ingest(batch(ended("a"), offset=2)) == 0
    assert await store.spent("key:k1", 0) == 1_500


async def test_a_call_without_a_writer_has_crashed() -> None:
    """When its segment is finished, an admitted call that never ended ends as crashed."""
    store = ListLogStore()
    await store.ingest(batch(admitted("a"), admitted("b"), ended("b")))
    assert await store.ingest(batch(offset=2, finished=True)) == 1
    assert {record.call_id: record.outcome for record in store.records} == {"a": "crashed", "b": "ok"}


async def test_calls_are_plain_and_newest_first() -> None:
    """Rows can be written as JSON, and the request of the admitted record is among them."""
    store = ListLogStore()
    await store.ingest(batch(admitted("a"), ended("a"), ended("b", 2, cost_nanousd=None)))
    newest, oldest = await store.calls(LogQuery())
    json.dumps([newest, oldest])
    assert (newest["call_id"], newest["cost_usd"]) == ("b", None)
    assert (oldest["call_id"], oldest["cost_usd"], oldest["request"]) == ("a", "0.0000015", '{"q":"needle"}')


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (LogQuery(call_id="b"), ["b"]),
        (LogQuery(since_ns=2 * SECOND_NS), ["c", "b"]),
        (LogQuery(until_ns=2 * SECOND_NS), ["a"]),
        (LogQuery(search="needle"), ["a"]),
        (LogQuery(search="%"), []),
        (LogQuery(after_id="a"), ["b", "c"]),
        (LogQuery(limit=1), ["c"]),
    ],
)
async def test_queries_select(query: LogQuery, expected: list[str]) -> None:
    """Each condition of a query selects what it names; a tail is oldest first."""
    store = ListLogStore()
    await store.ingest(batch(admitted("a"), ended("a"), ended("b", 2), ended("c", 3)))
    assert [row["call_id"] for row in await store.calls(query)] == expected


@pytest.mark.parametrize(
    ("by", "group"), [("model", "gpt"), ("key", "k1"), ("user", "ann"), ("team", "t"), ("day", "1970-01-01")]
)
async def test_usage_sums_by_group(by: str, group: str) -> None:
    """Calls, errors, tokens and cost add up, and calls without a price are counted apart."""
    store = ListLogStore()
    await store.ingest(batch(ended("a"), ended("b", 2, outcome="error", cost_nanousd=None), ended("c", 3)))
    (row,) = await store.usage(by, 2 * SECOND_NS)
    assert (row.group, row.calls, row.errors) == (group, 2, 1)
    assert (row.input_tokens, row.output_tokens, row.cost_nanousd, row.unpriced_calls) == (6, 4, 1_500, 1)


async def test_counters_count_outcomes() -> None:
    """One counter for each outcome seen."""
    store = ListLogStore()
    await store.ingest(batch(ended("a"), ended("b"), ended("c", outcome="error")))
    counters = await store.counters()
    assert sorted(counters.values()) == [1, 2]


async def test_a_store_that_is_down_says_so() -> None:
    """While `down` is set every method raises."""
    store = ListLogStore()
    store.down = True
    for question in (store.ingest(batch()), store.calls(LogQuery()), store.usage("model", None), store.counters()):
        with pytest.raises(StateUnavailable):
            await question
