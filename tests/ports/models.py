"""What limits and ledgers promise, said as simply as possible; generated histories are compared with these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fairlead.core import windows
from fairlead.ports import Claim, Hold

MINUTE_NS = 60_000_000_000


@dataclass
class Bucket:
    """A bucket that leaks evenly: how many nanoseconds it takes to run empty, as of when."""

    level_ns: int = 0
    at_ns: int = 0

    def now(self, now_ns: int) -> int:
        self.level_ns, self.at_ns = max(0, self.level_ns - (now_ns - self.at_ns)), now_ns
        return self.level_ns


@dataclass
class ModelLimits:
    """Buckets and counters; all claims of a call or none."""

    buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    held: dict[int, tuple[Sequence[Claim], int]] = field(default_factory=dict)

    def acquire(self, number: int, claims: Sequence[Claim], now_ns: int) -> list[int] | None:
        """What is left of each limit, `None` where one refuses."""
        left = [self._left(claim, now_ns) for claim in claims]
        if any(each < claim.amount for each, claim in zip(left, claims, strict=True)):
            return None
        for claim in claims:
            rate = claim.rate
            if rate.kind == "concurrency":
                self.running[rate.scope] = self.running.get(rate.scope, 0) + claim.amount
            else:
                self._bucket(claim).level_ns += claim.amount * _interval_ns(claim)
        self.held[number] = (claims, now_ns)
        return [self._left(claim, now_ns) for claim in claims]

    def release(self, number: int, used_tokens: int | None, now_ns: int) -> None:
        """Once for each call."""
        claims, claimed_ns = self.held.pop(number, ((), 0))
        for claim in claims:
            rate = claim.rate
            if rate.kind == "concurrency":
                self.running[rate.scope] -= claim.amount
            elif rate.kind == "tokens" and used_tokens is not None:
                bucket, interval_ns = self._bucket(claim), _interval_ns(claim)
                level_ns = bucket.now(now_ns)
                still_there_ns = max(0, claim.amount * interval_ns - (now_ns - claimed_ns))
                change_ns = (used_tokens - claim.amount) * interval_ns
                bucket.level_ns = max(0, level_ns + max(change_ns, -still_there_ns))

    def _left(self, claim: Claim, now_ns: int) -> int:
        rate = claim.rate
        if rate.kind == "concurrency":
            return rate.limit - self.running.get(rate.scope, 0)
        interval_ns = _interval_ns(claim)
        burst = rate.limit if rate.burst is None else rate.burst
        return max(0, burst * interval_ns - self._bucket(claim).now(now_ns)) // interval_ns

    def _bucket(self, claim: Claim) -> Bucket:
        return self.buckets.setdefault((claim.rate.scope, claim.rate.kind), Bucket())


def _interval_ns(claim: Claim) -> int:
    return -(-MINUTE_NS // claim.rate.limit)


@dataclass
class ModelLedger:
    """What each account has spent, and the holds; nothing else."""

    spent: dict[tuple[str, str, int], int] = field(default_factory=dict)
    holds: dict[tuple[str, int], tuple[Hold, int]] = field(default_factory=dict)
    """Not yet settled, and when they lapse."""

    def reserve(self, hold: Hold, now_ns: int) -> bool:
        hold_id = (hold.call_id, hold.attempt)
        if hold_id in self.holds and self.holds[hold_id][1] > now_ns:
            return True
        for budget in hold.budgets:
            account = (budget.scope, budget.window, windows.start_ns(budget.window, hold.at_ns))
            held = sum(
                other.amount_nanousd
                for other, lapses_ns in self.holds.values()
                if lapses_ns > now_ns and account in _accounts(other)
            )
            if self.spent.get(account, 0) + held + hold.amount_nanousd > budget.limit_nanousd:
                return False
        self.holds[hold_id] = (hold, now_ns + round(hold.lease_s * 1e9))
        return True

    def settle(self, call_id: str, attempt: int, cost_nanousd: int) -> None:
        known = self.holds.pop((call_id, attempt), None)
        for account in () if known is None else _accounts(known[0]):
            self.spent[account] = self.spent.get(account, 0) + cost_nanousd


def _accounts(hold: Hold) -> set[tuple[str, str, int]]:
    return {(each.scope, each.window, windows.start_ns(each.window, hold.at_ns)) for each in hold.budgets}
