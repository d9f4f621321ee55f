"""The composition root of the keeper: names its concrete classes, as `build` does for pipelines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fairlead.call import Secret
from fairlead.config.build import open_store, spool_folder, store_path
from fairlead.config.kept import kept_secret
from fairlead.config.schema import Config
from fairlead.errors import ConfigError, StateUnavailable
from fairlead.ports import Clock, LogStore, Rng
from fairlead.stores.ingest import Ingester
from fairlead.stores.segments import folder_bytes
from fairlead.stores.system import SystemClock, SystemRng
from fairlead.telemetry.exposition import CONTENT_TYPE, Exposition


@dataclass(slots=True, kw_only=True, frozen=True)
class KeeperParts:
    """What the keeper works with."""

    clock: Clock
    logs: LogStore
    rng: Rng
    ingest: Callable[[], Awaitable[int]]
    """Move everything that is spooled into the store.  Raises `StateUnavailable` and `OSError`."""
    prune: Callable[[int, int], Awaitable[int]]
    """Delete calls admitted before a time in nanoseconds, at most so many; returns how many.  Raises
    `StateUnavailable`."""
    scrape: Callable[[], Awaitable[bytes]]
    """The body of `/metrics`."""
    scrape_type: str
    """Its content type."""
    admin_key: Secret
    metrics_token: Secret | None
    """Opens `/metrics` and nothing else."""
    aclose: Callable[[], Awaitable[None]]


class Watched:
    """A task that is run again and again, and whether the last time went well."""

    def __init__(self, task: Callable[[], Awaitable[int]]) -> None:
        self._task = task
        self.went_well = True

    async def __call__(self) -> int:
        """Run it."""
        try:
            done = await self._task()
        except (StateUnavailable, OSError):
            self.went_well = False
            raise
        self.went_well = True
        return done


def build_keeper(config: Config, root: Path, environ: Mapping[str, str]) -> KeeperParts:
    """Open the store and the spool.

    Raises:
        ConfigError: the store or a secret cannot be used.
        OSError: the spool's folder cannot be made.
    """
    rng = SystemRng()
    folder = spool_folder(config, root)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        store = open_store(config, root)
    except StateUnavailable as error:
        path = str(store_path(config, root))
        raise ConfigError(
            f"the store {path!r} cannot be used; check `[store] url` and who may write there", detail=error.detail
        ) from error
    ingester = Ingester(folder, store.logs)
    watched = Watched(ingester.run_once)
    token = environ.get("FAIRLEAD_METRICS_TOKEN", "").strip()
    return KeeperParts(
        clock=SystemClock(),
        rng=rng,
        logs=store.logs,
        ingest=watched,
        prune=store.logs.prune,
        scrape=Exposition(store.logs, partial(folder_bytes, folder), lambda: watched.went_well).render,
        scrape_type=CONTENT_TYPE,
        admin_key=kept_secret(folder / "admin.key", "FAIRLEAD_ADMIN_KEY", environ, rng),
        metrics_token=Secret(token) if token else None,
        aclose=store.aclose,
    )
