"""What became of each setting: carried over, changed or left out; one that nobody spoke of is left out, and said to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from fairlead.config.lines import KeyPath
from fairlead.config.problem import written

Outcome = Literal["carried", "changed", "left out"]
"""`changed`: it is there, and works a little differently or wants something done."""

NOTHING = "Fairlead has no such setting"
EMPTY = "has no value"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report.  No value stands in it: it may be a secret."""

    path: str
    """Where it stood, such as `model_list[0].litellm_params.rpm`."""
    outcome: Outcome
    into: str | None = None
    """What it became."""
    note: str | None = None
    """Why it was left out, or what is different."""


class Account:
    """Takes down what became of each path, and names those of which nothing was said."""

    def __init__(self) -> None:
        self._told: dict[KeyPath, Row] = {}

    def carried(self, path: KeyPath, into: str, note: str | None = None) -> None:
        """It means the same there."""
        self._tell(path, "carried", into, note)

    def changed(self, path: KeyPath, into: str | None, note: str) -> None:
        """It is there, and the note says what is different."""
        self._tell(path, "changed", into, note)

    def left(self, path: KeyPath, note: str) -> None:
        """It is not there, with all that stands below it, and the note says why."""
        self._tell(path, "left out", None, note)

    def remark(self, path: KeyPath, note: str) -> None:
        """Beside what was said of it, it wants something done."""
        row = self._told[path]
        self._told[path] = msgspec.structs.replace(
            row, outcome="changed", note="; ".join(filter(None, (row.note, note)))
        )

    def rows(self, tree: Any) -> list[Row]:
        """All of the source in its own order; each of its values is spoken for by one row."""
        found: dict[KeyPath, Row] = {}
        for path, value in leaves(tree):
            place = next((path[:end] for end in range(len(path) + 1) if path[:end] in self._told), None)
            if place is not None:
                found[place] = self._told[place]
            else:
                found[path] = Row(path=written(path), outcome="left out", note=EMPTY if value is None else NOTHING)
        return list(found.values())

    def _tell(self, path: KeyPath, outcome: Outcome, into: str | None, note: str | None) -> None:
        self._told[path] = Row(path=written(path), outcome=outcome, into=into, note=note)


def leaves(tree: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every value that holds no other, an empty list or mapping too."""
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from leaves(value, (*path, name))
    elif isinstance(tree, list) and tree:
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path, tree
