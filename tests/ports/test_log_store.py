from __future__ import annotations

from typing import Any

import pytest

from fairlead.call import OutcomeKind
from fairlead.errors import InvalidRequest
from fairlead.ports import Batch, LogQuery, LogStore
from fairlead.record import Admitted, AttemptRecord, Ended, Gauges, Identity, Record
from fairlead.types import Usage
from fairlead.verdict import Edit, FieldError, Validated

WHO = Identity(tenant="team:rd", key_id="k1", key_name="search", user="ann", team="rd")
DAY_NS = 86_400 * 10**9
CALLS = "fairlead_calls_total"


def admitted(call_id: str, at_ns: int = 1_000, **rest: Any) -> Admitted:
    fields: dict[str, Any] = {
        "dialect": "openai_chat",
        "alias": "small",
        "model": "small",
        "stream": False,
        "identity": WHO,
        "provider": "p",
        "upstream_model": "m",
        "request": b'{"q":1}',
    }
    return Admitted(call_id=call_id, started_at_ns=at_ns, **(fields | rest))


def attempt(number: int = 1, cost: int | None = 10, **rest: Any) -> AttemptRecord:
    fields: dict[str, Any] = {
        "provider": "p",
        "credential": "default",
        "model": "m",
        "label": "m",
        "started_ns": 5,
        "usage": Usage(input_tokens=3, cache_read_tokens=4, output_tokens=5),
        "usage_source": "final",
    }
    return AttemptRecord(number=number, cost_nanousd=cost, **(fields | rest))


def ended(
    call_id: str, at_ns: int = 1_000, *attempts: AttemptRecord, outcome: OutcomeKind = "ok", **rest: Any
) -> Ended:
    tried = attempts or (attempt(),)
    costs = [each.cost_nanousd for each in tried]
    fields: dict[str, Any] = {
        "dialect": "openai_chat",
        "alias": "small",
        "model": "small",
        "stream": False,
        "identity": WHO,
        "status": 200,
        "duration_ns": 50,
        "usage": Usage(input_tokens=3, output_tokens=5),
        "cost_nanousd": None if None in costs else sum(cost for cost in costs if cost is not None),
        "response": b'{"a":2}',
    }
    return Ended(call_id=call_id, started_at_ns=at_ns, attempts=tried, outcome=outcome, **(fields | rest))


async def store(logs: LogStore, *records: Record, offset: int = 1, segment: str = "s", finished: bool = False) -> int:
    return await logs.ingest(Batch(segment=segment, offset=offset, records=records, finished=finished))


async def one(logs: LogStore, call_id: str) -> dict[str, Any]:
    (found,) = await logs.calls(LogQuery(call_id=call_id))
    return dict(found)


async def listed(logs: LogStore, **query: Any) -> list[object]:
    return [call["call_id"] for call in await logs.calls(LogQuery(**query))]


async def test_a_call_is_stored_whole(logs: LogStore) -> None:
    """What was recorded can be read, money exact, bodies as text."""
    assert await store(logs, admitted("c"), ended("c", tags=("t",), session="s", degraded=("cache",))) == 1
    call = await one(logs, "c")
    assert call["outcome"] == "ok"
    assert (call["key_id"], call["user"], call["team"], call["tenant"]) == ("k1", "ann", "rd", "team:rd")
    assert (call["request"], call["response"]) == ('{"q":1}', '{"a":2}')
    assert (call["cost_nanousd"], call["cost_usd"]) == (10, "0.00000001")
    assert (call["tags"], call["session"], call["degraded"]) == (["t"], "s", ["cache"])
    assert call["usage"]["output_tokens"] == 5
    assert call["attempts"][0]["model"] == "m"
    assert call["started_at"] == "1970-01-01T00:00:00.000Z"


async def test_beginning_and_end_may_come_apart(logs: LogStore) -> None:
    """A call is open until its end comes in a later batch; its request stays."""
    assert await store(logs, admitted("c")) == 0
    assert (await one(logs, "c"))["outcome"] == "open"
    assert await store(logs, ended("c"), offset=2) == 1
    call = await one(logs, "c")
    assert (call["outcome"], call["request"]) == ("ok", '{"q":1}')


async def test_a_rejected_call_has_an_end_alone(logs: LogStore) -> None:
    """A call that was never admitted is complete by its end."""
    refused = Ended(
        call_id="c",
        started_at_ns=1,
        duration_ns=1,
        dialect="openai_chat",
        alias="",
        model="",
        stream=False,
        identity=Identity(tenant="local"),
        status=401,
        outcome="error",
        error_class="caller",
        request=b"{}",
        cost_nanousd=0,
    )
    assert await store(logs, refused) == 1
    call = await one(logs, "c")
    assert (call["status"], call["request"], call["attempts"], call["cost_usd"]) == (401, "{}", [], "0")


@pytest.mark.parametrize("segment", ["s", "another"])
async def test_delivering_twice_changes_nothing(logs: LogStore, segment: str) -> None:
    """Neither calls nor money nor counters, whether the batch comes as it was or under another name."""
    records = (admitted("a"), ended("a"), admitted("b"))
    await store(logs, *records)
    before = (await logs.counters(), await logs.usage("key", None), await logs.calls(LogQuery()))
    assert await store(logs, *records, segment=segment) == 0
    assert (await logs.counters(), await logs.usage("key", None), await logs.calls(LogQuery())) == before


async def test_a_second_end_changes_nothing(logs: LogStore) -> None:
    """The first end of a call is its end, even within one batch."""
    assert await store(logs, ended("a"), ended("a", 1_000, attempt(cost=99))) == 1
    assert await logs.spent("key:k1", 0) == 10
    assert (await one(logs, "a"))["cost_nanousd"] == 10


async def test_open_calls_of_a_finished_segment_crashed(logs: LogStore) -> None:
    """Where the writer is gone, what never ended crashed; other segments' calls are left alone."""
    await store(logs, admitted("a"), admitted("b"), ended("b"), segment="dead")
    await store(logs, admitted("c"), segment="alive")
    assert await store(logs, segment="dead", offset=1, finished=True) == 1
    assert (await one(logs, "a"))["outcome"] == "crashed"
    assert (await one(logs, "b"))["outcome"] == "ok"
    assert (await one(logs, "c"))["outcome"] == "open"
    crashed = (CALLS, (("alias", "small"), ("dialect", "openai_chat"), ("outcome", "crashed")))
    assert (await logs.counters())[crashed] == 1
    assert await store(logs, segment="dead", offset=1, finished=True) == 0
    assert (await logs.counters())[crashed] == 1


async def test_counters_move_with_calls(logs: LogStore) -> None:
    """What the counting function says is summed up."""
    await store(logs, ended("a"), ended("b"))
    await store(logs, ended("c"), offset=2)
    counters = await logs.counters()
    assert counters[CALLS, (("alias", "small"), ("dialect", "openai_chat"), ("outcome", "ok"))] == 3
    assert counters["fairlead_cost_usd_total", (("provider", "p"), ("model", "m"))] == 30


async def test_spent_sums_by_scope_and_admission(logs: LogStore) -> None:
    """Known cost of a scope's calls since a moment, however those calls ended."""
    await store(
        logs,
        ended("a", 100),
        ended("b", 200, attempt(1, 7), attempt(2, None), outcome="error"),
        ended("c", 300, identity=Identity(tenant="key:k2", key_id="k2"), alias="large"),
    )
    assert [await logs.spent(scope, 0) for scope in ("key:k1", "user:ann", "team:rd", "key:k2")] == [17, 17, 17, 10]
    assert [await logs.spent(scope, 0) for scope in ("model:small", "model:large", "key:none")] == [17, 10, 0]
    assert [await logs.spent("key:k1", since) for since in (100, 101, 200, 201)] == [17, 7, 7, 0]


async def test_spent_needs_a_known_kind_of_scope(logs: LogStore) -> None:
    """Another kind of scope is an error, never zero."""
    with pytest.raises(InvalidRequest, match="scope"):
        await logs.spent("planet:earth", 0)


async def test_usage_totals(logs: LogStore) -> None:
    """Calls, errors, tokens, cost and unpriced calls of each group, dearest first."""
    await store(
        logs,
        ended("a"),
        ended("b", 1_000, attempt(cost=None)),
        ended("c", 1_000, attempt(cost=90), outcome="error", identity=Identity(tenant="key:k2", key_id="k2")),
        admitted("open"),
    )
    rows = await logs.usage("key", None)
    assert [(row.group, row.calls, row.errors, row.cost_nanousd, row.unpriced_calls) for row in rows] == [
        ("k2", 1, 1, 90, 0),
        ("k1", 2, 0, 10, 1),
    ]
    assert (rows[1].input_tokens, rows[1].output_tokens) == (14, 10)


async def test_usage_by_model_counts_attempts_where_they_went(logs: LogStore) -> None:
    """A call that fell back costs each provider what its attempt cost."""
    first = attempt(1, 3, model="m1", error_class="provider", usage=None)
    await store(logs, ended("a", 1_000, first, attempt(2, 40, model="m2")))
    rows = await logs.usage("model", None)
    assert [(row.group, row.calls, row.errors, row.cost_nanousd) for row in rows] == [("m2", 1, 0, 40), ("m1", 1, 1, 3)]


@pytest.mark.parametrize("by", ["model", "key", "user", "team", "provider", "alias", "day", "outcome"])
async def test_every_grouping_has_the_same_total(logs: LogStore, by: str) -> None:
    """Grouping never loses or doubles money."""
    await store(
        logs,
        ended("a", DAY_NS),
        ended("b", 3 * DAY_NS, attempt(1, 2), attempt(2, 5)),
        ended("c", identity=Identity(tenant="local")),
    )
    assert sum(row.cost_nanousd for row in await logs.usage(by, None)) == 27
    assert sum(row.cost_nanousd for row in await logs.usage(by, 2 * DAY_NS)) == 7


async def test_usage_by_anything_else_is_refused(logs: LogStore) -> None:
    """Groups are a fixed set; a column's name or SQL is not among them."""
    for by in ("request", "id; DROP TABLE calls", ""):
        with pytest.raises(InvalidRequest, match="grouped"):
            await logs.usage(by, None)


async def test_calls_are_listed_newest_first(logs: LogStore) -> None:
    """By admission, within the asked time, at most as many as asked."""
    await store(logs, *(ended(f"c{at}", at) for at in (10, 30, 20)))
    assert await listed(logs) == ["c30", "c20", "c10"]
    assert await listed(logs, limit=1) == ["c30"]
    assert await listed(logs, since_ns=20) == ["c30", "c20"]
    assert await listed(logs, since_ns=10, until_ns=20) == ["c10"]


async def test_a_tail_goes_on_behind_a_call(logs: LogStore) -> None:
    """Only what was admitted later, oldest first."""
    await store(logs, *(ended(f"c{at}", at) for at in (10, 30, 20, 40)))
    assert await listed(logs, after_id="c20") == ["c30", "c40"]
    assert await listed(logs, after_id="c20", limit=1) == ["c30"]
    assert await listed(logs, after_id="c40") == []


async def test_search_is_a_plain_substring(logs: LogStore) -> None:
    """Request and answer are searched; `%`, `_` and quotes mean themselves."""
    await store(logs, admitted("a", request=b'{"q":"100% sure"}'), ended("a", response=b'{"a":"it\'s_so"}'))
    await store(logs, admitted("b", request=b'{"q":"100 sure"}'), ended("b", response=None), offset=2)
    assert await listed(logs, search="100% s") == ["a"]
    assert await listed(logs, search="it's_s") == ["a"]
    assert await listed(logs, search="1%") == []
    assert await listed(logs, search="100") == ["b", "a"]


async def test_search_finds_escaped_text_too(logs: LogStore) -> None:
    """A word is found whether JSON holds its letters or their escapes."""
    await store(logs, admitted("a", request='{"q":"привет"}'.encode()), ended("a"))
    escaped = b'{"q":"\\u043f\\u0440\\u0438\\u0432\\u0435\\u0442 \\"you\\""}'
    await store(logs, admitted("b", 2_000, request=escaped), ended("b", 2_000), offset=2)
    assert await listed(logs, search="привет") == ["b", "a"]
    assert await listed(logs, search='"you"') == ["b"]


@pytest.mark.parametrize(
    "poison",
    [
        ended("bad", model="lone \ud800 surrogate", tags=("\udfff",)),
        ended("bad", model="nul \x00 inside", request=b"\x00\xff\xfe"),
        ended("bad", 1_000, attempt(usage=Usage(input_tokens=10**30))),
        ended("bad", 1_000, attempt(cost=10**40)),
        ended("bad", error_message="'); DROP TABLE calls; --"),
        ended("bad", response=b"[" * 100_000),
    ],
    ids=["surrogate", "nul", "tokens", "cost", "sql", "deep"],
)
async def test_one_bad_record_never_poisons_its_batch(logs: LogStore, poison: Ended) -> None:
    """The others are stored, with or without it, and nothing breaks the reading afterwards."""
    await store(logs, ended("a"), poison, admitted("b"), ended("b", 2_000))
    assert {"a", "b"} <= set(await listed(logs))
    assert {row.group for row in await logs.usage("outcome", None)} == {"ok"}


async def test_implausible_numbers_become_unknown(logs: LogStore) -> None:
    """A provider's absurd usage leaves a call without usage and cost, not a store that can no longer add up."""
    absurd = attempt(cost=2**62, usage=Usage(input_tokens=2**62))
    assert await store(logs, ended("a", 1_000, absurd), ended("b", 1_000, absurd), ended("c")) == 3
    call = await one(logs, "a")
    assert (call["outcome"], call["usage"], call["cost_usd"]) == ("ok", None, None)
    (row,) = await logs.usage("key", None)
    assert (row.calls, row.unpriced_calls, row.cost_nanousd) == (3, 2, 10)


async def test_large_bodies_are_cut_with_a_marker(logs: LogStore) -> None:
    """A megabyte is kept, and what was there is said."""
    await store(logs, admitted("a", request=b"x" * 10_000_000), ended("a", response=b"y" * 10))
    call = await one(logs, "a")
    assert len(call["request"]) < 1_100_000
    assert call["request"].endswith("[truncated, 10000000 bytes in all]")
    assert call["response"] == "y" * 10


async def test_gauges_are_no_calls(logs: LogStore) -> None:
    """They are taken, and neither end nor list anything."""
    assert await store(logs, Gauges(worker="w", at_ns=1, in_flight=3)) == 0
    assert await listed(logs) == []


async def test_a_crashed_call_counts_what_it_had_reserved(logs: LogStore) -> None:
    """Budgets count the reservation of a call whose process died; its cost stays unknown, and usage shows none."""
    await store(logs, admitted("a", reserved_nanousd=700), segment="dead")
    assert await logs.spent("key:k1", 0) == 0
    await store(logs, segment="dead", finished=True)
    assert [await logs.spent(scope, 0) for scope in ("key:k1", "user:ann", "team:rd", "model:small")] == [700] * 4
    assert (await one(logs, "a"))["cost_nanousd"] is None
    assert {row.cost_nanousd for by in ("key", "model") for row in await logs.usage(by, None)} == {0}


async def test_a_crashed_call_that_did_end_counts_what_it_cost(logs: LogStore) -> None:
    """Its real cost takes the place of the reservation, whose call may have been admitted with none."""
    await store(logs, admitted("a", reserved_nanousd=700), admitted("b"), segment="dead")
    await store(logs, segment="dead", finished=True)
    await store(logs, ended("a"))
    assert await logs.spent("key:k1", 0) == 10


async def test_an_absurd_reservation_is_unknown(logs: LogStore) -> None:
    """It neither stops its batch nor fills a budget for ever."""
    huge = (admitted(str(amount), reserved_nanousd=amount) for amount in (2**62, 2**70, -(2**62)))
    await store(logs, *huge, admitted("b", reserved_nanousd=5), segment="dead")
    await store(logs, segment="dead", finished=True)
    assert len(await listed(logs)) == 4
    assert await logs.spent("key:k1", 0) == 5


async def test_a_call_may_begin_and_end_in_any_order_of_batches(logs: LogStore) -> None:
    """An end that comes before its beginning stays, and the request is found."""
    await store(logs, ended("a"))
    await store(logs, admitted("a"), segment="older")
    await store(logs, segment="older", finished=True)
    call = await one(logs, "a")
    assert (call["outcome"], call["request"]) == ("ok", '{"q":1}')


ERROR = FieldError(path="/age", message="is not a number", kind="type")


async def test_a_verdict_is_stored_whole(logs: LogStore) -> None:
    """With what is left to its default, so that a reader need not know it; the refused output is a content beside it."""
    edit = Edit(rung="extract", kind="fence", before="a", confidence=0.5)
    validated = Validated(
        schema="s", rung="reask", edits=(edit,), errors=(ERROR,), reasks=1, reask_nanousd=5, output=b"bad"
    )
    await store(logs, ended("c", validated=validated))
    call = await one(logs, "c")
    assert call["validated"] == {
        "schema": "s",
        "label": "other",
        "rung": "reask",
        "fits": True,
        "edits": [
            {"rung": "extract", "kind": "fence", "path": "", "before": "a", "after": None, "confidence": 0.5},
        ],
        "errors": [{"path": "/age", "message": "is not a number", "kind": "type"}],
        "reasks": 1,
        "reask_tokens": 0,
        "reask_nanousd": 5,
        "reask_usd": "0.000000005",
        "lost": [],
        "further_edits": 0,
        "further_errors": 0,
    }
    assert call["refused"] == "bad"


async def test_calls_can_be_asked_for_by_how_they_failed(logs: LogStore) -> None:
    """Refused outputs are found too where the call ended well afterwards."""
    await store(
        logs,
        admitted("open", 9),
        ended("plain", 1),
        ended("late", 2, outcome="error", error_class="timeout"),
        ended("failed", 3, outcome="error", error_class="validation", validated=Validated(schema="s", fits=False)),
        ended("mended", 4, validated=Validated(schema="s", rung="reask", errors=(ERROR,), reasks=1)),
        ended("fits", 5, validated=Validated(schema="s")),
        ended("elsewhere", 6, outcome="error", error_class="validation"),
    )
    assert await listed(logs, failed="timeout") == ["late"]
    assert await listed(logs, failed="validation") == ["elsewhere", "mended", "failed"]
    assert await listed(logs, failed="validation", search='"a":2', since_ns=4) == ["elsewhere", "mended"]
    assert await listed(logs, failed="validation", after_id="late") == ["failed", "mended", "elsewhere"]
    assert await listed(logs, failed="network") == []


async def test_numbers_of_a_verdict_that_cannot_be_spoil_no_batch(logs: LogStore) -> None:
    """The call is stored without them, and so are the others."""
    impossible = Validated(schema="s", reasks=1, reask_tokens=2**62, reask_nanousd=2**62)
    assert await store(logs, ended("a"), ended("b", validated=impossible), ended("c", validated=impossible)) == 3
    assert (await one(logs, "b"))["validated"]["reask_tokens"] == 0
