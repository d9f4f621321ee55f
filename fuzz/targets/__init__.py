"""The targets: modules with `check(data)`, which raises where a promise is broken, and `SEEDS` to begin from."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Protocol, cast

NAMES = (
    "sse",
    "splice",
    "records",
    "addresses",
    "anthropic",
    "gemini",
    "responses",
    "edge_server",
    "edge_client",
    "output",
)


class Target(Protocol):
    """What a target module has."""

    check: Callable[[bytes], None]
    SEEDS: Sequence[bytes]
    WORDS: Sequence[bytes]
    """What mutations are made of, beside what the coverage finds."""


def load(name: str) -> Target:
    """A target by name."""
    return cast("Target", importlib.import_module(f"fuzz.targets.{name}"))
