"""`fairlead store`: the database and the spool in front of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import typer

from fairlead.cli.settings import ConfigOption, JsonOption, Settings, find_settings, ingester, opened_store
from fairlead.cli.terminal import console, emit
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

app = typer.Typer(help="Look at, migrate and fill the store.")


@app.command()
def status(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show sizes in bytes, the schema version, and what waits."""
    _tell(asyncio.run(report(find_settings(config))), json=json)


@app.command()
def migrate(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Bring the store's schema to this version."""
    settings = find_settings(config)

    async def run() -> dict[str, Any]:
        async with opened_store(settings):
            pass
        return await report(settings)

    _tell(asyncio.run(run()), json=json)


@app.command()
def ingest(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Move what waits in the spool into the store."""
    settings = find_settings(config)

    async def run() -> dict[str, Any]:
        async with opened_store(settings) as store:
            moves = ingester(settings, store)
            ended = await moves.run_once()
            return {
                "ended_calls": ended,
                "backlog_bytes": moves.backlog_bytes,
                "torn_segments": moves.torn,
                "skipped_bytes": moves.skipped_bytes,
                "rejected_records": moves.rejected,
            }

    _tell(asyncio.run(run()), json=json)


@app.command()
def prune(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Delete calls older than `[store] retention_days` now."""
    settings = find_settings(config)
    days = settings.config.store.retention_days
    if days is None:
        raise ConfigError("`[store] retention_days` is not set, so calls are kept for ever; set it to delete old ones")

    async def run(retention_days: int) -> dict[str, Any]:
        from fairlead.keeper.retention import prune_once
        from fairlead.stores.system import SystemClock

        async with opened_store(settings) as store:
            return {"deleted_calls": await prune_once(store.logs.prune, SystemClock(), retention_days)}

    _tell(asyncio.run(run(days)), json=json)


async def report(settings: Settings) -> dict[str, Any]:
    """How the store stands, without making or migrating it."""
    from fairlead.config.build import spool_folder, store_path
    from fairlead.stores.segments import folder_bytes, segments

    path, folder = (find(settings.config, settings.root) for find in (store_path, spool_folder))
    version, calls = await _inside(path) if path.exists() else (None, None)
    return {
        "path": str(path),
        "schema_version": version,
        "size_bytes": sum(_size_bytes(path.with_name(path.name + suffix)) for suffix in ("", "-wal")),
        "calls": calls,
        "spool": str(folder),
        "spool_bytes": folder_bytes(folder),
        "spool_segments": len(segments(folder)),
        "spool_max_bytes": settings.config.store.spool_max_bytes,
    }


async def _inside(path: Path) -> tuple[int, int | None]:
    """Schema version, and how many calls are in there; `None` where the schema is not the one of this version."""
    from fairlead.stores.sqlite import SqliteStore, is_current, schema_version

    store = SqliteStore(path, count=lambda _: ())
    try:
        version = await store.run(schema_version)
        return version, await store.run(_count_calls) if await store.run(is_current) else None
    finally:
        await store.aclose()


def _count_calls(connection: sqlite3.Connection) -> int:
    (calls,) = connection.execute("SELECT count(*) FROM calls").fetchone()
    return int(calls)


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tell(facts: dict[str, Any], *, json: bool) -> None:
    if json:
        emit(facts)
        return
    from rich.text import Text

    out = console()
    for name, value in facts.items():
        shown = "not made yet" if value is None else f"{value:,}" if isinstance(value, int) else value
        out.print(Text.assemble((f"{name.replace('_', ' '):<17}", "cyan"), shown))
