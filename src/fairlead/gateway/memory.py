"""How near a worker is to the end of its memory, so that it turns callers away before the kernel ends it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PERCENT: Final = 90
_CGROUPS: Final = Path("/sys/fs/cgroup")
_PROC: Final = Path("/proc/self")


def is_short(max_bytes: int | None, *, proc: Path = _PROC, cgroups: Path = _CGROUPS) -> bool:
    """Whether this process, or a control group that it is in, uses 90 % of its memory or more; blocks for some reads.

    Args:
        max_bytes: what this process may have; `None`: as much as its control groups (Linux, version 2) allow.
    """
    resident = _resident_bytes(proc) if max_bytes is not None else None
    if max_bytes is not None and resident is not None and _is_near(resident, max_bytes):
        return True
    return any(_is_near(used, limit) for used, limit in _groups(proc, cgroups))


def _is_near(used: int, limit: int) -> bool:
    return used * 100 >= limit * _PERCENT


def _resident_bytes(proc: Path) -> int | None:
    """`None` where the platform does not say."""
    try:
        return int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _groups(proc: Path, cgroups: Path) -> Iterator[tuple[int, int]]:
    """Use and limit of each control group around this process that has a limit."""
    try:
        lines = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if own is None:
        return
    for name in (own, *(str(parent) for parent in Path(own).parents)) if own else (".",):
        found = _group(cgroups / name)
        if found is not None:
            yield found


def _group(folder: Path) -> tuple[int, int] | None:
    """`None`: no limit, or none that can be read."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    # Files that were read once and lie in the cache are given up before anything else.
    return used - int(stat.get("inactive_file", 0)), int(limit)
