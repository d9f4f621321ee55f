"""Budgets and reservations, counted over the processes of many machines.

An account holds what was spent and what is held, as one figure.  It begins with what each store says was spent before, so
that gateways with stores of their own add up; who comes to an account that does not know of its store yet reads there.

A hold is `open` until it is settled.  Where nobody settles it within its lease it is `lapsed`: its money is free again,
and a late settlement still finds where to charge the true cost.  A hold whose process died is `orphaned`: its money
stays held until that process's store says what the call has cost, and is charged in full when its lease ends before that.

After the server has lost its data each process tells it again what its store says was spent and what it holds itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from fairlead.core import windows
from fairlead.errors import BudgetExceeded, StateUnavailable
from fairlead.ports import Clock, Hold
from fairlead.stores.redis_state_link import Order, unavailable
from fairlead.stores.redis_state_place import Place
from fairlead.stores.redis_state_scripts import RESERVE, SEED, SETTLE, TAG
from fairlead.stores.refusals import over_budget
from fairlead.types import Budget

SeedSpent = Callable[[str, int], Awaitable[int]]
"""Nano-USD of a scope's calls admitted since, from the store; raises `StateUnavailable`."""
Booked = Callable[[str, int, int], Awaitable[int | None]]
"""Nano-USD that the store has booked for an attempt of a call, given what it had reserved; `None`: nothing yet.  Raises
`StateUnavailable`."""

_HoldId = tuple[str, int]
_NS: Final = 1_000_000_000
_DAY_MS: Final = 86_400_000
_KEPT_MS: Final = 2 * _DAY_MS
"""How long lapsed holds and windows that are over are kept for late settlements."""
_TOTAL_KEPT_MS: Final = 400 * _DAY_MS
"""How long the account of a budget without a window is kept after its last use."""
_ASK_AGAIN_NS: Final = _NS
_ORPHANS_S: Final = 0.5
"""How long a call that would be refused waits for the store's word on what dead processes held."""
_FREE_AGAIN_S: Final = 2.0
"""After this long what stood in a stopped server's way has been read."""
_TRIES: Final = 5
_TELLING_TRIES: Final = 100
_TELLING_PAUSE_S: Final = 0.2
_ACCOUNTS_KEPT: Final = 10_000


class _Account(msgspec.Struct, frozen=True):
    """One scope in one window."""

    scope: str
    starts_ns: int
    ends_ns: int | None
    kept_ms: int

    def key(self, window: str) -> str:
        """Where it is; scripts join keys by line."""
        scope = self.scope.replace("%", "%25").replace("\n", "%0A")
        return f"{TAG}account:{window}:{self.starts_ns}:{scope}"


class _Own(msgspec.Struct, frozen=True):
    """What this process has reserved, from where, and until when."""

    hold: Hold
    place: Place | None
    lapses_ns: int


class RedisLedger:
    """The `Ledger` of the processes that share one server.

    Args:
        here: the place of the running loop.
        seed_spent: asked for each scope and window that nobody of this store has reserved against yet.  Everything
            admitted earlier should have reached the store by then.
        booked: asked about holds whose process died.
    """

    def __init__(self, here: Callable[[], Place], clock: Clock, *, seed_spent: SeedSpent, booked: Booked) -> None:
        self._here = here
        self._clock = clock
        self._seed_spent = seed_spent
        self._booked = booked
        self._own: dict[_HoldId, _Own] = {}
        self._accounts: dict[str, _Account] = {}
        """What this process has reserved against, to be told again where the server has lost it."""
        self._meanwhile: dict[_HoldId, int] = {}
        """What was settled while it was told again."""
        self._telling: dict[str, asyncio.Task[None]] = {}
        """By place: telling a server again that has lost its data."""
        self._asking: dict[str, asyncio.Task[None]] = {}
        """By place: asking the store about holds of dead processes."""
        self._asked_ns = 0
        self._later: set[asyncio.Task[None]] = set()

    async def reserve(self, hold: Hold) -> None:
        """Take the amount from all budgets of the hold, or from none; a hold that is open already stays as it is.

        Raises:
            BudgetExceeded: it does not fit; names the scope.
            StateUnavailable: the server or the store cannot answer in time.
        """
        place: Place | None = None
        if hold.budgets:
            place = self._here()
            try:
                await self._take_at_last(place, hold)
            except BudgetExceeded:
                raise
            except BaseException:
                self._free(place, hold)
                raise
        lapses_ns = self._clock.monotonic_ns() + round(hold.lease_s * _NS)
        self._own[hold.call_id, hold.attempt] = _Own(hold, place, lapses_ns)

    def settle(self, call_id: str, attempt: int, cost_nanousd: int) -> None:
        """Replace the reservation by the real cost, be it more; a second settlement changes nothing."""
        own = self._own.pop((call_id, attempt), None)
        if own is not None and own.place is None:
            return
        try:
            place = self._here() if own is None or own.place is None else own.place
        except RuntimeError:
            return  # no loop runs, and nothing of it is ours
        if place.name in self._telling:
            self._meanwhile[call_id, attempt] = cost_nanousd
        _settle(place, call_id, attempt, cost_nanousd)

    def reserved_nanousd(self) -> int:
        """The sum of open reservations of this process."""
        now_ns = self._clock.monotonic_ns()
        for hold_id, own in tuple(self._own.items()):
            if own.lapses_ns <= now_ns:
                self._own.pop(hold_id, None)
        return sum(own.hold.amount_nanousd for own in tuple(self._own.values()))

    def lost(self, place: Place) -> None:
        """The server has lost what it knew: tell it again what is known here."""
        if place.name not in self._telling:
            self._begin(self._telling, place, self._tell_again(place), "lost-budgets")

    def orphaned(self, place: Place, orphans: Sequence[tuple[str, int, int]]) -> None:
        """Processes of this store have died: ask it what their calls have cost."""
        now_ns = self._clock.monotonic_ns()
        if place.name not in self._asking and now_ns - self._asked_ns >= _ASK_AGAIN_NS:
            self._asked_ns = now_ns
            self._begin(self._asking, place, self._settle_orphans(place, orphans), "orphaned-holds")

    async def aclose(self) -> None:
        """End what is under way beside the calls."""
        tasks = [*self._telling.values(), *self._asking.values(), *self._later]
        here = [task for task in tasks if task.get_loop() is asyncio.get_running_loop()]
        for task in here:
            task.cancel()
        await asyncio.gather(*here, return_exceptions=True)

    # --- reserving ---

    async def _take_at_last(self, place: Place, hold: Hold) -> None:
        """Refuse nobody for what a dead process held, before the store was asked what that has cost."""
        try:
            await self._take(place, hold)
        except BudgetExceeded:
            asking = self._asking.get(place.name)
            if asking is None:
                raise
            await asyncio.wait({asking}, timeout=_ORPHANS_S)
            await self._take(place, hold)

    async def _take(self, place: Place, hold: Hold) -> None:
        budgets = self._tightest(hold)
        spent: dict[str, int] = {}
        for _ in range(_TRIES):
            telling = self._telling.get(place.name)
            if telling is not None:
                await asyncio.wait({telling})
            answer, *rest = await place.link.ask(self._reservation(place, hold, budgets, spent))
            if answer == b"taken":
                return
            if answer == b"over":
                (key, budget) = list(budgets.items())[rest[0] - 1]
                raise over_budget(budget, hold.amount_nanousd, budget.limit_nanousd - int(rest[1]))
            if answer == b"missing":
                # Nothing is admitted against an account that does not know of this store, so what is read now is all.
                for number in rest:
                    key = list(budgets)[number - 1]
                    spent[key] = await self._seed_spent(self._accounts[key].scope, self._accounts[key].starts_ns)
            elif answer == b"lost":
                spent.clear()
                for beat in place.beats():
                    await place.link.ask(beat)
            else:
                raise StateUnavailable(
                    "the shared budgets are just being put together again; try again in a few seconds",
                    retry_after_s=1.0,
                )
        raise unavailable("the server loses its data again and again")

    def _tightest(self, hold: Hold) -> dict[str, Budget]:
        """The budget that counts for each account."""
        budgets: dict[str, Budget] = {}
        for budget in hold.budgets:
            account = _account(budget, hold.at_ns)
            key = account.key(budget.window)
            self._accounts[key] = account
            if key not in budgets or budget.limit_nanousd < budgets[key].limit_nanousd:
                budgets[key] = budget
        if len(self._accounts) > _ACCOUNTS_KEPT:
            self._forget_past(hold.at_ns)
        return budgets

    def _reservation(
        self, place: Place, hold: Hold, budgets: dict[str, Budget], spent: dict[str, int], *, forced: bool = False
    ) -> Order:
        lease_us, kept_ms = round(hold.lease_s * 1_000_000), round(hold.lease_s * 1_000) + _KEPT_MS
        args: list[str | int] = [
            place.epoch,
            place.name,
            place.store,
            f"{hold.call_id}|{hold.attempt}",
            hold.amount_nanousd,
            lease_us,
            kept_ms,
            int(forced),
        ]
        for key, budget in budgets.items():
            args += (budget.limit_nanousd, spent.get(key, ""), self._accounts[key].kept_ms)
        return Order(RESERVE, list(budgets), args)

    def _free(self, place: Place, hold: Hold) -> None:
        """Nobody knows whether it was taken: give it back now, and once more when a server that was stopped has read it."""
        _settle(place, hold.call_id, hold.attempt, 0)

        async def again() -> None:
            await self._clock.sleep(_FREE_AGAIN_S)
            if (hold.call_id, hold.attempt) not in self._own:
                _settle(place, hold.call_id, hold.attempt, 0)

        task = asyncio.get_running_loop().create_task(again(), name="doubtful-hold")
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _forget_past(self, at_ns: int) -> None:
        for key, account in tuple(self._accounts.items()):
            if account.ends_ns is not None and account.ends_ns <= at_ns:
                del self._accounts[key]
        for key in tuple(self._accounts)[: len(self._accounts) - _ACCOUNTS_KEPT]:
            del self._accounts[key]

    # --- beside the calls ---

    async def _tell_again(self, place: Place) -> None:
        """What the store says was spent, then what is held here; tried until both can answer."""
        holds = [own for own in tuple(self._own.values()) if own.place is place]
        for _ in range(_TELLING_TRIES):
            try:
                await self._seed_again(place)
                for own in holds:
                    await self._hold_again(place, own)
            except StateUnavailable:
                await self._clock.sleep(_TELLING_PAUSE_S)
            else:
                break
        self._meanwhile.clear()

    async def _seed_again(self, place: Place) -> None:
        now_ns = self._clock.now_ns()
        for key, account in tuple(self._accounts.items()):
            if account.ends_ns is None or account.ends_ns > now_ns:
                spent_nanousd = await self._seed_spent(account.scope, account.starts_ns)
                await place.link.ask(Order(SEED, [key], [place.store, spent_nanousd, account.kept_ms]))

    async def _hold_again(self, place: Place, own: _Own) -> None:
        left_s = (own.lapses_ns - self._clock.monotonic_ns()) / _NS
        if left_s <= 0:
            return
        hold = msgspec.structs.replace(own.hold, lease_s=left_s)
        await place.link.ask(self._reservation(place, hold, self._tightest(hold), {}, forced=True))
        cost_nanousd = self._meanwhile.get((hold.call_id, hold.attempt))
        if cost_nanousd is not None:
            _settle(place, hold.call_id, hold.attempt, cost_nanousd)

    async def _settle_orphans(self, place: Place, orphans: Sequence[tuple[str, int, int]]) -> None:
        for call_id, attempt, amount_nanousd in orphans:
            with contextlib.suppress(StateUnavailable):
                cost_nanousd = await self._booked(call_id, attempt, amount_nanousd)
                if cost_nanousd is not None:
                    _settle(place, call_id, attempt, cost_nanousd)

    def _begin(self, tasks: dict[str, asyncio.Task[None]], place: Place, work: Any, name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        tasks[place.name] = task

        def ended(task: asyncio.Task[None]) -> None:
            tasks.pop(place.name, None)
            if not task.cancelled():
                task.exception()  # the server or the store is away: begun again when it is back

        task.add_done_callback(ended)


def _settle(place: Place, call_id: str, attempt: int, cost_nanousd: int) -> None:
    place.link.post(Order(SETTLE, [], [f"{call_id}|{attempt}", cost_nanousd], repeats=True))


def _account(budget: Budget, at_ns: int) -> _Account:
    ends_ns = windows.end_ns(budget.window, at_ns)
    kept_ms = _TOTAL_KEPT_MS if ends_ns is None else (ends_ns - at_ns) // 1_000_000 + _KEPT_MS
    return _Account(budget.scope, windows.start_ns(budget.window, at_ns), ends_ns, kept_ms)
