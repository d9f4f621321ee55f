"""Stand-ins for the ports that decide: small enough to be right by looking at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead.core import windows
from fairlead.errors import BudgetExceeded, RateLimited, StateUnavailable
from fairlead.ports import Claim, Clock, Hold, Kept, ScopeLimits, Standing, StoredKey
from fairlead.types import Budget, Principal, Rate

_MINUTE_NS = 60 * 10**9


class FakeLedger:
    """A `Ledger` that remembers everything.  Leases never lapse: nothing in a test crashes unseen.

    Attributes:
        down: while true `reserve` raises `StateUnavailable`.
        holds: every reservation ever made, in order.
        settlements: the first settlement of each hold.
    """

    def __init__(self) -> None:
        self.down = False
        self.holds: list[Hold] = []
        self.settlements: dict[tuple[str, int], int] = {}

    async def reserve(self, hold: Hold) -> None:
        """Take the amount from all budgets of the hold, or from none; a hold that is known stays as it is.

        Raises:
            BudgetExceeded: it does not fit.
            StateUnavailable: the ledger is down.
        """
        if self.down:
            raise StateUnavailable("the ledger is down")
        if any(_key(known) == _key(hold) for known in self.holds):
            return
        for budget in hold.budgets:
            taken_nanousd = self.taken_nanousd(budget, hold.at_ns)
            if taken_nanousd + hold.amount_nanousd > budget.limit_nanousd:
                raise BudgetExceeded(f"{hold.amount_nanousd} nano-USD do not fit into the budget of {budget.scope!r}")
        self.holds.append(hold)

    def settle(self, call_id: str, attempt: int, cost_nanousd: int) -> None:
        """Replace the reservation by the real cost; a second settlement and an unknown hold change nothing."""
        if any(_key(hold) == (call_id, attempt) for hold in self.holds):
            self.settlements.setdefault((call_id, attempt), cost_nanousd)

    def reserved_nanousd(self) -> int:
        """The sum of holds without a settlement."""
        return sum(hold.amount_nanousd for hold in self.open_holds)

    @property
    def open_holds(self) -> list[Hold]:
        """Reserved and not settled."""
        return [hold for hold in self.holds if _key(hold) not in self.settlements]

    def taken_nanousd(self, budget: Budget, at_ns: int) -> int:
        """What is settled and reserved against a budget's scope, in the window that holds `at_ns`."""
        return self.settled_nanousd(budget, at_ns) + sum(
            hold.amount_nanousd for hold in self.open_holds if _charges(hold, budget, at_ns)
        )

    def settled_nanousd(self, budget: Budget, at_ns: int) -> int:
        """What is settled against a budget's scope, in the window that holds `at_ns`."""
        return sum(self.settlements.get(_key(hold), 0) for hold in self.holds if _charges(hold, budget, at_ns))


def _key(hold: Hold) -> tuple[str, int]:
    return hold.call_id, hold.attempt


def _charges(hold: Hold, budget: Budget, at_ns: int) -> bool:
    begun_ns = windows.start_ns(budget.window, at_ns)
    return windows.start_ns(budget.window, hold.at_ns) == begun_ns and any(
        (mine.scope, mine.window) == (budget.scope, budget.window) for mine in hold.budgets
    )


@dataclass(slots=True)
class _Taken:
    """A claim that was granted."""

    claim: Claim
    at_ns: int
    amount: int
    released: bool = False


class FakeLimits:
    """A `Limits` that counts what was granted in the last 60 seconds.

    Attributes:
        down: while true `acquire` raises `StateUnavailable`.
    """

    def __init__(self, clock: Clock) -> None:
        self.down = False
        self._clock = clock
        self._taken: list[_Taken] = []

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        """Take all claims or none; one standing for each claim.

        Raises:
            RateLimited: one does not fit; carries the wait after which it would.
            StateUnavailable: the limits are down.
        """
        if self.down:
            raise StateUnavailable("the limits are down")
        for claim in claims:
            self._refuse(claim)
        now_ns = self._clock.monotonic_ns()
        self._taken += [_Taken(claim, now_ns, claim.amount) for claim in claims]
        return [self._standing(claim.rate) for claim in claims]

    def release(self, claims: Sequence[Claim], used_tokens: int | None) -> None:
        """Give back concurrency, and replace the tokens claimed by those used; what was never granted changes nothing.

        What was used beyond the claim counts from now, a limit's worth a minute, so a debt takes its time to age out.
        """
        for claim in claims:
            taken = next((taken for taken in self._taken if taken.claim == claim and not taken.released), None)
            if taken is not None:
                taken.released = True
                if claim.rate.kind == "tokens" and used_tokens is not None:
                    taken.amount = min(claim.amount, used_tokens)
                    self._owe(claim, used_tokens - claim.amount)

    def in_use(self, rate: Rate) -> int:
        """What counts against a rate now."""
        return sum(taken.amount for taken in self._counting(rate))

    @property
    def unreleased(self) -> list[Claim]:
        """Claims granted and not given back: none, once every call is over."""
        return [taken.claim for taken in self._taken if not taken.released]

    def _owe(self, claim: Claim, beyond: int) -> None:
        at_ns = self._clock.monotonic_ns()
        while beyond > 0:
            amount = min(beyond, claim.rate.limit)
            self._taken.append(_Taken(claim, at_ns, amount, released=True))
            beyond -= amount
            at_ns += _MINUTE_NS

    def _counting(self, rate: Rate) -> list[_Taken]:
        after_ns = self._clock.monotonic_ns() - _MINUTE_NS
        mine = [
            taken for taken in self._taken if (taken.claim.rate.scope, taken.claim.rate.kind) == (rate.scope, rate.kind)
        ]
        if rate.kind == "concurrency":
            return [taken for taken in mine if not taken.released]
        return [taken for taken in mine if taken.at_ns > after_ns]

    def _refuse(self, claim: Claim) -> None:
        rate = claim.rate
        over = self.in_use(rate) + claim.amount - rate.limit
        if over <= 0:
            return
        raise RateLimited(
            f"{rate.scope!r} is limited to {rate.limit} {rate.kind}",
            limit=rate.limit,
            remaining=max(0, rate.limit - self.in_use(rate)),
            kind=rate.kind,
            retry_after_s=self._wait_s(claim, over),
        )

    def _wait_s(self, claim: Claim, over: int) -> float | None:
        """Until enough has aged out; `None` if the claim never fits."""
        if claim.rate.kind == "concurrency":
            return 1.0
        for taken in sorted(self._counting(claim.rate), key=lambda taken: taken.at_ns):
            over -= taken.amount
            if over <= 0:
                return (taken.at_ns + _MINUTE_NS - self._clock.monotonic_ns()) / 10**9
        return None

    def _standing(self, rate: Rate) -> Standing:
        counting = self._counting(rate)
        newest_ns = max((taken.at_ns for taken in counting), default=0)
        reset_ns = 0 if rate.kind == "concurrency" else newest_ns + _MINUTE_NS - self._clock.monotonic_ns()
        left = rate.limit - sum(taken.amount for taken in counting)
        return Standing(kind=rate.kind, limit=rate.limit, remaining=max(0, left), reset_s=reset_ns / 10**9)


class FakeOwners:
    """An `Owners` in a dict.

    Attributes:
        down: while true both methods raise `StateUnavailable`.
        kept: what is noted, by tenant and id.
    """

    def __init__(self) -> None:
        self.down = False
        self.kept: dict[tuple[str, str], Kept] = {}

    async def remember(self, tenant: str, answer_id: str, kept: Kept) -> None:
        """Note that an answer is this tenant's.

        Raises:
            StateUnavailable: the store is down.
        """
        if self.down:
            raise StateUnavailable("the store is down")
        self.kept[tenant, answer_id] = kept

    async def find(self, tenant: str, answer_id: str) -> Kept | None:
        """Where this tenant's answer lies.

        Raises:
            StateUnavailable: the store is down.
        """
        if self.down:
            raise StateUnavailable("the store is down")
        return self.kept.get((tenant, answer_id))


class FakeKeyStore:
    """A `KeyStore` in a dict.

    Attributes:
        down: while true every method raises `StateUnavailable`.
    """

    def __init__(self, *keys: StoredKey) -> None:
        self.down = False
        self._keys = {key.id: key for key in keys}
        self._limits: dict[str, ScopeLimits] = {}
        self._generation = 0

    async def find(self, key_id: str) -> tuple[StoredKey, Principal] | None:
        """The key and the principal that it stands for, limits of its user and team included."""
        self._answer()
        key = self._keys.get(key_id)
        return None if key is None else (key, self._principal(key))

    async def save(self, key: StoredKey) -> None:
        """Create or replace."""
        self._answer()
        self._keys[key.id] = key
        self._generation += 1

    async def keys(self) -> Sequence[StoredKey]:
        """All of them, newest first."""
        self._answer()
        return sorted(self._keys.values(), key=lambda key: key.created_at_ns, reverse=True)

    async def limit(self, scope: str, limits: ScopeLimits | None) -> None:
        """Set or clear the limits of a scope."""
        self._answer()
        if limits is None:
            self._limits.pop(scope, None)
        else:
            self._limits[scope] = limits
        self._generation += 1

    async def generation(self) -> int:
        """Moves with every change."""
        self._answer()
        return self._generation

    def _answer(self) -> None:
        if self.down:
            raise StateUnavailable("the key store is down")

    def _principal(self, key: StoredKey) -> Principal:
        scopes: list[tuple[str, ScopeLimits]] = []
        if key.limits is not None:
            scopes.append((f"key:{key.id}", key.limits))
        named = [f"{kind}:{name}" for kind, name in (("user", key.user), ("team", key.team)) if name is not None]
        scopes += [(scope, self._limits[scope]) for scope in named if scope in self._limits]
        return Principal(
            key_id=key.id,
            key_name=key.name,
            user=key.user,
            team=key.team,
            models=key.models,
            budgets=tuple(budget for scope, limits in scopes for budget in _budgets(scope, limits)),
            rates=tuple(rate for scope, limits in scopes for rate in _rates(scope, limits)),
            trusts_user_header=key.trusts_user_header,
        )


def _budgets(scope: str, limits: ScopeLimits) -> list[Budget]:
    if limits.budget_nanousd is None:
        return []
    return [Budget(scope=scope, limit_nanousd=limits.budget_nanousd, window=limits.budget_window)]


def _rates(scope: str, limits: ScopeLimits) -> list[Rate]:
    rates: list[Rate] = []
    if limits.rpm is not None:
        rates.append(Rate(scope=scope, kind="requests", limit=limits.rpm))
    if limits.tpm is not None:
        rates.append(Rate(scope=scope, kind="tokens", limit=limits.tpm))
    if limits.concurrency is not None:
        rates.append(Rate(scope=scope, kind="concurrency", limit=limits.concurrency))
    return rates
