from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import RateLimited
from fairlead.ports import Claim, Limits
from fairlead.testing import VirtualClock
from fairlead.types import Rate


def requests(limit: int, scope: str = "key:a") -> Claim:
    return Claim(rate=Rate(scope=scope, kind="requests", limit=limit))


def tokens(limit: int, amount: int, scope: str = "key:a") -> Claim:
    return Claim(rate=Rate(scope=scope, kind="tokens", limit=limit), amount=amount)


def running(limit: int, scope: str = "key:a") -> Claim:
    return Claim(rate=Rate(scope=scope, kind="concurrency", limit=limit))


async def admits(limits: Limits, *claims: Claim) -> bool:
    try:
        await limits.acquire(claims)
    except RateLimited:
        return False
    return True


async def test_parallel_requests_stop_at_the_limit(limits: Limits) -> None:
    """Of fifty parallel requests on a limit of ten, ten are admitted."""
    answers = await asyncio.gather(*(admits(limits, requests(10)) for _ in range(50)))
    assert sum(answers) == 10


async def test_waiting_as_told_succeeds(limits: Limits, time: VirtualClock) -> None:
    """After the wait that the refusal names, the same request is admitted."""
    for _ in range(3):
        await limits.acquire([requests(3)])
    with pytest.raises(RateLimited) as refused:
        await limits.acquire([requests(3)])
    assert refused.value.retry_after_s is not None
    await time.advance(refused.value.retry_after_s)
    assert await admits(limits, requests(3))


async def test_a_refusal_says_which_limit(limits: Limits) -> None:
    """It carries kind, limit and what is left."""
    await limits.acquire([tokens(100, 60)])
    with pytest.raises(RateLimited) as refused:
        await limits.acquire([requests(10), tokens(100, 60)])
    error = refused.value
    assert (error.kind, error.limit, error.remaining) == ("tokens", 100, 40)


async def test_all_or_nothing(limits: Limits) -> None:
    """Where one claim is refused, the others take nothing."""
    await limits.acquire([running(1, "team:t")])
    for _ in range(5):
        assert not await admits(limits, requests(1), tokens(10, 10), running(1, "team:t"))
    assert await admits(limits, requests(1), tokens(10, 10))


async def test_standings_follow_the_claims(limits: Limits) -> None:
    """One standing for each claim, in order, after the decision."""
    standings = await limits.acquire([requests(10), tokens(1_000, 400), running(5)])
    assert [(s.kind, s.limit, s.remaining) for s in standings] == [
        ("requests", 10, 9),
        ("tokens", 1_000, 600),
        ("concurrency", 5, 4),
    ]
    assert standings[0].reset_s == pytest.approx(6, abs=0.001)


async def test_concurrency_comes_back(limits: Limits) -> None:
    """A released call makes room for another."""
    claims = [running(1)]
    await limits.acquire(claims)
    assert not await admits(limits, running(1))
    limits.release(claims, None)
    assert await admits(limits, running(1))


async def test_equal_claims_of_two_calls_are_told_apart(limits: Limits, time: VirtualClock) -> None:
    """Of two calls with the same claims each gives back what has not leaked away of its own."""
    first, second = [tokens(100, 50)], [tokens(100, 50)]
    await limits.acquire(first)
    await time.advance(30)
    await limits.acquire(second)
    limits.release(second, 0)
    assert await admits(limits, tokens(100, 100))


async def test_a_second_release_gives_nothing(limits: Limits) -> None:
    """Concurrency never goes below zero."""
    claims = [running(1)]
    await limits.acquire(claims)
    limits.release(claims, None)
    limits.release(claims, None)
    assert await admits(limits, running(1))
    assert not await admits(limits, running(1))


async def test_a_burst_is_all_that_comes_at_once(limits: Limits, time: VirtualClock) -> None:
    """Of 60 a minute with a burst of 5, five pass at once and one a second after them."""
    claim = Claim(rate=Rate(scope="key:a", kind="requests", limit=60, burst=5))
    assert [await admits(limits, claim) for _ in range(7)] == [True] * 5 + [False] * 2
    await time.advance(1)
    assert [await admits(limits, claim) for _ in range(2)] == [True, False]


async def test_unused_tokens_come_back(limits: Limits) -> None:
    """What was claimed and not used can be claimed again."""
    claims = [tokens(100, 100)]
    await limits.acquire(claims)
    limits.release(claims, 30)
    assert not await admits(limits, tokens(100, 71))
    assert await admits(limits, tokens(100, 70))


async def test_unknown_use_gives_nothing_back(limits: Limits) -> None:
    """Where nobody knows what was used, all of the claim counts."""
    claims = [tokens(100, 100)]
    await limits.acquire(claims)
    limits.release(claims, None)
    assert not await admits(limits, tokens(100, 1))


async def test_requests_do_not_come_back(limits: Limits) -> None:
    """A request that is over has been made."""
    claims = [requests(1)]
    await limits.acquire(claims)
    limits.release(claims, 0)
    assert not await admits(limits, requests(1))


async def test_what_never_fits_promises_no_wait(limits: Limits) -> None:
    """A claim above the whole limit is refused without a wait."""
    with pytest.raises(RateLimited, match="never fit") as refused:
        await limits.acquire([tokens(10, 11)])
    assert refused.value.retry_after_s is None


async def test_scopes_are_apart(limits: Limits) -> None:
    """One key's requests do not count for another's."""
    await limits.acquire([requests(1)])
    assert await admits(limits, requests(1, "key:b"))


async def test_a_changed_limit_counts_at_once_and_forgets_nothing(limits: Limits) -> None:
    """A limit lowered below what was used refuses; raised again, it admits only what is new."""
    for _ in range(10):
        await limits.acquire([requests(10)])
    assert not await admits(limits, requests(5))
    answers = [await admits(limits, requests(20)) for _ in range(30)]
    assert sum(answers) <= 20


async def test_a_wall_clock_step_changes_nothing(limits: Limits, time: VirtualClock) -> None:
    """An hour forward or back is neither a burst nor a lock-out."""
    await limits.acquire([requests(1)])
    time.step_wall(3_600)
    assert not await admits(limits, requests(1))
    time.step_wall(-7_200)
    await time.advance(60)
    assert await admits(limits, requests(1))


async def test_a_limit_of_zero_admits_nobody(limits: Limits) -> None:
    """Zero is a limit."""
    assert not await admits(limits, requests(0))
    assert not await admits(limits, running(0))


async def test_tokens_used_beyond_the_claim_are_charged(limits: Limits) -> None:
    """A call that claimed 10 and used 60 leaves 40 of 100."""
    claims = [tokens(100, 10)]
    await limits.acquire(claims)
    limits.release(claims, 60)
    assert not await admits(limits, tokens(100, 41))
    assert await admits(limits, tokens(100, 40))


async def test_a_debt_of_tokens_is_paid_off_before_anything_is_admitted(limits: Limits, time: VirtualClock) -> None:
    """Three times a minute's tokens at once keep the next call out for over two minutes, as the refusal says."""
    claims = [tokens(100, 10)]
    await limits.acquire(claims)
    limits.release(claims, 310)
    with pytest.raises(RateLimited) as refused:
        await limits.acquire(claims)
    error = refused.value
    assert error.retry_after_s is not None
    assert 120 < error.retry_after_s < 190
    assert error.remaining == 0
    await time.advance(120)
    assert not await admits(limits, claims[0])
    await time.advance(error.retry_after_s - 120)
    assert await admits(limits, claims[0])


async def test_a_debt_is_charged_though_the_limit_was_idle_meanwhile(limits: Limits, time: VirtualClock) -> None:
    """What a long call used beyond its claim counts when it ends, however long ago it was admitted."""
    claims = [tokens(100, 10)]
    await limits.acquire(claims)
    await time.advance(3_600)
    limits.release(claims, 110)
    assert not await admits(limits, tokens(100, 1))
