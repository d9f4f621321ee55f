"""What closing a provider waits for."""

from __future__ import annotations

import asyncio

from fairlead.testing import FakeTransport, VirtualClock, openai_stream, virtual_run
from fairlead.testing.pipeline import Bench, candidate


def test_closing_waits_for_reading_on_that_begins_meanwhile():
    """An answer that is billed anyway is first waited for, then read on: both are over, and recorded, when it is closed."""
    clock = VirtualClock()

    async def flow() -> Bench:
        stream = openai_stream(["a", "b", "c"]).latency(2.0).paced(0.1)
        bench = Bench(
            clock=clock,
            transports={"fake": FakeTransport(stream, clock=clock)},
            aliases={"gpt-4o-mini": [candidate(bills_after_disconnect=True)]},
        )
        calling = asyncio.create_task(bench.ask(stream=True))
        await asyncio.sleep(1.0)
        calling.cancel()
        await asyncio.wait({calling})
        assert bench.sink.ended == []
        await bench._providers["fake"].aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return bench

    bench = virtual_run(flow(), clock)
    assert [record.usage_source for record in bench.sink.ended] == ["final"]
    assert bench.ledger.reserved_nanousd() == 0
