"""route: which candidate answers, and which is next when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Literal

import msgspec

from fairlead.call import FALLBACK, STATIC, Attempt, Call, Candidate, Outcome
from fairlead.core.lane import PASSING
from fairlead.errors import (
    BudgetExceeded,
    Cancelled,
    CircuitOpen,
    ContentRefused,
    ContextWindowExceeded,
    FairleadError,
    InternalError,
    Untranslatable,
    UpstreamError,
)
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, Rng

Strategy = Literal["order", "least-load", "latency"]
Static = Callable[[Call, str], Reply | None]
"""A reply with this text, in the caller's dialect; `None` where a text is no answer to the call."""

_NS: Final = 1_000_000_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the candidates of one alias are used; targets with weights are drawn by them, whatever the strategy."""

    strategy: Strategy = "order"
    on_context_window: tuple[Candidate, ...] = ()
    """Asked where a prompt does not fit; candidates with a larger window are asked before."""
    on_content_policy: tuple[Candidate, ...] = ()
    """Asked where a provider's content policy refuses."""
    hedge_share: float | None = None
    """How much hedging may add to what the alias costs; `None` for no hedging."""
    static: str | None = None
    """What is answered where nobody can."""


class Route:
    """Tries candidates until one answers.

    Falls back only on the provider's faults, and only while nothing has gone to the caller: a reply comes back from
    below once its first content was seen, so an exception always means that nothing has.

    Args:
        plans: by alias; one without a plan takes its candidates in order.
        static: makes the reply of last resort.
    """

    def __init__(
        self, clock: Clock, rng: Rng, plans: Mapping[str, Plan] | None = None, static: Static | None = None
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._plans = plans or {}
        self._static = static
        self._hedging: dict[str, _Hedging] = {}

    async def __call__(self, call: Call, following: Next) -> Reply:
        plan = self._plans.get(call.alias, _PLAIN)
        if call.request.goes_on_from is not None:  # that lies with the candidates, and nowhere else
            plan = msgspec.structs.replace(plan, on_context_window=(), on_content_policy=())
        ordered = self._ordered(call, plan)
        usable, blocked = self._usable(ordered)
        try:
            if not usable:
                raise blocked or InternalError("a call without candidates reached route")
            return await self._first_of(call, plan, ordered[0], usable, following)
        except Untranslatable:
            if blocked is None:
                raise
            return self._last_resort(call, plan, blocked)  # one of those may have a form for it
        except UpstreamError as error:
            return self._last_resort(call, plan, error)

    async def _first_of(
        self, call: Call, plan: Plan, wanted: Candidate, usable: Sequence[Candidate], following: Next
    ) -> Reply:
        """The reply of the first that answers; what an earlier pass of the call has asked may be asked again."""
        began = len(call.attempts)
        failure: FairleadError | None = None
        left = list(usable)
        while left:
            candidate = left.pop(0)
            try:
                reply = await self._ask(call, plan, candidate, left, following)
            except ContextWindowExceeded as error:
                left = _larger(candidate, left, plan.on_context_window, call.attempts[began:])
                failure = error
            except ContentRefused as error:
                left = [each for each in plan.on_content_policy if not _was_tried(each, call.attempts[began:])]
                failure = error
            except Untranslatable as error:
                failure = failure or error  # another target may have a form for it
            except (UpstreamError, BudgetExceeded) as error:
                if isinstance(error, UpstreamError) and not error.falls_back:
                    raise
                # A dearer candidate may not fit where a cheaper one does; what a provider said tells the caller more.
                if isinstance(error, UpstreamError) or not isinstance(failure, UpstreamError):
                    failure = error
            else:
                if call.attempt.candidate.target != wanted.target and FALLBACK not in call.degraded:
                    call.degraded.append(FALLBACK)
                if plan.hedge_share is not None and candidate.price is not None:
                    self._count(call, call.attempts[began:], reply)
                return reply
            # A rival of a hedged attempt was asked as well.
            left = [each for each in left if not _was_tried(each, call.attempts[began:])]
        raise failure or InternalError("a call without candidates reached route")

    async def _ask(
        self, call: Call, plan: Plan, candidate: Candidate, others: Sequence[Candidate], following: Next
    ) -> Reply:
        if plan.hedge_share is not None and candidate.price is not None:
            wait_s = candidate.lane.speed_s(stream=call.request.stream).value
            hedging = self._hedging.setdefault(call.alias, _Hedging())
            if wait_s is not None:
                rival = next((each for each in others if each.price is not None), candidate)
                return await self._hedged(call, (candidate, rival), wait_s, hedging, plan.hedge_share, following)
        return await self._one(call, candidate, following)

    async def _one(self, call: Call, candidate: Candidate, following: Next) -> Reply:
        """One candidate; its attempt is closed here, whichever way it ends."""
        call.open_attempt(candidate, self._clock.monotonic_ns())
        try:
            reply = await following(call)
        except BaseException as error:
            call.attempt.close(self._clock.monotonic_ns(), error if isinstance(error, FairleadError) else None)
            raise
        reply.on_end.append(partial(self._close, call.attempt))
        return reply

    def _close(self, attempt: Attempt, outcome: Outcome) -> None:
        attempt.close(self._clock.monotonic_ns(), outcome.error)

    # --- hedging ---

    def _count(self, call: Call, attempts: Sequence[Attempt], reply: Reply) -> None:
        """Take in what these attempts cost, once it is known; the call may go on after them, and is asked again."""
        answering, hedging = call.attempt, self._hedging[call.alias]
        reply.on_end.insert(0, lambda _: call.when_known(lambda: hedging.over(attempts, answering)))

    async def _hedged(
        self,
        call: Call,
        pair: tuple[Candidate, Candidate],
        wait_s: float,
        hedging: _Hedging,
        share: float,
        following: Next,
    ) -> Reply:
        """Ask the second where the first takes longer than nearly all before it; who is first to answer, answers.

        The other one is cancelled, and costs what its provider bills for that (Dean and Barroso, 2013, "The Tail at
        Scale").
        """
        loop = asyncio.get_running_loop()
        branches = [call.branch()]
        tasks = [loop.create_task(self._one(branches[0], pair[0], following), name="first attempt")]
        slow = loop.create_task(self._patience(branches[0], wait_s), name="patience")
        kept = -1
        try:
            await asyncio.wait({tasks[0], slow}, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done() and hedging.may(share) and pair[1].lane.blocked(self._clock.monotonic_ns()) is None:
                branches.append(call.branch())
                tasks.append(loop.create_task(self._one(branches[1], pair[1], following), name="hedge"))
            kept = await _first_reply(tasks)
            call.attempt, call.body = branches[kept].attempt, b""
            return tasks[kept].result()
        except FairleadError:
            call.attempt = branches[0].attempt
            raise
        finally:
            slow.cancel()
            await _give_up([task for number, task in enumerate(tasks) if number != kept])

    async def _patience(self, call: Call, wait_s: float) -> None:
        """Wait so long from when the attempt went to the provider: another one would only stand in line behind it."""
        left_s = wait_s
        while left_s > 0:
            await self._clock.sleep(left_s)
            sent_ns = call.attempt.sent_ns
            left_s = wait_s if sent_ns is None else wait_s - (self._clock.monotonic_ns() - sent_ns) / _NS

    # --- order ---

    def _usable(self, ordered: Sequence[Candidate]) -> tuple[list[Candidate], CircuitOpen | None]:
        """The candidates that are not left alone at present, and the error that names the others."""
        now_ns = self._clock.monotonic_ns()
        blocks = [(candidate, candidate.lane.blocked(now_ns)) for candidate in ordered]
        usable = [candidate for candidate, block in blocks if block is None]
        found = [(candidate, block) for candidate, block in blocks if block is not None]
        if not found:
            return usable, None
        wait_s = min(block.wait_ns for _, block in found) / _NS
        reasons = ", ".join(
            f"{candidate.lane.name or candidate.model!r} ({block.reason})" for candidate, block in found
        )
        error = CircuitOpen(f"nobody can answer now: {reasons}; try again later", retry_after_s=wait_s)
        error.retryable = any(block.reason in PASSING for _, block in found)
        return usable, error

    def _ordered(self, call: Call, plan: Plan) -> Sequence[Candidate]:
        """Weighted: one drawn by weight first, the others after it, heaviest first.  Else as the plan says; of several
        credentials for one model always the one that is least busy."""
        candidates = call.candidates
        if len(candidates) < 2:
            return candidates
        if candidates[0].weight is not None:
            return self._drawn(candidates)
        if plan.strategy == "order":
            places: dict[str, int] = {}
            for candidate in candidates:
                places.setdefault(candidate.target, len(places))
            return sorted(candidates, key=lambda each: (places[each.target], each.lane.in_flight))
        if plan.strategy == "least-load":
            return sorted(candidates, key=lambda each: each.lane.in_flight)
        stream = call.request.stream
        return sorted(
            candidates, key=lambda each: (each.lane.speed_s(stream=stream).mean or 0.0) * (each.lane.in_flight + 1)
        )

    def _drawn(self, candidates: tuple[Candidate, ...]) -> Sequence[Candidate]:
        shares: dict[str, float] = {}
        for candidate in candidates:
            shares[candidate.target] = shares.get(candidate.target, 0.0) + (candidate.weight or 0.0)
        point = self._rng.random() * sum(shares.values())
        drawn = candidates[-1].target
        for target, share in shares.items():
            point -= share
            if point < 0:
                drawn = target
                break
        return sorted(
            candidates, key=lambda each: (each.target != drawn, -shares[each.target], each.target, each.lane.in_flight)
        )

    # --- the end ---

    def _last_resort(self, call: Call, plan: Plan, error: UpstreamError) -> Reply:
        """The static reply, where one is configured and nothing but the provider's side stands in the way."""
        if plan.static is None or self._static is None or not error.falls_back:
            raise error
        reply = self._static(call, plan.static)
        if reply is None:
            raise error
        call.degraded.append(STATIC)
        return reply


class _Hedging:
    """What hedging has cost an alias, next to all of its calls."""

    __slots__ = ("extra_nanousd", "total_nanousd")

    def __init__(self) -> None:
        self.total_nanousd = 0
        self.extra_nanousd = 0

    def may(self, share: float) -> bool:
        """Whether one more fits under the cap, at what hedges have cost so far."""
        return self.extra_nanousd <= share * self.total_nanousd

    def over(self, attempts: Sequence[Attempt], answering: Attempt) -> None:
        """Take in what the attempts that led to one answer have cost."""
        for attempt in attempts:
            cost_nanousd = attempt.cost_nanousd or 0
            self.total_nanousd += cost_nanousd
            if attempt is not answering:
                self.extra_nanousd += cost_nanousd


_PLAIN: Final = Plan()


async def _first_reply(tasks: Sequence[asyncio.Task[Reply]]) -> int:
    """Which task has a reply first.

    Raises:
        FairleadError: of the first task, where none has one.
    """
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for number, task in enumerate(tasks):
            if task in done and not task.cancelled() and task.exception() is None:
                return number
    raise tasks[0].exception() or InternalError("an attempt ended without a reply and without an error")


async def _give_up(tasks: Sequence[asyncio.Task[Reply]]) -> None:
    """Cancel what is not wanted any more, and end what has answered all the same, even if nobody waits here for that."""
    for task in tasks:
        task.cancel()
        task.add_done_callback(_end_unwanted)
    if tasks:
        await asyncio.wait(tasks)


def _end_unwanted(task: asyncio.Task[Reply]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().end(Outcome("cancelled", Cancelled.http_status, Cancelled("another attempt was faster")))


def _larger(
    than: Candidate, candidates: Sequence[Candidate], configured: Sequence[Candidate], attempts: Sequence[Attempt]
) -> list[Candidate]:
    """Who may take a prompt that did not fit: those with a window known to be larger, then those configured for it."""
    larger = [
        each for each in candidates if each.window is not None and than.window is not None and each.window > than.window
    ]
    further = [each for each in configured if each not in larger and not _was_tried(each, attempts)]
    return larger + [
        each for each in further if each.window is None or than.window is None or each.window > than.window
    ]


def _was_tried(candidate: Candidate, attempts: Sequence[Attempt]) -> bool:
    return any(attempt.candidate is candidate for attempt in attempts)
