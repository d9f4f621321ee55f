"""Every port call of the canonical flows fails once, in every way, and the invariants hold each time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from fairlead.call import Outcome, Secret
from fairlead.core.credentials import HASHING_LABEL, derive, digest, format_key
from fairlead.errors import Cancelled, FairleadError, StreamTruncated
from fairlead.ports import ScopeLimits, StoredKey
from fairlead.stages.authorize import Authorize, VirtualKeys
from fairlead.stores.system import SystemRng
from fairlead.testing import (
    FakeKeyStore,
    FakeLedger,
    FakeLimits,
    FakeTransport,
    NthRun,
    RecordSink,
    VirtualClock,
    answers,
    assert_one_terminal_record,
    nth,
    openai_stream,
    virtual_run,
)
from fairlead.testing.pipeline import Bench, candidate

HASHING_KEY = derive("the root of this test", HASHING_LABEL)
SECRET = "a" * 43
KEY = StoredKey(
    id="k1",
    digest=digest(HASHING_KEY, SECRET),
    name="web",
    limits=ScopeLimits(budget_nanousd=10**9, budget_window="day", rpm=1_000, tpm=10**6, concurrency=5),
)


async def whole(bench: Bench) -> None:
    """A call with a key, limits and a budget, answered at once."""
    await ask(bench)


async def streamed(bench: Bench) -> None:
    """The same, streamed."""
    await ask(bench, stream=True)


async def fallen_back(bench: Bench) -> None:
    """The first provider fails, the second answers."""
    bench.transports["one"].then(answers.status(500))
    await ask(bench)


async def streamed_and_fallen_back(bench: Bench) -> None:
    """The first provider's stream is an error in a 200, the second's is good."""
    bench.transports["one"].then(answers.sse([{"error": {"message": "overloaded", "type": "server_error"}}]))
    await ask(bench, stream=True)


async def broken_off(bench: Bench) -> None:
    """The stream breaks after content."""
    stream = openai_stream(["a", "b", "c"])
    bench.transports["one"].then(stream.limit_data(stream.offset(3)))
    with suppress(StreamTruncated):
        await ask(bench, stream=True)


async def abandoned(bench: Bench) -> None:
    """The caller leaves a stream after its first chunk."""
    stream = openai_stream(["a", "b", "c"]).paced(1.0)
    bench.transports["one"].then(stream)
    call = bench.call("m", stream=True)
    call.credential = Secret(format_key("k1", SECRET))
    reply = await bench.run(call)
    outcome = Outcome("cancelled", Cancelled.http_status, Cancelled("the caller left"))
    try:
        async for _ in reply.source:  # type: ignore[union-attr]
            call.fate.abandoned = True
            break
    finally:
        reply.end(outcome)


async def ask(bench: Bench, **fields: Any) -> bytes:
    call = bench.call("m", **fields)
    call.credential = Secret(format_key("k1", SECRET))
    return await bench.see_through(await bench.run(call))


FLOWS = (whole, streamed, fallen_back, streamed_and_fallen_back, broken_off, abandoned)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_whatever_port_call_fails_the_invariants_hold(flow: Callable[[Bench], Awaitable[None]]) -> None:
    """One record a call, nothing reserved, nothing held, nothing hung: I1, I3, I5 (and I2: an error of ours, or none)."""
    clock = VirtualClock()

    def ports() -> dict[str, Any]:
        return {
            "keys": FakeKeyStore(KEY),
            "ledger": FakeLedger(),
            "limits": FakeLimits(clock),
            "one": FakeTransport(clock=clock),
            "two": FakeTransport(clock=clock),
        }

    sinks: list[RecordSink] = []

    async def run(wrapped: Any) -> None:
        sink = RecordSink()
        sinks.append(sink)
        bench = Bench(
            clock=clock,
            sink=sink,
            ledger=wrapped["ledger"],
            limits=wrapped["limits"],
            transports={"one": wrapped["one"], "two": wrapped["two"]},
            aliases={"m": [candidate(provider="one"), candidate(provider="two")]},
            stages={"authorize": Authorize(VirtualKeys(wrapped["keys"], {"1": HASHING_KEY}, clock, SystemRng()))},
        )
        await flow(bench)

    def check(run: NthRun) -> None:
        assert not run.hung, "a port call without a deadline"
        assert run.error is None or isinstance(run.error, FairleadError | asyncio.CancelledError), repr(run.error)
        records = sinks[-1].records
        assert_one_terminal_record(records)
        assert len(sinks[-1].ended) == 1
        assert run.ports["ledger"].reserved_nanousd() == 0  # type: ignore[attr-defined]
        assert run.ports["limits"].unreleased == []  # type: ignore[attr-defined]

    runs = virtual_run(nth(run, ports, check=check, patience_s=3_600.0), clock)

    assert {run.mode for run in runs} == {"clean", "exception", "timeout", "cancel"}
    assert {run.call.partition(".")[0] for run in runs} >= {"keys", "ledger", "limits", "one"}
