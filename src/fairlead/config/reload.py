"""Another configuration while serving: when to read it, whether it can be used, and what of it has to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from fairlead.config.lines import KeyPath, key_lines, line_of
from fairlead.config.problem import written
from fairlead.config.schema import Config
from fairlead.config.secrets import resolve
from fairlead.errors import ConfigError

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
        """Read it, and see that every secret that it names is there.

        Raises:
            ConfigError: it cannot be used; each line of the message names file and line.
        """
        config = self.read()
        faults = _missing_secrets(config, root, environ)
        if faults:
            raise ConfigError("\n".join(self._placed(faults)))
        return config

    def _placed(self, faults: Sequence[tuple[KeyPath, str]]) -> list[str]:
        if self.file is None:
            return [f"`{written(path)}`: {message}" for path, message in faults]
        lines = key_lines(self.file.read_text(encoding="utf-8-sig"))
        return [f"{self.file}:{line_of(lines, path)}: `{written(path)}`: {message}" for path, message in faults]


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

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:  # as between the two steps of a replacement
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def held_back(current: Config, wanted: Config, paths: Sequence[str] = BOUND) -> tuple[Config, list[str]]:
    """The wanted configuration with the current values of some settings, and which of these differ."""
    waiting: list[str] = []
    for path in paths:
        table, _, name = path.partition(".")
        ours, theirs = getattr(current, table), getattr(wanted, table)
        value: Any = getattr(ours, name)
        if getattr(theirs, name) != value:
            waiting.append(path)
            wanted = msgspec.structs.replace(wanted, **{table: msgspec.structs.replace(theirs, **{name: value})})
    return wanted, waiting


def _missing_secrets(config: Config, root: Path, environ: Mapping[str, str]) -> list[tuple[KeyPath, str]]:
    faults: list[tuple[KeyPath, str]] = []
    for name, provider in config.providers.items():
        for label, ref in provider.secret_refs.items():
            try:
                resolve(ref, environ, root)
            except ConfigError as error:
                where: KeyPath = ("api_key",) if provider.api_key is not None else ("credentials", int(label) - 1)
                faults.append((("providers", name, *where), error.message))
    return faults
