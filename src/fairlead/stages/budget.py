"""budget: reserve the worst case of an attempt before it starts, settle its real cost when it is over."""

from __future__ import annotations

from functools import partial

from fairlead.call import Attempt, Call
from fairlead.core.pricing import cost, worst_case
from fairlead.errors import BudgetExceeded, StateUnavailable
from fairlead.expiry import within
from fairlead.pipeline import Next, Reply
from fairlead.ports import Clock, Hold, Ledger

_RESERVE_S = 1.0
"""How long a reservation may take; the first one against a budget reads from the store what was spent before."""
_LEASE_SLACK_S = 60.0
_LARGEST_WINDOW = 1_048_576
"""The tokens of a context of which nobody knows how large it is."""


class Budget:
    """Reserves against every budget of the principal at once; a model without a price is refused where one is set."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, call: Call, following: Next) -> Reply:
        attempt = call.attempt
        reserved = _worst_case(call, attempt)
        if reserved is None and call.principal.budgets:
            attempt.cost_nanousd = 0  # it was never sent
            raise BudgetExceeded(_no_price(call, attempt), param="model")
        settle = partial(self._settle, call, attempt)
        try:
            if reserved is not None:
                await self._reserve(call, attempt, reserved)
            call.announce()
            reply = await following(call)
        except BaseException:
            attempt.when_known(settle)
            raise
        reply.on_end.append(lambda _: attempt.when_known(settle))
        return reply

    async def _reserve(self, call: Call, attempt: Attempt, amount_nanousd: int) -> None:
        hold = Hold(
            call_id=call.id,
            attempt=attempt.number,
            budgets=call.principal.budgets,
            amount_nanousd=amount_nanousd,
            at_ns=call.started_at_ns,
            lease_s=attempt.candidate.timeouts.total_s + _LEASE_SLACK_S,
        )
        await within(self._clock, _RESERVE_S, _late, self._ledger.reserve(hold))
        attempt.reserved_nanousd = amount_nanousd

    def _settle(self, call: Call, attempt: Attempt) -> None:
        """Price the attempt and settle it; a hold that was never made is nothing to the ledger."""
        self._price(attempt)
        self._ledger.settle(call.id, attempt.number, attempt.cost_nanousd or 0)

    def _price(self, attempt: Attempt) -> None:
        """A failed attempt without usage costs a known zero; usage without a price costs an unknown."""
        if attempt.usage is None:
            attempt.cost_nanousd = 0
        elif attempt.candidate.price is not None:
            seconds = ((attempt.ended_ns or self._clock.monotonic_ns()) - attempt.started_ns) / 1e9
            attempt.cost_nanousd = cost(
                attempt.candidate.price, attempt.usage, attempt.usage.service_tier, seconds=seconds
            )


def _late() -> StateUnavailable:
    return StateUnavailable("the budget could not be checked in time; try again")


def _worst_case(call: Call, attempt: Attempt) -> int | None:
    """As tokens never outnumber bytes, no tokenizer is needed for an upper bound; only answers cost."""
    candidate, request = attempt.candidate, call.request
    if request.operation != "answer":
        return 0
    if candidate.price is None:
        return None
    most = request.max_output_tokens if request.max_output_tokens is not None else candidate.max_output_tokens
    if most is None:
        return None
    input_tokens = request.most_bytes + request.images * candidate.image_tokens
    if request.is_partial:
        input_tokens += _LARGEST_WINDOW if candidate.window is None else candidate.window
    return worst_case(
        candidate.price,
        input_tokens,
        most * request.n,
        seconds=candidate.timeouts.total_s,
        variant=request.service_tier,
    )


def _no_price(call: Call, attempt: Attempt) -> str:
    model = attempt.candidate.model
    return (
        f"model {model!r} has no known price or no known maximum, and this key has a hard budget; "
        f'set `[models."{call.alias}"] price = {{ input = 3.0, output = 15.0 }}` in USD per million tokens'
    )
