"""Budgets and limits of one process, in memory.

Each decision is a plain function under an uncontended lock, so neither the interleaving of tasks nor threads (the
synchronous client has its own loop) can come between a check and what it allows.
"""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.core import gcra, windows
from fairlead.core.money import format_usd
from fairlead.errors import BudgetExceeded, RateLimited
from fairlead.ports import Claim, Clock, Hold, Standing
from fairlead.types import Budget, Rate, Window

SeedSpent = Callable[[str, int], Awaitable[int]]
"""Nano-USD of a scope's calls admitted since, from the store; raises `StateUnavailable`."""

_AccountId = tuple[str, Window, int]
"""Scope, window, and when the window began."""
_HoldId = tuple[str, int]
_NS: Final = 1_000_000_000
_LAPSED_KEPT: Final = 10_000
"""Lapsed holds that a late settlement still finds."""
_SWEEP_FROM: Final = 1_024
"""Below so many entries nobody looks for idle ones."""


@dataclass(slots=True)
class _Account:
    """One scope in one window."""

    spent_nanousd: int
    ends_ns: int | None
    held_nanousd: int = 0


@dataclass(slots=True, frozen=True)
class _Open:
    """A hold, and the accounts that it is against."""

    amount_nanousd: int
    accounts: tuple[_AccountId, ...]


class MemoryLedger:
    """The `Ledger` of one process: its reservations live here, what was spent before comes from the store.

    A window is chosen by the wall clock at admission, and a call is charged to it however long it runs.  Leases run on
    the monotonic clock.

    Args:
        seed_spent: asked once for each scope and window, before the first reservation against it.  Everything admitted
            earlier should have reached the store by then: ingest before serving.
    """

    def __init__(self, clock: Clock, seed_spent: SeedSpent) -> None:
        self._clock = clock
        self._seed_spent = seed_spent
        self._lock = threading.Lock()
        self._accounts: dict[_AccountId, _Account] = {}
        self._sweep_at = _SWEEP_FROM
        self._open: dict[_HoldId, _Open] = {}
        self._lapsed: OrderedDict[_HoldId, _Open] = OrderedDict()
        self._leases: list[tuple[int, _HoldId]] = []
        self._reserved_nanousd = 0

    async def reserve(self, hold: Hold) -> None:
        """Take the amount from all budgets of the hold, or from none; a hold that is open already stays as it is.

        Raises:
            BudgetExceeded: it does not fit; names the scope.
            StateUnavailable: the store cannot say what was spent before.
        """
        ids = [(budget.scope, budget.window, windows.start_ns(budget.window, hold.at_ns)) for budget in hold.budgets]
        while not self._admitted(hold, ids):
            await self._open_accounts(ids, hold.at_ns)

    def settle(self, call_id: str, attempt: int, cost_nanousd: int) -> None:
        """Replace the reservation by the real cost, be it more; a second settlement changes nothing."""
        with self._lock:
            known = self._open.pop((call_id, attempt), None)
            if known is not None:
                self._free(known)
            else:
                known = self._lapsed.pop((call_id, attempt), None)
            if known is not None:
                self._charge(known, cost_nanousd)

    def reserved_nanousd(self) -> int:
        """The sum of open reservations."""
        with self._lock:
            self._sweep()
            return self._reserved_nanousd

    def _admitted(self, hold: Hold, ids: Sequence[_AccountId]) -> bool:
        """Whether the hold stands now; not where an account is missing."""
        with self._lock:
            self._sweep()
            hold_id = (hold.call_id, hold.attempt)
            if hold_id in self._open:
                return True
            accounts = {account_id: self._accounts[account_id] for account_id in ids if account_id in self._accounts}
            if not all(account_id in accounts for account_id in ids):
                return False
            for budget, account_id in zip(hold.budgets, ids, strict=True):
                account = accounts[account_id]
                left_nanousd = budget.limit_nanousd - account.spent_nanousd - account.held_nanousd
                if hold.amount_nanousd > left_nanousd:
                    raise BudgetExceeded(_refusal(budget, hold.amount_nanousd, left_nanousd))
            self._take(hold, hold_id, accounts)
            return True

    def _take(self, hold: Hold, hold_id: _HoldId, accounts: dict[_AccountId, _Account]) -> None:
        for account in accounts.values():
            account.held_nanousd += hold.amount_nanousd
        self._reserved_nanousd += hold.amount_nanousd
        self._lapsed.pop(hold_id, None)
        self._open[hold_id] = _Open(hold.amount_nanousd, tuple(accounts))
        heapq.heappush(self._leases, (self._clock.monotonic_ns() + round(hold.lease_s * _NS), hold_id))
        if len(self._leases) > _SWEEP_FROM + 2 * len(self._open):
            self._leases = [lease for lease in self._leases if lease[1] in self._open]
            heapq.heapify(self._leases)
        if len(self._accounts) >= self._sweep_at:
            self._drop_past(hold.at_ns)

    async def _open_accounts(self, ids: Sequence[_AccountId], at_ns: int) -> None:
        """Read what was spent before.

        Admission needs the account, so nothing it admits can be in a baseline that was read before it existed; of two
        baselines read at once the first one counts.
        """
        for account_id in ids:
            if account_id not in self._accounts:
                scope, window, start = account_id
                spent_nanousd = await self._seed_spent(scope, start)
                with self._lock:
                    self._accounts.setdefault(account_id, _Account(spent_nanousd, windows.end_ns(window, at_ns)))

    def _sweep(self) -> None:
        """Release the holds whose lease ran out, each once."""
        now_ns = self._clock.monotonic_ns()
        while self._leases and self._leases[0][0] <= now_ns:
            _, hold_id = heapq.heappop(self._leases)
            lapsed = self._open.pop(hold_id, None)
            if lapsed is not None:
                self._free(lapsed)
                self._lapsed[hold_id] = lapsed
        while len(self._lapsed) > _LAPSED_KEPT:
            self._lapsed.popitem(last=False)

    def _free(self, known: _Open) -> None:
        self._reserved_nanousd -= known.amount_nanousd
        for account_id in known.accounts:
            self._accounts[account_id].held_nanousd -= known.amount_nanousd

    def _charge(self, known: _Open, cost_nanousd: int) -> None:
        for account_id in known.accounts:
            account = self._accounts.get(account_id)
            if account is not None:
                account.spent_nanousd += cost_nanousd

    def _drop_past(self, now_ns: int) -> None:
        """Forget windows that are over and hold nothing."""
        past = [
            account_id
            for account_id, account in self._accounts.items()
            if account.ends_ns is not None and account.ends_ns <= now_ns and account.held_nanousd == 0
        ]
        for account_id in past:
            del self._accounts[account_id]
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._accounts))


def _refusal(budget: Budget, amount_nanousd: int, left_nanousd: int) -> str:
    window = "whole" if budget.window == "total" else budget.window
    return (
        f"this call could cost up to {format_usd(amount_nanousd)} USD, and {format_usd(max(left_nanousd, 0))} of "
        f"{format_usd(budget.limit_nanousd)} USD are left in the {window} budget of {budget.scope!r}; "
        "ask for fewer tokens with `max_tokens`, or have the budget raised"
    )


_CellId = tuple[str, str]
"""Scope and kind."""


class MemoryLimits:
    """The `Limits` of one process: GCRA for requests and tokens a minute, a counter for concurrency.

    What a limit has counted belongs to its scope and kind, not to its number: a limit raised or lowered while calls
    run takes effect with the next call and forgets nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tats_ns: dict[_CellId, int] = {}
        self._running: dict[_CellId, int] = {}
        self._claimed_at_ns: dict[Claim, deque[int]] = {}
        """When each open claim was made, oldest first: what is not open cannot be released."""
        self._sweep_at = _SWEEP_FROM

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        """Take all claims or none; one standing for each claim.

        Raises:
            RateLimited: one does not fit; carries the longest wait that any of them asks for.
        """
        with self._lock:
            return self._acquire(claims, self._clock.monotonic_ns())

    def release(self, claims: Sequence[Claim], used_tokens: int | None) -> None:
        """Give back concurrency and the tokens claimed but not used; charge those used beyond the claim.

        What is charged may exceed the limit by far: nothing is admitted until that is paid off.
        """
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            for claim in claims:
                self._release(claim, used_tokens, now_ns)

    def _acquire(self, claims: Sequence[Claim], now_ns: int) -> list[Standing]:
        decided = [self._decide(claim, now_ns) for claim in claims]
        refused = [(claim, answer) for claim, answer in zip(claims, decided, strict=True) if not answer.allowed]
        if refused:
            raise _refused(refused)
        for claim, answer in zip(claims, decided, strict=True):
            cell = (claim.rate.scope, claim.rate.kind)
            if claim.rate.kind == "concurrency":
                self._running[cell] = self._running.get(cell, 0) + claim.amount
            else:
                self._tats_ns[cell] = answer.tat_ns
            if claim.rate.kind != "requests":
                self._claimed_at_ns.setdefault(claim, deque()).append(now_ns)
        if len(self._tats_ns) >= self._sweep_at:
            self._drop_idle(now_ns)
        return [_standing(claim.rate, answer) for claim, answer in zip(claims, decided, strict=True)]

    def _decide(self, claim: Claim, now_ns: int) -> gcra.Decision:
        rate = claim.rate
        cell = (rate.scope, rate.kind)
        if rate.kind == "concurrency":
            left = rate.limit - self._running.get(cell, 0)
            allowed = claim.amount <= left
            return gcra.Decision(
                allowed=allowed,
                tat_ns=0,
                remaining=max(left - claim.amount if allowed else left, 0),
                retry_after_ns=0 if allowed else _NS,
                reset_ns=0,
            )
        if rate.limit < 1:
            return gcra.Decision(allowed=False, tat_ns=now_ns, remaining=0, retry_after_ns=None, reset_ns=0)
        return gcra.check(gcra.quota(rate.limit), self._tats_ns.get(cell), now_ns, claim.amount)

    def _release(self, claim: Claim, used_tokens: int | None, now_ns: int) -> None:
        claimed_at_ns = self._claimed_at_ns.get(claim)
        if claimed_at_ns is None:
            return
        at_ns = claimed_at_ns.popleft()
        if not claimed_at_ns:
            del self._claimed_at_ns[claim]
        cell = (claim.rate.scope, claim.rate.kind)
        if claim.rate.kind == "concurrency":
            self._running[cell] -= claim.amount
            if self._running[cell] <= 0:
                del self._running[cell]
        elif used_tokens is not None:
            self._tats_ns[cell] = gcra.settle(
                gcra.quota(claim.rate.limit),
                self._tats_ns.get(cell),
                now_ns,
                claimed=claim.amount,
                used=used_tokens,
                claimed_at_ns=at_ns,
            )

    def _drop_idle(self, now_ns: int) -> None:
        """Forget what has run empty: it decides like one that never was."""
        for cell in [cell for cell, tat_ns in self._tats_ns.items() if tat_ns <= now_ns]:
            del self._tats_ns[cell]
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._tats_ns))


def _standing(rate: Rate, answer: gcra.Decision) -> Standing:
    return Standing(kind=rate.kind, limit=rate.limit, remaining=answer.remaining, reset_s=answer.reset_ns / _NS)


def _refused(refused: Sequence[tuple[Claim, gcra.Decision]]) -> RateLimited:
    """About the claim that has to wait longest, or that never fits."""

    def wait(pair: tuple[Claim, gcra.Decision]) -> float:
        retry_after_ns = pair[1].retry_after_ns
        return float("inf") if retry_after_ns is None else retry_after_ns

    claim, answer = max(refused, key=wait)
    rate = claim.rate
    unit = "at one time" if rate.kind == "concurrency" else "a minute"
    if answer.retry_after_ns is None:
        message = f"{claim.amount} {rate.kind} never fit into {rate.limit} {unit} of {rate.scope!r}; ask for less"
        retry_after_s = None
    else:
        message = f"{rate.scope!r} is limited to {rate.limit} {_noun(rate)} {unit}"
        retry_after_s = answer.retry_after_ns / _NS
    return RateLimited(
        message, limit=rate.limit, remaining=answer.remaining, kind=rate.kind, retry_after_s=retry_after_s
    )


def _noun(rate: Rate) -> str:
    return "calls" if rate.kind == "concurrency" else rate.kind
