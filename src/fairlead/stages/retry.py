"""retry: backoff inside one candidate.  The only retry layer there is."""

from __future__ import annotations

from typing import Final

from fairlead.call import Call, Retries
from fairlead.core.backoff import RetryBudget, full_jitter_s
from fairlead.core.lane import PATIENCE_NS
from fairlead.errors import UpstreamError
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, Rng

_NS: Final = 1_000_000_000


class Retry:
    """Tries a candidate again on what may pass with time, while the retry budget of its provider and the time last.

    The caller's own mistakes, an exhausted quota and a provider that asks not to be called again are not tried again.
    Nor is what never went to the provider, as where its circuit is open or its line too long: another candidate may
    answer now.  Nor anything of which content has gone to the caller, as that raises nothing up here.
    """

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock = clock
        self._rng = rng
        self._budgets: dict[str, RetryBudget] = {}

    async def __call__(self, call: Call, following: Next) -> Reply:
        candidate = call.attempt.candidate
        retries = candidate.retries
        if retries is None:
            return await following(call)
        budget = self._budgets.get(candidate.provider)
        if budget is None:
            budget = self._budgets[candidate.provider] = RetryBudget()
        budget.deposit(self._clock.monotonic_ns())
        tried = 0
        while True:
            tried += 1
            try:
                return await following(call)
            except UpstreamError as error:
                wait_s = self._wait_s(call, retries, tried, error)
                if wait_s is None or not budget.take(self._clock.monotonic_ns()):
                    if error.retry_after_s is None:
                        error.retryable = False  # it was tried here; a caller who tries again multiplies our tries
                    raise
                call.attempt.close(self._clock.monotonic_ns(), error)
            await self._clock.sleep(wait_s)
            call.open_attempt(candidate, self._clock.monotonic_ns())

    def _wait_s(self, call: Call, retries: Retries, tried: int, error: UpstreamError) -> float | None:
        """How long to wait before the next try; `None` for none.

        A short wait that the provider asks for is taken as it is: it knows when it has room.  After a long one another
        candidate is the better choice, and the caller is told the wait.
        """
        if tried >= retries.attempts or not error.retryable or call.attempt.sent_ns is None:
            return None
        wait_s = full_jitter_s(tried, base_s=retries.base_s, max_s=retries.max_s, random=self._rng.random())
        if error.retry_after_s is not None:
            if error.retry_after_s * _NS > PATIENCE_NS:
                return None
            wait_s = error.retry_after_s + wait_s / 10
        ends_ns = call.started_ns + int(call.attempt.candidate.timeouts.total_s * _NS)
        if call.deadline_ns is not None:
            ends_ns = min(ends_ns, call.deadline_ns)
        return wait_s if self._clock.monotonic_ns() + int(wait_s * _NS) < ends_ns else None
