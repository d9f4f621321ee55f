"""Deletes calls that are older than `[store] retention_days`, a little at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from fairlead.errors import StateUnavailable
from fairlead.ports import Clock

BATCH_CALLS: Final = 250
"""So many go in one transaction: others wait for the database no longer than for a batch of records."""
_PAUSE_S: Final = 0.1
_ROUND_S: Final = 600.0
_HOUR_NS: Final = 3_600 * 10**9
_DAY_NS: Final = 24 * _HOUR_NS

Prune = Callable[[int, int], Awaitable[int]]
"""Deletes calls admitted before a time in nanoseconds, at most so many; returns how many."""


async def keep_pruning(prune: Prune, clock: Clock, retention_days: int) -> None:
    """Every ten minutes delete what is too old; a store that does not answer is asked again in the next round."""
    while True:
        with suppress(StateUnavailable):  # the ingestion, which goes on, has said it
            await prune_once(prune, clock, retention_days)
        await clock.sleep(_ROUND_S)


async def prune_once(prune: Prune, clock: Clock, retention_days: int) -> int:
    """Delete what is too old, batch after batch with pauses; returns how many calls.

    Whole hours go, so that totals, which stay, never tell of half an hour.

    Raises:
        StateUnavailable: the store does not answer; what was deleted stays deleted.
    """
    before_ns = (clock.now_ns() - retention_days * _DAY_NS) // _HOUR_NS * _HOUR_NS
    deleted = 0
    while batch := await prune(before_ns, BATCH_CALLS):
        deleted += batch
        await clock.sleep(_PAUSE_S)
    return deleted
