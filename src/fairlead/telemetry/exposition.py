"""`/metrics`: what the store has counted and how the workers stand, in the words of Prometheus."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from fairlead.errors import StateUnavailable
from fairlead.record import USED_STATES, Gauges
from fairlead.telemetry import metrics
from fairlead.telemetry.metrics import BUCKETS_S, Labels
from fairlead.verdict import MOST_ERRORS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NS: Final = 1_000_000_000
_STORE_TIMEOUT_S: Final = 2.0
GAUGES_FRESH_S: Final = 10.0
"""A worker that has been silent for so much longer than another is gone, and its gauges with it."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the metrics' reference."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    divisor: int = 1
    """Stored units in a shown one."""


def _described(
    kind: Literal["counter", "gauge", "histogram"], name: str, labels: tuple[str, ...], text: str, divisor: int = 1
) -> Description:
    return Description(name=name, type=kind, labels=labels, help=text, divisor=divisor)


_ATTEMPT: Final = ("provider", "model")
_HELD: Final = ("alias", "schema")
METRICS: Final = (
    _described("counter", metrics.CALLS, ("alias", "dialect", "outcome"), "Calls that are over."),
    _described(
        "counter", metrics.ATTEMPTS, (*_ATTEMPT, "outcome"), "Attempts; the outcome is ok or the error's class."
    ),
    _described("counter", metrics.TOKENS, (*_ATTEMPT, "bucket"), "Tokens, in disjoint buckets."),
    _described("counter", metrics.COST, _ATTEMPT, "What attempts cost, in USD.", _NS),
    _described("counter", metrics.UNPRICED, _ATTEMPT, "Attempts whose cost is unknown."),
    _described("counter", metrics.ERRORS, ("class", "alias"), "Calls that ended with an error, by its class."),
    _described(
        "counter",
        metrics.DEGRADED_CALLS,
        ("alias", "how"),
        "Calls answered by another target than the first (fallback), or by the configured text (static) or value (fallback-value).",
    ),
    _described(
        "counter",
        metrics.VALIDATIONS,
        (*_HELD, "rung", "outcome"),
        "Calls whose answer was held to a schema, by the highest rung of the ladder that was needed or tried; the outcome "
        "is ok or failed, the schema `other` where the configuration does not list it.",
    ),
    _described("counter", metrics.REASKS, _HELD, "Times a model was asked again, a stronger one included."),
    _described("counter", metrics.REASK_TOKENS, _HELD, "Tokens, in and out, of asking again."),
    _described("counter", metrics.REASK_COST, _HELD, "What asking again cost, in USD.", _NS),
    _described(
        "counter",
        metrics.FIELD_ERRORS,
        (*_HELD, "kind"),
        f"Errors of the last output that was refused, at most {MOST_ERRORS} a call, also where another one was taken "
        "later; the kind is a keyword of JSON Schema, or such as unclear, cut, no_json or ambiguous.",
    ),
    _described("counter", metrics.REJECTED, (), "Records that the store could not take."),
    _described("counter", metrics.SPOOL_TORN, (), "Spool segments that ended inside a record, which is lost."),
    _described("counter", metrics.SPOOL_REJECTED, (), "Spooled records that this version does not know."),
    _described("histogram", metrics.CALL_DURATION, ("alias",), "From a call's arrival to its end.", _NS),
    _described("histogram", metrics.FIRST_TOKEN, _ATTEMPT, "From sending an attempt to its first content.", _NS),
    _described("histogram", metrics.WAIT, _ATTEMPT, "In line for a provider's limits, of attempts that waited.", _NS),
    _described("histogram", metrics.OUTPUT_TOKEN, _ATTEMPT, "Between two output tokens after the first.", _NS),
    _described("counter", "fairlead_dropped_records_total", ("worker",), "Records that could not be spooled."),
    _described("gauge", "fairlead_reserved_usd", ("worker",), "Open reservations, in USD.", _NS),
    _described("gauge", "fairlead_in_flight", ("worker",), "Calls under way."),
    _described("gauge", "fairlead_connections", ("worker",), "Open connections of callers."),
    _described(
        "gauge",
        "fairlead_config_reload_failed",
        ("worker",),
        "1 where the configuration could not be read again when it was last tried, and the one before goes on.",
    ),
    _described(
        "gauge", "fairlead_degraded", ("worker", "feature", "mode"), "1 where a feature runs in a degraded mode."
    ),
    _described(
        "gauge",
        "fairlead_target_up",
        ("worker", "target"),
        "1 while a configured target is used, 0 while it is left alone.",
    ),
    _described("gauge", "fairlead_target_in_flight", ("worker", "target"), "Attempts under way at a target."),
    _described("gauge", "fairlead_target_waiting", ("worker", "target"), "Attempts that wait for a target's limits."),
    _described(
        "gauge",
        "fairlead_store_up",
        (),
        "1 while the store takes records and answers; at 0 they wait in the spool, and what else is shown may be old.",
    ),
    _described(
        "gauge",
        "fairlead_spool_bytes",
        (),
        "Spool files on disk; of what is stored, up to 8 MiB a worker stay for a while.",
    ),
)
"""Every metric there is; the reference is generated from this."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand at one moment."""

    counters: Mapping[tuple[str, Labels], int]
    gauges: Sequence[Gauges] = ()
    spool_bytes: int | None = None
    store_up: bool = True


class SnapshotCollector:
    """A `prometheus_client` collector over snapshots.

    Args:
        take: the newest snapshot.
    """

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._take = take

    def collect(self) -> Iterator[Metric]:
        """One family for each of `METRICS`, with samples or without."""
        snapshot = self._take()
        counted = _by_metric(snapshot.counters)
        standing = _standing(snapshot)
        for described in METRICS:
            if described.type == "histogram":
                yield _histogram(described, counted)
                continue
            kind = CounterMetricFamily if described.type == "counter" else GaugeMetricFamily
            family = kind(described.name, described.help, labels=described.labels)
            for labels, value in (*counted.get(described.name, {}).items(), *standing.get(described.name, ())):
                by_name = dict(labels)
                family.add_metric([by_name.get(name, "") for name in described.labels], value / described.divisor)
            yield family


class Measured(Protocol):
    """What the store has to say: a `LogStore` that also keeps the workers' gauges."""

    async def counters(self) -> Mapping[tuple[str, Labels], int]: ...

    async def gauges(self) -> Sequence[Gauges]: ...


class Exposition:
    """Answers `GET /metrics`, with the last known counters where the store does not answer.

    Args:
        spool_bytes: what the spool takes on disk; may block, raises `OSError`.
        is_storing: whether the store took what it was last given.
    """

    def __init__(self, store: Measured, spool_bytes: Callable[[], int], is_storing: Callable[[], bool]) -> None:
        self._store = store
        self._spool_bytes = spool_bytes
        self._is_storing = is_storing
        self._known = Snapshot(counters={})
        self._asking: asyncio.Task[bool] | None = None

    async def render(self) -> bytes:
        """The body, of type `CONTENT_TYPE`.  Raises nothing."""
        answered = await self._ask()
        snapshot = msgspec.structs.replace(self._known, store_up=answered and self._is_storing())
        try:
            spool_bytes = await asyncio.to_thread(self._spool_bytes)
        except OSError:
            return render(snapshot)
        return render(msgspec.structs.replace(snapshot, spool_bytes=spool_bytes))

    async def _ask(self) -> bool:
        """Learn the newest counters; whether the store answered in time.

        One question at a time, however many scrapes wait for it: a store that hangs collects none.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._refresh(), name="metrics")
        try:
            return await asyncio.wait_for(asyncio.shield(self._asking), _STORE_TIMEOUT_S)
        except TimeoutError:
            return False

    async def _refresh(self) -> bool:
        try:
            counters = await self._store.counters()
            gauges = await self._store.gauges()
        except StateUnavailable:
            return False
        self._known = Snapshot(counters=counters, gauges=gauges)
        return True


def render(snapshot: Snapshot) -> bytes:
    """The body of an answer to `GET /metrics`, of type `CONTENT_TYPE`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(lambda: snapshot))
    return generate_latest(registry)


def _by_metric(counters: Mapping[tuple[str, Labels], int]) -> dict[str, dict[Labels, int]]:
    grouped: dict[str, dict[Labels, int]] = defaultdict(dict)
    for (metric, labels), value in sorted(counters.items()):
        grouped[metric][labels] = value
    return grouped


def _standing(snapshot: Snapshot) -> dict[str, list[tuple[Labels, int]]]:
    found: dict[str, list[tuple[Labels, int]]] = defaultdict(list)
    newest_ns = max((gauges.at_ns for gauges in snapshot.gauges), default=0)
    for gauges in snapshot.gauges:
        if newest_ns - gauges.at_ns > GAUGES_FRESH_S * _NS:
            continue
        worker = ("worker", gauges.worker)
        found["fairlead_dropped_records_total"].append(((worker,), gauges.dropped_records))
        found["fairlead_reserved_usd"].append(((worker,), gauges.reserved_nanousd))
        found["fairlead_in_flight"].append(((worker,), gauges.in_flight))
        found["fairlead_connections"].append(((worker,), gauges.connections))
        found["fairlead_config_reload_failed"].append(((worker,), int(gauges.config_reload_failed)))
        for feature, mode in sorted(gauges.degraded.items()):
            found["fairlead_degraded"].append(((worker, ("feature", feature), ("mode", mode)), 1))
        for target, each in sorted(gauges.targets.items()):
            labels = (worker, ("target", target))
            found["fairlead_target_up"].append((labels, int(each.state in USED_STATES)))
            found["fairlead_target_in_flight"].append((labels, each.in_flight))
            found["fairlead_target_waiting"].append((labels, each.waiting))
    found["fairlead_store_up"].append(((), int(snapshot.store_up)))
    if snapshot.spool_bytes is not None:
        found["fairlead_spool_bytes"].append(((), snapshot.spool_bytes))
    return found


def _histogram(described: Description, counted: Mapping[str, Mapping[Labels, int]]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(described.name, described.help, labels=described.labels)
    buckets = counted.get(f"{described.name}_bucket", {})
    for labels, sum_ns in counted.get(f"{described.name}_sum", {}).items():
        values = [dict(labels).get(name, "") for name in described.labels]
        cumulative = list(_cumulative(described.name, labels, buckets))
        family.add_metric(values, buckets=cumulative, sum_value=sum_ns / described.divisor)
    return family


def _cumulative(metric: str, labels: Labels, buckets: Mapping[Labels, int]) -> Iterable[tuple[str, float]]:
    total = 0
    for le in (*(str(bound) for bound in BUCKETS_S[metric]), "+Inf"):
        total += buckets.get((*labels, ("le", le)), 0)
        yield le, total
