"""Budgets and reservations, counted over the processes of one machine.

A hold is `open` until it is settled.  Where nobody settles it within its lease it is `lapsed`: its money is free again,
and a late settlement still finds where to charge the true cost.  A hold whose process died is `orphaned`: its money
stays held until the store says what the call has cost, and is charged in full when its lease ends before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final

import msgspec

from fairlead.core import windows
from fairlead.errors import BudgetExceeded, StateUnavailable
from fairlead.ports import Clock, Hold
from fairlead.stores.refusals import over_budget
from fairlead.stores.sqlite_state_thread import StateThread
from fairlead.types import Budget

SeedSpent = Callable[[str, int], Awaitable[int]]
"""Nano-USD of a scope's calls admitted since, from the store; raises `StateUnavailable`."""
Booked = Callable[[str, int, int], Awaitable[int | None]]
"""Nano-USD that the store has booked for an attempt of a call, given what it had reserved; `None`: nothing yet.  Raises
`StateUnavailable`."""

_AccountId = tuple[str, str, int]
"""Scope, window, and when the window began."""
_HoldId = tuple[str, int]
_NS: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _NS
_KEPT_NS: Final = 2 * _DAY_NS
"""How long lapsed holds and windows that are over are kept for late settlements."""
_ORPHANS_AT_ONCE: Final = 100
_ASK_AGAIN_NS: Final = _NS
_ORPHANS_S: Final = 0.5
"""How long a call that would be refused waits for the store's word on what dead processes held."""


class SqliteLedger:
    """The `Ledger` of the processes that share one file.

    Args:
        holder: under which reservations are made, so that they are known for orphans when its process dies.
        seed_spent: asked for each scope and window that no process has reserved against yet.  Everything admitted
            earlier should have reached the store by then.
        booked: asked about holds whose process died.
    """

    def __init__(
        self, thread: StateThread, holder: str, clock: Clock, *, seed_spent: SeedSpent, booked: Booked
    ) -> None:
        self._thread = thread
        self._holder = holder
        self._clock = clock
        self._seed_spent = seed_spent
        self._booked = booked
        self._own: dict[_HoldId, tuple[int, int]] = {}
        """Amount and end of the lease of what this process has reserved."""
        self.orphans: tuple[tuple[str, int, int], ...] = ()
        """Holds of processes that died, with their amounts, as the thread saw them last."""
        self._asked_ns = 0
        self._asking: asyncio.Task[None] | None = None

    async def reserve(self, hold: Hold) -> None:
        """Take the amount from all budgets of the hold, or from none; a hold that is open already stays as it is.

        Raises:
            BudgetExceeded: it does not fit; names the scope.
            StateUnavailable: the shared state or the store cannot answer in time.
        """
        if hold.budgets:
            try:
                await self._take_at_last(hold)
            except BudgetExceeded:
                raise
            except BaseException:
                self._thread.post(partial(_settle, hold.call_id, hold.attempt, 0))
                raise
        lapses_ns = self._clock.monotonic_ns() + round(hold.lease_s * _NS)
        self._own[hold.call_id, hold.attempt] = (hold.amount_nanousd, lapses_ns)

    def settle(self, call_id: str, attempt: int, cost_nanousd: int) -> None:
        """Replace the reservation by the real cost, be it more; a second settlement changes nothing."""
        self._own.pop((call_id, attempt), None)
        self._thread.post(partial(_settle, call_id, attempt, cost_nanousd))

    def reserved_nanousd(self) -> int:
        """The sum of open reservations of this process."""
        now_ns = self._clock.monotonic_ns()
        for hold_id, (_, lapses_ns) in tuple(self._own.items()):
            if lapses_ns <= now_ns:
                self._own.pop(hold_id, None)
        return sum(amount for amount, _ in tuple(self._own.values()))

    async def _take_at_last(self, hold: Hold) -> None:
        """Refuse nobody for what a dead process held, before the store was asked what that has cost."""
        asking = self._ask_about_orphans()
        try:
            await self._take(hold)
        except BudgetExceeded:
            asking = asking or self._ask_about_orphans()
            if asking is None or asking.get_loop() is not asyncio.get_running_loop():
                raise
            await asyncio.wait({asking}, timeout=_ORPHANS_S)
            await self._take(hold)

    async def _take(self, hold: Hold) -> None:
        spent: dict[_AccountId, int] = {}
        while missing := await self._thread.ask(partial(_reserve, hold, self._holder, spent)):
            # Nothing is admitted against an account that is not there, so what is read now is all there is.
            for account_id in missing:
                scope, _, starts_ns = account_id
                spent[account_id] = await self._seed_spent(scope, starts_ns)

    def _ask_about_orphans(self) -> asyncio.Task[None] | None:
        """The asking that is under way, begun by this if it is time; `None`: there is nothing to ask, or not yet again."""
        now_ns = self._clock.monotonic_ns()
        if self._asking is not None:
            return self._asking
        if not self.orphans or now_ns - self._asked_ns < _ASK_AGAIN_NS:
            return None
        self._asked_ns = now_ns
        self._asking = asyncio.get_running_loop().create_task(self._settle_orphans(), name="orphaned-holds")
        self._asking.add_done_callback(self._asked)
        return self._asking

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # the store is down: asked again later

    async def _settle_orphans(self) -> None:
        for call_id, attempt, amount_nanousd in self.orphans:
            with contextlib.suppress(StateUnavailable):
                cost_nanousd = await self._booked(call_id, attempt, amount_nanousd)
                if cost_nanousd is not None:
                    self._thread.post(partial(_settle, call_id, attempt, cost_nanousd))


def orphan(connection: sqlite3.Connection, holders: Iterable[str]) -> None:
    """Processes have died: what they held waits for the store's word."""
    for holder in holders:
        connection.execute("UPDATE holds SET state = 'orphaned' WHERE holder = ? AND state = 'open'", (holder,))


def orphans(connection: sqlite3.Connection) -> tuple[tuple[str, int, int], ...]:
    """Some of the holds whose process died, with their amounts."""
    rows = connection.execute(
        "SELECT call_id, attempt, amount_nanousd FROM holds WHERE state = 'orphaned' ORDER BY lapses_ns LIMIT ?",
        (_ORPHANS_AT_ONCE,),
    )
    return tuple((call_id, attempt, amount_nanousd) for call_id, attempt, amount_nanousd in rows)


def forget_past(connection: sqlite3.Connection, now_ns: int, wall_ns: int) -> None:
    """Delete windows and lapsed holds that nobody will ask for any more."""
    connection.execute("DELETE FROM holds WHERE state = 'lapsed' AND lapses_ns < ?", (now_ns - _KEPT_NS,))
    connection.execute(
        "DELETE FROM accounts WHERE ends_ns IS NOT NULL AND ends_ns < ? AND held_nanousd = 0", (wall_ns - _KEPT_NS,)
    )


def _reserve(
    hold: Hold, holder: str, spent: Mapping[_AccountId, int], connection: sqlite3.Connection, now_ns: int
) -> tuple[_AccountId, ...]:
    """Take the amount; or name the accounts that are missing, and take nothing."""
    _lapse(connection, now_ns)
    hold_id = (hold.call_id, hold.attempt)
    row = connection.execute("SELECT state FROM holds WHERE call_id = ? AND attempt = ?", hold_id).fetchone()
    if row is not None and row[0] != "lapsed":
        return ()
    accounts: dict[_AccountId, tuple[int, int] | None] = {}
    for budget in hold.budgets:
        account_id = _account_id(budget, hold.at_ns)
        if account_id not in accounts:
            accounts[account_id] = _account(connection, account_id, windows.end_ns(budget.window, hold.at_ns), spent)
    missing = tuple(account_id for account_id, found in accounts.items() if found is None)
    if missing:
        return missing
    for budget in hold.budgets:
        spent_nanousd, held_nanousd = accounts[_account_id(budget, hold.at_ns)] or (0, 0)
        left_nanousd = budget.limit_nanousd - spent_nanousd - held_nanousd
        if hold.amount_nanousd > left_nanousd:
            raise over_budget(budget, hold.amount_nanousd, left_nanousd)
    _move(connection, accounts, spent=0, held=hold.amount_nanousd)
    connection.execute(
        "INSERT OR REPLACE INTO holds (call_id, attempt, holder, amount_nanousd, lapses_ns, state, accounts)"
        " VALUES (?, ?, ?, ?, ?, 'open', ?)",
        (
            *hold_id,
            holder,
            hold.amount_nanousd,
            now_ns + round(hold.lease_s * _NS),
            msgspec.json.encode(list(accounts)).decode(),
        ),
    )
    return ()


def _settle(call_id: str, attempt: int, cost_nanousd: int, connection: sqlite3.Connection, _: int) -> None:
    """Charge an attempt once: what is settled is not there any more."""
    row = connection.execute(
        "DELETE FROM holds WHERE call_id = ? AND attempt = ? RETURNING amount_nanousd, state, accounts",
        (call_id, attempt),
    ).fetchone()
    if row is not None:
        amount_nanousd, state, accounts = row
        held = 0 if state == "lapsed" else -amount_nanousd
        _move(connection, _accounts_of(accounts), spent=cost_nanousd, held=held)


def _lapse(connection: sqlite3.Connection, now_ns: int) -> None:
    """End the leases that are over, each once."""
    rows = connection.execute(
        "SELECT call_id, attempt, amount_nanousd, state, accounts FROM holds"
        " WHERE state IN ('open', 'orphaned') AND lapses_ns <= ?",
        (now_ns,),
    ).fetchall()
    for call_id, attempt, amount_nanousd, state, accounts in rows:
        if state == "orphaned":
            _settle(call_id, attempt, amount_nanousd, connection, now_ns)
            continue
        _move(connection, _accounts_of(accounts), spent=0, held=-amount_nanousd)
        connection.execute("UPDATE holds SET state = 'lapsed' WHERE call_id = ? AND attempt = ?", (call_id, attempt))


def _account_id(budget: Budget, at_ns: int) -> _AccountId:
    return budget.scope, budget.window, windows.start_ns(budget.window, at_ns)


def _account(
    connection: sqlite3.Connection, account_id: _AccountId, ends_ns: int | None, spent: Mapping[_AccountId, int]
) -> tuple[int, int] | None:
    """What an account has spent and holds; it is opened here if what was spent before is known."""
    row: tuple[int, int] | None = connection.execute(
        "SELECT spent_nanousd, held_nanousd FROM accounts WHERE scope = ? AND window = ? AND starts_ns = ?", account_id
    ).fetchone()
    if row is None and account_id in spent:
        row = (spent[account_id], 0)
        connection.execute(
            "INSERT INTO accounts (scope, window, starts_ns, ends_ns, spent_nanousd, held_nanousd)"
            " VALUES (?, ?, ?, ?, ?, 0)",
            (*account_id, ends_ns, row[0]),
        )
    return row


def _move(connection: sqlite3.Connection, accounts: Iterable[_AccountId], *, spent: int, held: int) -> None:
    connection.executemany(
        "UPDATE accounts SET spent_nanousd = spent_nanousd + ?, held_nanousd = held_nanousd + ?"
        " WHERE scope = ? AND window = ? AND starts_ns = ?",
        [(spent, held, *account_id) for account_id in accounts],
    )


def _accounts_of(text: str) -> list[_AccountId]:
    return msgspec.json.decode(text, type=list[_AccountId])
