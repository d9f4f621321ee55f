"""Secrets that Fairlead makes for itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fairlead.config.kept import kept_secret
from fairlead.errors import ConfigError
from fairlead.stores.system import SystemRng

RNG = SystemRng()


def test_a_secret_is_made_once_and_found_again(tmp_path: Path) -> None:
    """For its owner alone."""
    first = kept_secret(tmp_path / "secret", "NAME", {}, RNG)

    assert kept_secret(tmp_path / "secret", "NAME", {}, RNG) == first
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_processes_that_start_together_have_one_secret(tmp_path: Path) -> None:
    """Nobody finds it half written, and nobody writes over another's."""
    found: list[object] = []
    for number in range(40):
        path = tmp_path / str(number)
        path.mkdir()
        start = threading.Barrier(6)

        def take(path: Path = path, start: threading.Barrier = start) -> None:
            start.wait()
            found.append(kept_secret(path / "secret", "NAME", {}, RNG).reveal())

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert (len(found), len(set(found))) == (240, 40)


def test_the_environment_comes_first(tmp_path: Path) -> None:
    """And an empty value of it is a mistake."""
    assert kept_secret(tmp_path / "secret", "NAME", {"NAME": " given "}, RNG).reveal() == "given"
    with pytest.raises(ConfigError, match="set but empty"):
        kept_secret(tmp_path / "secret", "NAME", {"NAME": " "}, RNG)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    kept_secret(tmp_path / "secret", "NAME", {}, RNG)
    (tmp_path / "secret").chmod(0o644)

    with pytest.raises(ConfigError, match="chmod 600"):
        kept_secret(tmp_path / "secret", "NAME", {}, RNG)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """A new secret would make all keys of before useless, so that is for its owner to decide."""
    (tmp_path / "secret").touch(0o600)

    with pytest.raises(ConfigError, match="is empty"):
        kept_secret(tmp_path / "secret", "NAME", {}, RNG)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """And the variable that does without it."""
    with pytest.raises(ConfigError, match=r"cannot write .* set `NAME` instead"):
        kept_secret(tmp_path / "none" / "secret", "NAME", {}, RNG)
