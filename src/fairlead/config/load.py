"""From the text of `fairlead.toml` to a `Config`, or to one error that names every problem with file and line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from fairlead.config.lines import key_lines, line_of
from fairlead.config.not_yet import unavailable
from fairlead.config.problem import Problem
from fairlead.config.rules import SIM, broken
from fairlead.config.schema import Config, Provider
from fairlead.config.shape import misfits
from fairlead.errors import ConfigError, mapped
from fairlead.providers import facts

_SYNTAX_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)|\s*\(at end of document\)")


def load(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read, or something in it cannot be used; each line of the message starts with
            `file:line`.
    """
    with (
        mapped(
            {OSError: ConfigError, UnicodeDecodeError: ConfigError},
            f"{path}: cannot be read as UTF-8 text; check the path and its permissions",
        ),
        mapped({FileNotFoundError: ConfigError}, f"{path}: no such file"),
    ):
        text = path.read_text(encoding="utf-8-sig")
    if not text.strip():
        raise ConfigError(
            f"{path}: is empty; `fairlead init` writes one to start from, and without a file the defaults count"
        )
    return load_text(text, str(path))


def load_text(text: str, name: str = "fairlead.toml") -> Config:
    """Read a configuration; `name` is what messages call it.

    Raises:
        ConfigError: something in it cannot be used; each line of the message starts with `name:line`.
    """
    try:
        return _checked(_parse(text, name), text, name)
    except RecursionError:
        raise ConfigError(f"{name}:1: this is nested too deeply") from None


def _checked(raw: dict[str, Any], text: str, name: str) -> Config:
    _refuse(misfits(raw, Config), text, name)
    _refuse(unavailable(raw), text, name)
    config = _with_sim(msgspec.convert(raw, Config))
    _refuse(broken(config, facts.load().vendors), text, name)
    return config


def _with_sim(config: Config) -> Config:
    """The simulator is there without being asked for."""
    return msgspec.structs.replace(config, providers={SIM: Provider(vendor=SIM), **config.providers})


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX_LINE.search(str(error))
        line = found[1] if found is not None and found[1] else text.count("\n") + 1
        reason = _SYNTAX_LINE.sub("", str(error))
        raise ConfigError(f"{name}:{line}: this is not TOML: {reason}") from None


def _refuse(problems: Iterable[Problem], text: str, name: str) -> None:
    found = list(problems)
    if not found:
        return
    lines = key_lines(text)
    rows = sorted((line_of(lines, problem.path), problem.message) for problem in found)
    raise ConfigError("\n".join(f"{name}:{line}: {message}" for line, message in rows))
