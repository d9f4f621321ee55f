"""The composition root of the keeper: names its concrete classes, as `build` does for pipelines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.call import Secret
from fairlead.config.build import open_store, spool_folder, store_path
from fairlead.config.kept import kept_secret
from fairlead.config.schema import Config
from fairlead.errors import ConfigError, StateUnavailable
from fairlead.ports import Clock, LogStore
from fairlead.stores.ingest import Ingester
from fairlead.stores.system import SystemClock, SystemRng
from fairlead.telemetry.exposition import CONTENT_TYPE, Exposition


@dataclass(slots=True, kw_only=True, frozen=True)
class KeeperParts:
    """What the keeper works with."""

    clock: Clock
    logs: LogStore
    ingest: Callable[[], Awaitable[int]]
    """Move everything that is spooled into the store.  Raises `StateUnavailable` and `OSError`."""
    scrape: Callable[[], Awaitable[bytes]]
    """The body of `/metrics`.  Raises `StateUnavailable`."""
    scrape_type: str
    """Its content type."""
    admin_key: Secret
    metrics_token: Secret | None
    """Opens `/metrics` and nothing else."""
    aclose: Callable[[], Awaitable[None]]


def build_keeper(config: Config, root: Path, environ: Mapping[str, str]) -> KeeperParts:
    """Open the store and the spool.

    Raises:
        ConfigError: the store or a secret cannot be used.
        OSError: the spool's folder cannot be made.
    """
    folder = spool_folder(config, root)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        store = open_store(config, root)
    except StateUnavailable as error:
        path = str(store_path(config, root))
        raise ConfigError(
            f"the store {path!r} cannot be used; check `[store] url` and who may write there", detail=error.detail
        ) from error
    token = environ.get("FAIRLEAD_METRICS_TOKEN", "").strip()
    return KeeperParts(
        clock=SystemClock(),
        logs=store.logs,
        ingest=Ingester(folder, store.logs).run_once,
        scrape=Exposition(store.logs, folder).render,
        scrape_type=CONTENT_TYPE,
        admin_key=kept_secret(folder / "admin.key", "FAIRLEAD_ADMIN_KEY", environ, SystemRng()),
        metrics_token=Secret(token) if token else None,
        aclose=store.aclose,
    )
