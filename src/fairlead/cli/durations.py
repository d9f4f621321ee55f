"""Spans of time as people write them: `30s`, `15m`, `24h`, `7d`, `2w`."""

from __future__ import annotations

import re
from typing import Final

import typer

_FORM: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NS: Final = 1_000_000_000


def duration_ns(text: str) -> int:
    """Nanoseconds of a span.

    Raises:
        typer.BadParameter: not of that form, or nothing.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is not a span of time; write it like `90s`, `15m`, `24h`, `7d` or `2w`")
    return int(found[1]) * _SECONDS[found[2]] * _NS


def written(at_ns: int | None) -> str | None:
    """A wall-clock time in UTC, to the second, as ISO 8601 writes it."""
    if at_ns is None:
        return None
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ns // _NS, tz=UTC).isoformat().replace("+00:00", "Z")
