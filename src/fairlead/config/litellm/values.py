"""Values of a YAML file as settings, and references to the environment in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from fairlead.config.lines import KeyPath

FROM_ENVIRONMENT: Final = "os.environ/"
NO_NUMBER: Final = "it is no number that can be used"
_LARGEST: Final = 10**15


def mapping(tree: Any, *names: str) -> dict[str, Any]:
    """The mapping at a path, empty where there is none."""
    for name in names:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}


def is_name(value: Any) -> bool:
    """Whether callers may use it as the name of a model."""
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable() and value == value.strip()


def number(value: Any) -> float | None:
    """A finite number from 0 on; `None` is none.  Numbers in quotes count."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and 0 <= found <= _LARGEST else None


def positive(value: Any) -> float | None:
    """A number above 0."""
    return number(value) or None


def count(value: Any) -> int | None:
    """A whole number from 0 on."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def whole(value: Any) -> int | None:
    """A whole number above 0."""
    return count(value) or None


def usd_per_million(value: Any) -> float | None:
    """A price per token as one per million tokens, where it is no finer than a price may be."""
    try:
        price = Decimal(str(value)) * 1_000_000
        fits = not isinstance(value, bool) and 0 <= price <= 1_000_000 and price == round(price, 6)
    except (InvalidOperation, ValueError):
        return None
    return float(price) if fits else None


def referred(value: Any) -> str | None:
    """The variable that `os.environ/NAME` names."""
    if not isinstance(value, str) or not value.startswith(FROM_ENVIRONMENT):
        return None
    name = value.removeprefix(FROM_ENVIRONMENT).strip()
    return name if name and name.isprintable() and name.isascii() else None


def looked_up(value: Any, environ: Mapping[str, str]) -> str | None:
    """A text, or what the variable that it refers to holds; `None` where neither is there."""
    name = referred(value)
    if name is not None:
        return environ.get(name, "").strip() or None
    return value.strip() or None if isinstance(value, str) and not value.startswith(FROM_ENVIRONMENT) else None


def entries(value: Any, path: KeyPath) -> list[tuple[KeyPath, Any]]:
    """The elements of a list with their paths; none where it is no list."""
    return [((*path, index), each) for index, each in enumerate(value)] if isinstance(value, list) else []
