"""A value moved towards its schema: in each place the one change that it can mean, or none.

The walk looks at each value once for each place of the schema, whatever unions and recursion there are,
and stops where that is too often.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from fairlead.validation.fields.locales import habits
from fairlead.validation.ladder import complaints, spelling, words
from fairlead.validation.ladder.elision import is_elision, is_word_of_more, leaves_out
from fairlead.validation.ladder.labels import Listed, Meant
from fairlead.validation.ladder.names import MAX_COMPARED, matched
from fairlead.validation.ladder.node import Node, kind_of, same
from fairlead.validation.ladder.outcome import Outcome, Problem, Step, after, outcome, shown
from fairlead.validation.ladder.unbraced import only_list
from fairlead.validation.ladder.written import Written

MAX_STEPS: Final = 20_000
"""So many a walk takes that moves values."""
MAX_LOOKS: Final = 200_000
"""So many a walk takes that only looks."""
MAX_DEPTH: Final = 100

CLEAR: Final = 0.95
"""The confidence of one clear reading."""
NAMED: Final = 0.9
"""The confidence of spelling and names."""
WRAPPED: Final = 0.8
"""The confidence of what was put around a value, or left off."""

_LONE: Final = frozenset({"boolean", "integer", "number"})
"""What is taken out of a list of one; a string may be one of several."""
_UNEVEN = re.compile(r"[0-9],[0-9]")
"""Beside commas with a space behind them: one that parts thousands, perhaps."""
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|[0-9]{1,3}[.)])\s+")


class TooMuch(Exception):
    """The value and the schema together take more steps than are taken."""


class Walk:
    """One value against one schema.

    Args:
        moves: values may be moved; else they are only normalised.
        locale: what normalisers read by.
        written: the numbers as they stand in the text.
        left_open: the ids of objects whose closing brace is missing.
    """

    def __init__(
        self,
        *,
        moves: bool,
        locale: str | None = None,
        written: Written | None = None,
        left_open: frozenset[int] = frozenset(),
    ) -> None:
        self._moves = moves
        self._locale = locale
        self._written = written or Written(None)
        self._left_open = left_open
        self._steps_left = MAX_STEPS if moves else MAX_LOOKS
        self._found: dict[tuple[int, int, str | None], tuple[Node, Any, Outcome]] = {}

    def fit(self, node: Node, value: Any, name: str | None = None, depth: int = 0) -> Outcome:
        """What comes of the value in this place.

        Args:
            name: the property that it stands in.

        Raises:
            TooMuch: it takes too many steps, or is nested too deeply.
        """
        key = (id(node), id(value), name)
        known = self._found.get(key)
        if known is not None:
            return known[2]
        self._spend(1)
        if depth > MAX_DEPTH:
            raise TooMuch
        found = self._union(node, value, name, depth) if node.branches else self._one(node, value, name, depth)
        self._found[key] = (node, value, found)
        return found

    # One type

    def _one(self, node: Node, value: Any, name: str | None, depth: int) -> Outcome:
        if node.never:
            return _wrong(value, "schema", "must not be there")
        if isinstance(value, str) and is_elision(value) and not node.lists(value):
            return _wrong(value, "unclear", "is an elision; the value itself must stand here")
        if node.options is not None:
            return self._option(node, value, name)
        if not node.is_anything:
            return self._typed(node, value, name, depth)
        if isinstance(value, dict | list) and leaves_out(value):
            return _wrong(value, "unclear", "holds an elision; all of the values must stand here")
        return Outcome(value=value)

    def _typed(self, node: Node, value: Any, name: str | None, depth: int) -> Outcome:
        kind = kind_of(value)
        fits = node.kinds is None or kind in node.kinds or (kind == "integer" and "number" in node.kinds)
        if node.normaliser is not None and value is not None and (fits or self._moves):
            return self._normalised(node, value, fits=fits)
        if not fits:
            return self._moved(node, value, name, depth) if self._moves else complaints.type_of(node, value)
        if isinstance(value, dict):
            return self._object(node, value, depth)
        if isinstance(value, list):
            return self._list(node, value, depth)
        found = _checked(node, value)
        is_read = self._moves and not found.fits and isinstance(value, str) and node.is_decimal
        return self._decimal(node, value) if is_read else found

    def _decimal(self, node: Node, value: str) -> Outcome:
        """The string of digits that a number with other marks or in words stands for."""
        if words.is_nothing(value):
            return complaints.nothing(node, value)
        try:
            form = words.exact(value, self._habits(node))
        except words.Unclear as error:
            return _wrong(value, "unclear", f"must be a number; {shown(value)} {error}")
        return after((Step(kind=_of_number(value), confidence=CLEAR, before=value, after=form),), _checked(node, form))

    def _habits(self, node: Node) -> words.Habits:
        locale = node.locale or self._locale
        if locale is None:
            return words.NO_HABITS
        try:
            return words.Habits(decimal=habits(locale).decimal, is_english=locale[:2].lower() == "en")
        except ValueError as error:
            raise words.Unclear(f"cannot be read: {error}") from None

    def _option(self, node: Node, value: Any, name: str | None) -> Outcome:
        self._spend(len(node.options or ()) // 16)
        if node.lists(value):
            return _checked(node, value)
        if self._moves:
            found = self._meant(node.listed, value, name)
            if found is not None:
                kind, meant = found
                step = Step(kind=kind, confidence=NAMED if kind == "spelling" else CLEAR, before=value, after=meant)
                return after((step,), _checked(node, meant))
            if name is not None and _is_lone(value):
                return self._of_list(node, value, name)
        return complaints.option(node, value)

    def _of_list(self, node: Node, value: list[Any], name: str) -> Outcome:
        """The one value that stands in a list, for a property that the schema names and that takes no list."""
        found = self._one(node, value[0], name, 0)
        if not found.fits:
            return complaints.type_of(node, value)
        return after((Step(kind="single_element", confidence=WRAPPED, before=value, after=found.value),), found)

    def _meant(self, listed: Listed, value: Any, name: str | None) -> Meant | None:
        found = listed.read(value, name)
        if found is None and isinstance(value, str):
            self._spend(4 * len(listed.options))
            found = listed.nearest(value)
        return found

    def _normalised(self, node: Node, value: Any, *, fits: bool) -> Outcome:
        if isinstance(value, str) and words.is_nothing(value):
            return complaints.nothing(node, value)
        try:
            form = node.normaliser(value, self._locale) if node.normaliser else value
        except ValueError as error:
            return _wrong(value, "unclear", complaints.reason(error))
        if same(form, value):
            return _checked(node, value) if fits else complaints.type_of(node, value)
        step = Step(kind=node.form, confidence=CLEAR, before=value, after=form, rung="parse" if fits else "coerce")
        return after((step,), _checked(node, form))

    def _moved(self, node: Node, value: Any, name: str | None, depth: int) -> Outcome:
        """A value of another type than the place has."""
        kinds = set(node.kinds or ())
        if kinds == {"array"}:
            return self._to_list(node, value, name, depth)
        if kinds == {"object"}:
            return self._to_object(node, value, name, depth)
        if name is not None and kinds <= _LONE and _is_lone(value):
            return self._of_list(node, value, name)
        return self._scalar(node, kinds, value)

    def _scalar(self, node: Node, kinds: set[str], value: Any) -> Outcome:
        if isinstance(value, str) and words.is_nothing(value) and kinds != {"null"}:
            return complaints.nothing(node, value)
        try:
            moved = self._to_scalar(node, kinds, value)
        except words.Unclear as error:
            found = _wrong(value, "unclear", f"{complaints.must(node)}; {shown(value)} {error}")
            return msgspec.structs.replace(found, is_doubtful=isinstance(error, words.Doubtful))
        if moved is msgspec.UNSET:
            return complaints.type_of(node, value)
        kind, form = moved
        return after((Step(kind=kind, confidence=CLEAR, before=value, after=form),), _checked(node, form))

    def _to_scalar(self, node: Node, kinds: set[str], value: Any) -> Any:
        """What was done and what came of it; `msgspec.UNSET` where there is no way."""
        if kinds == {"null"} and isinstance(value, str) and words.is_nothing(value):
            return "null", None
        if kinds == {"string"} and isinstance(value, bool | int | float):
            return "as_string", self._written.as_string(value)
        if kinds == {"boolean"} and isinstance(value, str):
            return "boolean_words", words.boolean(value)
        if kinds == {"boolean"} and isinstance(value, int | float) and value in {0, 1}:
            return "boolean_words", bool(value)
        if kinds <= {"integer", "number"} and isinstance(value, str):
            read = words.number(value, whole=kinds == {"integer"}, habits=self._habits(node))
            return _of_number(value), read
        return msgspec.UNSET

    # Objects

    def _object(self, node: Node, value: dict[str, Any], depth: int) -> Outcome:
        self._spend(1)
        missing = [name for name in node.names if name not in value]
        unknown = [name for name in value if not node.knows(name)]
        renamed: dict[str, str] = {}
        doubtful: frozenset[str] = frozenset()
        if self._moves and unknown:
            self._spend(min(len(unknown) * len(missing), MAX_COMPARED) // 4 + len(unknown))
            meant = matched(unknown, missing, [name for name in node.names if name in value])
            renamed, doubtful = meant.renamed, meant.doubtful
            if node.is_open:
                renamed = {given: name for given, name in renamed.items() if _is_asked_for(node, given, name)}
        parts: list[tuple[str | int, Outcome]] = []
        steps: list[Step] = []
        problems: list[Problem] = []
        if self._moves and unknown and node.is_open:
            problems += _rivals(node, value, unknown, renamed)
        made: dict[str, Any] = {}
        for given, held in value.items():
            name = renamed.get(given, given)
            if name is not given:
                steps.append(Step(kind="renamed", confidence=NAMED, before=given, after=name, name=name))
            elif node.is_closed and not node.knows(name):
                self._leave_out(name, held, doubtful, steps, problems)
                continue
            is_free = name not in node.names and _is_lone(held)
            found = self.fit(node.child(name), held, None if is_free else name, depth + 1)
            if self._is_left_out(node, name, held, found):
                steps.append(Step(kind="left_out", confidence=CLEAR, before=held, name=name))
                continue
            made[name] = found.value
            if found.cost or found.wrong:
                parts.append((name, found))
        problems += self._absent(node, made, value, steps)
        is_empty = unknown and not any(node.knows(name) for name in made)
        if is_empty and node.names and (node.is_closed or (node.is_open and not problems)):
            problems.append(Problem(kind="additionalProperties", message="has none of the properties asked for"))
        changed = made if steps or parts else value
        found = outcome(changed, tuple(steps), tuple(problems), tuple(parts))
        return _checked(node, changed, found) if found.fits else found

    def _leave_out(
        self, name: str, held: Any, doubtful: frozenset[str], steps: list[Step], problems: list[Problem]
    ) -> None:
        if name in doubtful or not self._moves:
            word = "unclear" if name in doubtful else "additionalProperties"
            problems.append(Problem(kind=word, message="is not a property that may be there", name=name))
        else:
            steps.append(Step(kind="dropped", confidence=CLEAR, before=held, name=name))

    def _is_left_out(self, node: Node, name: str, held: Any, found: Outcome) -> bool:
        """Whether what stands in an optional property says that there is none."""
        if not self._moves or found.fits or name in node.required or name not in node.names:
            return False
        return held is None or (found.is_absent and not isinstance(held, list | dict))

    def _absent(self, node: Node, made: dict[str, Any], value: dict[str, Any], steps: list[Step]) -> list[Problem]:
        problems: list[Problem] = []
        if id(value) in self._left_open and (not node.names or any(name not in made for name in node.names)):
            return [Problem(kind="cut", message="is not complete: the text ends in the middle")]
        for name in node.required:
            if name in made:
                continue
            default = node.child(name).default if self._moves and name not in value else msgspec.UNSET
            if default is msgspec.UNSET:
                problems.append(Problem(kind="required", message="is required and not there", name=name))
                continue
            made[name] = default
            steps.append(Step(kind="default", confidence=CLEAR, after=default, name=name))
        return problems

    def _to_object(self, node: Node, value: Any, name: str | None, depth: int) -> Outcome:
        decoded = _decoded(value, dict)
        if decoded is None and isinstance(value, list):
            decoded = _from_pairs(value)
        if decoded is None and isinstance(value, list) and value and (only := only_list(node)) is not None:
            decoded = {only: value}
            step = Step(kind="named_list", confidence=WRAPPED, before=value, after=decoded)
            return after((step,), self.fit(node, decoded, name, depth + 1))
        if decoded is None:
            return complaints.type_of(node, value)
        step = Step(
            kind="decoded" if isinstance(value, str) else "pairs", confidence=CLEAR, before=value, after=decoded
        )
        return after((step,), self.fit(node, decoded, name, depth + 1))

    # Lists

    def _list(self, node: Node, value: list[Any], depth: int) -> Outcome:
        parts: list[tuple[str | int, Outcome]] = []
        made: list[Any] = []
        element = None if node.is_tuple else node.element(0)
        for index, held in enumerate(value):
            place = element or node.element(index)
            if isinstance(held, str) and is_word_of_more(held) and not place.lists(held):
                found = _wrong(held, "unclear", "is an elision; the elements themselves must stand here")
            else:
                found = self.fit(place, held, None, depth + 1)
            made.append(found.value)
            if found.cost or found.wrong:
                parts.append((index, found))
        changed = made if parts else value
        found = outcome(changed, parts=tuple(parts))
        return _checked(node, changed, found) if found.fits else found

    def _to_list(self, node: Node, value: Any, name: str | None, depth: int) -> Outcome:
        if isinstance(value, str):
            if words.is_nothing(value):
                return complaints.nothing(node, value)
            decoded = _decoded(value, list)
            if decoded is not None:
                step = Step(kind="decoded", confidence=CLEAR, before=value, after=decoded)
                return after((step,), self.fit(node, decoded, name, depth + 1))
        if value is None or node.is_tuple:
            return complaints.type_of(node, value)
        single = self._single(node, value, depth)
        split = self._split(node, value, depth) if isinstance(value, str) else None
        if split is None or not split.fits:
            return single
        if single.fits or any(part.is_doubtful for _, part in single.parts):
            return _doubtful(value)
        return split

    def _single(self, node: Node, value: Any, depth: int) -> Outcome:
        element = node.element(0)
        if isinstance(value, str) and element.is_free_text and len(_lines(value)) > 1 and _BULLET.match(value):
            return _doubtful(value)
        made = [value]
        step = Step(kind="single", confidence=CLEAR, before=value, after=made)
        found = self.fit(element, value, None, depth + 1)
        whole = outcome([found.value], (step,), parts=((0, found),))
        return _checked(node, whole.value, whole) if whole.fits else whole

    def _split(self, node: Node, value: str, depth: int) -> Outcome | None:
        """The elements that a string lists, where they are not free text."""
        element = node.element(0)
        if element.kinds is None or not element.kinds <= {"string", "integer", "number"} or element.is_free_text:
            return None
        if _UNEVEN.search(value) and ", " in value:
            return None
        pieces = _pieces(value)
        if len(pieces) < 2 or not all(pieces):
            return None
        step = Step(kind="split", confidence=CLEAR, before=value, after=pieces)
        return after((step,), self.fit(node, pieces, None, depth + 1))

    # Unions

    def _union(self, node: Node, value: Any, name: str | None, depth: int) -> Outcome:
        branches = node.branches
        if isinstance(value, dict) and (told := node.discriminator) is not None and told.name in value:
            chosen = self._told(told.listed, value[told.name], told.name)
            if isinstance(chosen, Outcome):
                return outcome(value, parts=((told.name, chosen),))
            branches = (told.branches[chosen],)
        if isinstance(value, str) and any(branch.is_decimal for branch in branches):
            # As a string none of its digits is lost.
            branches = tuple(branch for branch in branches if not (branch.kinds or set()) & {"number", "integer"})
        if _is_lone(value) and sum(branch.kinds != frozenset({"null"}) for branch in branches) > 1:
            # Which member a list of one stands for is anyone's guess.
            name = None
        fitting: list[tuple[Node, Outcome]] = []
        failed: list[tuple[Node, Outcome]] = []
        for branch in branches:
            found = self.fit(branch, value, name, depth)
            if found.fits and not found.cost:
                return found
            if found.fits:
                fitting.append((branch, found))
            else:
                failed.append((branch, found))
        if not fitting:
            return _closest(node, value, failed)
        least = min(found.cost for _, found in fitting)
        best = next(found for _, found in fitting if found.cost == least)
        is_doubtful = any(found.is_doubtful for _, found in failed) or any(
            found is not best and _loses(best, branch) for branch, found in (*fitting, *failed)
        )
        if is_doubtful or any(found.cost == least and not same(best.value, found.value) for _, found in fitting):
            return _wrong(value, "unclear", "can be read in more than one way")
        return best

    def _told(self, listed: Listed, value: Any, name: str) -> int | Outcome:
        """Which member of the union a discriminator names."""
        if isinstance(value, str) and value in listed.options:
            return listed.options.index(value)
        found = self._meant(listed, value, name) if self._moves else None
        if found is None:
            return complaints.listed(value, listed.options)
        return listed.options.index(found[1])

    def _spend(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise TooMuch


def _is_lone(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], str | bool | int | float)


def _of_number(value: str) -> str:
    return "number_words" if words.is_spelt(value) else "as_number"


def _wrong(value: Any, kind: str, message: str) -> Outcome:
    return outcome(value, problems=(Problem(kind=kind, message=message),))


def _is_asked_for(node: Node, given: str, name: str) -> bool:
    """Whether a name may be put right: any in case and separators, only one that must be there in its letters."""
    return name in node.required or spelling.joined(given) == spelling.joined(name)


def _rivals(node: Node, value: dict[str, Any], unknown: list[str], renamed: dict[str, str]) -> list[Problem]:
    """The names that stand for one property with another value than it has, or for more than one."""
    held = {spelling.joined(name): value.get(name, msgspec.UNSET) for name in node.names}
    found: list[Problem] = []
    for given in unknown:
        form = spelling.joined(given)
        if given not in renamed and form in held and not same(held[form], value[given]):
            message = "is another spelling of a property of the schema, and it is not clear which value counts"
            found.append(Problem(kind="unclear", message=message, name=given))
    return found


def _loses(found: Outcome, other: Node) -> bool:
    """Whether a property was left out that another member of the union has, and that may have been what was meant."""
    return any(step.kind == "dropped" and step.name in other.names for step in found.steps)


def _doubtful(value: Any) -> Outcome:
    found = _wrong(value, "unclear", "can be read as one element and as several")
    return msgspec.structs.replace(found, is_doubtful=True)


def _checked(node: Node, value: Any, found: Outcome | None = None) -> Outcome:
    """The outcome, if the value keeps to the rules of its place; else what it breaks."""
    if node.check is None or complaints.keeps(node.check, value):
        return found or Outcome(value=value)
    broken = complaints.broken(node.check, value)
    if found is None:
        return outcome(value, problems=broken)
    return msgspec.structs.replace(found, problems=(*found.problems, *broken), wrong=found.wrong + len(broken))


def _closest(node: Node, value: Any, failed: list[tuple[Node, Outcome]]) -> Outcome:
    """Of members of a union that do not fit, the one that is nearest to what stands there."""
    kind = kind_of(value)
    alike = [found for branch, found in failed if branch.kinds is None or kind in branch.kinds]
    is_absent = any(found.is_absent for _, found in failed)
    if len(alike) == 1 or (alike and isinstance(value, dict | list)):
        nearest = min(alike, key=lambda found: found.wrong)
    elif len(failed) == 1:
        nearest = failed[0][1]
    else:
        unclear = any(problem.kind == "unclear" for _, found in failed for problem in found.problems)
        nearest = _wrong(value, "unclear" if unclear else "anyOf", complaints.none_of(node, value))
    return msgspec.structs.replace(nearest, is_absent=is_absent)


def _decoded(value: Any, kind: type) -> Any:
    """The object or list that a string holds as JSON, or `None`."""
    opening = "{" if kind is dict else "["
    if not isinstance(value, str) or not value.lstrip().startswith(opening):
        return None
    try:
        decoded = msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, kind) else None


def _from_pairs(value: list[Any]) -> dict[str, Any] | None:
    """The object that a list of names and values stands for."""
    made: dict[str, Any] = {}
    for pair in value:
        if not isinstance(pair, dict) or len(pair) != 2 or "value" not in pair:
            return None
        name = pair.get("key", pair.get("name"))
        if not isinstance(name, str) or name in made:
            return None
        made[name] = pair["value"]
    return made or None


def _lines(value: str) -> list[str]:
    return [line for line in value.splitlines() if line.strip()]


def _pieces(value: str) -> list[str]:
    lines = _lines(value)
    if len(lines) > 1:
        return [_BULLET.sub("", line).strip().rstrip(",;").rstrip() for line in lines]
    split: Callable[[str], list[str]] = value.split
    mark = ";" if ";" in value else ","
    return [piece.strip() for piece in split(mark)]
