"""The provider model: limits, time and trouble, in process and over sockets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from fairlead.errors import EmptyStream, StreamTruncated, UpstreamTimeout, UpstreamUnreachable
from fairlead.providers.sim.allowance import Rates
from fairlead.providers.sim.faults import Fault
from fairlead.testing import FakeTransport, FakeUpstream, ProviderModel, Received, VirtualClock, faults
from fairlead.testing.clock import LoopClock
from fairlead.testing.faults import Spread
from fairlead.testing.pipeline import Bench, candidate
from fairlead.wire import Origin, Pool, head

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 40}]} | fields).encode()


class Provider:
    """A model behind a fake transport."""

    def __init__(self, *struck: Fault, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.model = ProviderModel(self.clock, faults=struck, **settings)
        self.transport = FakeTransport(default=self.model, clock=self.clock)

    async def ask(self, **fields: Any) -> Any:
        return await self.transport.send(HEAD, body(**fields), 5)


async def test_an_answer_has_the_tokens_that_it_reports() -> None:
    """Prompt by its length, answer within the request's maximum, time by its length."""
    provider = Provider(first_s=Spread(0.5, 0.0), writes=Spread(1_000.0), tokens_a_second=10.0)
    began_ns = provider.clock.monotonic_ns()
    answer = json.loads(await (await provider.ask(max_tokens=20)).read(10_000))
    assert answer["usage"]["prompt_tokens"] == 10
    assert answer["usage"]["completion_tokens"] == 20
    assert provider.clock.monotonic_ns() - began_ns == pytest.approx(2.5e9)
    assert (provider.model.requests, provider.model.used_tokens) == (1, 30)


async def test_limits_are_kept_and_told() -> None:
    """By key and model."""
    provider = Provider(rates=Rates(rpm=60, bucket_s=1))
    statuses = [(await provider.ask()).status for _ in range(2)]
    refused = await provider.ask()
    assert (statuses[0], refused.headers.get("x-ratelimit-limit-requests")) == (200, "60")
    assert provider.model.counts["ok"] >= 1


@pytest.mark.parametrize(
    ("struck", "status"),
    [
        (faults.outage(), 503),
        (faults.storm(), 429),
        (faults.overloaded("m"), 529),
        (faults.overloaded("other"), 200),
        (faults.revoked("k"), 401),
        (faults.revoked("another"), 200),
        (faults.out_of_quota(), 429),
        (faults.flapping(every_s=10, for_s=5), 503),
        (faults.outage(from_s=10), 200),
        (faults.slow_start(3.0), 200),
        (Fault(kind="html"), 200),
        (Fault(kind="empty"), 200),
        (Fault(kind="truncated_json"), 200),
        (Fault(kind="error_event"), 200),
    ],
)
async def test_a_fault_shows_as_its_status(struck: Fault, status: int) -> None:
    """What the application's own client would see."""
    assert (await Provider(struck).ask()).status == status


@pytest.mark.parametrize(
    ("struck", "error"),
    [
        (faults.unreachable(), UpstreamUnreachable),
        (faults.hang(), UpstreamTimeout),
        (faults.cut_streams(), StreamTruncated),
        (faults.cut_streams(after_chunks=0), UpstreamUnreachable),
        (faults.stalled_streams(), UpstreamTimeout),
        (Fault(kind="late_error_event"), StreamTruncated),
        (Fault(kind="html"), EmptyStream),
        (Fault(kind="slow", delay_s=100.0), UpstreamTimeout),
    ],
)
async def test_a_fault_is_the_error_that_it_means(struck: Fault, error: type[Exception]) -> None:
    """Through the pipeline, streamed."""
    clock = VirtualClock()
    transport = FakeTransport(default=ProviderModel(clock, faults=[struck]), clock=clock)
    bench = Bench(clock=clock, transports={"fake": transport}, aliases={"gpt-4o-mini": [candidate()]})
    with pytest.raises(error):
        await bench.ask(stream=True)


async def test_the_same_model_serves_over_sockets() -> None:
    """`FakeUpstream` plays it for clients of any kind."""
    model = ProviderModel(LoopClock(), first_s=Spread(0.0, 0.0), tokens_a_second=1e6, faults=[faults.outage(rate=0.5)])
    async with FakeUpstream(default=model) as upstream:
        pool = Pool(Origin.of(upstream.origin), allow_private=True)
        request = head("POST", "/v1/chat/completions", {"host": "x", "content-type": "application/json"})
        found = [await _status(pool, request) for _ in range(20)]
        await pool.aclose()
    assert set(found) == {200, 503}


async def _status(pool: Pool, request: bytes) -> int:
    incoming = await pool.send(request, body(), 5.0)
    await incoming.read(10_000)
    return incoming.status


def histories(seed: int) -> Sequence[bytes]:
    clock = VirtualClock()
    model = ProviderModel(clock, faults=[faults.outage(rate=0.3)], seed=seed)
    return [
        model(Received(method="POST", path="/", headers={}, body=body(), at_ns=clock.monotonic_ns())).body
        for _ in range(20)
    ]


def test_the_same_seed_gives_the_same_answers() -> None:
    """And another one others."""
    assert histories(1) == histories(1) != histories(2)
