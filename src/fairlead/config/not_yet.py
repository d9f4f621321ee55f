"""Settings that the schema knows and this version does not have: one row each, deleted by the change that brings it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from fairlead.config.lines import KeyPath
from fairlead.config.problem import Problem, written


def _never(_: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """A setting, or some of its values, that a later version brings."""

    path: str
    """Dotted; `*` stands for any name."""
    feature: str
    """What it will do."""
    available: Callable[[Any], bool] = _never
    """Which values work now."""
    remedy: str = "remove it"


NOT_YET: Final = (
    NotYet(path="models.*.profile", feature="parameters by profile"),
    NotYet(path="models.*.context", feature="trimming, summaries and retrieval"),
    NotYet(
        path="models.*.degraded",
        feature="old answers and waiting in an outage",
        available=lambda value: all(isinstance(each, dict) for each in value),
        remedy='use `degraded = [{ static = "..." }]`',
    ),
    NotYet(path="profiles", feature="parameters by profile"),
    NotYet(path="knowledge", feature="retrieval"),
    NotYet(path="prompts", feature="versioned prompts"),
    NotYet(
        path="store.url",
        feature="a Postgres store",
        available=lambda value: not value.startswith(("postgresql:", "postgres:")),
        remedy='use `url = "sqlite:///fairlead.db"`',
    ),
    NotYet(path="cache", feature="the response cache"),
    NotYet(path="screen", feature="masking personal data"),
    NotYet(path="alerts", feature="alerts"),
)


def unavailable(raw: dict[str, Any]) -> Iterator[Problem]:
    """Every setting of a well-formed configuration that this version does not have."""
    for row in NOT_YET:
        for path, value in _matches(raw, row.path.split("."), ()):
            if not row.available(value):
                message = f"`{written(path)}` ({row.feature}) is not yet in this version; {row.remedy}"
                yield Problem(path, message)


def _matches(value: Any, pattern: list[str], path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if not pattern:
        yield path, value
    elif isinstance(value, dict):
        names = list(value) if pattern[0] == "*" else [name for name in value if name == pattern[0]]
        for name in names:
            yield from _matches(value[name], pattern[1:], (*path, name))
