"""What a run may still spend: a check before each call, beside the budget of the key that the calls are made with."""

from __future__ import annotations

from fairlead.call import Attempt, Candidate, Request
from fairlead.core.money import format_usd
from fairlead.core.pricing import worst_case


class CapReached(Exception):
    """The next call could cost more than is left."""


class Wallet:
    """Counts what calls cost, and where nobody said, what they may have cost at most.

    A provider may bill a call that broke off and of which no usage came; a budget books a known zero for it, this
    books the worst case.
    """

    def __init__(self, cap_nanousd: int) -> None:
        self.cap_nanousd = cap_nanousd
        self.spent_nanousd = 0

    def check(self, request: Request, candidate: Candidate) -> int:
        """The most that a call can cost.

        Raises:
            CapReached: it does not fit into what is left, or has no bound.
        """
        most = request.max_output_tokens
        if most is None:
            most = candidate.max_output_tokens
        if candidate.price is None or most is None:
            raise CapReached(f"model {candidate.model!r} has no known price, so that no cap would hold")
        given = request.input_bytes + request.images * candidate.image_tokens
        worst = worst_case(candidate.price, given, most * request.n, variant=request.service_tier)
        left = self.cap_nanousd - self.spent_nanousd
        if worst > left:
            raise CapReached(f"the call may cost {format_usd(worst)} USD, and {format_usd(left)} USD are left")
        return worst

    def book(self, attempts: list[Attempt], worst_nanousd: int) -> int | None:
        """Count a call that is over; what it cost, `None` where that is not known."""
        known = [attempt.cost_nanousd for attempt in attempts if not _may_be_billed(attempt)]
        if len(known) < len(attempts) or None in known:
            self.spent_nanousd += worst_nanousd
            return None
        cost = sum(amount for amount in known if amount is not None)
        self.spent_nanousd += cost
        return cost


def _may_be_billed(attempt: Attempt) -> bool:
    """Whether it broke off after it was sent, and nobody said what it used."""
    refused = attempt.upstream_status is not None and 400 <= attempt.upstream_status < 500
    return attempt.error is not None and attempt.usage is None and attempt.sent_ns is not None and not refused
