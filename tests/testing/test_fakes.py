"""The stand-ins keep the contracts of their ports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import BudgetExceeded, RateLimited, StateUnavailable
from fairlead.ports import Claim, Hold, KeyStore, Ledger, Limits, ScopeLimits, StoredKey
from fairlead.testing import FakeKeyStore, FakeLedger, FakeLimits, VirtualClock, virtual_run
from fairlead.types import Budget, Rate

DAY_NS = 86_400 * 10**9
SMALL = Budget(scope="key:k", limit_nanousd=100, window="day")
LARGE = Budget(scope="team:t", limit_nanousd=1_000, window="total")


def hold(call_id: str, amount: int, *budgets: Budget, at_ns: int = 0) -> Hold:
    return Hold(call_id=call_id, attempt=1, budgets=budgets or (SMALL,), amount_nanousd=amount, at_ns=at_ns)


async def test_a_reservation_takes_from_all_budgets_or_from_none() -> None:
    """What the smaller budget refuses is not taken from the larger."""
    ledger = FakeLedger()
    await ledger.reserve(hold("a", 60, LARGE, SMALL))
    with pytest.raises(BudgetExceeded, match="key:k"):
        await ledger.reserve(hold("b", 60, LARGE, SMALL))
    assert (ledger.reserved_nanousd(), ledger.taken_nanousd(LARGE, 0)) == (60, 60)


async def test_a_settlement_replaces_the_reservation_once() -> None:
    """The first settlement counts, also above the reservation; unknown holds are ignored."""
    ledger = FakeLedger()
    await ledger.reserve(hold("a", 60))
    ledger.settle("a", 1, 70)
    ledger.settle("a", 1, 10)
    ledger.settle("ghost", 1, 10)
    assert (ledger.reserved_nanousd(), ledger.settled_nanousd(SMALL, 0)) == (0, 70)


async def test_reserving_twice_takes_once() -> None:
    """A reservation that is delivered again changes nothing."""
    ledger = FakeLedger()
    await ledger.reserve(hold("a", 60))
    await ledger.reserve(hold("a", 60))
    assert ledger.reserved_nanousd() == 60


async def test_a_new_window_starts_at_nothing() -> None:
    """The day after, a day's budget is whole again; the total is not."""
    ledger = FakeLedger()
    await ledger.reserve(hold("a", 100, LARGE, SMALL))
    ledger.settle("a", 1, 100)
    await ledger.reserve(hold("b", 100, LARGE, SMALL, at_ns=DAY_NS))
    assert (ledger.taken_nanousd(SMALL, DAY_NS), ledger.taken_nanousd(LARGE, DAY_NS)) == (100, 200)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12))
def test_settled_money_stays_within_the_budget(calls: list[tuple[int, int]]) -> None:
    """Where no call costs more than it reserved, no sequence of calls overspends."""

    async def main() -> None:
        port = ledger = FakeLedger()
        books: Ledger = port
        for number, (amount, cost) in enumerate(calls):
            try:
                await books.reserve(hold(str(number), amount))
            except BudgetExceeded:
                continue
            if number % 3:
                books.settle(str(number), 1, min(cost, amount))
        assert ledger.taken_nanousd(SMALL, 0) <= SMALL.limit_nanousd

    virtual_run(main())


RPM = Rate(scope="key:k", kind="requests", limit=2)
TPM = Rate(scope="key:k", kind="tokens", limit=100)
SLOTS = Rate(scope="key:k", kind="concurrency", limit=1)


def claims(tokens: int = 10) -> list[Claim]:
    return [Claim(rate=RPM), Claim(rate=TPM, amount=tokens), Claim(rate=SLOTS)]


async def test_waiting_as_told_succeeds() -> None:
    """After the wait that a refusal names, the same claim fits."""
    clock = VirtualClock(autojump=False)
    limits: Limits = FakeLimits(clock)
    await limits.acquire([Claim(rate=TPM, amount=80)])
    await clock.advance(20)
    with pytest.raises(RateLimited) as caught:
        await limits.acquire([Claim(rate=TPM, amount=30)])
    assert caught.value.retry_after_s == 40
    await clock.advance(caught.value.retry_after_s)
    (standing,) = await limits.acquire([Claim(rate=TPM, amount=30)])
    assert (standing.remaining, standing.reset_s) == (70, 60)


async def test_all_claims_are_taken_or_none() -> None:
    """A claim refused for its slots takes neither a request nor tokens."""
    limits = FakeLimits(VirtualClock(autojump=False))
    await limits.acquire(claims())
    with pytest.raises(RateLimited) as caught:
        await limits.acquire(claims())
    assert caught.value.kind == "concurrency"
    assert (limits.in_use(RPM), limits.in_use(TPM)) == (1, 10)


async def test_a_release_gives_back_slots_and_unused_tokens() -> None:
    """The slot is free, tokens count as used, requests stay counted; a second release changes nothing."""
    limits = FakeLimits(VirtualClock(autojump=False))
    await limits.acquire(claims())
    limits.release(claims(), 4)
    limits.release(claims(), 4)
    assert (limits.in_use(SLOTS), limits.in_use(TPM), limits.in_use(RPM), limits.unreleased) == (0, 4, 1, [])


async def test_a_claim_that_never_fits_names_no_wait() -> None:
    """More than the whole limit has no waiting time."""
    limits = FakeLimits(VirtualClock(autojump=False))
    with pytest.raises(RateLimited) as caught:
        await limits.acquire([Claim(rate=TPM, amount=101)])
    assert caught.value.retry_after_s is None


async def test_a_key_stands_for_its_principal() -> None:
    """Limits of key, user and team all reach the principal; cleared ones do not."""
    key = StoredKey(id="k", digest=b"d", name="n", user="ann", team="t", limits=ScopeLimits(rpm=5, budget_nanousd=9))
    store: KeyStore = FakeKeyStore(key)
    await store.limit("team:t", ScopeLimits(tpm=7))
    await store.limit("user:ann", ScopeLimits(concurrency=3))
    await store.limit("user:ann", None)
    found = await store.find("k")
    assert found is not None
    assert found[0] is key
    assert found[1].rates == (
        Rate(scope="key:k", kind="requests", limit=5),
        Rate(scope="team:t", kind="tokens", limit=7),
    )
    assert found[1].budgets == (Budget(scope="key:k", limit_nanousd=9, window="total"),)
    assert await store.find("other") is None


async def test_every_change_of_keys_moves_the_generation() -> None:
    """Saving and limiting move it, asking does not; keys come newest first."""
    store = FakeKeyStore()
    seen = [await store.generation()]
    await store.save(StoredKey(id="old", digest=b"", name="n", created_at_ns=1))
    seen.append(await store.generation())
    await store.limit("user:x", ScopeLimits())
    seen.append(await store.generation())
    await store.save(StoredKey(id="new", digest=b"", name="n", created_at_ns=2))
    assert len(set(seen)) == 3
    assert [key.id for key in await store.keys()] == ["new", "old"]


async def test_ports_that_are_down_say_so() -> None:
    """While `down` is set, what must decide raises `StateUnavailable`."""
    ledger, limits, keys = FakeLedger(), FakeLimits(VirtualClock()), FakeKeyStore()
    ledger.down = limits.down = keys.down = True
    for question in (ledger.reserve(hold("a", 1)), limits.acquire([]), keys.find("k"), keys.keys()):
        with pytest.raises(StateUnavailable):
            await question


async def test_tokens_used_beyond_the_claim_are_owed() -> None:
    """A debt of three limits counts in full, and keeps the next call out until it has aged."""
    clock = VirtualClock(autojump=False)
    limits = FakeLimits(clock)
    claim = Claim(rate=TPM, amount=10)
    await limits.acquire([claim])
    limits.release([claim], 310)
    assert limits.in_use(TPM) == 310
    with pytest.raises(RateLimited) as caught:
        await limits.acquire([claim])
    assert caught.value.retry_after_s == 180
    await clock.advance(179)
    with pytest.raises(RateLimited):
        await limits.acquire([claim])
    await clock.advance(1)
    await limits.acquire([claim])
