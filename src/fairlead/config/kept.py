"""Secrets that Fairlead makes for itself where nobody set them, and keeps beside the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fairlead.call import Secret
from fairlead.errors import ConfigError
from fairlead.ports import Rng

_SIZE = 32
_MARK = 8


def kept_secret(path: Path, variable: str, environ: Mapping[str, str], rng: Rng) -> Secret:
    """The value of an environment variable, else what `path` holds, else a new one written there for its owner alone.

    Raises:
        ConfigError: empty, or a file that others can read.
    """
    if variable in environ:
        value = environ[variable].strip()
        if not value:
            raise ConfigError(f"`{variable}` is set but empty; set it to a long random value or unset it")
        return Secret(value)
    if not path.exists():
        try:
            _keep(path, rng.token(_SIZE).hex(), rng.token(_MARK).hex())
        except OSError as error:
            raise ConfigError(f"cannot write {str(path)!r}: {error.strerror}; set `{variable}` instead") from error
    return _read(path, variable)


def _keep(path: Path, value: str, mark: str) -> None:
    """Write it, unless another process came first: it is there whole or not at all, whoever reads it meanwhile."""
    draft = path.with_name(f"{path.name}.{mark}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(value + "\n")
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _read(path: Path, variable: str) -> Secret:
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{str(path)!r} can be read by others; `chmod 600` it, or set `{variable}`")
    value = path.read_text(encoding="ascii").strip()
    if not value:
        raise ConfigError(f"{str(path)!r} is empty; delete it or set `{variable}`")
    return Secret(value)
