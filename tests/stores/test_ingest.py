from __future__ import annotations

import asyncio
import fcntl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fairlead.core import frame
from fairlead.errors import StateUnavailable
from fairlead.ports import Batch, LogQuery
from fairlead.record import Gauges, Record
from fairlead.stores.ingest import BATCH_BYTES, BATCH_RECORDS, Ingester
from fairlead.stores.spool import Spool
from fairlead.stores.sqlite import SqliteStore
from fairlead.telemetry.metrics import count
from fairlead.testing import VirtualClock
from fairlead.verdict import Edit, FieldError, Validated


def segments(folder: Path) -> list[Path]:
    """What is in the folder, seen from outside the package."""
    return sorted(folder.glob("*.spool"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "fairlead.db", count=count)
    await asyncio.to_thread(store.migrate)
    yield store
    await store.aclose()


@pytest.fixture
def spool(folder: Path, clock: VirtualClock) -> Spool:
    return Spool(folder, "w", clock)


async def outcomes(store: SqliteStore) -> dict[object, object]:
    return {call["call_id"]: call["outcome"] for call in await store.logs.calls(LogQuery(limit=1_000))}


class Recorder:
    """A log store that only remembers what it was given, and can be down."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.fail_after: int | None = None

    async def ingest(self, batch: Batch) -> int:
        if self.fail_after is not None and len(self.batches) >= self.fail_after:
            raise StateUnavailable("down")
        self.batches.append(batch)
        return len(batch.records)

    async def offsets(self) -> Mapping[str, int]:
        return {}

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch.records]


async def test_records_reach_the_store_while_the_writer_lives(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """A live segment is read to its end, again and again, and stays."""
    ingester = Ingester(folder, store.logs)
    spool(make.admitted("a"))
    spool.flush()
    assert await ingester.run_once() == 0
    assert await outcomes(store) == {"a": "open"}
    spool(make.ended("a"))
    spool.flush()
    assert await ingester.run_once() == 1
    assert await ingester.run_once() == 0
    assert await outcomes(store) == {"a": "ok"}
    assert len(segments(folder)) == 1
    spool.close()


async def test_an_orphan_is_adopted_its_open_calls_crashed_and_its_file_deleted(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """After the writer's death nothing is missing and nothing is left."""
    for record in (make.admitted("a"), make.ended("a"), make.admitted("b")):
        spool(record)
    spool.close()
    assert await Ingester(folder, store.logs).run_once() == 2
    assert await outcomes(store) == {"a": "ok", "b": "crashed"}
    assert segments(folder) == []


async def test_a_torn_tail_of_an_orphan_is_cut_off_and_counted(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """Every whole record before it is kept."""
    spool(make.ended("a"))
    spool.close()
    (path,) = segments(folder)
    with path.open("ab") as file:
        file.write(frame.encode(b"x" * 100)[:-1])
    ingester = Ingester(folder, store.logs)
    assert await ingester.run_once() == 1
    assert ingester.torn == 1
    assert (await store.logs.counters())["fairlead_spool_torn_segments_total", ()] == 1
    assert segments(folder) == []


async def test_a_torn_tail_of_a_live_segment_is_waited_for(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """Half a record is read once it is whole."""
    spool(make.ended("a"))
    spool.flush()
    (path,) = segments(folder)
    whole = path.read_bytes()
    ingester = Ingester(folder, store.logs)
    with path.open("ab") as file:
        file.write(whole.replace(b"\xa7call_id\xa1a", b"\xa7call_id\xa1b")[: len(whole) // 2])
    assert await ingester.run_once() == 1
    assert ingester.backlog_bytes == len(whole) // 2
    assert ingester.torn == 0
    spool.close()


async def test_a_long_call_over_a_rotation_does_not_crash(
    folder: Path, clock: VirtualClock, store: SqliteStore, make: Any
) -> None:
    """Begin in one segment, end in another: the first is not given up before."""
    spool = Spool(folder, "w", clock, rotate_bytes=1)
    ingester = Ingester(folder, store.logs)
    spool(make.admitted("slow"))
    spool.flush()
    spool(make.ended("other"))
    spool.flush()
    await ingester.run_once()
    assert await outcomes(store) == {"slow": "open", "other": "ok"}
    spool(make.ended("slow"))
    spool.flush()
    await ingester.run_once()
    assert await outcomes(store) == {"slow": "ok", "other": "ok"}
    assert len(segments(folder)) == 1
    spool.close()


async def test_ends_in_later_segments_of_a_dead_writer_count(
    folder: Path, clock: VirtualClock, store: SqliteStore, make: Any
) -> None:
    """All of its segments are read before any call is said to have crashed."""
    spool = Spool(folder, "w", clock, rotate_bytes=1)
    for record in (make.admitted("a"), make.admitted("b"), make.ended("a")):
        spool(record)
        spool.flush()
    spool.close()
    await Ingester(folder, store.logs).run_once()
    assert await outcomes(store) == {"a": "ok", "b": "crashed"}
    crashed = [
        value for (name, labels), value in (await store.logs.counters()).items() if ("outcome", "crashed") in labels
    ]
    assert crashed == [1]


async def test_a_new_ingester_counts_nothing_twice(folder: Path, spool: Spool, store: SqliteStore, make: Any) -> None:
    """A keeper that starts over a live segment finds the store as it left it."""
    spool(make.admitted("a"))
    spool(make.ended("a"))
    spool.flush()
    await Ingester(folder, store.logs).run_once()
    before = await store.logs.counters()
    assert await Ingester(folder, store.logs).run_once() == 0
    assert await store.logs.counters() == before
    spool.close()


async def test_batches_are_bounded(folder: Path, spool: Spool, make: Any) -> None:
    """So many records and bytes at a time and no more, in order, each with the offset behind it."""
    for number in range(2 * BATCH_RECORDS + 1):
        spool(make.ended(f"s{number}"))
    for number in range(8):
        spool(make.ended(f"l{number}", response=b"x" * (BATCH_BYTES // 3)))
    spool.flush()
    recorder = Recorder()
    await Ingester(folder, recorder).run_once()
    (path,) = segments(folder)
    offsets = [batch.offset for batch in recorder.batches]
    assert offsets == sorted(offsets)
    assert recorder.batches[-1].offset == path.stat().st_size
    assert [record.call_id for record in recorder.records][-1] == "l7"  # type: ignore[union-attr]
    assert len(recorder.records) == 2 * BATCH_RECORDS + 9
    for batch in recorder.batches:
        assert len(batch.records) <= BATCH_RECORDS
        assert sum(len(record.response or b"") for record in batch.records) <= BATCH_BYTES  # type: ignore[union-attr,misc]
    spool.close()


async def test_refused_outputs_count_among_the_bytes_of_a_batch(folder: Path, spool: Spool, make: Any) -> None:
    """And what edits and errors quote of them."""
    edits = (Edit(rung="coerce", kind="k", before="b" * (BATCH_BYTES // 3)),) * 2
    errors = (FieldError(path="/a", message="m" * (2 * BATCH_BYTES // 3)),)
    verdicts = (
        Validated(schema="s", output=b"x" * (2 * BATCH_BYTES // 3)),
        Validated(schema="s", edits=edits),
        Validated(schema="s", errors=errors),
        Validated(schema="s"),
    )
    for number, validated in enumerate(verdicts * 2):
        spool(make.ended(f"l{number}", validated=validated))
    spool.flush()
    recorder = Recorder()
    await Ingester(folder, recorder).run_once()
    assert [len(batch.records) for batch in recorder.batches] == [1, 1, 2, 1, 1, 2]
    spool.close()


async def test_a_frame_larger_than_batches_is_stored_whole(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """Its parts carry the offset of its beginning, and none is taken for another that was stored already."""
    for number in range(8):
        spool(make.ended(f"l{number}", response=b"x" * (BATCH_BYTES // 3)))
    spool.flush()
    assert await Ingester(folder, store.logs).run_once() == 8
    assert len(await outcomes(store)) == 8
    spool.close()


async def test_a_new_ingester_goes_on_where_the_store_is(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """What is stored is not read again: calls that were deleted meanwhile do not come back and count twice."""
    spool(make.ended("a"))
    spool.flush()
    await Ingester(folder, store.logs).run_once()
    assert await store.logs.prune(2**62, 10) == 1
    before = await store.logs.usage("outcome", None)
    spool(make.ended("b"))
    spool.flush()
    assert await Ingester(folder, store.logs).run_once() == 1
    (row,) = await store.logs.usage("outcome", None)
    assert row.calls == before[0].calls + 1
    spool.close()


async def test_a_finished_segment_that_is_read_again_counts_nothing(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """A crash between the last commit and the deletion of the file is made good, after a retention run too."""
    spool(make.ended("a"))
    spool.close()
    (path,) = segments(folder)
    content = path.read_bytes()
    await Ingester(folder, store.logs).run_once()
    await store.logs.prune(2**62, 10)
    path.write_bytes(content)
    assert await Ingester(folder, store.logs).run_once() == 0
    assert segments(folder) == []
    assert [row.calls for row in await store.logs.usage("outcome", None)] == [1]


async def test_a_record_larger_than_a_batch_is_read(folder: Path, spool: Spool, make: Any) -> None:
    """A ten-megabyte prompt comes through alone."""
    spool(make.admitted("big", request=b"x" * 10_000_000))
    spool(make.ended("big"))
    spool.flush()
    recorder = Recorder()
    await Ingester(folder, recorder).run_once()
    assert [type(record).__name__ for record in recorder.records] == ["Admitted", "Ended"]
    spool.close()


async def test_a_store_that_is_down_loses_nothing(folder: Path, spool: Spool, make: Any) -> None:
    """What the store did not take waits, and is delivered from there on."""
    for number in range(3 * BATCH_RECORDS):
        spool(make.ended(str(number)))
        spool.flush()
    spool.close()
    recorder = Recorder()
    recorder.fail_after = 1
    ingester = Ingester(folder, recorder)
    with pytest.raises(StateUnavailable):
        await ingester.run_once()
    assert len(segments(folder)) == 1
    recorder.fail_after = None
    await ingester.run_once()
    assert [record.call_id for record in recorder.records] == [str(n) for n in range(3 * BATCH_RECORDS)]  # type: ignore[union-attr]
    assert segments(folder) == []


async def test_one_ingester_at_a_time(folder: Path, spool: Spool, make: Any) -> None:
    """Who finds another at work does nothing."""
    spool(make.ended("a"))
    spool.close()
    with (folder / "ingest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert await Ingester(folder, Recorder()).run_once() == 0
    recorder = Recorder()
    assert await Ingester(folder, recorder).run_once() == 1


async def test_parallel_runs_deliver_once(folder: Path, spool: Spool, store: SqliteStore, make: Any) -> None:
    """Two ingesters at once store each call once."""
    for number in range(50):
        spool(make.ended(str(number)))
    spool.close()
    await asyncio.gather(*(Ingester(folder, store.logs).run_once() for _ in range(4)))
    assert len(await outcomes(store)) == 50


async def test_frames_without_a_record_are_passed_over(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """A record of a later version, or none at all, is counted and does not stop the rest."""
    spool(make.ended("a"))
    spool.close()
    (path,) = segments(folder)
    with path.open("ab") as file:
        file.write(frame.encode(b"\x81\xa4type\xa6future") + frame.encode(b""))
    ingester = Ingester(folder, store.logs)
    assert await ingester.run_once() == 1
    assert ingester.rejected == 2
    assert (await store.logs.counters())["fairlead_spool_rejected_records_total", ()] == 2


async def test_damage_in_the_middle_is_counted(folder: Path, spool: Spool, store: SqliteStore, make: Any) -> None:
    """A damaged record costs itself alone."""
    for call_id in ("a", "b", "c"):
        spool(make.ended(call_id))
        spool.flush()
    spool.close()
    (path,) = segments(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    ingester = Ingester(folder, store.logs)
    await ingester.run_once()
    assert await outcomes(store) == {"a": "ok", "c": "ok"}
    assert ingester.skipped_bytes > 0


async def test_nothing_to_do(folder: Path) -> None:
    """An empty or missing folder is no error."""
    assert await Ingester(folder, Recorder()).run_once() == 0


async def test_cancelled_runs_let_go_of_their_locks(folder: Path, spool: Spool, make: Any) -> None:
    """After a run was cancelled anywhere, the next one ingests everything."""
    spool(make.ended("a"))
    spool.close()
    for steps in range(12):
        task = asyncio.create_task(Ingester(folder, _Never()).run_once())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(lambda: None)
    recorder = Recorder()
    ingester = Ingester(folder, recorder)
    for _ in range(1_000):
        if await ingester.run_once():
            break
    assert [record.call_id for record in recorder.records] == ["a"]  # type: ignore[union-attr]


class _Never(Recorder):
    async def ingest(self, batch: Batch) -> int:
        await asyncio.Event().wait()
        return 0


async def test_rejected_frames_of_a_live_segment_count_once(
    folder: Path, spool: Spool, store: SqliteStore, make: Any
) -> None:
    """A new ingester that reads the segment again does not count them again."""
    spool(make.ended("a"))
    spool.flush()
    (path,) = segments(folder)
    with path.open("ab") as file:
        file.write(frame.encode(b"no record"))
    for _ in range(2):
        await Ingester(folder, store.logs).run_once()
    assert (await store.logs.counters())["fairlead_spool_rejected_records_total", ()] == 1
    spool.close()


async def test_a_dead_workers_gauges_go_with_its_last_segment(
    folder: Path, clock: VirtualClock, store: SqliteStore
) -> None:
    """They stay while a rotated segment is finished, and while another worker's are."""
    ingester = Ingester(folder, store.logs)
    mine, other = Spool(folder, "w", clock, rotate_bytes=1), Spool(folder, "w-1", clock)
    other(Gauges(worker="w-1", at_ns=1))
    other.flush()
    for at_ns in (1, 2):
        mine(Gauges(worker="w", at_ns=at_ns))
        mine.flush()
    await ingester.run_once()
    assert len(segments(folder)) == 2
    assert [gauges.worker for gauges in await store.logs.gauges()] == ["w", "w-1"]
    mine.close()
    await ingester.run_once()
    assert [gauges.worker for gauges in await store.logs.gauges()] == ["w-1"]
    other.close()
    await ingester.run_once()
    assert await store.logs.gauges() == []


def test_a_forked_child_does_not_keep_the_ingester_out(folder: Path) -> None:
    """A child that was forked during a run, and lives on, does not hold the run's lock."""
    script = """
import asyncio, os, signal, sys
from pathlib import Path
from fairlead.record import Gauges
from fairlead.stores.ingest import Ingester
from fairlead.stores.spool import Spool
from fairlead.stores.system import SystemClock
from fairlead.verdict import Edit, FieldError, Validated

folder, children = Path(sys.argv[1]), []

class Store:
    async def ingest(self, batch):
        children.append(os.fork())
        if children[-1] == 0:
            signal.pause()
        return len(batch.records)

    async def offsets(self):
        return {}

def run():
    spool = Spool(folder, "w", SystemClock())
    spool(Gauges(worker="w", at_ns=1))
    spool.close()
    return asyncio.run(Ingester(folder, Store()).run_once())

print(run(), run())
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], check=True, timeout=15, capture_output=True, text=True
    )
    assert done.stdout == "1 1\n"
