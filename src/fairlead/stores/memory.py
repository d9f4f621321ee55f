"""Budgets and limits of one process, in memory.

Each decision is a plain function under an uncontended lock, so neither the interleaving of tasks nor threads (the
synchronous client has its own loop) can come between a check and what it allows.
"""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from fairlead.core import gcra, windows
from fairlead.errors import RateLimited
from fairlead.ports import Claim, Clock, Hold, Standing
from fairlead.stores.refusals import over_budget, rate_limited
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


class _Account(msgspec.Struct, eq=False):
    """One scope in one window."""

    starts_ns: int
    ends_ns: int | None
    spent_nanousd: int
    held_nanousd: int = 0

    def covers(self, at_ns: int) -> bool:
        """Whether a call admitted then is charged here."""
        return self.starts_ns <= at_ns and (self.ends_ns is None or at_ns < self.ends_ns)


class _Open(msgspec.Struct, frozen=True):
    """A hold, and the accounts that it is against."""

    amount_nanousd: int
    accounts: tuple[_Account, ...]
    lapses_ns: int


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
        self._current: dict[tuple[str, Window], _Account] = {}
        """The account of each scope and window that was used last: nearly always the one that is asked for."""
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
        while not self._admitted(hold):
            for budget in hold.budgets:
                await self._open_account(budget, hold.at_ns)

    def settle(self, call_id: str, attempt: int, cost_nanousd: int) -> None:
        """Replace the reservation by the real cost, be it more; a second settlement changes nothing."""
        with self._lock:
            known = self._open.pop((call_id, attempt), None)
            if known is not None:
                self._free(known)
            else:
                known = self._lapsed.pop((call_id, attempt), None)
            for account in () if known is None else known.accounts:
                account.spent_nanousd += cost_nanousd

    def reserved_nanousd(self) -> int:
        """The sum of open reservations."""
        with self._lock:
            self._sweep(self._clock.monotonic_ns())
            return self._reserved_nanousd

    def _admitted(self, hold: Hold) -> bool:
        """Whether the hold stands now; not where an account is missing."""
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            self._sweep(now_ns)
            hold_id = (hold.call_id, hold.attempt)
            if hold_id in self._open:
                return True
            accounts: list[_Account] = []
            for budget in hold.budgets:
                account = self._account(budget, hold.at_ns)
                if account is None:
                    return False
                left_nanousd = budget.limit_nanousd - account.spent_nanousd - account.held_nanousd
                if hold.amount_nanousd > left_nanousd:
                    raise over_budget(budget, hold.amount_nanousd, left_nanousd)
                if account not in accounts:
                    accounts.append(account)
            self._take(hold, hold_id, tuple(accounts), now_ns)
            return True

    def _account(self, budget: Budget, at_ns: int) -> _Account | None:
        current = self._current.get((budget.scope, budget.window))
        if current is not None and current.covers(at_ns):
            return current
        return self._accounts.get((budget.scope, budget.window, windows.start_ns(budget.window, at_ns)))

    def _take(self, hold: Hold, hold_id: _HoldId, accounts: tuple[_Account, ...], now_ns: int) -> None:
        for account in accounts:
            account.held_nanousd += hold.amount_nanousd
        self._reserved_nanousd += hold.amount_nanousd
        self._lapsed.pop(hold_id, None)
        lapses_ns = now_ns + round(hold.lease_s * _NS)
        self._open[hold_id] = _Open(hold.amount_nanousd, accounts, lapses_ns)
        heapq.heappush(self._leases, (lapses_ns, hold_id))
        if len(self._leases) > _SWEEP_FROM + 2 * len(self._open):
            self._leases = [lease for lease in self._leases if self._is_current(*lease)]
            heapq.heapify(self._leases)
        if len(self._accounts) >= self._sweep_at:
            self._drop_past(hold.at_ns)

    async def _open_account(self, budget: Budget, at_ns: int) -> None:
        """Read what was spent before.

        Admission needs the account, so nothing it admits can be in a baseline that was read before it existed; of two
        baselines read at once the first one counts.
        """
        start_ns = windows.start_ns(budget.window, at_ns)
        account_id = (budget.scope, budget.window, start_ns)
        account = self._accounts.get(account_id)
        if account is None:
            spent_nanousd = await self._seed_spent(budget.scope, start_ns)
            opened = _Account(start_ns, windows.end_ns(budget.window, at_ns), spent_nanousd)
            with self._lock:
                account = self._accounts.setdefault(account_id, opened)
        self._current[budget.scope, budget.window] = account

    def _sweep(self, now_ns: int) -> None:
        """Release the holds whose lease ran out, each once."""
        while self._leases and self._leases[0][0] <= now_ns:
            lease = heapq.heappop(self._leases)
            if self._is_current(*lease):
                hold_id = lease[1]
                self._lapsed[hold_id] = lapsed = self._open.pop(hold_id)
                self._free(lapsed)
        while len(self._lapsed) > _LAPSED_KEPT:
            self._lapsed.popitem(last=False)

    def _is_current(self, lapses_ns: int, hold_id: _HoldId) -> bool:
        """Whether a lease is that of the open hold; one of the same id may have been settled before."""
        known = self._open.get(hold_id)
        return known is not None and known.lapses_ns == lapses_ns

    def _free(self, known: _Open) -> None:
        self._reserved_nanousd -= known.amount_nanousd
        for account in known.accounts:
            account.held_nanousd -= known.amount_nanousd

    def _drop_past(self, now_ns: int) -> None:
        """Forget windows that are over and hold nothing."""
        past = [
            account_id
            for account_id, account in self._accounts.items()
            if account.ends_ns is not None and account.ends_ns <= now_ns and account.held_nanousd == 0
        ]
        for account_id in past:
            if self._current.get(account_id[:2]) is self._accounts.pop(account_id):
                del self._current[account_id[:2]]
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._accounts))


_CellId = tuple[str, str]
"""Scope and kind."""


class _Cell:
    """What one limit has counted."""

    __slots__ = ("burst_ns", "interval_ns", "quota", "rate", "running", "tat_ns")

    def __init__(self) -> None:
        self.rate: Rate | None = None
        self.interval_ns = 0
        self.burst_ns = 0
        self.quota: gcra.Quota | None = None
        self.tat_ns = 0
        """Of GCRA; a time long past where the limit was never used."""
        self.running = 0

    def set_rate(self, rate: Rate) -> None:
        """Count in the units of this rate from now on; what was counted stays."""
        self.rate = rate
        self.quota = gcra.quota(rate.limit, burst=rate.burst) if rate.limit > 0 else None
        self.interval_ns = 0 if self.quota is None else self.quota.interval_ns
        self.burst_ns = 0 if self.quota is None else self.quota.capacity_ns

    def decide(self, claim: Claim, now_ns: int) -> gcra.Decision:
        """What the limit says to a claim, and how long to wait if it says no; nothing is taken."""
        rate = claim.rate
        limit = rate.limit
        if rate.kind == "concurrency":
            left = limit - self.running
            wait_ns = 0 if claim.amount <= left else _NS
            return gcra.Decision(
                allowed=not wait_ns, tat_ns=0, remaining=max(left, 0), retry_after_ns=wait_ns, reset_ns=0
            )
        if limit < 1:
            return gcra.Decision(allowed=False, tat_ns=now_ns, remaining=0, retry_after_ns=None, reset_ns=0)
        return gcra.check(gcra.quota(limit, burst=rate.burst), self.tat_ns, now_ns, claim.amount)


class MemoryLimits:
    """The `Limits` of one process: GCRA for requests and tokens a minute, a counter for concurrency.

    What a limit has counted belongs to its scope and kind, not to its number: a limit raised or lowered while calls
    run takes effect with the next call and forgets nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._cells: dict[_CellId, _Cell] = {}
        self._open: dict[int, tuple[Sequence[Claim], int]] = {}
        """Claims that are held, by the identity of their sequence, and since when."""
        self._sweep_at = _SWEEP_FROM

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        """Take all claims or none; one standing for each claim.

        Raises:
            RateLimited: one does not fit; carries the longest wait that any of them asks for.
        """
        standings: list[Standing] = []
        taken: list[tuple[_Cell, int, int]] = []
        cells = self._cells
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            for claim in claims:
                rate, amount = claim.rate, claim.amount
                kind, limit = rate.kind, rate.limit
                cell = cells.get((rate.scope, kind)) or self._new_cell(rate)
                taken.append((cell, cell.running, cell.tat_ns))
                if kind == "concurrency":
                    cell.running += amount
                    left = limit - cell.running
                    standings.append(Standing(kind, limit, left, 0.0))
                else:
                    if cell.rate is not rate and cell.rate != rate:
                        cell.set_rate(rate)
                    interval_ns = cell.interval_ns
                    cell.tat_ns = after_ns = gcra.advance(cell.tat_ns, now_ns, amount * interval_ns)
                    reset_ns = after_ns - now_ns
                    left = (cell.burst_ns - reset_ns) // interval_ns if interval_ns else -1
                    standings.append(Standing(kind, limit, left, reset_ns / _NS))
                if left < 0:
                    for counted, running, tat_ns in reversed(taken):
                        counted.running, counted.tat_ns = running, tat_ns
                    raise self._refused(claims, now_ns)
            self._open[id(claims)] = (claims, now_ns)
            if len(cells) >= self._sweep_at:
                self._drop_idle(now_ns)
        return standings

    def release(self, claims: Sequence[Claim], used_tokens: int | None) -> None:
        """Give back concurrency and the tokens claimed but not used; charge those used beyond the claim.

        What is charged may exceed the limit by far: nothing is admitted until that is paid off.
        """
        with self._lock:
            held = self._open.pop(id(claims), None)
            if held is None:
                return
            for claim in claims:
                kind = claim.rate.kind
                if kind == "concurrency":
                    self._cell(claim.rate).running -= claim.amount
                elif kind == "tokens" and used_tokens is not None:
                    self._settle(claim, used_tokens, held[1], self._clock.monotonic_ns())

    def _cell(self, rate: Rate) -> _Cell:
        return self._cells.get((rate.scope, rate.kind)) or self._new_cell(rate)

    def _new_cell(self, rate: Rate) -> _Cell:
        cell = self._cells[rate.scope, rate.kind] = _Cell()
        return cell

    def _refused(self, claims: Sequence[Claim], now_ns: int) -> RateLimited:
        answers = [(claim, self._cell(claim.rate).decide(claim, now_ns)) for claim in claims]
        return rate_limited([(claim, answer) for claim, answer in answers if not answer.allowed])

    def _settle(self, claim: Claim, used_tokens: int, claimed_at_ns: int, now_ns: int) -> None:
        cell = self._cell(claim.rate)
        if cell.rate != claim.rate:
            cell.set_rate(claim.rate)
        if cell.quota is None:
            return  # a limit of 0 has admitted nothing
        cell.tat_ns = gcra.settle(
            cell.quota,
            cell.tat_ns,
            now_ns,
            claimed=claim.amount,
            used=used_tokens,
            claimed_at_ns=claimed_at_ns,
        )

    def _drop_idle(self, now_ns: int) -> None:
        """Forget what has run empty: it decides like one that never was."""
        idle = [cell_id for cell_id, cell in self._cells.items() if not cell.running and cell.tat_ns <= now_ns]
        for cell_id in idle:
            del self._cells[cell_id]
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._cells))
