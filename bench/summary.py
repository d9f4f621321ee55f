"""What the windows say: medians and how far they scatter, and ratios to the floor round by round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

import msgspec

from bench.results import Results, Window

FLOOR = "floor"


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A median and the values beside which it stands."""

    median: float
    low: float
    high: float


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A subject in a row.  `None` is: not measured."""

    row: str
    subject: str
    worker_us: Spread | None
    keeper_us: Spread | None
    worker_ratio: Spread | None
    """To the floor's worker of the same round."""
    both_ratio: Spread | None
    """Worker and keeper together, to the same."""
    rps: Spread | None
    added_ms: dict[str, float]
    """`open p50`, `open p99`, `one p50`, `one p99`: beyond what the upstream alone takes at the same rate."""
    rss_mb: dict[str, float]
    errors: int


def lines(results: Results) -> list[Line]:
    """All rows, all subjects, in the order of measuring."""
    order = dict.fromkeys((each.row, each.subject) for each in results.windows)
    return [_line(results, row, subject) for row in results.rows for at, subject in order if at == row]


def _line(results: Results, row: str, subject: str) -> Line:
    mine = [each for each in results.windows if (each.row, each.subject) == (row, subject)]
    capacity = [each for each in mine if each.kind == "capacity"]
    floors = {
        each.round: each.worker_us for each in results.windows
        if (each.row, each.subject, each.kind) == (row, FLOOR, "capacity")
    }  # fmt: skip

    def to_floor(used: Callable[[Window], float | None]) -> Spread | None:
        return _spread(
            value / floor for each in capacity if (value := used(each)) and (floor := floors.get(each.round))
        )

    return Line(
        row=row,
        subject=subject,
        worker_us=_spread(each.worker_us for each in capacity),
        keeper_us=_spread(each.keeper_us for each in capacity),
        worker_ratio=to_floor(lambda each: each.worker_us),
        both_ratio=to_floor(_both) if any(each.keeper_us is not None for each in capacity) else None,
        rps=_spread(each.rps for each in capacity),
        added_ms={
            f"{kind} {name}": round(added, 3)
            for kind in ("open", "one")
            for name in ("p50", "p99")
            if (added := _added(mine, kind, name)) is not None
        },
        rss_mb={
            name: round(size / 1e6, 1)
            for each in results.memory
            if (each.row, each.subject) == (row, subject)
            for name, size in (
                ("idle worker", each.idle_worker), ("loaded worker", each.loaded_worker),
                ("idle keeper", each.idle_keeper), ("loaded keeper", each.loaded_keeper),
            )
            if size
        },
        errors=sum(sum(each.errors.values()) for each in mine),
    )  # fmt: skip


def _both(window: Window) -> float | None:
    if window.worker_us is None or window.keeper_us is None:
        return None
    return window.worker_us + window.keeper_us


def _added(windows: Iterable[Window], kind: str, name: str) -> float | None:
    """Milliseconds that a subject adds to a quantile, the median of the rounds."""
    seen = {(each.kind, each.round): each.latency_us.get(name) for each in windows}
    differences = [
        (through - direct) / 1e3
        for (at, number), through in seen.items()
        if at == kind and through is not None and (direct := seen.get((f"direct {kind}", number))) is not None
    ]
    return statistics.median(differences) if differences else None


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(median=statistics.median(known), low=min(known), high=max(known))
