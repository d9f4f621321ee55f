"""Which state a configuration chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.config.build_state import open_state, shown_url
from fairlead.config.load import load_text
from fairlead.config.schema import Config
from fairlead.errors import ConfigError
from fairlead.stores.ingest import Ingester
from fairlead.stores.redis_state import RedisState
from fairlead.stores.sqlite import SqliteStore
from fairlead.stores.system import SystemClock
from fairlead.telemetry.metrics import count


def opened(config: Config, root: Path, environ: dict[str, str] | None = None) -> object:
    store = SqliteStore(root / "fairlead.db", count=count)
    return open_state(config, root, environ or {}, SystemClock(), store.logs, Ingester(root, store.logs))


def test_a_server_is_shared_and_not_asked_before_the_first_call(tmp_path: Path) -> None:
    """Nobody has to be there at start."""
    config = load_text("[state]\nurl = 'redis://nobody.invalid:6379/0'")
    assert isinstance(opened(config, tmp_path), RedisState)


def test_a_url_may_stand_in_the_environment(tmp_path: Path) -> None:
    """With its password; what is shown is the reference."""
    config = load_text("[state]\nurl = 'env:REDIS_URL'")
    assert shown_url(config) == "env:REDIS_URL"
    assert isinstance(opened(config, tmp_path, {"REDIS_URL": "valkey://u:secret@a:1/0"}), RedisState)
    with pytest.raises(ConfigError, match="REDIS_URL"):
        opened(config, tmp_path)
    with pytest.raises(ConfigError, match="must hold") as refused:
        opened(config, tmp_path, {"REDIS_URL": "http://secret"})
    assert "secret" not in str(refused.value)


def test_a_store_has_one_name_for_all_who_use_it(tmp_path: Path) -> None:
    """It is made once and lies beside the file."""
    config = load_text("[state]\nurl = 'redis://a'")
    opened(config, tmp_path)
    name = (tmp_path / "fairlead.id").read_text()
    opened(config, tmp_path)
    assert (tmp_path / "fairlead.id").read_text() == name
    assert sorted(path.name for path in tmp_path.iterdir() if ".id" in path.name) == ["fairlead.id"]


def test_a_place_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    """And which setting chooses another."""
    (tmp_path / "file").touch()
    config = load_text("[state]\nurl = 'redis://a'\n[store]\nurl = 'sqlite:///file/fairlead.db'")
    with pytest.raises(ConfigError, match=r"file/fairlead.id.*`\[store\] url`"):
        opened(config, tmp_path)


def test_one_worker_counts_for_itself(tmp_path: Path) -> None:
    """Unless told otherwise."""
    assert opened(load_text(""), tmp_path) is None
