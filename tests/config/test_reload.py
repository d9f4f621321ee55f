"""Another configuration while serving: what is noticed, what is refused, what has to wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairlead.config.load import load, load_text
from fairlead.config.reload import FIXED, Source, Watch, held_back
from fairlead.errors import ConfigError

PUBLIC = '[gateway]\nhost = "0.0.0.0"\n[store]\ncontent = "off"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fairlead.toml"
    path.write_text("# one\n")
    return path


def test_a_file_counts_as_changed_once_it_has_come_to_rest(file: Path) -> None:
    """Not while it is being written, and only once."""
    watch = Watch(file)
    assert not watch.changed()
    file.write_text("# half of\n")
    assert not watch.changed()
    file.write_text("# half of the whole\n")
    assert not watch.changed()
    assert watch.changed()
    assert not watch.changed()


def test_a_file_that_is_replaced_counts_as_changed(file: Path) -> None:
    """As editors and Kubernetes do it, also where time and size are the same; one that is gone meanwhile does not."""
    watch = Watch(file)
    stat = file.stat()
    file.unlink()
    assert not watch.changed()
    other = file.with_name("other")
    other.write_text("# two\n")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(file)
    assert not watch.changed()
    assert watch.changed()


def test_a_problem_outside_of_the_file_is_told_with_its_line(file: Path) -> None:
    """As those inside of it are."""
    file.write_text('[providers.o]\nvendor = "openai"\napi_key = "env:NOT_THERE"\n')
    source = Source(read=lambda: load(file), file=file)

    with pytest.raises(ConfigError, match=r"fairlead\.toml:3: `providers.o`: .*NOT_THERE"):
        source.usable(file.parent, {})

    assert "o" in source.usable(file.parent, {"NOT_THERE": "sk-1"}).providers


def test_settings_of_the_sockets_and_stores_wait() -> None:
    """They keep their values, everything else is the new one's."""
    current = load_text("[gateway]\nport = 8400\ndrain_s = 1\n")
    wanted = load_text('[gateway]\nport = 9400\nworkers = 3\ndrain_s = 2\n[store]\nurl = "sqlite:///o.db"\n')

    config, waiting = held_back(current, wanted)

    assert waiting == ["gateway.port", "store.url", "gateway.workers"]
    assert (config.gateway.port, config.gateway.workers, config.gateway.drain_s) == (8400, 1, 2)
    assert config.store.url == current.store.url
    assert held_back(current, wanted, FIXED)[0].gateway.workers == 3


def test_p7_a_reload_never_opens_a_gateway_that_others_reach() -> None:
    """Open mode goes with a loopback address; where the address has to wait, so has the mode."""
    wanted = load_text('[gateway]\nhost = "127.0.0.1"\nauth = "open"\n')

    with pytest.raises(ConfigError, match=r"loopback.*`gateway.host` cannot change without a restart"):
        held_back(load_text(PUBLIC), wanted)
