"""What every command starts from: the configuration, and the store that it names."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.terminal import complain
from fairlead.errors import ConfigError, mapped

if TYPE_CHECKING:
    from fairlead.config.schema import Config
    from fairlead.stores.ingest import Ingester
    from fairlead.stores.sqlite import SqliteStore

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration; by default ./fairlead.toml, else what the environment's provider keys make of it.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A configuration and where it came from."""

    config: Config
    root: Path
    """Relative paths of the configuration start here."""
    file: Path | None
    """`None`: made from the environment."""


def find_settings(file: Path | None) -> Settings:
    """The configuration of `file`, else of the working folder, else of the environment.

    Raises:
        ConfigError: the file cannot be used; names file and line.
    """
    from fairlead.config import env
    from fairlead.config.load import load

    path = file if file is not None else env.find(Path.cwd())
    if path is None:
        return Settings(config=env.from_environment(os.environ), root=Path.cwd(), file=None)
    return Settings(config=load(path), root=path.resolve().parent, file=path)


def readable(path: Path) -> str:
    """The text of a file that an argument names.

    Raises:
        ConfigError: there is none, or it is no text.
    """
    with (
        mapped({OSError: ConfigError, UnicodeDecodeError: ConfigError}, f"{path}: cannot be read as UTF-8 text"),
        mapped({FileNotFoundError: ConfigError}, f"{path}: no such file"),
    ):
        return path.read_text(encoding="utf-8")


def is_store_made(settings: Settings) -> bool:
    """Whether any call or key was ever stored here; if not, say so."""
    from fairlead.config.build import spool_folder, store_path

    path = store_path(settings.config, settings.root)
    if path.exists() or spool_folder(settings.config, settings.root).exists():
        return True
    complain(f"there is no store at {path} yet; the first call or key makes it, or name the right one with --config")
    return False


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[SqliteStore]:
    """The store, migrated to this version."""
    from fairlead.config.build import open_store

    store = open_store(settings.config, settings.root)
    try:
        yield store
    finally:
        await store.aclose()


def ingester(settings: Settings, store: SqliteStore) -> Ingester:
    """What moves spooled records into the store, so that calls of the library show too."""
    from fairlead.config.build import spool_folder
    from fairlead.stores.ingest import Ingester

    return Ingester(spool_folder(settings.config, settings.root), store.logs)
