"""The files of a spool folder: how they are named, ordered and told to be orphaned.

`<worker>-<n>.spool` is one segment, `n` the wall clock in nanoseconds when it was begun, 20 digits, so names are never
used twice.  Its writer holds an exclusive `flock` on it for as long as a call that was admitted in it is open, or it is
still being written.  So a segment that can be locked has nothing to come, and calls in it that never ended, crashed.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

SUFFIX: Final = ".spool"
MAKING_SUFFIX: Final = ".making"
"""A segment that its writer has not locked yet; nobody else touches it."""


def segments(folder: Path) -> list[Path]:
    """All segments, each worker's in the order of writing; none where there is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []


def folder_bytes(folder: Path) -> int:
    """What all segments together take on disk."""
    total = 0
    for path in segments(folder):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # ingested and deleted meanwhile
            continue
    return total


def create(folder: Path, name: str) -> tuple[int, Path]:
    """Make a segment that is locked from the moment it can be seen; returns its descriptor and its path.

    Raises:
        OSError: it cannot be made.
    """
    path = folder / (name + SUFFIX)
    making = folder / (name + MAKING_SUFFIX)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        making.rename(path)
    except OSError:
        let_go(descriptor)
        making.unlink(missing_ok=True)
        raise
    return descriptor, path


def try_lock(path: Path) -> int | None:
    """An exclusive lock on a file, for the caller to `let_go`; `None` if somebody else has it or it is gone.

    Raises:
        OSError: it cannot be opened for another reason.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def let_go(descriptor: int) -> None:
    """Unlock and close.

    Closing alone leaves the lock with whatever child was forked meanwhile.  For the same reason only the process that
    took the lock calls this: a child would unlock its parent.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)
