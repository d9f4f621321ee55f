"""Captured records and the log store in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import StateUnavailable
from fairlead.ports import Batch, LogQuery, LogStore, Sink
from fairlead.record import Admitted, AttemptRecord, Ended, Gauges, Identity
from fairlead.stores.sqlite import SqliteStore
from fairlead.testing import ListLogStore, RecordSink
from fairlead.types import Usage
from fairlead.verdict import FieldError, Validated

SECOND_NS = 10**9
IDENTITY = Identity(tenant="team:t", key_id="k1", user="ann", team="t")


def admitted(call_id: str, at_s: int = 1, reserved_nanousd: int | None = None) -> Admitted:
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
        reserved_nanousd=reserved_nanousd,
        request=b'{"q":"needle"}',
    )


def attempt(**rest: object) -> AttemptRecord:
    fields: dict[str, object] = {
        "number": 1,
        "provider": "p",
        "credential": "default",
        "model": "m",
        "started_ns": 0,
        "ended_ns": 5,
        "usage": Usage(input_tokens=3, output_tokens=2),
        "cost_nanousd": 1_500,
    }
    return AttemptRecord(**{**fields, **rest})  # type: ignore[arg-type]


UNPRICED = attempt(cost_nanousd=None)


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
        "attempts": (attempt(),),
        "response": b"answer",
    }
    return Ended(**{**fields, **rest})  # type: ignore[arg-type]


LATE = ended("b", 2, error_class="timeout")
MENDED = ended("c", 3, validated=Validated(schema="s", errors=(FieldError(path="", message="m"),), output=b"bad"))


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


async def test_a_crashed_call_counts_what_it_had_reserved() -> None:
    """Nobody knows what it cost, so budgets count its reservation; one without a reservation counts nothing."""
    store = ListLogStore()
    await store.ingest(batch(admitted("a", reserved_nanousd=70), admitted("b")))
    assert await store.spent("key:k1", 0) == 0
    await store.ingest(batch(offset=2, finished=True))
    assert await store.spent("key:k1", 0) == 70


async def test_a_running_call_is_listed_as_open() -> None:
    """A call that was admitted and has not ended shows, and counts nowhere."""
    store = ListLogStore()
    assert await store.ingest(batch(admitted("a"))) == 0
    assert [row["outcome"] for row in await store.calls(LogQuery())] == ["open"]
    assert await store.usage("alias", None) == []


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
        (LogQuery(failed="timeout"), ["b"]),
        (LogQuery(failed="validation"), ["c"]),
    ],
)
async def test_queries_select(query: LogQuery, expected: list[str]) -> None:
    """Each condition of a query selects what it names; a tail is oldest first."""
    store = ListLogStore()
    await store.ingest(batch(admitted("a"), ended("a"), LATE, MENDED))
    assert [row["call_id"] for row in await store.calls(query)] == expected


@pytest.mark.parametrize(
    ("by", "group"),
    [
        ("alias", "gpt"),
        ("model", "m"),
        ("provider", "p"),
        ("key", "k1"),
        ("user", "ann"),
        ("team", "t"),
        ("day", "1970-01-01"),
    ],
)
async def test_usage_sums_by_group(by: str, group: str) -> None:
    """Calls, errors, tokens and cost add up, and calls without a price are counted apart."""
    store = ListLogStore()
    await store.ingest(
        batch(ended("a"), ended("b", 2, outcome="error", cost_nanousd=None, attempts=(UNPRICED,)), ended("c", 3))
    )
    (row,) = await store.usage(by, 2 * SECOND_NS)
    assert (row.group, row.calls, row.errors) == (group, 2, 0 if by in ("model", "provider") else 1)
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


def drawn_ends(draw: st.DrawFn, call_id: str) -> Ended:
    costs = draw(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=3))
    attempts = tuple(
        attempt(
            number=number,
            provider=draw(st.sampled_from("pq")),
            error_class=draw(st.sampled_from([None, "network"])),
            usage=draw(st.sampled_from([None, Usage(input_tokens=number, cache_read_tokens=1, reasoning_tokens=2)])),
            cost_nanousd=cost,
        )
        for number, cost in enumerate(costs, 1)
    )
    outcome = draw(st.sampled_from(["ok", "error", "cancelled", "truncated"]))
    return ended(
        call_id,
        ord(call_id),
        attempts=attempts,
        outcome=outcome,
        cost_nanousd=None if None in costs else sum(cost for cost in costs if cost is not None),
        tags=draw(st.sampled_from([(), ("x",)])),
        validated=draw(st.sampled_from([None, MENDED.validated, Validated(schema="s", fits=False)])),
    )


@st.composite
def batches(draw: st.DrawFn) -> list[Batch]:
    """Two segments as workers write them, each delivered in batches, any of which may come again."""
    made = []
    for segment, calls in (("s", "abc"), ("t", "def")):
        written: list[Admitted | Ended] = []
        for call_id in calls:
            begins, ends = draw(st.booleans()), draw(st.booleans())
            reserved = draw(st.sampled_from([None, 7]))
            written += [admitted(call_id, ord(call_id), reserved)] if begins else []
            written += [drawn_ends(draw, call_id)] if ends else []
        at = draw(st.integers(0, len(written)))
        parts = [(written[:at], at, False), (written[at:], len(written) + 1, draw(st.booleans()))]
        for records, offset, finished in parts:
            one = batch(*records, segment=segment, offset=offset, finished=finished)
            made += [one] * draw(st.integers(1, 2))
        made += draw(st.lists(st.sampled_from(made), max_size=2))
    return made


def without_clock(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Rows in what both stores say about a call."""
    both = ("call_id", "outcome", "alias", "tenant", "user", "cost_usd", "cost_nanousd", "tags", "request", "response")
    both += ("validated", "refused")
    return [{name: row[name] for name in both} for row in rows]


@settings(max_examples=40, deadline=None)
@given(batches())
def test_it_agrees_with_the_store_in_sqlite(history: list[Batch]) -> None:
    """After any history of batches both stores count, list and sum the same."""

    async def main(path: Path) -> None:
        real, fake = SqliteStore(path, count=lambda _: ()), ListLogStore()
        await asyncio.to_thread(real.migrate)
        try:
            for each in history:
                assert await fake.ingest(each) == await real.logs.ingest(each)
            for query in (
                LogQuery(),
                LogQuery(search="needle"),
                LogQuery(failed="validation"),
                LogQuery(since_ns=98 * SECOND_NS),
                LogQuery(after_id="b"),
            ):
                assert without_clock(await fake.calls(query)) == without_clock(await real.logs.calls(query))
            for by in ("model", "key", "user", "team", "provider", "alias", "day", "outcome"):
                assert await fake.usage(by, None) == await real.logs.usage(by, None)
            for scope in ("key:k1", "user:ann", "team:t", "model:gpt", "user:nobody"):
                assert await fake.spent(scope, 98 * SECOND_NS) == await real.logs.spent(scope, 98 * SECOND_NS)
        finally:
            await real.aclose()

    with TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder) / "fairlead.db"))
