"""Where limits and reservations are counted: the choice that `[state] url` makes, and what each one stands on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from fairlead.config.schema import Config
from fairlead.errors import StateUnavailable
from fairlead.ports import Clock, LogQuery, LogStore
from fairlead.stores.ingest import Ingester
from fairlead.stores.sqlite_state import SqliteState

_SQLITE = "sqlite:///"


def state_url(config: Config) -> str:
    """`[state] url` with its default: in the process for one worker, a file beside the store for more."""
    if config.state.url is not None:
        return config.state.url
    if config.gateway.workers == 1:
        return "memory:"
    return _SQLITE + str(Path(config.store.url.removeprefix(_SQLITE)).with_suffix(".state.db"))


def state_path(config: Config, root: Path) -> Path | None:
    """The file that processes share; `None` where each counts for itself."""
    url = state_url(config)
    return root / url.removeprefix(_SQLITE) if url.startswith(_SQLITE) else None


def open_state(path: Path, clock: Clock, logs: LogStore, ingester: Ingester) -> SqliteState:
    """Join the processes that share the file.

    Raises:
        ConfigError: it cannot be used.
    """
    return SqliteState(path, clock, seed_spent=partial(_spent, logs, ingester), booked=partial(_booked, logs, ingester))


async def _spent(logs: LogStore, ingester: Ingester, scope: str, since_ns: int) -> int:
    """What was spent before anybody counted, with what still waits in the spool."""
    await _take_in(ingester)
    return await logs.spent(scope, since_ns)


async def _booked(logs: LogStore, ingester: Ingester, call_id: str, attempt: int, reserved_nanousd: int) -> int | None:
    """What an attempt of a dead process has cost, as its record says; a call that crashed costs its reservation."""
    await _take_in(ingester)
    (row, *_) = await logs.calls(LogQuery(call_id=call_id, limit=1)) or (None,)
    if row is None or row["outcome"] == "open":
        return None
    if row["outcome"] == "crashed":
        return reserved_nanousd
    attempts = cast("list[dict[str, Any]]", row["attempts"])
    costs = [int(each["cost_nanousd"] or 0) for each in attempts if each["number"] == attempt]
    return sum(costs)


async def _take_in(ingester: Ingester) -> None:
    try:
        await ingester.run_once()
    except OSError as error:
        raise StateUnavailable("the spool cannot be read right now", detail=str(error)) from error
