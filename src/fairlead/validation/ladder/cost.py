"""What a schema costs to compile, found out before that is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fairlead.validation.ladder.bounds import (
    BELOW_MANY,
    BELOW_NAMED,
    BELOW_ONE,
    MANY,
    MAX_DEPTH,
    MAX_LOOKS,
    MAX_NODES,
    NAMED,
    ONE,
    InvalidSchema,
    Schema,
    below,
    same_place,
    target,
)
from fairlead.validation.ladder.repeats import written_out

_INNER: Final = frozenset({"$ref", *MANY, *ONE, *BELOW_ONE, *BELOW_MANY, *BELOW_NAMED, *NAMED})
"""What a schema without any other in it does not have."""
_PATTERN: Final = 12
"""A pattern, and one more for so many characters of it."""
_CHARACTERS: Final = 8
_REFERENCE_CHARACTERS: Final = 16
_VISIT: Final = 2
"""One way through the unions at the root, and one more for so many properties there."""
_VISIT_PROPERTIES: Final = 16
_USUAL: Final = 2
"""Objects and lists that a subschema comes with, itself included."""
_VALUES: Final = 4
"""So many further ones."""
_PAIRS: Final = 100
"""So many pairs of values of two lists that both have to hold one."""
_UNREAD: Final = ("$dynamicRef", "$recursiveRef")

_TOO_MANY: Final = (
    "the schema has more than {} subschemas; what costs more than one counts as several, such as a pattern or a union "
    "of unions"
)


def check(root: Any, most: int = MAX_NODES) -> int:
    """Refuse a schema that is too large, refers to what is not in it, or has loops that lead nowhere.

    Args:
        most: what it may cost.

    Returns:
        What it costs, in subschemas; a pattern counts as several, by what it repeats.

    Raises:
        InvalidSchema: which it is, and where.
    """
    return _Walk(root, most, _containers(root, most)).run()


def _containers(root: Any, most: int) -> int:
    """How many objects and lists are in it.

    Raises:
        InvalidSchema: one of them lies too deep, or they are more than a schema of that cost has.
    """
    level, count = [root], 0
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
            if isinstance(child, dict | list)
        ]
        if not level:
            return count
        count += len(level)
        if count > (_USUAL + _VALUES) * most:
            raise InvalidSchema(_TOO_MANY.format(most))
    raise InvalidSchema(f"the schema is nested deeper than {MAX_DEPTH} levels; put parts of it into `$defs`")


class _Walk:
    """Over each subschema once, children before parents, without recursion."""

    def __init__(self, root: Any, most: int, containers: int) -> None:
        self._root = root
        self._most = most
        self._containers = containers
        self._cost = 0
        self._same: dict[int, list[Any]] = {}
        self._deeper: dict[int, list[Any]] = {}
        """By schema, those in it that have others in them."""
        self._patterns: set[str] = set()
        """Each is compiled once."""
        self._looks: dict[int, int] = {}
        self._visits: dict[int, int] = {}
        """What all ways through its unions cost."""
        self._listed: dict[int, int] = {}
        """How many values are listed where it holds, in unions along the longest way."""
        self._place: dict[int, int] = {}
        """On the way to where the walk is: how many steps down the value it lies."""

    def run(self) -> int:
        """What the schema costs."""
        queue = [self._root]
        seen: set[int] = set()
        while queue:
            schema = queue.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            self._spend_on(schema)
            self._check_words(schema)
            if _INNER.isdisjoint(schema):
                continue
            same, deeper = list(same_place(self._root, schema)), list(below(schema))
            self._same[id(schema)] = same
            self._deeper[id(schema)] = deeper
            queue += same
            queue += deeper
            for name in NAMED:
                if isinstance(schema.get(name), dict):
                    queue += schema[name].values()
        self._spend(max(0, self._containers - _USUAL * len(seen)) // _VALUES)
        self._count(self._root)
        self._spend(self._visits.get(id(self._root), 0))
        return self._cost

    def _spend(self, cost: int) -> None:
        self._cost += cost
        if self._cost > self._most:
            raise InvalidSchema(_TOO_MANY.format(self._most))

    def _spend_on(self, schema: Schema) -> None:
        cost = 1
        if "pattern" in schema or "patternProperties" in schema:
            named = schema.get("patternProperties")
            patterns = [schema.get("pattern"), *(named if isinstance(named, dict) else ())]
            new = {each for each in patterns if isinstance(each, str)} - self._patterns
            cost += sum(_PATTERN + written_out(each) // _CHARACTERS for each in new)
            self._patterns |= new
        if isinstance(schema.get("$ref"), str):
            cost += 1 + len(schema["$ref"]) // _REFERENCE_CHARACTERS
        values = [schema[word] for word in ("enum", "const") if word in schema]
        if values:
            self._listed[id(schema)] = _size(values) - len(values)
        self._spend(cost)

    def _check_words(self, schema: Schema) -> None:
        for word in _UNREAD:
            if word in schema:
                raise InvalidSchema(f"`{word}` is not worked with; refer to `$defs` with `$ref`")
        if "$id" in schema and schema is not self._root:
            raise InvalidSchema("a subschema with an `$id` of its own is not worked with; leave the `$id` out")

    def _count(self, root: Any) -> None:
        """How many subschemas are met on one path of a value; a schema that comes back below itself counts once."""
        stack: list[tuple[Any, int, bool]] = [(root, 0, False)]
        while stack:
            schema, place, done = stack.pop()
            key = id(schema)
            if key not in self._same:
                continue
            if done:
                del self._place[key]
                self._looks[key] = self._sum(key)
                self._visits[key] = self._ways(schema)
                self._listed[key] = self._values(schema)
            elif key in self._place:
                if self._place[key] == place:
                    raise InvalidSchema("a `$ref` leads back to itself without a step into the value")
            elif key not in self._looks:
                self._place[key] = place
                stack.append((schema, place, True))
                stack += [(child, place, False) for child in self._same[key] if id(child) in self._same]
                stack += [(child, place + 1, False) for child in self._deeper[key] if id(child) in self._same]

    def _sum(self, key: int) -> int:
        here = sum([self._looks.get(id(child), 1) for child in self._same[key]])
        deeper = max([self._looks.get(id(child), 1) for child in self._deeper[key]], default=0)
        if 1 + here + deeper > MAX_LOOKS:
            raise InvalidSchema("the schema refers to the same parts too many times over; flatten its unions")
        return 1 + here + deeper

    def _ways(self, schema: Schema) -> int:
        named = schema.get("properties")
        here = _VISIT + (len(named) // _VISIT_PROPERTIES if isinstance(named, dict) else 0)
        return here + sum([self._visits.get(id(child), _VISIT) for child in self._same[id(schema)]])

    def _values(self, schema: Schema) -> int:
        """All that is listed where this schema holds; two lists there are held against each other."""
        found = [self._listed.get(id(schema), 0)]
        found += [self._listed.get(id(child), 0) for child in _all_of(self._root, schema)]
        for name in ("anyOf", "oneOf"):
            if isinstance(schema.get(name), list):
                found.append(max((self._listed.get(id(child), 0) for child in schema[name]), default=0))
        listed = sum(found)
        self._spend((listed * listed - sum(each * each for each in found)) // _PAIRS)
        return listed


def _all_of(root: Any, schema: Schema) -> Iterator[Any]:
    if "$ref" in schema:
        yield target(root, schema["$ref"])
    if isinstance(schema.get("allOf"), list):
        yield from schema["allOf"]


def _size(values: list[Any]) -> int:
    """How many values are in these, all depths together."""
    count = 0
    queue: list[Any] = [values]
    while queue:
        each = queue.pop()
        count += len(each)
        inner = each.values() if isinstance(each, dict) else each
        queue += [value for value in inner if isinstance(value, dict | list)]
    return count
