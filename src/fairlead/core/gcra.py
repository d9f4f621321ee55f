"""GCRA, the generic cell rate algorithm, in integer nanoseconds.

ITU-T I.371 describes it for ATM cells, `redis-cell` (https://github.com/brandur/redis-cell) made it usual for requests.
The whole state of one limit is its *theoretical arrival time* (TAT): when everything admitted so far would have arrived
at an even pace.  It works like a leaking bucket that holds `burst` units and leaks one every `interval_ns`.

All functions are pure: `check` says what would happen, and the caller commits the new TATs of all limits or of none.
What turns out larger than claimed is charged afterwards by `settle`, so a TAT can lie any time ahead: it is a debt, and
nothing is admitted before it is paid off.  Times are of a clock that never goes back.
"""

from __future__ import annotations

import msgspec

MINUTE_NS = 60_000_000_000


class Quota(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`limit` units a `period_ns`, `burst` of them at once."""

    limit: int
    burst: int
    interval_ns: int
    """Between two units at an even pace, rounded up: the pace is never faster than the limit."""

    @property
    def capacity_ns(self) -> int:
        """How far ahead the TAT may lie for a claim to be admitted."""
        return self.burst * self.interval_ns


def quota(limit: int, *, period_ns: int = MINUTE_NS, burst: int | None = None) -> Quota:
    """A quota; without `burst`, a whole period's worth may come at once.

    Raises:
        ValueError: a limit or burst below 1.
    """
    size = limit if burst is None else burst
    if limit < 1 or size < 1:
        msg = f"a rate limit is at least 1, not {min(limit, size)}"
        raise ValueError(msg)
    return Quota(limit=limit, burst=size, interval_ns=-(-period_ns // limit))


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a limit says to a claim."""

    allowed: bool
    tat_ns: int
    """The state after this decision; unchanged by a refusal."""
    remaining: int
    """Units that could still come at this very moment."""
    retry_after_ns: int | None
    """After waiting this long the same claim fits, if nobody else comes first; 0 if allowed, `None` if it never fits."""
    reset_ns: int
    """Until the whole burst is available again."""


def advance(tat_ns: int, now_ns: int, claim_ns: int) -> int:
    """The TAT after a claim that is worth `claim_ns`, that is its units times the interval, if it is admitted."""
    return max(tat_ns, now_ns) + claim_ns


def check(quota: Quota, tat_ns: int | None, now_ns: int, amount: int = 1) -> Decision:
    """Decide about `amount` units, from the state of a limit (`None`: never used)."""
    capacity_ns = quota.burst * quota.interval_ns
    current_ns = now_ns if tat_ns is None else max(tat_ns, now_ns)
    next_ns = advance(current_ns, now_ns, amount * quota.interval_ns)
    early_ns = next_ns - capacity_ns - now_ns
    allowed = early_ns <= 0
    kept_ns = next_ns if allowed else current_ns
    retry_after_ns: int | None = max(early_ns, 0)
    if amount > quota.burst:
        retry_after_ns = None
    return Decision(
        allowed=allowed,
        tat_ns=kept_ns,
        remaining=max(now_ns + capacity_ns - kept_ns, 0) // quota.interval_ns,
        retry_after_ns=retry_after_ns,
        reset_ns=kept_ns - now_ns,
    )


def settle(quota: Quota, tat_ns: int | None, now_ns: int, *, claimed: int, used: int, claimed_at_ns: int) -> int:
    """The TAT once it is known what a claim used: more than it claimed is charged, less comes back.

    Only what has not leaked away meanwhile comes back: had the claim been for `used` units alone, the bucket could
    have run empty in between, and time spent empty earns nothing.
    """
    current_ns = now_ns if tat_ns is None else max(tat_ns, now_ns)
    if used >= claimed:
        return current_ns + (used - claimed) * quota.interval_ns
    unused_ns = (claimed - used) * quota.interval_ns
    left_ns = claimed * quota.interval_ns - (now_ns - claimed_at_ns)
    return current_ns - max(0, min(unused_ns, left_ns))
