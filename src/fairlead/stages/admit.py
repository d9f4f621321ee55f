"""admit: our callers' own limits, in requests and tokens a minute and in calls at one time."""

from __future__ import annotations

from fairlead.call import Call, Outcome
from fairlead.core.estimate import estimate_prompt
from fairlead.errors import StateUnavailable
from fairlead.expiry import within
from fairlead.pipeline import Next, Reply
from fairlead.ports import Claim, Clock, Limits

_ACQUIRE_S = 0.05


class Admit:
    """Takes what the call claims of every rate of its principal, or refuses it; gives back what it did not use."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock

    async def __call__(self, call: Call, following: Next) -> Reply:
        rates = call.principal.rates
        if not rates:
            return await following(call)
        tokens = _expected_tokens(call)
        claims = [Claim(rate=rate, amount=tokens if rate.kind == "tokens" else 1) for rate in rates]
        standings = await within(self._clock, _ACQUIRE_S, _late, self._limits.acquire(claims))
        try:
            reply = await following(call)
        except BaseException:
            self._limits.release(claims, _used_tokens(call))
            raise

        def release(_: Outcome) -> None:
            self._limits.release(claims, _used_tokens(call))

        reply.on_end.append(release)
        for standing in standings:
            reply.headers |= {
                f"x-ratelimit-limit-{standing.kind}": str(standing.limit),
                f"x-ratelimit-remaining-{standing.kind}": str(standing.remaining),
                f"x-ratelimit-reset-{standing.kind}": f"{standing.reset_s:.3f}s",
            }
        return reply


def _late() -> StateUnavailable:
    return StateUnavailable("the limits could not be checked in time; try again")


def _expected_tokens(call: Call) -> int:
    """What the call will take, before anyone counted: the prompt by its length, the answer by its stated maximum."""
    return estimate_prompt(call.request.input_bytes) + (call.request.max_output_tokens or 0) * call.request.n


def _used_tokens(call: Call) -> int:
    return sum(a.usage.all_input_tokens + a.usage.all_output_tokens for a in call.attempts if a.usage is not None)
