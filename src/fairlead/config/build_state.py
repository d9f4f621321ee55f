"""Where limits and reservations are counted: the choice that `[state] url` makes, and what each one stands on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from fairlead.config.rules import SHARED
from fairlead.config.schema import Config
from fairlead.config.secrets import is_reference, resolve
from fairlead.errors import ConfigError, StateUnavailable
from fairlead.ports import Clock, Ledger, Limits, LogQuery, LogStore
from fairlead.stores.ingest import Ingester
from fairlead.stores.sqlite_state import SqliteState

_SQLITE = "sqlite:///"


class State(Protocol):
    """What processes share."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def degraded(self) -> dict[str, str]:
        """The features that do not run as configured, and how they run."""
        ...

    async def aclose(self) -> None: ...


def state_url(config: Config) -> str:
    """`[state] url` with its default: in the process for one worker, a file beside the store for more."""
    if config.state.url is not None:
        return config.state.url
    if config.gateway.workers == 1:
        return "memory:"
    return _SQLITE + str(Path(config.store.url.removeprefix(_SQLITE)).with_suffix(".state.db"))


def shown_url(config: Config) -> str:
    """`[state] url` as anybody may read it."""
    url = state_url(config)
    return url if not url.startswith(SHARED) else urlsplit(url)._replace(query="").geturl()


def open_state(
    config: Config, root: Path, environ: Mapping[str, str], clock: Clock, logs: LogStore, ingester: Ingester
) -> State | None:
    """Join the processes that share the state; `None` where each counts for itself.

    Raises:
        ConfigError: it cannot be used.
    """
    url = state_url(config)
    spent, booked = partial(_spent, logs, ingester), partial(_booked, logs, ingester)
    if url.startswith(_SQLITE):
        return SqliteState(root / url.removeprefix(_SQLITE), clock, seed_spent=spent, booked=booked)
    if is_reference(url):
        url = _referred(url, environ, root)
    if not url.startswith(SHARED):
        return None
    _need_client()
    from fairlead.stores.redis_state import RedisState, dialer  # noqa: PLC0415 - an extra, and slow to import

    store = _store_name(root / config.store.url.removeprefix(_SQLITE))
    return RedisState(dialer(url), clock, seed_spent=spent, booked=booked, store=store)


def check_state(config: Config, root: Path, environ: Mapping[str, str]) -> None:
    """See that a server which is named could be asked; nobody is.

    Raises:
        ConfigError: it cannot be used.
    """
    url = state_url(config)
    if is_reference(url):
        url = _referred(url, environ, root)
    if url.startswith(SHARED):
        _need_client()


def _need_client() -> None:
    if find_spec("redis") is None:
        raise ConfigError(
            "`[state] url` names a server, which needs the extra `redis`; in the repository's folder run "
            "`pip install '.[gateway,redis]'`"
        )


def _referred(ref: str, environ: Mapping[str, str], root: Path) -> str:
    url = resolve(ref, environ, root).reveal()
    if not url.startswith(SHARED):
        raise ConfigError(f"`[state] url` is {ref!r}, which must hold `redis://[USER:PASSWORD@]HOST:6379/0`")
    return url


def _store_name(path: Path) -> str:
    """A name that lies beside the store's file: processes that share the store know by it that they do."""
    place = path.with_suffix(".id")
    if not place.exists():
        new = place.with_name(f"{place.name}.{secrets.token_hex(6)}")
        try:
            new.write_text(secrets.token_hex(8) + "\n")
            try:
                os.link(new, place)
            except FileExistsError:
                pass  # another process was faster, and its name counts
            finally:
                new.unlink()
        except OSError as error:
            raise ConfigError(f"cannot write {str(place)!r}: {error.strerror}; set another `[store] url`") from error
    return place.read_text().strip()


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
