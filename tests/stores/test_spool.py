from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fairlead.core import frame
from fairlead.record import decode_records
from fairlead.stores.segments import let_go, try_lock
from fairlead.stores.spool import Spool
from fairlead.testing import VirtualClock


def segments(folder: Path) -> list[Path]:
    """What is in the folder, seen from outside the package."""
    return sorted(folder.glob("*.spool"))


def written(folder: Path) -> list[Any]:
    payloads = [payload for path in segments(folder) for payload in frame.decode(path.read_bytes()).payloads]
    return [record for payload in payloads for record in decode_records(payload)[0]]


def is_held(path: Path) -> bool:
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    let_go(descriptor)
    return False


@contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to let files grow further, as a full disk does, partial writes included."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_without_a_loop_a_record_is_on_disk_at_once(folder: Path, clock: VirtualClock, make: Any) -> None:
    """Synchronous code need not flush."""
    spool = Spool(folder, "w", clock)
    spool(make.admitted("a"))
    assert written(folder) == [make.admitted("a")]
    spool.close()


async def test_records_of_one_tick_are_written_together(folder: Path, clock: VirtualClock, make: Any) -> None:
    """On a loop nothing is written before the tick ends, and everything after it."""
    spool = Spool(folder, "w", clock)
    spool(make.admitted("a"))
    spool(make.ended("a"))
    assert written(folder) == []
    await asyncio.sleep(0)
    assert written(folder) == [make.admitted("a"), make.ended("a")]
    spool.close()


async def test_flush_does_not_wait_for_the_tick(folder: Path, clock: VirtualClock, make: Any) -> None:
    """A face that is about to answer flushes first; flushing nothing is harmless."""
    spool = Spool(folder, "w", clock)
    spool(make.ended("a"))
    spool.flush()
    spool.flush()
    assert written(folder) == [make.ended("a")]
    spool.close()


async def test_a_second_loop_flushes_too(folder: Path, clock: VirtualClock, make: Any) -> None:
    """A loop that was closed before its tick does not keep later loops from writing."""
    spool = Spool(folder, "w", clock)

    async def leave() -> None:
        spool(make.ended("a"))

    loop = asyncio.new_event_loop()
    await asyncio.to_thread(lambda: (loop.run_until_complete(leave()), loop.close()))
    spool(make.ended("b"))
    await asyncio.sleep(0)
    assert [record.call_id for record in written(folder)] == ["a", "b"]
    spool.close()


def test_kill_nine_loses_nothing_that_was_flushed(folder: Path) -> None:
    """What was flushed is there after the process died on the spot, and its segment is orphaned."""
    script = """
import os, signal, sys
from pathlib import Path
from fairlead.stores.spool import Spool
from fairlead.stores.system import SystemClock
from fairlead.record import Gauges
spool = Spool(Path(sys.argv[1]), "w", SystemClock())
for number in range(100):
    spool(Gauges(worker="w", at_ns=number))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], check=False, timeout=15)
    assert done.returncode == -signal.SIGKILL
    assert [record.at_ns for record in written(folder)] == list(range(100))
    assert not any(map(is_held, segments(folder)))


def test_the_live_segment_is_held(folder: Path, clock: VirtualClock, make: Any) -> None:
    """Nobody can take a segment for orphaned while its writer lives."""
    spool = Spool(folder, "w", clock)
    spool(make.admitted("a"))
    assert [is_held(path) for path in segments(folder)] == [True]
    spool.close()
    assert [is_held(path) for path in segments(folder)] == [False]


def test_a_rotated_segment_is_held_until_its_calls_have_ended(folder: Path, clock: VirtualClock, make: Any) -> None:
    """A call that outlives its segment keeps it from being taken for orphaned."""
    spool = Spool(folder, "w", clock, rotate_bytes=1)
    spool(make.admitted("slow"))
    spool(make.admitted("b"))
    spool(make.ended("b"))
    assert [is_held(path) for path in segments(folder)] == [True, False, True]
    spool(make.ended("slow"))
    assert [is_held(path) for path in segments(folder)] == [False, False, False, True]
    assert [record.call_id for record in written(folder)] == ["slow", "b", "b", "slow"]
    spool.close()


def test_segments_never_share_a_name(folder: Path, clock: VirtualClock, make: Any) -> None:
    """Even while the clock stands still or goes back."""
    spool = Spool(folder, "w", clock, rotate_bytes=1)
    for number in range(5):
        spool(make.ended(str(number)))
        clock.step_wall(-1)
    assert [record.call_id for record in written(folder)] == list("01234")
    assert len(segments(folder)) == 5
    spool.close()


def test_a_full_disk_costs_records_and_nothing_else(folder: Path, clock: VirtualClock, make: Any) -> None:
    """Writes that fail, also half-way, are counted; once there is room, it goes on, and the file is whole."""
    spool = Spool(folder, "w", clock)
    spool(make.ended("a"))
    (path,) = segments(folder)
    with file_size_limit(path.stat().st_size + 20):
        spool(make.ended("lost"))
    spool(make.ended("b"))
    decoded = frame.decode(path.read_bytes())
    assert (decoded.torn, decoded.skipped_bytes) == (False, 0)
    assert [record.call_id for record in written(folder)] == ["a", "b"]
    assert spool.dropped == 1
    spool.close()


def test_a_folder_that_cannot_be_made_costs_records(tmp_path: Path, clock: VirtualClock, make: Any) -> None:
    """Nothing is raised into the call; the spool recovers by itself."""
    blocked = tmp_path / "spool"
    blocked.write_text("in the way")
    spool = Spool(blocked, "w", clock)
    spool(make.ended("lost"))
    assert spool.dropped == 1
    blocked.unlink()
    spool(make.ended("b"))
    assert [record.call_id for record in written(blocked)] == ["b"]
    spool.close()


def test_the_cap_counts_all_segments_of_the_folder(folder: Path, clock: VirtualClock, make: Any) -> None:
    """Past the cap records are dropped and counted; room made by ingestion is used again."""
    other = Spool(folder, "other", clock)
    other(make.ended("x", response=b"x" * 5_000))
    spool = Spool(folder, "w", clock, max_bytes=6_000)
    spool(make.ended("a"))
    spool(make.ended("lost", response=b"x" * 2_000))
    assert spool.dropped == 1
    other.close()
    next(path for path in segments(folder) if path.name.startswith("other")).unlink()
    clock.jump(clock.monotonic_ns() + 2 * 10**9)
    spool(make.ended("b", response=b"x" * 2_000))
    assert [record.call_id for record in written(folder)] == ["a", "b"]
    assert spool.depth_bytes == sum(path.stat().st_size for path in segments(folder))
    spool.close()


def test_a_record_with_lone_surrogates_is_kept(folder: Path, clock: VirtualClock, make: Any) -> None:
    """What UTF-8 cannot say is replaced, and the record stays."""
    spool = Spool(folder, "w", clock)
    spool(make.ended("a", session="x\ud800y", response=b"\xff\x00"))
    (record,) = written(folder)
    assert (record.session, record.response) == ("x?y", b"\xff\x00")
    spool.close()


def test_a_record_that_cannot_be_encoded_is_counted(folder: Path, clock: VirtualClock, make: Any) -> None:
    """An integer beyond 64 bits costs that record alone."""
    spool = Spool(folder, "w", clock)
    spool(make.ended("lost", first_token_ns=2**70))
    spool(make.ended("b"))
    assert [record.call_id for record in written(folder)] == ["b"]
    assert spool.dropped == 1
    spool.close()


def test_threads_lose_nothing(folder: Path, clock: VirtualClock, make: Any) -> None:
    """Records of several threads are all written, each whole."""
    spool = Spool(folder, "w", clock, rotate_bytes=2_000)

    def work(thread: int) -> None:
        for number in range(200):
            spool(make.ended(f"{thread}-{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    assert len({record.call_id for record in written(folder)}) == 800
    assert spool.dropped == 0


@pytest.mark.parametrize("fsync", [True, False])
def test_fsync_is_a_choice(folder: Path, clock: VirtualClock, make: Any, fsync: bool) -> None:
    """With and without it, the records are there."""
    spool = Spool(folder, "w", clock, fsync=fsync)
    spool(make.ended("a"))
    assert len(written(folder)) == 1
    spool.close()


def test_files_are_private(folder: Path, clock: VirtualClock, make: Any) -> None:
    """Bodies of calls are for the owner of the process alone."""
    spool = Spool(folder, "w", clock)
    spool(make.ended("a"))
    assert {path.stat().st_mode & 0o777 for path in segments(folder)} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    spool.close()


def test_a_forked_child_does_not_keep_segments_held(folder: Path) -> None:
    """A child that was forked while the spool was open, and lives on, does not hold what its parent let go."""
    script = """
import os, signal, sys
from pathlib import Path
from fairlead.record import Admitted, Ended, Gauges, Identity
from fairlead.stores.segments import let_go, segments, try_lock
from fairlead.stores.spool import Spool
from fairlead.stores.system import SystemClock

def free():
    taken = [try_lock(path) for path in segments(folder)]
    for descriptor in taken:
        if descriptor is not None:
            let_go(descriptor)
    return [descriptor is not None for descriptor in taken]

folder = Path(sys.argv[1])
spool = Spool(folder, "w", SystemClock(), rotate_bytes=1)
spool(Gauges(worker="w", at_ns=1))
child = os.fork()
if child == 0:
    signal.pause()
spool(Gauges(worker="w", at_ns=2))
print(free())
spool.close()
print(free())
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], check=True, timeout=15, capture_output=True, text=True
    )
    assert done.stdout.split("\n")[:2] == ["[True, False]", "[True, True]"]
