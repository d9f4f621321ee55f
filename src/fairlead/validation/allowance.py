"""How large one more request may be, within what all re-asks of a call may take and the model's window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fairlead.call import Attempt, Call, Candidate, Request
from fairlead.core.pricing import worst_case
from fairlead.validation.rules import Ladder

MESSAGE_TOKENS: Final = 16
"""What a further message may take beside its text."""
_MANY: Final = 1_000_000


class NotAllowed(Exception):
    """No further request may be sent; the message says why, for a caller to read."""


def prompt_bound(call: Call, request: Request, candidates: Sequence[Candidate]) -> int:
    """Tokens of the caller's own request at most: as the very model has counted them, else no more than its bytes."""
    for attempt in call.attempts:
        usage, model = attempt.usage, attempt.candidate.model
        if usage is not None and attempt.usage_source == "final" and all(each.model == model for each in candidates):
            return usage.all_input_tokens
    images = request.images * max((each.image_tokens for each in candidates), default=0)
    return request.most_bytes + images


def output_limit(
    call: Call, ladder: Ladder, request: Request, candidates: Sequence[Candidate], prompt_tokens: int
) -> int | None:
    """The most tokens that the next answer may have; `None`: as the caller says.

    Args:
        prompt_tokens: of the next request, at most.

    Raises:
        NotAllowed: an answer as long as the last one would be too much.
    """
    least, asked = max(1, _written_tokens(call.attempts[-1]) // request.n), request.max_output_tokens
    room = min((each.window - prompt_tokens for each in candidates if each.window is not None), default=None)
    if room is not None and room < least:
        raise NotAllowed("asking again would not fit into the model's context")
    limits = [*_by_tokens(call, ladder, request, prompt_tokens)]
    limits += _by_money(call, ladder, request, candidates, prompt_tokens)
    if room is not None and asked is not None:  # else the model writes as much as there is room for
        limits.append(room)
    if not limits:
        return None
    limit = min(limits)
    if limit < least:
        raise NotAllowed("asking again would take more than is allowed")
    return limit if asked is None or limit < asked else None


def _by_tokens(call: Call, ladder: Ladder, request: Request, prompt_tokens: int) -> Iterator[int]:
    if ladder.max_tokens is not None:
        used = sum(map(_tokens, call.reasks))
        yield (ladder.max_tokens - used - prompt_tokens) // request.n


def _by_money(
    call: Call, ladder: Ladder, request: Request, candidates: Sequence[Candidate], prompt_tokens: int
) -> Iterator[int]:
    if ladder.max_nanousd is None:
        return
    costs = [attempt.cost_nanousd for attempt in call.reasks]
    prices = [each.price for each in candidates]
    for candidate, price in zip(candidates, prices, strict=True):
        if price is None or None in costs:
            raise NotAllowed(
                f"what asking {candidate.model!r} again would cost is not known, and its cost is limited; give it a `price`"
            )
        seconds, tier = candidate.timeouts.total_s, request.service_tier
        left = ladder.max_nanousd - sum(cost for cost in costs if cost is not None)
        left -= worst_case(price, prompt_tokens, 0, seconds=seconds, variant=tier)
        many = worst_case(price, prompt_tokens, _MANY, seconds=seconds, variant=tier)
        for_many = many - worst_case(price, prompt_tokens, 0, seconds=seconds, variant=tier)
        if left < 0:
            yield -1
        elif for_many:
            yield left * _MANY // for_many // request.n


def _tokens(attempt: Attempt) -> int:
    usage = attempt.usage
    return 0 if usage is None else usage.all_input_tokens + usage.all_output_tokens


def _written_tokens(attempt: Attempt) -> int:
    return 0 if attempt.usage is None else attempt.usage.all_output_tokens
