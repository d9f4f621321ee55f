from __future__ import annotations

import msgspec

from fairlead.ports import KeyStore, ScopeLimits, StoredKey
from fairlead.types import Budget, Rate

KEY = StoredKey(
    id="k1",
    digest=b"\x00digest\xff",
    name="search",
    user="ann",
    team="rd",
    models=frozenset({"a", "b"}),
    limits=ScopeLimits(budget_nanousd=10, budget_window="day", rpm=60, tpm=1_000, concurrency=4),
    trusts_user_header=True,
    created_at_ns=5,
    expires_at_ns=9,
)
HOSTILE = "x'; DROP TABLE keys; -- %_\\ \" \u0000 \u202e"


async def test_unknown_key_is_none(keys: KeyStore) -> None:
    """A key that is not there is `None`, asked once or twice."""
    assert await keys.find("nobody") is None
    assert await keys.find("nobody") is None


async def test_a_saved_key_comes_back_whole(keys: KeyStore) -> None:
    """Every field survives."""
    await keys.save(KEY)
    found = await keys.find("k1")
    assert found is not None
    assert found[0] == KEY


async def test_a_key_that_was_missing_is_found_once_saved(keys: KeyStore) -> None:
    """Not being there is not remembered beyond its end."""
    assert await keys.find("k1") is None
    await keys.save(KEY)
    assert await keys.find("k1") is not None


async def test_the_principal_carries_the_limits_of_key_user_and_team(keys: KeyStore) -> None:
    """Budgets and rates of all three, each under its own scope."""
    await keys.limit("user:ann", ScopeLimits(budget_nanousd=20, rpm=100))
    await keys.limit("team:rd", ScopeLimits(budget_nanousd=30, budget_window="month", concurrency=50))
    await keys.limit("team:other", ScopeLimits(budget_nanousd=1))
    await keys.save(KEY)
    found = await keys.find("k1")
    assert found is not None
    who = found[1]
    assert (who.key_id, who.key_name, who.user, who.team, who.models) == ("k1", "search", "ann", "rd", KEY.models)
    assert who.trusts_user_header
    assert who.budgets == (
        Budget(scope="key:k1", limit_nanousd=10, window="day"),
        Budget(scope="user:ann", limit_nanousd=20, window="total"),
        Budget(scope="team:rd", limit_nanousd=30, window="month"),
    )
    assert set(who.rates) == {
        Rate(scope="key:k1", kind="requests", limit=60),
        Rate(scope="key:k1", kind="tokens", limit=1_000),
        Rate(scope="key:k1", kind="concurrency", limit=4),
        Rate(scope="user:ann", kind="requests", limit=100),
        Rate(scope="team:rd", kind="concurrency", limit=50),
    }


async def test_a_plain_key_has_no_limits(keys: KeyStore) -> None:
    """Absent limits are no limits, and absent models allow all."""
    await keys.save(StoredKey(id="k2", digest=b"d", name="plain"))
    found = await keys.find("k2")
    assert found is not None
    assert (found[1].budgets, found[1].rates, found[1].models) == ((), (), None)


async def test_revoked_and_expired_keys_are_found(keys: KeyStore) -> None:
    """Whether they count is not the store's to say."""
    await keys.save(msgspec.structs.replace(KEY, revoked_at_ns=7))
    found = await keys.find("k1")
    assert found is not None
    assert found[0].revoked_at_ns == 7


async def test_limits_can_be_cleared(keys: KeyStore) -> None:
    """A scope without limits no longer shows."""
    await keys.save(KEY)
    await keys.limit("user:ann", ScopeLimits(budget_nanousd=20))
    await keys.limit("user:ann", None)
    found = await keys.find("k1")
    assert found is not None
    assert [budget.scope for budget in found[1].budgets] == ["key:k1"]


async def test_every_change_moves_the_generation(keys: KeyStore) -> None:
    """Saving and limiting move it, reading does not."""
    first = await keys.generation()
    await keys.find("k1")
    await keys.keys()
    assert await keys.generation() == first
    await keys.save(KEY)
    second = await keys.generation()
    await keys.limit("user:ann", None)
    assert len({first, second, await keys.generation()}) == 3


async def test_newest_first(keys: KeyStore) -> None:
    """Keys are listed by their time of creation, newest first."""
    for number in (1, 3, 2):
        await keys.save(StoredKey(id=f"k{number}", digest=b"d", name="n", created_at_ns=number))
    assert [key.id for key in await keys.keys()] == ["k3", "k2", "k1"]


async def test_hostile_words_are_only_words(keys: KeyStore) -> None:
    """SQL in any field is stored and found as it is."""
    await keys.save(KEY)
    await keys.save(StoredKey(id=HOSTILE, digest=b"d", name=HOSTILE, user=HOSTILE, team=HOSTILE))
    await keys.limit(f"user:{HOSTILE}", ScopeLimits(rpm=1))
    found = await keys.find(HOSTILE)
    assert found is not None
    assert found[1].rates == (Rate(scope=f"user:{HOSTILE}", kind="requests", limit=1),)
    assert len(await keys.keys()) == 2
