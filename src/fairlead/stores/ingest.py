"""From spool segments into the store, exactly once in effect."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from fairlead.core import frame
from fairlead.ports import Batch
from fairlead.record import Admitted, Ended, Record, decode_records
from fairlead.stores.segments import let_go, segments, try_lock
from fairlead.verdict import Validated

BATCH_RECORDS: Final = 1_000
BATCH_BYTES: Final = 1024 * 1024
"""A batch holds no more content (FAULTS D7).  A worker keeps no more of a body, so a record alone holds no more either."""
_LOCK_NAME: Final = "ingest.lock"
_LARGEST_READ: Final = frame.HEADER_BYTES + frame.MAX_PAYLOAD_BYTES


class SpoolStore(Protocol):
    """Where records go.  Both methods raise `StateUnavailable` where the store cannot answer."""

    async def ingest(self, batch: Batch) -> int:
        """Store a batch once, however often it is delivered; returns how many calls it ended."""
        ...

    async def offsets(self) -> Mapping[str, int]:
        """How far each segment was stored."""
        ...


class Ingester:
    """Moves what workers have spooled into a store; any number may try, one at a time does it.

    How far a segment was read stands in the store, in the transaction of the records themselves, and there a new
    ingester goes on.  The store takes a record once however often it comes, so a crash at any point loses nothing and
    counts nothing twice.
    """

    def __init__(self, folder: Path, store: SpoolStore) -> None:
        self._folder = folder
        self._store = store
        self._offsets: dict[str, int] | None = None
        self.torn = 0
        """Segments that ended inside a record, which was cut off."""
        self.skipped_bytes = 0
        """Damaged bytes inside segments."""
        self.rejected = 0
        """Whole frames that hold no record this version knows."""
        self.backlog_bytes = 0
        """What was left to read after the last run: the part of a record that is being written, at most."""

    async def run_once(self) -> int:
        """Ingest everything there is; returns how many calls ended, 0 also if another ingester is at work.

        Raises:
            StateUnavailable: the store cannot take it; what it took stays taken, the rest waits in the spool.
            OSError: the spool cannot be read.
        """
        locks = _Locks()
        try:
            # A lock is let go only after the last `Ended` of its calls is on disk, perhaps in a later segment.  So:
            # first see which are orphaned, then list again and read everything, and only then say what crashed.
            survey = await asyncio.to_thread(_survey, self._folder, locks)
            return 0 if survey is None else await self._run(*survey)
        finally:
            locks.release()

    async def _run(self, orphans: Sequence[Path], sizes_bytes: Mapping[Path, int]) -> int:
        if self._offsets is None:
            self._offsets = dict(await self._store.offsets())
        there = {path.name for path in sizes_bytes}
        self._offsets = {name: offset for name, offset in self._offsets.items() if name in there}
        ended = self.backlog_bytes = 0
        rests_bytes: dict[Path, int] = {}
        for path, size_bytes in sizes_bytes.items():
            if size_bytes > self._offsets.get(path.name, 0):
                ended_here, rests_bytes[path] = await self._read(path, self._offsets)
                ended += ended_here
        for path in orphans:
            torn = rests_bytes.pop(path, 0) > 0
            offset = self._offsets.pop(path.name, 0)
            ended += await self._store.ingest(
                Batch(segment=path.name, offset=offset, records=(), finished=True, torn=torn)
            )
            self.torn += torn
            await asyncio.to_thread(path.unlink, missing_ok=True)
        self.backlog_bytes = sum(rests_bytes.values())
        return ended

    async def _read(self, path: Path, offsets: dict[str, int]) -> tuple[int, int]:
        """Ingest a segment from where this ingester left it to its last whole record.

        Returns how many calls that ended, and how many bytes are left.
        """
        ended = 0
        offset = offsets.get(path.name, 0)
        size_bytes = BATCH_BYTES
        while chunk := await asyncio.to_thread(_read_at, path, offset, size_bytes):
            decoded = frame.decode(chunk)
            for batch in self._batches(path.name, offset, decoded):
                ended += await self._store.ingest(batch)
                offsets[path.name] = batch.offset
            offset += decoded.consumed
            offsets[path.name] = offset
            self.skipped_bytes += decoded.skipped_bytes
            if decoded.consumed > 0:
                size_bytes = BATCH_BYTES
            elif len(chunk) == size_bytes < _LARGEST_READ:
                size_bytes = min(4 * size_bytes, _LARGEST_READ)
            else:
                return ended, len(chunk)
        return ended, 0

    def _batches(self, segment: str, offset: int, decoded: frame.Decoded) -> Iterator[Batch]:
        """What was decoded of a segment from `offset` on, in batches.

        A frame may be cut between batches; until all of it is stored, the offset stays at its beginning.
        """
        records: list[Record] = []
        size_bytes = rejected = done = 0
        for payload, end in zip(decoded.payloads, decoded.ends, strict=True):
            known, unknown = decode_records(payload)
            rejected += unknown
            for record in known:
                content_bytes = _content_bytes(record)
                if records and (len(records) >= BATCH_RECORDS or size_bytes + content_bytes > BATCH_BYTES):
                    yield Batch(segment=segment, offset=offset + done, records=tuple(records), is_partial=True)
                    records, size_bytes = [], 0
                records.append(record)
                size_bytes += content_bytes
            done = end
        self.rejected += rejected
        if done:
            yield Batch(segment=segment, offset=offset + done, records=tuple(records), rejected=rejected)


class _Locks:
    """Locks to be let go together, those too that a thread takes after its task was cancelled."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._descriptors: list[int] = []
        self._released = False

    def take(self, path: Path) -> bool:
        """Whether we have it now."""
        descriptor = try_lock(path)
        if descriptor is None:
            return False
        with self._mutex:
            if self._released:
                let_go(descriptor)
                return False
            self._descriptors.append(descriptor)
            return True

    def release(self) -> None:
        """Let all of them go."""
        with self._mutex:
            self._released = True
            for descriptor in self._descriptors:
                let_go(descriptor)
            self._descriptors.clear()


def _content_bytes(record: Record) -> int:
    if isinstance(record, Admitted):
        return len(record.request or b"")
    if isinstance(record, Ended):
        bodies = len(record.request or b"") + len(record.response or b"")
        return bodies if record.validated is None else bodies + _verdict_bytes(record.validated)
    return 0


def _verdict_bytes(validated: Validated) -> int:
    """The output that was refused, and about so much as edits and errors quote of it."""
    quoted = [len(edit.path) + len(edit.before or "") + len(edit.after or "") for edit in validated.edits]
    quoted += [len(error.path) + len(error.message) for error in validated.errors]
    return len(validated.output or b"") + sum(quoted)


def _survey(folder: Path, locks: _Locks) -> tuple[list[Path], dict[Path, int]] | None:
    """The segments that no writer holds, now locked, and the sizes of all; `None` if another ingester is at work."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _LOCK_NAME
    path.touch(mode=0o600)
    if not locks.take(path):
        return None
    orphans = [path for path in segments(folder) if locks.take(path)]
    return orphans, {path: path.stat().st_size for path in segments(folder)}


def _read_at(path: Path, offset: int, size_bytes: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size_bytes)
    except FileNotFoundError:
        return b""
