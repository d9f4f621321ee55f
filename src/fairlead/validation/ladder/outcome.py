"""What came of one value at one place of a schema, as a tree that is laid out flat only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from fairlead.verdict import Edit, FieldError, Rung

MAX_ERRORS: Final = 20
MAX_SHOWN_CHARS: Final = 60
MAX_KEPT_CHARS: Final = 200


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a value at the place of its outcome, or below it."""

    kind: str
    confidence: float
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    rung: Rung = "coerce"
    name: str | None = None
    """The property that it is about, where it is about one of them."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a value does not fit, at the place of its outcome or in one property."""

    kind: str
    message: str
    name: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A value with what was changed and what is still wrong, without where that is: a part may stand in many places."""

    value: Any
    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
    parts: tuple[tuple[str | int, Outcome], ...] = ()
    """The parts of which there is anything to say."""
    cost: int = 0
    """How many changes, those of its parts included."""
    wrong: int = 0
    """How many problems, those of its parts included."""
    is_absent: bool = False
    """What stands here says that there is no value."""
    is_doubtful: bool = False
    """What stands here has more than one reading, of which no one is clear."""

    @property
    def fits(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def outcome(
    value: Any,
    steps: tuple[Step, ...] = (),
    problems: tuple[Problem, ...] = (),
    parts: tuple[tuple[str | int, Outcome], ...] = (),
    *,
    is_absent: bool = False,
) -> Outcome:
    """An outcome that has counted what it consists of."""
    return Outcome(
        value=value,
        steps=steps,
        problems=problems,
        parts=parts,
        cost=len(steps) + sum(part.cost for _, part in parts),
        wrong=len(problems) + sum(part.wrong for _, part in parts),
        is_absent=is_absent,
    )


def after(steps: tuple[Step, ...], found: Outcome) -> Outcome:
    """The outcome of a value that these steps have made first."""
    return msgspec.structs.replace(found, steps=(*steps, *found.steps), cost=found.cost + len(steps))


def edits(found: Outcome) -> tuple[Edit, ...]:
    """All changes, with where they were made."""
    return tuple(
        Edit(
            rung=step.rung,
            kind=step.kind,
            path=path if step.name is None else f"{path}/{escaped(step.name)}",
            before=_kept(step.before),
            after=_kept(step.after),
            confidence=step.confidence,
        )
        for path, each in _each(found, "")
        for step in each.steps
    )


def errors(found: Outcome) -> tuple[FieldError, ...]:
    """What is wrong, with where it is; not more than can be read."""
    listed: list[FieldError] = []
    for path, each in _each(found, ""):
        for problem in each.problems:
            where = path if problem.name is None else f"{path}/{escaped(problem.name)}"
            listed.append(FieldError(path=where, message=problem.message, kind=problem.kind))
            if len(listed) == MAX_ERRORS:
                return tuple(listed)
    return tuple(listed)


def _each(found: Outcome, path: str) -> Iterator[tuple[str, Outcome]]:
    yield path, found
    for name, part in found.parts:
        if part.cost or part.wrong:
            yield from _each(part, f"{path}/{escaped(str(name))}")


def escaped(name: str) -> str:
    """A name as a step of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def shown(value: Any) -> str:
    """A value for a message: as JSON, clipped."""
    text = _kept(value) or ""
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 3] + "..."


def _kept(value: Any) -> str | None:
    if value is msgspec.UNSET:
        return None
    if isinstance(value, str):
        value = value[: MAX_KEPT_CHARS + 1]
    try:
        text = msgspec.json.encode(value).decode()
    except (ValueError, TypeError, RecursionError):
        return "?"
    return text if len(text) <= MAX_KEPT_CHARS else text[: MAX_KEPT_CHARS - 3] + "..."
