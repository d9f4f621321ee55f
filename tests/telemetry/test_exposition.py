from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from fairlead.errors import StateUnavailable
from fairlead.record import AttemptRecord, Ended, Gauges, Identity
from fairlead.telemetry.exposition import METRICS, Exposition, Snapshot, render
from fairlead.telemetry.metrics import count
from fairlead.testing import virtual_run
from fairlead.types import Usage
from fairlead.verdict import Validated


def samples(body: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def ended(duration_ns: int, **rest: Any) -> Ended:
    attempt = AttemptRecord(
        number=1,
        provider="p",
        credential="default",
        model="m",
        label="m",
        started_ns=0,
        first_token_ns=1_000_000,
        ended_ns=101_000_000,
        usage=Usage(input_tokens=3, output_tokens=11),
        cost_nanousd=1_500_000_000,
    )
    return Ended(
        call_id="c",
        started_at_ns=0,
        duration_ns=duration_ns,
        dialect="openai_chat",
        alias='quoted "a"\n\\',
        model="m",
        stream=False,
        identity=Identity(tenant="local"),
        status=200,
        outcome="ok",
        error_class="network",
        attempts=(attempt, AttemptRecord(number=2, provider="p", credential="d", model="m", label="m", started_ns=5)),
        **rest,
    )


def counters(*records: Ended) -> dict[tuple[str, tuple[tuple[str, str], ...]], int]:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for record in records:
        for metric, labels, delta in count([record]):
            found[metric, labels] = found.get((metric, labels), 0) + delta
    return found


WHO = (("model", "m"), ("provider", "p"))


def test_counters_are_shown_in_whole_units() -> None:
    """Money in USD, times in seconds, tokens as they are."""
    found = samples(render(Snapshot(counters=counters(ended(2_500_000_000)))))
    alias = ("alias", 'quoted "a"\n\\')
    assert found["fairlead_cost_usd_total", WHO] == 1.5
    assert found["fairlead_tokens_total", (("bucket", "output"), *WHO)] == 11
    assert found["fairlead_calls_total", (alias, ("dialect", "openai_chat"), ("outcome", "ok"))] == 1
    assert found["fairlead_call_duration_seconds_sum", (alias,)] == 2.5


def test_money_of_asking_again_is_shown_in_usd() -> None:
    """Beside its tokens, by alias and schema."""
    validated = Validated(schema="s", label="Booking", reasks=1, reask_tokens=30, reask_nanousd=250_000_000)
    found = samples(render(Snapshot(counters=counters(ended(1, validated=validated)))))
    labels = (("alias", 'quoted "a"\n\\'), ("schema", "Booking"))
    assert found["fairlead_reask_cost_usd_total", labels] == 0.25
    assert found["fairlead_reask_tokens_total", labels] == 30
    assert found["fairlead_validations_total", (*labels[:1], ("outcome", "ok"), ("rung", "parse"), *labels[1:])] == 1


def test_histograms_are_cumulative() -> None:
    """Each bucket holds all that is below it, and the last one everything."""
    found = samples(render(Snapshot(counters=counters(ended(20_000_000), ended(70_000_000), ended(10**13)))))
    shown = {
        dict(labels)["le"]: value for (name, labels), value in found.items() if name.endswith("duration_seconds_bucket")
    }
    assert (shown["0.05"], shown["0.1"], shown["600.0"], shown["+Inf"]) == (1, 2, 2, 3)


def test_every_stored_counter_is_described() -> None:
    """Nothing that is counted is missing from the reference, and its labels are those described."""
    described = {each.name: each for each in METRICS}
    for metric, labels in counters(ended(1)):
        name = metric
        for suffix in ("_bucket", "_sum", "_count"):
            name = name.removesuffix(suffix) if name.removesuffix(suffix) in described else name
        assert tuple(label for label, _ in labels if label != "le") == described[name].labels


def test_every_described_metric_is_shown() -> None:
    """A scrape of a fresh gateway names all metrics, with their help."""
    body = render(Snapshot(counters={})).decode()
    for each in METRICS:
        name = each.name
        assert f"# TYPE {name} {each.type}" in body
        assert f"# HELP {name} {each.help}" in body


def test_workers_stand_side_by_side() -> None:
    """Gauges are shown by worker; a worker ten seconds behind another is gone."""
    gauges = [
        Gauges(worker="0", at_ns=100 * 10**9, reserved_nanousd=5 * 10**8, in_flight=2, dropped_records=1),
        Gauges(worker="1", at_ns=99 * 10**9, degraded={"cache": "off"}),
        Gauges(worker="old", at_ns=89 * 10**9, in_flight=9),
    ]
    found = samples(render(Snapshot(counters={}, gauges=gauges, spool_bytes=77)))
    assert found["fairlead_reserved_usd", (("worker", "0"),)] == 0.5
    assert found["fairlead_in_flight", (("worker", "0"),)] == 2
    assert found["fairlead_dropped_records_total", (("worker", "0"),)] == 1
    assert found["fairlead_degraded", (("feature", "cache"), ("mode", "off"), ("worker", "1"))] == 1
    assert found["fairlead_spool_bytes", ()] == 77
    assert ("fairlead_in_flight", (("worker", "old"),)) not in found


class Store:
    """Counters that can be had, or not, or never."""

    def __init__(self) -> None:
        self.rejected = 4
        self.is_down = False
        self.hangs = False
        self.asked = 0

    async def counters(self) -> dict[Any, int]:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_down:
            raise StateUnavailable("down")
        return {("fairlead_rejected_records_total", ()): self.rejected}

    async def gauges(self) -> list[Gauges]:
        return []


async def test_exposition_asks_the_store_and_the_spool() -> None:
    """A scrape shows what is stored now and what still waits."""
    found = samples(await Exposition(Store(), lambda: 5, lambda: True).render())
    assert found["fairlead_rejected_records_total", ()] == 4
    assert found["fairlead_spool_bytes", ()] == 5
    assert found["fairlead_store_up", ()] == 1


async def test_a_store_that_does_not_answer_shows_what_was_known_last() -> None:
    """A scrape is answered all the same, says that it is old, and is new again afterwards."""
    store, sizes_bytes = Store(), iter([1, 2, 3])
    exposition = Exposition(store, lambda: next(sizes_bytes), lambda: True)
    await exposition.render()
    store.is_down, store.rejected = True, 9
    found = samples(await exposition.render())
    assert [found[name, ()] for name in ("fairlead_rejected_records_total", "fairlead_store_up")] == [4, 0]
    assert found["fairlead_spool_bytes", ()] == 2
    store.is_down = False
    found = samples(await exposition.render())
    assert [found[name, ()] for name in ("fairlead_rejected_records_total", "fairlead_store_up")] == [9, 1]


async def test_a_store_that_takes_no_records_is_not_up() -> None:
    """Though it can be read."""
    found = samples(await Exposition(Store(), lambda: 5, lambda: False).render())
    assert [found[name, ()] for name in ("fairlead_rejected_records_total", "fairlead_store_up")] == [4, 0]


def test_a_store_that_hangs_is_asked_once() -> None:
    """Every scrape is answered after two seconds, and they do not heap up."""

    async def scrapes() -> None:
        store = Store()
        store.hangs = True
        exposition = Exposition(store, lambda: 5, lambda: True)
        for _ in range(3):
            assert samples(await exposition.render())["fairlead_store_up", ()] == 0
        assert store.asked == 1

    virtual_run(scrapes())


async def test_a_spool_that_cannot_be_read_has_no_size() -> None:
    """Nothing is said rather than nothing is there."""

    def fails() -> int:
        raise OSError

    found = samples(await Exposition(Store(), fails, lambda: True).render())
    assert ("fairlead_spool_bytes", ()) not in found
    assert found["fairlead_rejected_records_total", ()] == 4
