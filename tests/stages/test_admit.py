"""admit: our callers' own limits."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.call import Wanted
from fairlead.errors import RateLimited, UpstreamUnreachable
from fairlead.testing import FakeLimits, LoopClock, answers, openai_reply, tokens
from fairlead.testing.pipeline import Bench
from fairlead.types import Principal, Rate


def limited(*rates: Rate) -> tuple[Bench, FakeLimits]:
    limits = FakeLimits(LoopClock())
    return Bench(principal=Principal(key_id="k", rates=rates), limits=limits), limits


async def test_requests_over_the_rate_are_refused_with_a_wait() -> None:
    """The third call of a caller with two a minute is refused, and told how long to wait."""
    bench, _ = limited(Rate(scope="key:k", kind="requests", limit=2))
    await bench.ask()
    await bench.ask()

    with pytest.raises(RateLimited) as caught:
        await bench.ask()

    assert caught.value.retry_after_s is not None
    assert (caught.value.limit, caught.value.kind) == (2, "requests")
    assert bench.sink.ended[-1].error_class == "rate_limit"


async def test_concurrency_is_given_back_when_a_call_ends() -> None:
    """A limit of one at a time lets calls through one after the other."""
    bench, limits = limited(Rate(scope="key:k", kind="concurrency", limit=1))

    await bench.ask()
    await bench.ask()

    assert limits.unreleased == []


async def test_concurrency_is_given_back_when_a_call_fails() -> None:
    """A failed call holds nothing."""
    bench, limits = limited(Rate(scope="key:k", kind="concurrency", limit=1))
    bench.transport.then(answers.refuse())

    with pytest.raises(UpstreamUnreachable):
        await bench.ask()

    assert limits.unreleased == []


async def test_concurrency_is_given_back_when_a_caller_leaves() -> None:
    """A cancelled call holds nothing (S16)."""
    bench, limits = limited(Rate(scope="key:k", kind="concurrency", limit=1))
    bench.transport.then(openai_reply("late").latency(60))
    task = asyncio.ensure_future(bench.ask())
    await bench.transport.until(lambda: bench.transport.requests)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert limits.unreleased == []


async def test_tokens_claimed_and_not_used_are_given_back() -> None:
    """A call claims what it may use and keeps what it used."""
    rate = Rate(scope="key:k", kind="tokens", limit=10_000)
    bench, limits = limited(rate)
    bench.transport.then(openai_reply("x", tokens(20, 5)))

    await bench.ask(max_tokens=5_000)

    assert limits.in_use(rate) == 25


async def test_a_schema_that_is_asked_for_is_claimed_with_the_prompt() -> None:
    """It may stand in the prompt, once more and in words."""
    bench, _ = limited(Rate(scope="key:k", kind="tokens", limit=600))
    await bench.ask()
    call = bench.call()
    call.request.wanted = Wanted(name="s", schema=b"{" + b" " * 1_000 + b"}")

    with pytest.raises(RateLimited):
        await bench.run(call)


async def test_one_limit_that_refuses_takes_nothing_of_the_others() -> None:
    """All claims or none (L13)."""
    wide, narrow = Rate(scope="team:t", kind="requests", limit=100), Rate(scope="key:k", kind="requests", limit=1)
    bench, limits = limited(wide, narrow)
    await bench.ask()

    with pytest.raises(RateLimited):
        await bench.ask()

    assert limits.in_use(wide) == 1
