"""Cases of what a model wrote for a schema, and what it is to become; read with nothing but the standard library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SEEN = HERE / "seen"
BLIND = HERE / "blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One text for one schema."""

    half: str
    """The folder that it comes from."""
    id: str
    category: str
    schema: Mapping[str, Any]
    schema_name: str
    """Its name in the folder's `schemas.json`."""
    text: str
    cut: bool
    """Whether the provider said that the length ended it."""
    locale: str | None
    knowable: bool
    expected: Any
    """The value; meaningless where nobody can know it."""
    uncertain: bool
    """Whether a careless reader would take a wrong value for the answer."""


def read(folder: Path) -> list[Case]:
    """All cases of a folder, in the order of its files."""
    schemas = json.loads((folder / "schemas.json").read_text())
    rows = [
        json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines() if line
    ]
    return [case(folder.name, row, schemas) for row in rows]


def case(half: str, row: Mapping[str, Any], schemas: Mapping[str, Any]) -> Case:
    """One line of a file."""
    unknowable = row.get("unknowable", False)
    if unknowable == ("expected" in row):
        raise ValueError(f"case `{row['id']}` has to have either `expected` or `unknowable`")
    return Case(
        half=half,
        id=row["id"],
        category=row["category"],
        schema=schemas[row["schema"]],
        schema_name=row["schema"],
        text=row["text"],
        cut=row.get("finish") == "length",
        locale=row.get("locale"),
        knowable=not unknowable,
        expected=row.get("expected"),
        uncertain=unknowable or row.get("uncertain", False),
    )


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: `1` is `1.0` and never `true`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return type(one) is type(other) and one == other
