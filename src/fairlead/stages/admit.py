"""admit: our callers' own limits, in requests and tokens a minute and in calls at one time."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.call import Call
from fairlead.core.estimate import estimate_prompt
from fairlead.errors import StateUnavailable
from fairlead.expiry import within
from fairlead.pipeline import Next, Reply
from fairlead.ports import Claim, Clock, Limits, Standing

_ACQUIRE_S = 0.3
"""A little longer than a store takes to notice that it has to decide without the others."""
_LINES = {
    kind: (
        f"x-ratelimit-limit-{kind}: %d\r\nx-ratelimit-remaining-{kind}: %d\r\nx-ratelimit-reset-{kind}: %.3fs\r\n"
    ).encode()
    for kind in ("requests", "tokens", "concurrency")
}


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
        reply.on_end.append(lambda _: self._limits.release(claims, _used_tokens(call)))
        reply.lines += _told(standings)
        return reply


def _told(standings: Sequence[Standing]) -> bytes:
    """One set of headers for each kind, about the limit that is nearest to its end."""
    nearest: dict[str, Standing] = {}
    for standing in standings:
        known = nearest.get(standing.kind)
        if known is None or standing.remaining < known.remaining:
            nearest[standing.kind] = standing
    return b"".join([_LINES[kind] % (each.limit, each.remaining, each.reset_s) for kind, each in nearest.items()])


def _late() -> StateUnavailable:
    return StateUnavailable("the limits could not be checked in time; try again")


def _expected_tokens(call: Call) -> int:
    """What the call will take, before anyone counted: the prompt by its length, the answer by its stated maximum."""
    request = call.request
    prompt = estimate_prompt(request.most_bytes) if request.prompt_tokens is None else request.prompt_tokens
    return prompt + (request.max_output_tokens or 0) * request.n


def _used_tokens(call: Call) -> int:
    used = 0
    for attempt in call.attempts:
        usage = attempt.usage
        if usage is not None:
            used += usage.all_input_tokens + usage.all_output_tokens
    return used
