"""Which metric counters an ended call moves.  Pure: the store applies them in the transaction of the record.

Counters are integers in the smallest unit: nano-USD, nanoseconds.  A histogram is three counters: `_bucket` with its
`le`, `_sum` and `_count`; each observation moves only the first bucket that holds it, and exposition sums them up.
Label values are names from configuration or the price table, never a caller's own words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from fairlead.record import AttemptRecord, Ended

Labels = tuple[tuple[str, str], ...]
Delta = tuple[str, Labels, int]

CALLS: Final = "fairlead_calls_total"
ATTEMPTS: Final = "fairlead_attempts_total"
TOKENS: Final = "fairlead_tokens_total"
COST: Final = "fairlead_cost_usd_total"
UNPRICED: Final = "fairlead_unpriced_attempts_total"
ERRORS: Final = "fairlead_errors_total"
REJECTED: Final = "fairlead_rejected_records_total"
SPOOL_TORN: Final = "fairlead_spool_torn_segments_total"
SPOOL_REJECTED: Final = "fairlead_spool_rejected_records_total"
CALL_DURATION: Final = "fairlead_call_duration_seconds"
FIRST_TOKEN: Final = "fairlead_time_to_first_token_seconds"  # noqa: S105 - a metric's name
OUTPUT_TOKEN: Final = "fairlead_time_per_output_token_seconds"  # noqa: S105 - a metric's name

_NS: Final = 1_000_000_000
BUCKETS_S: Final[dict[str, tuple[float, ...]]] = {
    CALL_DURATION: (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    FIRST_TOKEN: (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0),
    OUTPUT_TOKEN: (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5),
}
"""Upper bounds in seconds; `+Inf` follows."""
_BOUNDS_NS: Final = {metric: tuple(round(bound * _NS) for bound in bounds) for metric, bounds in BUCKETS_S.items()}
_LE: Final = {
    metric: tuple(("le", bound) for bound in (*map(str, bounds), "+Inf")) for metric, bounds in BUCKETS_S.items()
}
_PARTS: Final = {metric: (f"{metric}_bucket", f"{metric}_sum", f"{metric}_count") for metric in BUCKETS_S}
_TOKEN_BUCKETS: Final = (
    ("input_tokens", ("bucket", "input")),
    ("cache_read_tokens", ("bucket", "cache_read")),
    ("cache_write_5m_tokens", ("bucket", "cache_write_5m")),
    ("cache_write_1h_tokens", ("bucket", "cache_write_1h")),
    ("output_tokens", ("bucket", "output")),
    ("reasoning_tokens", ("bucket", "reasoning")),
    ("audio_input_tokens", ("bucket", "audio_input")),
    ("audio_output_tokens", ("bucket", "audio_output")),
    ("image_input_tokens", ("bucket", "image_input")),
    ("image_output_tokens", ("bucket", "image_output")),
)


def count(record: Ended) -> list[Delta]:
    """The counters that one ended call moves, each with its labels and by how much."""
    alias = ("alias", record.alias or "none")
    moved: list[Delta] = [(CALLS, (alias, ("dialect", record.dialect), ("outcome", record.outcome)), 1)]
    if record.error_class is not None:
        moved.append((ERRORS, (("class", record.error_class), alias), 1))
    if record.outcome != "crashed":
        moved += _observe(CALL_DURATION, (alias,), record.duration_ns)
    for attempt in record.attempts:
        _count_attempt(moved, attempt)
    return moved


def _count_attempt(moved: list[Delta], attempt: AttemptRecord) -> None:
    who = (("provider", attempt.provider), ("model", attempt.label))
    moved.append((ATTEMPTS, (*who, ("outcome", attempt.error_class or "ok")), 1))
    usage = attempt.usage
    if usage is not None:
        for field, bucket in _TOKEN_BUCKETS:
            tokens = getattr(usage, field)
            if tokens:
                moved.append((TOKENS, (*who, bucket), tokens))
    if attempt.cost_nanousd is None:
        moved.append((UNPRICED, who, 1))
    elif attempt.cost_nanousd:
        moved.append((COST, who, attempt.cost_nanousd))
    _observe_speed(moved, attempt, who)


def _observe_speed(moved: list[Delta], attempt: AttemptRecord, who: Labels) -> None:
    """First token after the attempt's start; then the time between tokens, of attempts with at least two."""
    if attempt.first_token_ns is None:
        return
    moved += _observe(FIRST_TOKEN, who, attempt.first_token_ns - attempt.started_ns)
    output_tokens = 0 if attempt.usage is None else attempt.usage.all_output_tokens
    if attempt.ended_ns is not None and output_tokens > 1:
        moved += _observe(OUTPUT_TOKEN, who, (attempt.ended_ns - attempt.first_token_ns) // (output_tokens - 1))


def _observe(metric: str, labels: Labels, value_ns: int) -> Sequence[Delta]:
    value_ns = max(value_ns, 0)
    le = _LE[metric][bisect_left(_BOUNDS_NS[metric], value_ns)]
    bucket, total, number = _PARTS[metric]
    return (bucket, (*labels, le), 1), (total, labels, value_ns), (number, labels, 1)
