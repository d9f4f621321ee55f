"""route: which candidate answers, and which is next when it cannot."""

from __future__ import annotations

from functools import partial

from fairlead.call import Attempt, Call, Candidate, Outcome
from fairlead.errors import BudgetExceeded, FairleadError, InternalError, UpstreamError
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, Rng


class Route:
    """Tries candidates in their order, or by weight where they have weights, until one answers.

    Falls back only on the provider's faults, and only while nothing has gone to the caller: a reply comes back from
    below once its first content was seen, so an exception always means that nothing has.
    """

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock = clock
        self._rng = rng

    async def __call__(self, call: Call, following: Next) -> Reply:
        failure: FairleadError | None = None
        for candidate in self._ordered(call.candidates):
            opened = call.open_attempt(candidate, self._clock.monotonic_ns())
            try:
                reply = await following(call)
            except (UpstreamError, BudgetExceeded) as error:
                opened.close(self._clock.monotonic_ns(), error)
                if isinstance(error, UpstreamError) and not error.falls_back:
                    raise
                # A dearer candidate may not fit where a cheaper one does; what a provider said tells the caller more.
                if isinstance(error, UpstreamError) or not isinstance(failure, UpstreamError):
                    failure = error
            except BaseException as error:
                opened.close(self._clock.monotonic_ns(), error if isinstance(error, FairleadError) else None)
                raise
            else:
                reply.on_end.append(partial(self._close, call.attempt))
                return reply
        raise failure or InternalError("a call without candidates reached route")

    def _close(self, attempt: Attempt, outcome: Outcome) -> None:
        attempt.close(self._clock.monotonic_ns(), outcome.error)

    def _ordered(self, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """Weighted: one drawn by weight first, the others after it, heaviest first.  Else as configured."""
        if len(candidates) < 2 or candidates[0].weight is None:
            return candidates
        point = self._rng.random() * sum(c.weight or 0.0 for c in candidates)
        drawn = candidates[-1]
        for candidate in candidates:
            point -= candidate.weight or 0.0
            if point < 0:
                drawn = candidate
                break
        rest = sorted((c for c in candidates if c is not drawn), key=lambda c: -(c.weight or 0.0))
        return (drawn, *rest)
