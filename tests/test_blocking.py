"""The watch over blocking calls that every test stands under."""

from __future__ import annotations

from pathlib import Path

import pytest
from blockbuster import BlockingError

from fairlead.config.secrets import resolve
from fairlead.stores.segments import segments


async def test_a_blocking_call_of_the_package_inside_a_loop_is_seen(tmp_path: Path) -> None:
    """Reading a secret's file is one."""
    tmp_path.joinpath("key").write_text("sk-x")
    tmp_path.joinpath("key").chmod(0o600)
    with pytest.raises(BlockingError):
        resolve("file:key", {}, tmp_path)


def test_the_same_call_without_a_loop_is_none(tmp_path: Path) -> None:
    """Nothing is held up by it."""
    tmp_path.joinpath("key").write_text("sk-x")
    tmp_path.joinpath("key").chmod(0o600)
    assert resolve("file:key", {}, tmp_path).reveal() == "sk-x"


async def test_a_test_may_call_what_is_made_for_threads(tmp_path: Path) -> None:
    """The package itself may not, from inside a loop."""
    assert segments(tmp_path) == []
