"""Which metric counters ended calls move.  Pure: the store applies them in the transaction of the record.

Counters are integers in the smallest unit: nano-USD, nanoseconds.  A histogram is three counters: `_bucket` with its
`le`, `_sum` and `_count`; each observation moves only the first bucket that holds it, and exposition sums them up.
Label values are names from configuration or the price table, never a caller's own words.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final

from fairlead.record import AttemptRecord, Ended
from fairlead.verdict import KINDS, Validated

Labels = tuple[tuple[str, str], ...]
Delta = tuple[str, Labels, int]

CALLS: Final = "fairlead_calls_total"
ATTEMPTS: Final = "fairlead_attempts_total"
TOKENS: Final = "fairlead_tokens_total"
COST: Final = "fairlead_cost_usd_total"
UNPRICED: Final = "fairlead_unpriced_attempts_total"
ERRORS: Final = "fairlead_errors_total"
DEGRADED_CALLS: Final = "fairlead_degraded_calls_total"
VALIDATIONS: Final = "fairlead_validations_total"
REASKS: Final = "fairlead_reasks_total"
REASK_TOKENS: Final = "fairlead_reask_tokens_total"
REASK_COST: Final = "fairlead_reask_cost_usd_total"
FIELD_ERRORS: Final = "fairlead_validation_field_errors_total"
REJECTED: Final = "fairlead_rejected_records_total"
SPOOL_TORN: Final = "fairlead_spool_torn_segments_total"
SPOOL_REJECTED: Final = "fairlead_spool_rejected_records_total"
CALL_DURATION: Final = "fairlead_call_duration_seconds"
FIRST_TOKEN: Final = "fairlead_time_to_first_token_seconds"  # noqa: S105 - a metric's name
WAIT: Final = "fairlead_wait_seconds"
OUTPUT_TOKEN: Final = "fairlead_time_per_output_token_seconds"  # noqa: S105 - a metric's name

_NS: Final = 1_000_000_000
_LONGEST_NS: Final = 10**15
"""Eleven days: a longer time is a fault in a record, and sums must not overflow."""
BUCKETS_S: Final[dict[str, tuple[float, ...]]] = {
    CALL_DURATION: (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    FIRST_TOKEN: (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0),
    WAIT: (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0),
    OUTPUT_TOKEN: (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5),
}
"""Upper bounds in seconds; `+Inf` follows."""
_BOUNDS_NS: Final = {metric: tuple(round(bound * _NS) for bound in bounds) for metric, bounds in BUCKETS_S.items()}
_LE: Final = {
    metric: tuple(("le", bound) for bound in (*map(str, bounds), "+Inf")) for metric, bounds in BUCKETS_S.items()
}
_PARTS: Final = {metric: (f"{metric}_bucket", f"{metric}_sum", f"{metric}_count") for metric in BUCKETS_S}
_TOKEN_BUCKETS: Final = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
)
_tokens = attrgetter(*(f"{bucket}_tokens" for bucket in _TOKEN_BUCKETS))
"""A usage's buckets, in that order."""


def count(records: Iterable[Ended]) -> list[Delta]:
    """The counters that ended calls move, each with its labels and by how much; each series once."""
    calls: Counter[tuple[str, str, str, str | None]] = Counter()
    degraded: Counter[tuple[str, str]] = Counter()
    durations: defaultdict[str, list[int]] = defaultdict(list)
    attempts: defaultdict[tuple[str, str], list[AttemptRecord]] = defaultdict(list)
    judged: defaultdict[tuple[str, str], list[Validated]] = defaultdict(list)
    for record in records:
        alias = record.alias or "none"
        calls[alias, record.dialect, record.outcome, record.error_class] += 1
        for how in record.degraded:
            degraded[alias, how] += 1
        if record.outcome != "crashed":
            durations[alias].append(record.duration_ns)
        if (validated := record.validated) is not None:
            judged[alias, validated.label].append(validated)
        for attempt in record.attempts:
            attempts[attempt.provider, attempt.label].append(attempt)
    moved = list(_calls(calls))
    moved += [(DEGRADED_CALLS, (("alias", alias), ("how", how)), number) for (alias, how), number in degraded.items()]
    for alias, durations_ns in durations.items():
        moved += _observed(CALL_DURATION, (("alias", alias),), durations_ns)
    for (provider, label), tried in attempts.items():
        moved += _attempts((("provider", provider), ("model", label)), tried)
    for (alias, schema), held in judged.items():
        moved += _validations((("alias", alias), ("schema", schema)), held)
    return moved


def _calls(calls: Mapping[tuple[str, str, str, str | None], int]) -> Iterator[Delta]:
    for (alias, dialect, outcome, error_class), number in calls.items():
        yield CALLS, (("alias", alias), ("dialect", dialect), ("outcome", outcome)), number
        if error_class is not None:
            yield ERRORS, (("class", error_class), ("alias", alias)), number


def _validations(who: Labels, held: Sequence[Validated]) -> Iterator[Delta]:
    for (rung, fits), number in Counter([(each.rung, each.fits) for each in held]).items():
        yield VALIDATIONS, (*who, ("rung", rung), ("outcome", "ok" if fits else "failed")), number
    kinds = Counter([error.kind if error.kind in KINDS else "other" for each in held for error in each.errors])
    for kind, number in kinds.items():
        yield FIELD_ERRORS, (*who, ("kind", kind)), number
    for metric, number in (
        (REASKS, sum(each.reasks for each in held)),
        (REASK_TOKENS, sum(each.reask_tokens for each in held)),
        (REASK_COST, sum(each.reask_nanousd for each in held)),
    ):
        if number > 0:
            yield metric, who, number


def _attempts(who: Labels, attempts: Sequence[AttemptRecord]) -> Iterator[Delta]:
    for error_class, number in Counter([attempt.error_class for attempt in attempts]).items():
        yield ATTEMPTS, (*who, ("outcome", error_class or "ok")), number
    used = [_tokens(attempt.usage) for attempt in attempts if attempt.usage is not None]
    for bucket, tokens in zip(_TOKEN_BUCKETS if used else (), map(sum, zip(*used, strict=True)), strict=True):
        if tokens > 0:
            yield TOKENS, (*who, ("bucket", bucket)), tokens
    costs_nanousd = [attempt.cost_nanousd for attempt in attempts if attempt.cost_nanousd is not None]
    if len(costs_nanousd) < len(attempts):
        yield UNPRICED, who, len(attempts) - len(costs_nanousd)
    if any(costs_nanousd):
        yield COST, who, sum(costs_nanousd)
    started = [attempt for attempt in attempts if attempt.first_token_ns is not None]
    firsts_ns = [(each.first_token_ns or 0) - each.started_ns - each.waited_ns for each in started]
    yield from _observed(FIRST_TOKEN, who, firsts_ns)
    yield from _observed(WAIT, who, [each.waited_ns for each in attempts if each.waited_ns])
    yield from _observed(OUTPUT_TOKEN, who, [gap_ns for each in started if (gap_ns := _gap_ns(each)) is not None])


def _gap_ns(attempt: AttemptRecord) -> int | None:
    """The time between its tokens, where it has at least two."""
    usage = attempt.usage
    if usage is None or attempt.ended_ns is None or attempt.first_token_ns is None:
        return None
    output_tokens = usage.all_output_tokens
    return None if output_tokens < 2 else (attempt.ended_ns - attempt.first_token_ns) // (output_tokens - 1)


def _observed(metric: str, labels: Labels, values_ns: Sequence[int]) -> Iterator[Delta]:
    """The histogram's counters; a bucket takes what is above the bound before it, up to and with its own."""
    if not values_ns:
        return
    ascending_ns = sorted(values_ns)
    if ascending_ns[0] < 0 or ascending_ns[-1] > _LONGEST_NS:
        ascending_ns = [min(max(value_ns, 0), _LONGEST_NS) for value_ns in ascending_ns]
    bucket, total, number = _PARTS[metric]
    below = 0
    for le, bound_ns in zip(_LE[metric], (*_BOUNDS_NS[metric], _LONGEST_NS), strict=True):
        up_to = bisect_right(ascending_ns, bound_ns)
        if up_to > below:
            yield bucket, (*labels, le), up_to - below
        below = up_to
    yield total, labels, sum(ascending_ns)
    yield number, labels, len(ascending_ns)
