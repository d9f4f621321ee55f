"""Where attempts wait for one provider's limits: one line for each (provider, credential, model).

Limits count in the `Limits` port, so all processes that share it stay under them together.  Who is next is decided here:
by priority, then fairly between tenants.  Tokens are claimed as expected and the error of that is made good by the
claims that follow, so that over time what is claimed is what is used.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from fairlead.core.aimd import Aimd
from fairlead.core.fairqueue import FairQueue
from fairlead.core.lane import Lane
from fairlead.core.pacing import Pacing
from fairlead.core.ratelimits import Kind, Told
from fairlead.errors import FairleadError, RateLimited, StateUnavailable, UpstreamRateLimited
from fairlead.expiry import within
from fairlead.ports import Claim, Clock, Limits
from fairlead.types import Rate

Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Runs the task of a line; its owner cancels it at the end."""

_NS: Final = 1_000_000_000
_BURST_SHARE: Final = 6
"""A sixth of a minute's limit may go out at once: many providers count by the second (OpenAI's rate limit guide)."""
_CREDIT_SHARE: Final = 12
"""At most a twelfth of a minute's tokens is made good at a time, or an idle hour would pay for a storm."""
_ACQUIRE_S: Final = 1.0
_AVERAGED: Final = 0.1
"""The weight of the newest place in the average of how long places are held."""
_FULL_S: Final = 0.25
"""How often to look whether somebody elsewhere has made room under a limit of concurrency."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt asks of the line."""

    tenant: str
    priority: int
    weight: float
    prompt_tokens: int
    output_tokens: int | None
    """The most that it may write, as far as it says."""
    until_ns: int
    """When it has to have begun; monotonic."""


class Turn:
    """A place that was given; hand it back to `Line.over`."""

    __slots__ = ("ask", "began_ns", "claims", "expected")

    def __init__(self, ask: Ask, expected: int) -> None:
        self.ask = ask
        self.expected = expected
        self.began_ns = 0
        self.claims: list[Claim] = []


class _Waiting:
    __slots__ = ("granted", "turn")

    def __init__(self, turn: Turn, granted: asyncio.Future[None]) -> None:
        self.turn = turn
        self.granted = granted


class Line:
    """See the module."""

    def __init__(self, lane: Lane, limits: Limits, clock: Clock, spawn: Spawn) -> None:
        self._lane = lane
        self._limits = limits
        self._clock = clock
        self._spawn = spawn
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._pumping = False
        self._kicked: asyncio.Future[None] | None = None
        self._pacing = Pacing()
        self._learnt: dict[Kind, int] = {}
        self._rates: tuple[Rate, ...] = ()
        self._error_tokens = 0
        """Claimed less than used so far; negative where it was more."""
        self._held_until_ns = 0
        self._place_s: float | None = None
        """How long a place is held on average; `None` before the first was given back."""
        self.aimd = Aimd()

    def __len__(self) -> int:
        return len(self._queue)

    def follow(self, pacing: Pacing) -> None:
        """Go by these limits from now on."""
        if pacing is not self._pacing:
            self._pacing = pacing
            self._set_rates()

    async def turn(self, ask: Ask) -> Turn:
        """Wait for a place.

        Raises:
            UpstreamRateLimited: it could not begin in time; says after which wait it could.
            StateUnavailable: the limits cannot be checked.
        """
        turn = Turn(ask, self._expected(ask))
        wait_s = 0.0
        if not self._queue and not self._pumping:
            refusal_s = await self._try(turn)
            if refusal_s is None:
                return turn
            wait_s = refusal_s
        return await self._wait(turn, wait_s)

    def over(self, turn: Turn, used_tokens: int | None, told: dict[Kind, Told]) -> None:
        """The attempt is over: give its place back, and learn.

        Args:
            used_tokens: `None` where nobody knows; what was expected stands then.
            told: what the answer's headers said.
        """
        self._limits.release(turn.claims, None)
        held_s = (self._clock.monotonic_ns() - turn.began_ns) / _NS
        self._place_s = held_s if self._place_s is None else self._place_s + _AVERAGED * (held_s - self._place_s)
        if used_tokens is not None and not self._pacing.counts_maximum and self._limit("tokens"):
            self._error_tokens += used_tokens - turn.expected
            more = self._cost(used_tokens) - self._cost(turn.expected)
            self._queue.charge(turn.ask.tenant, turn.ask.priority, more)
        for kind, each in told.items():
            self._learn(kind, each)
        self.kick()

    def kick(self) -> None:
        """Something changed: look again who may go."""
        if self._kicked is not None and not self._kicked.done():
            self._kicked.set_result(None)

    def fail(self, error: Callable[[], FairleadError]) -> None:
        """Nobody gets through for now: end the wait of all."""
        for waiting in list(self._queue):
            if not waiting.granted.done():
                waiting.granted.set_exception(error())

    # --- waiting ---

    async def _wait(self, turn: Turn, wait_s: float) -> Turn:
        ask, now_ns = turn.ask, self._clock.monotonic_ns()
        until_ns = min(ask.until_ns, now_ns + round(self._pacing.max_wait_s * _NS))
        expected_s = self._expected_wait_s(ask, wait_s, now_ns)
        if now_ns + round(expected_s * _NS) > until_ns:
            raise self._too_late(expected_s)
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = self._queue.push(
            _Waiting(turn, granted),
            tenant=ask.tenant,
            priority=ask.priority,
            weight=ask.weight,
            cost=self._cost(turn.expected),
            units=turn.expected,
        )
        if not self._pumping:
            self._pumping = True
            self._spawn(self._pump())
        elif self._queue.peek() is entry:
            self.kick()

        def late() -> None:
            if not granted.done():
                granted.set_exception(self._too_late(self._expected_wait_s(ask, 0.0, self._clock.monotonic_ns())))

        timer = self._clock.timer((until_ns - now_ns) / _NS, late)
        try:
            await granted
        except BaseException:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._undo(turn)  # given in the very moment of the cancellation
                self.kick()
            raise
        finally:
            timer.cancel()
            was_next = self._queue.peek() is entry
            self._queue.drop(entry)
            if was_next:
                self.kick()  # the line waits for as much as this one needs, and the next may need less
        return turn

    async def _pump(self) -> None:
        """Let them through one by one, as the limits allow."""
        try:
            while (entry := self._queue.peek()) is not None:
                waiting = entry.item
                if waiting.granted.done():
                    self._queue.drop(entry)
                    continue
                try:
                    wait_s = await self._try(waiting.turn, held_back=len(self._queue) > 1)
                except FairleadError as error:
                    self._queue.drop(entry)
                    if not waiting.granted.done():
                        waiting.granted.set_exception(error)
                    continue
                if wait_s is not None:
                    await self._pause(wait_s)
                elif waiting.granted.done():
                    self._queue.drop(entry)
                    self._undo(waiting.turn)
                else:
                    self._queue.take(entry)
                    waiting.granted.set_result(None)
        finally:
            self._pumping = False

    async def _pause(self, seconds: float) -> None:
        self._kicked = asyncio.get_running_loop().create_future()
        timer = self._clock.timer(seconds, self.kick)
        try:
            await self._kicked
        finally:
            timer.cancel()
            self._kicked = None

    async def _try(self, turn: Turn, *, held_back: bool = False) -> float | None:
        """Take a place now; else how long to wait before the next try."""
        now_ns = self._clock.monotonic_ns()
        wait_ns = max(self._held_until_ns - now_ns, self._lane.cooling_ns(now_ns), self.aimd.wait_ns(now_ns))
        if wait_ns > 0:
            return wait_ns / _NS
        claims = self._claims(turn)
        try:
            if claims:
                await within(self._clock, _ACQUIRE_S, _late, self._limits.acquire(claims))
        except RateLimited as error:
            if error.retry_after_s is None:
                raise self._never() from None
            return min(error.retry_after_s, _FULL_S) if error.kind == "concurrency" else error.retry_after_s
        turn.claims, turn.began_ns = claims, now_ns
        self._make_good(turn)
        if self._pacing.learn:
            self.aimd.send(now_ns, held_back=held_back)
        return None

    def _undo(self, turn: Turn) -> None:
        """Nobody takes the place: give it back, and let others make good what it was to make good."""
        self._limits.release(turn.claims, 0)
        self._error_tokens += sum(claim.amount - turn.expected for claim in turn.claims if claim.rate.kind == "tokens")

    # --- what is claimed ---

    def _expected(self, ask: Ask) -> int:
        usual = self._lane.output_tokens
        if self._pacing.counts_maximum or usual is None:
            output = ask.output_tokens if ask.output_tokens is not None else round(usual or 0)
        else:
            output = round(usual) if ask.output_tokens is None else min(ask.output_tokens, round(usual))
        return ask.prompt_tokens + output

    def _claims(self, turn: Turn) -> list[Claim]:
        return [
            Claim(rate=rate, amount=self._tokens(turn, rate) if rate.kind == "tokens" else 1) for rate in self._rates
        ]

    def _tokens(self, turn: Turn, rate: Rate) -> int:
        """What is expected, and a part of what earlier expectations were wrong by.

        Of what is more than may go out at once, though not more than a minute's, the claims that follow make good the rest.
        """
        most = max(1, rate.limit // _CREDIT_SHARE)
        amount = max(1, turn.expected + max(-most, min(self._error_tokens, most)))
        return amount if rate.burst is None or turn.expected > rate.limit else min(amount, rate.burst)

    def _make_good(self, turn: Turn) -> None:
        for claim in turn.claims:
            if claim.rate.kind == "tokens":
                self._error_tokens -= claim.amount - turn.expected
                most = max(1, claim.rate.limit // _CREDIT_SHARE)
                self._error_tokens = max(self._error_tokens, -most)

    def _cost(self, used_tokens: int) -> float:
        """The share of a minute that a call takes, of whichever limit it takes most."""
        requests, tokens = self._limit("requests"), self._limit("tokens")
        return max(1 / (requests or 10_000), used_tokens / tokens if tokens else 0.0)

    # --- limits ---

    def _limit(self, kind: Kind) -> int | None:
        configured = self._pacing.rpm if kind == "requests" else self._pacing.tpm
        learnt = self._learnt.get(kind)
        if configured is None or learnt is None:
            return configured if learnt is None else learnt
        return min(configured, learnt)

    def _set_rates(self) -> None:
        scope, rates = f"target:{self._lane.name}", []
        requests, tokens = self._limit("requests"), self._limit("tokens")
        limits: tuple[tuple[Kind, int | None], ...] = (("requests", requests), ("tokens", tokens))
        for kind, limit in limits:
            if limit is not None:
                rates.append(Rate(scope=scope, kind=kind, limit=limit, burst=max(1, limit // _BURST_SHARE)))
        if self._pacing.concurrency is not None:
            rates.append(Rate(scope=scope, kind="concurrency", limit=self._pacing.concurrency))
        self._rates = tuple(rates)

    def _learn(self, kind: Kind, told: Told) -> None:
        if self._learnt.get(kind) != told.a_minute:
            self._learnt[kind] = told.a_minute
            self._set_rates()
        if told.remaining < 1:  # others use the same account, or it counts in its own way
            now_ns = self._clock.monotonic_ns()
            self._held_until_ns = max(self._held_until_ns, now_ns + 60 * _NS // told.a_minute)

    # --- what is said ---

    def _expected_wait_s(self, ask: Ask, wait_s: float, now_ns: int) -> float:
        """About how long it would take to get through."""
        entries, tokens = self._queue.ahead(ask.tenant, ask.priority, ask.weight)
        requests_s = entries * 60 / limit if (limit := self._limit("requests")) else 0.0
        tokens_s = tokens * 60 / limit if (limit := self._limit("tokens")) else 0.0
        paced_s = entries / self.aimd.a_second if self.aimd.a_second else 0.0
        crowd_s = 0.0
        if self._pacing.concurrency:
            crowd_s = entries * (self._place_s or 0.0) / self._pacing.concurrency
        held_ns = max(self._held_until_ns - now_ns, self._lane.cooling_ns(now_ns), 0)
        return max(wait_s, held_ns / _NS) + max(requests_s, tokens_s, paced_s, crowd_s)

    def _too_late(self, wait_s: float) -> UpstreamRateLimited:
        return UpstreamRateLimited(
            f"the limits of {self._lane.name!r} are used up for now: this call would begin in about {wait_s:.1f} s, "
            "which is later than it may; try again then, allow it more time, or raise `limits.max_wait_s`",
            retry_after_s=math.ceil(max(wait_s, 0.001) * 1000) / 1000,
        )

    def _never(self) -> UpstreamRateLimited:
        error = UpstreamRateLimited(
            f"this call needs more tokens than {self._lane.name!r} may use in a minute; ask for fewer with `max_tokens`"
        )
        error.retryable = False
        return error


def _late() -> StateUnavailable:
    return StateUnavailable("the provider's limits could not be checked in time; try again")
