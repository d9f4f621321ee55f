"""Another configuration while serving: when to read it, whether it can be used, and what of it has to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from fairlead.config.lines import key_lines, line_of
from fairlead.config.problem import Problem
from fairlead.config.rehearse import unusable
from fairlead.config.rules import broken
from fairlead.config.schema import Config
from fairlead.errors import ConfigError
from fairlead.providers import facts

FIXED: Final = (
    "gateway.host",
    "gateway.port",
    "gateway.admin_port",
    "store.url",
    "store.spool",
    "state.url",
)
"""Settings that hold from `fairlead serve` to its end."""
BOUND: Final = (*FIXED, "gateway.workers", "gateway.tls", "store.spool_max_bytes", "store.fsync")
"""Settings that hold from the start of a worker to its end: fresh workers have others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a gateway's configuration comes from.

    Args:
        read: reads it anew.  Raises `ConfigError`.
        file: changes to it are noticed; `None`: it is no file.
    """

    read: Callable[[], Config]
    file: Path | None = None

    def usable(self, root: Path, environ: Mapping[str, str]) -> Config:
        """Read it, and see that everything that it names can be used: secrets, certificates, proxies.

        Raises:
            ConfigError: it cannot be used; each line of the message names file and line.
        """
        config = self.read()
        problems = unusable(config, facts.load(), root, environ)
        if problems:
            raise ConfigError("\n".join(self._placed(problems)))
        return config

    def _placed(self, problems: Sequence[Problem]) -> list[str]:
        if self.file is None:
            return [problem.message for problem in problems]
        lines = key_lines(self.file.read_text(encoding="utf-8-sig"))
        return [f"{self.file}:{line_of(lines, problem.path)}: {problem.message}" for problem in problems]


class Watch:
    """Tells when a file was changed and has come to rest: half of a file that is being written is not looked at."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = self._seen = self._stamp()

    def changed(self) -> bool:
        """Whether it is another than when this was last true, and the same as at the last question."""
        stamp, before = self._stamp(), self._seen
        self._seen = stamp
        if stamp is None or stamp != before or stamp == self._known:
            return False
        self._known = stamp
        return True

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            found = self._file.stat()
        except OSError:  # as between the two steps of a replacement
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def held_back(current: Config, wanted: Config, paths: Sequence[str] = BOUND) -> tuple[Config, list[str]]:
    """The wanted configuration with the current values of some settings, and which of these differ.

    Raises:
        ConfigError: the two together break a rule that each of them keeps, such as open mode for one machine alone on
            an address that all others reach still.
    """
    waiting: list[str] = []
    for path in paths:
        table, _, name = path.partition(".")
        ours, theirs = getattr(current, table), getattr(wanted, table)
        value: Any = getattr(ours, name)
        if getattr(theirs, name) != value:
            waiting.append(path)
            wanted = msgspec.structs.replace(wanted, **{table: msgspec.structs.replace(theirs, **{name: value})})
    problems = list(broken(wanted, facts.load().vendors)) if waiting else []
    if problems:
        kept = ", ".join(f"`{path}`" for path in waiting)
        faults = [f"{problem.message} ({kept} cannot change without a restart)" for problem in problems]
        raise ConfigError("\n".join(faults))
    return wanted, waiting
