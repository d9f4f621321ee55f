"""What a caller is told whom a limit or a budget refuses; the same words from every store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairlead.core.gcra import Decision
from fairlead.core.money import format_usd
from fairlead.errors import BudgetExceeded, RateLimited
from fairlead.ports import Claim
from fairlead.types import Budget

_NS: Final = 1_000_000_000


def rate_limited(refused: Sequence[tuple[Claim, Decision]]) -> RateLimited:
    """About the claim that has to wait longest, or that never fits."""

    def wait(pair: tuple[Claim, Decision]) -> float:
        retry_after_ns = pair[1].retry_after_ns
        return float("inf") if retry_after_ns is None else retry_after_ns

    claim, answer = max(refused, key=wait)
    rate = claim.rate
    unit = "at one time" if rate.kind == "concurrency" else "a minute"
    if answer.retry_after_ns is None:
        message = f"{claim.amount} {rate.kind} never fit into {rate.limit} {unit} of {rate.scope!r}; ask for less"
        retry_after_s = None
    else:
        noun = "calls" if rate.kind == "concurrency" else rate.kind
        message = f"{rate.scope!r} is limited to {rate.limit} {noun} {unit}"
        retry_after_s = answer.retry_after_ns / _NS
    return RateLimited(
        message, limit=rate.limit, remaining=answer.remaining, kind=rate.kind, retry_after_s=retry_after_s
    )


def over_budget(budget: Budget, amount_nanousd: int, left_nanousd: int) -> BudgetExceeded:
    """About the budget that an attempt does not fit into."""
    window = "whole" if budget.window == "total" else budget.window
    return BudgetExceeded(
        f"this call could cost up to {format_usd(amount_nanousd)} USD, and {format_usd(max(left_nanousd, 0))} of "
        f"{format_usd(budget.limit_nanousd)} USD are left in the {window} budget of {budget.scope!r}; "
        "ask for fewer tokens with `max_tokens`, or have the budget raised"
    )
