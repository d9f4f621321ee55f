"""pace: the queue for a provider's limits, its breaker, and what is learnt from each attempt about it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary, proxy

from fairlead.call import Attempt, Call, Candidate, Outcome
from fairlead.core.estimate import estimate_prompt
from fairlead.core.lane import PASSING, Lane, Reason
from fairlead.core.pacing import Pacing
from fairlead.core.ratelimits import Kind, Told, told
from fairlead.errors import (
    CircuitOpen,
    FairleadError,
    Overloaded,
    QuotaExhausted,
    UpstreamAuth,
    UpstreamError,
    UpstreamRateLimited,
)
from fairlead.line import Ask, Line, Turn
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, Limits, Rng

_NS: Final = 1_000_000_000
_ASIDE_S: Final = 60.0
"""How long a credential that was refused, or an empty account, is left alone before one call tries it again."""
_KINDS: Final[tuple[Kind, ...]] = ("requests", "tokens")
_OVERLOADED: Final = 529
"""Anthropic's status for "too many, of all our users": eased off as at a 429."""

_log = logging.getLogger("fairlead")


class Pace:
    """Lets an attempt go when its provider's limits and its breaker allow.

    Args:
        weights: shares of tenants where calls queue, by `team:NAME`, `user:NAME` or `key:ID`; 1 for all others.
    """

    def __init__(self, limits: Limits, clock: Clock, rng: Rng, weights: Mapping[str, float] | None = None) -> None:
        self._limits = limits
        self._clock = clock
        self._rng = rng
        self.weights = weights or {}
        self._lines: WeakKeyDictionary[Lane, Line] = WeakKeyDictionary()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __call__(self, call: Call, following: Next) -> Reply:
        candidate = call.attempt.candidate
        lane = candidate.lane
        self._refuse_blocked(lane)
        line = turn = None
        if candidate.pacing is not None:
            line = self._line(lane, candidate.pacing)
            turn = await line.turn(self._ask(call, candidate))
            try:
                self._refuse_blocked(lane)  # much may have happened while it waited
            except CircuitOpen:
                line.over(turn, 0, {})
                raise
        over = _Over(self, call, line, turn, self._clock.monotonic_ns())
        if lane.breaker is not None and lane.override != "force":
            over.place = lane.breaker.enter(self._clock.monotonic_ns())
        lane.in_flight += 1
        try:
            reply = await following(call)
        except BaseException as error:
            over.hear()
            over(error if isinstance(error, FairleadError) else None, well=False)
            raise
        over.hear()
        reply.on_end.append(over.ended)
        return reply

    async def aclose(self) -> None:
        """End the wait of all."""
        for line in self._lines.values():
            line.fail(lambda: Overloaded("this process ends; try again"))
        for task in tuple(self._pumps):
            task.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def heed(self) -> None:
        """An operator has said something: who waits in a line need not find out when its turn comes."""
        now_ns = self._clock.monotonic_ns()
        for lane, line in self._lines.items():
            self._let_go(lane, line, now_ns)
            line.kick()

    def waiting(self) -> dict[str, int]:
        """How many attempts wait in each line."""
        return {lane.name: len(line) for lane, line in self._lines.items() if len(line)}

    # --- before ---

    def _refuse_blocked(self, lane: Lane) -> None:
        block = lane.blocked(self._clock.monotonic_ns())
        if block is not None:
            raise _left_alone(lane, block.reason, block.wait_ns / _NS)

    def _line(self, lane: Lane, pacing: Pacing) -> Line:
        line = self._lines.get(lane)
        if line is None:
            # The lane keeps the line, so the line must not keep the lane; whoever waits in it does.
            line = self._lines[lane] = Line(proxy(lane), self._limits, self._clock, self._spawn)
        line.follow(pacing)
        return line

    def _ask(self, call: Call, candidate: Candidate) -> Ask:
        request, tenant = call.request, call.principal.tenant
        ends_ns = call.started_ns + int(candidate.timeouts.total_s * _NS)
        if call.deadline_ns is not None:
            ends_ns = min(ends_ns, call.deadline_ns)
        # What begins without the time that an answer takes is cut off, and paid for; yet half of the time may be waited.
        answer_ns = int((candidate.lane.speed_s(stream=request.stream).mean or 0.0) * _NS)
        most = request.max_output_tokens
        return Ask(
            tenant=tenant,
            priority=call.priority,
            weight=self.weights.get(tenant, 1.0),
            prompt_tokens=request.prompt_tokens or estimate_prompt(request.most_bytes),
            output_tokens=None if most is None else most * request.n,
            until_ns=ends_ns - min(answer_ns, (ends_ns - call.started_ns) // 2),
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="line")
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)

    # --- after ---

    def learn(self, over: _Over, error: FairleadError | None, *, well: bool) -> None:
        """Take in what an attempt that is over says about its provider."""
        attempt, line, place = over.attempt, over.line, over.place
        lane, now_ns = attempt.candidate.lane, self._clock.monotonic_ns()
        first_s = None if attempt.first_token_ns is None else (attempt.first_token_ns - over.began_ns) / _NS
        if first_s is not None:
            lane.speed_s(stream=over.stream).add(first_s)
        if not over.is_foreign:
            if line is not None:
                self._pace(attempt, line, error, now_ns)
            if isinstance(error, UpstreamError) and not error.is_fault:
                _set_aside(lane, error, now_ns)
                self._let_go(lane, line, now_ns)
        breaker = lane.breaker
        if breaker is None or not place:
            return
        if well or (isinstance(error, UpstreamError) and error.is_fault):
            hint_s = None if error is None else error.retry_after_s
            was_open = breaker.state != "closed"
            slow_s = first_s if over.stream and first_s is not None else 0.0
            breaker.record(place, now_ns, ok=well, took_s=slow_s, hint_s=hint_s, random=self._rng.random())
            self._say(lane, line, was_open=was_open, now_ns=now_ns)
        else:
            breaker.leave(place)

    def _pace(self, attempt: Attempt, line: Line, error: FairleadError | None, now_ns: int) -> None:
        pacing = attempt.candidate.pacing
        if pacing is None or not pacing.learn:
            return
        if isinstance(error, UpstreamRateLimited) or attempt.upstream_status == _OVERLOADED:
            line.aimd.refused(now_ns)

    def told(self, attempt: Attempt) -> dict[Kind, Told]:
        """What the answer's headers say about limits, where that is wanted."""
        headers, pacing = attempt.upstream_headers, attempt.candidate.pacing
        if headers is None or pacing is None or not pacing.learn:
            return {}
        now_s = self._clock.now_ns() / _NS
        return {kind: said for kind in _KINDS if (said := told(headers, kind, now_s)) is not None}

    def _say(self, lane: Lane, line: Line | None, *, was_open: bool, now_ns: int) -> None:
        """Say when a breaker opens and closes."""
        breaker = lane.breaker
        if breaker is None or (breaker.state != "closed") == was_open:
            return
        if was_open:
            _log.info("%s answers again", lane.name)
            return
        _log.warning("%s fails and is left alone for %.0f s", lane.name, breaker.blocked_ns(now_ns) / _NS)
        self._let_go(lane, line, now_ns)

    def _let_go(self, lane: Lane, line: Line | None, now_ns: int) -> None:
        """Who waits for what is not to be used now hears so, and may be answered elsewhere."""
        block = lane.blocked(now_ns)
        if line is not None and block is not None:
            line.fail(partial(_left_alone, lane, block.reason, block.wait_ns / _NS))


class _Over:
    """What happens once at the end of an attempt, whichever way it ends."""

    __slots__ = ("_pace", "_told", "attempt", "began_ns", "is_foreign", "line", "place", "refused", "stream", "turn")

    def __init__(self, pace: Pace, call: Call, line: Line | None, turn: Turn | None, now_ns: int) -> None:
        self._pace = pace
        self._told: dict[Kind, Told] = {}
        self.attempt = call.attempt
        self.stream = call.request.stream
        self.is_foreign = call.request.credential is not None
        """With the caller's own key: limits and quota of that account say nothing about other callers'."""
        self.line = line
        self.turn = turn
        self.began_ns = now_ns
        """When it went upstream; it may have waited before."""
        self.place = 0
        self.refused = False

    def hear(self) -> None:
        """Read what the answer's headers say about limits, and let go of them: a stream may be open for minutes."""
        if not self.is_foreign:
            self._told = self._pace.told(self.attempt)
        self.attempt.upstream_headers = None

    def ended(self, outcome: Outcome) -> None:
        """As an `on_end` hook."""
        self(outcome.error, well=outcome.kind == "ok")

    def __call__(self, error: FairleadError | None, *, well: bool) -> None:
        self.attempt.candidate.lane.in_flight -= 1
        self.refused = isinstance(error, UpstreamRateLimited)
        self._pace.learn(self, error, well=well)
        self.attempt.when_known(self._settle)

    def _settle(self) -> None:
        """A failure without usage has used nothing; a whole answer says what the next may be like.

        A refusal for too many says that less was left than was thought, so its claim stands: that is the margin by which
        the next ones stay below the provider's own count.
        """
        usage = self.attempt.usage
        used_tokens = None if self.refused else 0
        if usage is not None:
            used_tokens = usage.all_input_tokens + usage.all_output_tokens
            self.attempt.candidate.lane.answered(usage.all_output_tokens)
        if self.line is not None and self.turn is not None:
            self.line.over(self.turn, used_tokens, self._told)


def _set_aside(lane: Lane, error: UpstreamError, now_ns: int) -> None:
    """What is no fault of the provider's, and yet a reason to ask elsewhere for a while."""
    if isinstance(error, UpstreamRateLimited):
        if error.retry_after_s is not None:
            lane.set_aside("cooling", now_ns, error.retry_after_s)
    elif isinstance(error, QuotaExhausted):
        lane.set_aside("quota", now_ns, error.retry_after_s or _ASIDE_S)
        _log.error("the account behind %s has no quota left", lane.name)
    elif isinstance(error, UpstreamAuth):
        lane.set_aside("credential", now_ns, _ASIDE_S)
        _log.error("the credential of %s is refused; renew it", lane.name)


_WHY: Final = {
    "circuit_open": "it keeps failing",
    "cooling": "it asked to be left alone",
    "credential": "it refuses our credential",
    "quota": "its account has no quota left",
    "disabled": "an operator has disabled it",
}


def _left_alone(lane: Lane, reason: Reason, wait_s: float) -> CircuitOpen:
    error = CircuitOpen(
        f"{lane.name!r} is left alone for now, as {_WHY[reason]}; try again later", retry_after_s=wait_s
    )
    error.retryable = reason in PASSING
    return error
