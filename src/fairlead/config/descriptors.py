"""How many streams the file descriptors of a process allow, and what to say where that is few."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

MOST_STREAMS: Final = 10_000
"""More than so many are not aimed for in one process, whatever the limit."""
_OWN: Final = 500
"""Descriptors for everything but streams: store, spool, secrets, and callers' connections that idle."""
_IDLE: Final = 300
"""So many of them may be connections on which nothing is asked."""
_PER_STREAM: Final = 2
"""The caller's connection and the provider's."""
_LEAST: Final = 16
_FEW: Final = 1_000
_WANTED: Final = MOST_STREAMS * _PER_STREAM + _OWN


def open_files_limit() -> int | None:
    """How many files this process may open; `None`: as many as it likes, or the platform does not say."""
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def lift_open_files_limit() -> None:
    """Raise the soft limit of this process and its children to what the hard limit allows, as far as it is of use.

    The low default is there for programs that use `select`, which `serve` does not.
    """
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def streams_within(limit: int | None) -> int:
    """How many streams fit one process under this limit of open files."""
    if limit is None:
        return MOST_STREAMS
    return max(_LEAST, min(MOST_STREAMS, (limit - _OWN) // _PER_STREAM))


def connections_within(limit: int | None) -> int:
    """How many connections of callers are let in: those of all streams, and some that idle."""
    return streams_within(limit) + _IDLE


def few_streams(limit: int | None) -> str | None:
    """What an operator has to know before a call is refused for want of descriptors; `None`: nothing (FAULTS S21)."""
    streams = streams_within(limit)
    if streams >= _FEW:
        return None
    return (
        f"a process may open {limit} files here, which is room for {streams} calls at a time in each worker; "
        "raise `ulimit -n` (systemd: `LimitNOFILE=`) for more"
    )
