"""The write-ahead side of the record of truth: a worker's records, appended to its own segment file."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import Final

from fairlead.core import frame
from fairlead.ports import Clock
from fairlead.record import Admitted, Ended, Record, encode_records
from fairlead.stores.scrub import storable
from fairlead.stores.segments import create, folder_bytes, let_go

ROTATE_BYTES: Final = 8 * 1024 * 1024
MAX_BYTES: Final = 4 * 1024 * 1024 * 1024
_MEASURE_EVERY_NS: Final = 1_000_000_000
_SAY_EVERY_NS: Final = 60_000_000_000

_log = logging.getLogger(__name__)


class _Segment:
    """A segment that this process holds."""

    __slots__ = ("descriptor", "open_calls", "path", "size_bytes")

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path
        self.size_bytes = 0
        self.open_calls: set[str] = set()


class Spool:
    """A `Sink` that writes records to disk: within one tick of the running loop, else at once.  Raises nothing.

    What cannot be written is counted in `dropped`; the next record tries again.  The log says when that begins, at most
    once a minute, and when it is over.  A record reached the kernel once `flush` has returned, so it outlives the
    process; with `fsync` it outlives the machine's power.

    Args:
        folder: shared by all workers of a machine.
        name: of this worker, unlike that of any other that runs.
        max_bytes: of all segments in the folder together.
        rotate_bytes: of one segment.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        clock: Clock,
        *,
        max_bytes: int = MAX_BYTES,
        rotate_bytes: int = ROTATE_BYTES,
        fsync: bool = False,
    ) -> None:
        self._folder = folder
        self._name = name
        self._clock = clock
        self._max_bytes = max_bytes
        self._rotate_bytes = rotate_bytes
        self._fsync = fsync
        self.dropped = 0
        """Records that could not be written since the start."""
        self._said_ns: int | None = None
        self._lost_before: int | None = None
        """`dropped` when the log last said that records are lost; `None` once it said that they are not any more."""
        self._lock = threading.Lock()
        self._buffer: deque[Record] = deque()
        self._scheduled_on: asyncio.AbstractEventLoop | None = None
        self._current: _Segment | None = None
        self._rotated: list[_Segment] = []
        self._last_number = 0
        self._folder_bytes = 0
        self._measured_ns: int | None = None

    def __call__(self, record: Record) -> None:
        """Take one record."""
        self._buffer.append(record)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._scheduled_on is not loop:
            self._scheduled_on = loop
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand everything buffered to the kernel, as one frame: a crash tears all of it or nothing."""
        self._scheduled_on = None
        if not self._buffer:
            return
        with self._lock:
            # One by one, as another thread may be appending: swapping the buffer could lose what it appends.
            pending = [self._buffer.popleft() for _ in range(len(self._buffer))]
            if pending:
                self._spool(pending)

    def close(self) -> None:
        """Flush, and let go of all segments; the next record would open a new one."""
        self.flush()
        with self._lock:
            held = [*self._rotated, *([self._current] if self._current is not None else [])]
            self._rotated, self._current = [], None
            for segment in held:
                let_go(segment.descriptor)

    @property
    def depth_bytes(self) -> int:
        """What all segments in the folder take on disk; 0 where it cannot be read."""
        try:
            return folder_bytes(self._folder)
        except OSError:
            return 0

    def _spool(self, pending: list[Record]) -> None:
        framed = self._framed(pending)
        if framed is None:
            good = [record for record in pending if self._framed([record]) is not None]
            self.dropped += len(pending) - len(good)
            framed, pending = self._framed(good) if good else None, good
        try:
            if framed is not None:
                self._write(framed)
                self._say_over()
        except OSError as error:
            self._say(error)
            self.dropped += len(pending)
            # What did not get written must not hold a segment open for ever.
            pending = [record for record in pending if isinstance(record, Ended)]
        self._track(pending)

    def _say(self, error: OSError) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._lost_before is None and (self._said_ns is None or now_ns - self._said_ns >= _SAY_EVERY_NS):
            self._said_ns, self._lost_before = now_ns, self.dropped
            reason = error.strerror or error
            _log.warning("records are lost, as the spool %r cannot be written: %s", str(self._folder), reason)

    def _say_over(self) -> None:
        if self._lost_before is not None:
            _log.warning("records are spooled again; %d were lost", self.dropped - self._lost_before)
            self._lost_before = None

    def _framed(self, records: list[Record]) -> bytes | None:
        """One frame around these records; `None` where one of them cannot be written, whatever is wrong with it."""
        try:
            return frame.encode(encode_records(records))
        except Exception:  # noqa: BLE001 - such as lone surrogates, or a provider's absurd count of tokens
            return self._framed_scrubbed(records)

    def _framed_scrubbed(self, records: list[Record]) -> bytes | None:
        try:
            return frame.encode(encode_records([storable(record) for record in records]))
        except Exception:  # noqa: BLE001 - the call that a record is about goes on all the same
            return None

    def _write(self, chunk: bytes) -> None:
        self._check_room(len(chunk))
        segment = self._writable()
        try:
            _write_all(segment.descriptor, chunk)
            if self._fsync:
                os.fsync(segment.descriptor)
        except OSError:
            self._mend(segment)
            raise
        segment.size_bytes += len(chunk)
        self._folder_bytes += len(chunk)

    def _check_room(self, size_bytes: int) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._measured_ns is None or now_ns - self._measured_ns >= _MEASURE_EVERY_NS:
            self._measured_ns = now_ns
            self._folder_bytes = folder_bytes(self._folder)
        if self._folder_bytes + size_bytes > self._max_bytes:
            # Else the current segment itself could hold the room for ever, as it would never be full.
            self._retire()
            msg = "the spool is full"
            raise OSError(msg)

    def _writable(self) -> _Segment:
        if self._current is not None and self._current.size_bytes >= self._rotate_bytes:
            self._retire()
        if self._current is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._last_number = max(self._clock.now_ns(), self._last_number + 1)
            self._current = _Segment(*create(self._folder, f"{self._name}-{self._last_number:020d}"))
        return self._current

    def _retire(self) -> None:
        """Stop writing to the current segment; its lock stays until the calls admitted in it have ended."""
        if self._current is not None:
            self._rotated.append(self._current)
            self._current = None

    def _mend(self, segment: _Segment) -> None:
        """Cut off a frame that was written in part, or leave the segment alone from now on."""
        try:
            os.ftruncate(segment.descriptor, segment.size_bytes)
        except OSError:
            self._retire()

    def _track(self, records: list[Record]) -> None:
        """Keep the segments of open calls locked, now that these records are on disk."""
        current, rotated = self._current, self._rotated
        for record in records:
            if isinstance(record, Ended):
                if current is not None:
                    current.open_calls.discard(record.call_id)
                for segment in rotated:
                    segment.open_calls.discard(record.call_id)
            elif isinstance(record, Admitted) and current is not None:
                current.open_calls.add(record.call_id)
        if rotated:
            self._let_go_of_ended()

    def _let_go_of_ended(self) -> None:
        for segment in [segment for segment in self._rotated if not segment.open_calls]:
            self._rotated.remove(segment)
            let_go(segment.descriptor)


def _write_all(descriptor: int, chunk: bytes) -> None:
    written = os.write(descriptor, chunk)
    if written == len(chunk):
        return
    view = memoryview(chunk)[written:]
    while view:
        view = view[os.write(descriptor, view) :]
