"""Names in a value that its schema lets pass without a word, and that may be other spellings of names that it knows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, Final

from fairlead.validation.ladder import spelling
from fairlead.validation.ladder.node import Node

MAX_PLACES: Final = 2_000
"""Below so many places of a schema names are looked for; deeper ones are left to the schema."""
_MAX_BRANCHES: Final = 64

_form = lru_cache(maxsize=4_096)(spelling.joined)


class Strays:
    """Where in the values of a schema a name may pass that the schema does not know, found once."""

    def __init__(self, root: Node) -> None:
        self._places: dict[frozenset[int], _Place] = {}
        top = self._place((root,))
        self._link()
        self._root = top if top is not None and top.matters else None

    def within(self, value: Any) -> bool:
        """Whether an object holds a name that may be meant for one that is known, or holds no known name at all."""
        if self._root is None:
            return False
        queue = [(self._root, value)]
        for place, each in queue:
            if isinstance(each, dict):
                if not place.covers(each) and place.has_stray(each):
                    return True
                queue += [(below, each[name]) for name, below in place.named if name in each]
                if place.rest is not None:
                    queue += [(place.rest, held) for name, held in each.items() if name not in place.names]
            elif isinstance(each, list) and place.element is not None:
                element = place.element
                if not element.is_leaf:
                    queue += [(element, held) for held in each]
                elif any(element.has_stray(held) for held in each if type(held) is dict and not element.covers(held)):
                    return True
        return False

    def _place(self, nodes: tuple[Node, ...]) -> _Place | None:
        flat = _flat(nodes)
        key = frozenset(map(id, flat))
        if not flat or (key not in self._places and len(self._places) >= MAX_PLACES):
            return None
        return self._places.setdefault(key, _Place(flat))

    def _link(self) -> None:
        """Tie each place to those below it, and leave out the ways that lead to none that matters."""
        above: dict[int, list[_Place]] = {}
        queue = list(self._places.values())
        for place in queue:
            count = len(self._places)
            for below in place.tie(self._place):
                above.setdefault(id(below), []).append(place)
            queue += list(self._places.values())[count:]
        queue = [place for place in queue if place.known is not None]
        for place in queue:
            if not place.matters:
                place.matters = True
                queue += above.get(id(place), [])
        for place in self._places.values():
            place.prune()


class _Place:
    """What may stand at one place: one node, or the members of a union."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self._nodes = nodes
        self.names = frozenset[str]().union(*(node.names for node in nodes))
        objects = [node for node in nodes if node.kinds is None or "object" in node.kinds]
        is_free = any(not node.is_closed and not (node.is_open and node.names) for node in objects)
        is_open = any(node.is_open for node in objects)
        self.known = self.names if is_open and not is_free else None
        """The names that raise no question; `None` where no name does."""
        self.covers: Callable[[dict[str, Any]], bool] = _anything if self.known is None else self.known.issuperset
        self.matters = False
        self.is_leaf = False
        self.named: list[tuple[str, _Place]] = []
        self.rest: _Place | None = None
        self.element: _Place | None = None

    def tie(self, place: Any) -> list[_Place]:
        """Find the places below this one."""
        for name in self.names:
            below = place(tuple(node.child(name) for node in self._nodes if name in node.names))
            if below is not None:
                self.named.append((name, below))
        self.rest = place(tuple(node.child(_OTHER) for node in self._nodes if node.has_rest))
        self.element = place(tuple(node.element(0) for node in self._nodes if not node.is_tuple))
        others = [below for below in (self.rest, self.element) if below is not None]
        return [*(below for _, below in self.named), *others]

    def prune(self) -> None:
        """Forget the places that lead to none that matters."""
        self.named = [(name, below) for name, below in self.named if below.matters]
        self.rest = self.rest if self.rest is not None and self.rest.matters else None
        self.element = self.element if self.element is not None and self.element.matters else None
        self.is_leaf = not self.named and self.rest is None and self.element is None

    @cached_property
    def _forms(self) -> frozenset[str]:
        return frozenset(map(spelling.joined, self.names))

    def has_stray(self, value: dict[str, Any]) -> bool:
        """Whether a name that is not known may be meant for one that is, or no name is known."""
        unknown = [name for name in value if not any(node.knows(name) for node in self._nodes)]
        if unknown and len(unknown) == len(value):
            return True
        return any(len(name) <= 2 * spelling.MAX_CHARS and _form(name) in self._forms for name in unknown)


_OTHER: Final = "\0"
"""A name that no schema has."""


def _anything(_: dict[str, Any]) -> bool:
    return True


def _flat(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The members of unions in place of the unions, each once; nothing of what says nothing."""
    found: dict[int, Node] = {}
    queue = list(nodes)
    for node in queue:
        if node.branches and len(queue) <= _MAX_BRANCHES:
            queue += node.branches
        elif not node.never and (node.kinds is None or node.kinds & {"object", "array"}):
            found[id(node)] = node
    return tuple(found.values())
