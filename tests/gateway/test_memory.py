"""How a worker reads what memory it has left, from files laid out as Linux lays them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairlead.gateway.memory import is_short

PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A process with 1,000 resident pages in the group `/pod/box`."""
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "statm").write_text("5000 1000 300 1 0 900 0\n")
    (folder / "cgroup").write_text("4:memory:/old\n0::/pod/box\n")
    return folder


@pytest.fixture
def cgroups(tmp_path: Path) -> Path:
    """The groups; none of them has a limit."""
    folder = tmp_path / "cgroup"
    for name in ("", "pod", "pod/box"):
        group(folder / name, limit="max", used=10_000)
    (folder / "memory.max").unlink()  # the outermost has none of these files
    return folder


def group(folder: Path, *, limit: str, used: int, inactive_file: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive_file}\n")


@pytest.mark.parametrize(("pages", "short"), [(1_111, True), (1_112, False)])
def test_a_configured_limit_binds_at_nine_tenths(pages: int, short: bool, proc: Path, cgroups: Path) -> None:
    """1,000 pages are nine tenths of 1,111 and less of 1,112."""
    assert is_short(pages * PAGE, proc=proc, cgroups=cgroups) is short


def test_without_any_limit_memory_is_never_short(proc: Path, cgroups: Path) -> None:
    """However much is used."""
    assert not is_short(None, proc=proc, cgroups=cgroups)


@pytest.mark.parametrize("name", ["pod/box", "pod"])
def test_the_nearest_limit_of_any_group_around_binds(name: str, proc: Path, cgroups: Path) -> None:
    """Of the own group, and of those that it is in."""
    group(cgroups / name, limit="1000", used=900)
    assert is_short(None, proc=proc, cgroups=cgroups)
    group(cgroups / name, limit="1000", used=899)
    assert not is_short(None, proc=proc, cgroups=cgroups)


def test_what_the_kernel_gives_up_first_does_not_count(proc: Path, cgroups: Path) -> None:
    """Files that were read once fill the cache of any group to its limit, and are no need."""
    group(cgroups / "pod/box", limit="1000", used=1000, inactive_file=101)
    assert not is_short(None, proc=proc, cgroups=cgroups)


def test_inside_a_container_the_group_is_the_root(proc: Path, cgroups: Path) -> None:
    """Where the process sees no group around its own."""
    (proc / "cgroup").write_text("0::/\n")
    group(cgroups, limit="1000", used=900)
    assert is_short(None, proc=proc, cgroups=cgroups)


@pytest.mark.parametrize("text", ["", "4:memory:/old\n", "0::/gone\n"])
def test_what_cannot_be_read_is_no_limit(text: str, proc: Path, cgroups: Path) -> None:
    """Version 1 of control groups, or a group that is not there."""
    (proc / "cgroup").write_text(text)
    assert not is_short(None, proc=proc, cgroups=cgroups)


def test_another_platform_has_no_such_files(tmp_path: Path) -> None:
    """Nothing is short there as far as anybody knows."""
    assert not is_short(1, proc=tmp_path / "no", cgroups=tmp_path / "no")
