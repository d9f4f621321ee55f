"""A queue with priorities, fair between tenants by their weights.

Priority classes are served strictly: the lowest number first.  Within a class it is stride scheduling (Waldspurger and
Weihl, 1995, MIT/LCS/TM-528): each tenant has a *pass* that grows by the cost of what it was served, divided by its
weight, and the tenant with the lowest pass is next.  A tenant that was idle starts where the class stands: it is owed
nothing for the time away.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_IDLE_KEPT: Final = 256
"""Tenants without anything queued whose pass is remembered; past that, those are forgotten that are least ahead."""


class Entry(Generic[T]):
    """Something that waits."""

    __slots__ = ("cost", "flow", "gone", "item", "priority", "units")

    def __init__(self, item: T, flow: _Flow[T], priority: int, cost: float, units: int) -> None:
        self.item = item
        self.flow = flow
        self.priority = priority
        self.cost = cost
        self.units = units
        self.gone = False


class _Flow(Generic[T]):
    """What one tenant has queued in one class."""

    __slots__ = ("entries", "live", "passed", "units", "weight")

    def __init__(self, weight: float, passed: float) -> None:
        self.weight = weight
        self.passed = passed
        self.entries: deque[Entry[T]] = deque()
        self.live = 0
        self.units = 0


class _Class(Generic[T]):
    """The tenants of one priority."""

    __slots__ = ("flows", "live", "order", "stands", "units", "weights")

    def __init__(self) -> None:
        self.flows: dict[str, _Flow[T]] = {}
        self.order: list[tuple[float, int, _Flow[T]]] = []
        """Tenants that have something queued, by pass; an entry whose pass is not the flow's own is stale."""
        self.stands = 0.0
        """The pass of what was served last."""
        self.live = 0
        self.units = 0
        self.weights = 0.0
        """Of the tenants that have something queued."""


class FairQueue(Generic[T]):
    """See the module; all operations take O(log tenants)."""

    def __init__(self) -> None:
        self._classes: dict[int, _Class[T]] = {}
        self._pushed = 0

    def __len__(self) -> int:
        return sum(each.live for each in self._classes.values())

    def __iter__(self) -> Iterator[T]:
        """Everything queued, in no order that means anything."""
        for each in self._classes.values():
            for flow in each.flows.values():
                yield from (entry.item for entry in flow.entries if not entry.gone)

    def push(
        self, item: T, *, tenant: str, priority: int = 0, cost: float = 1.0, weight: float = 1.0, units: int = 1
    ) -> Entry[T]:
        """Queue an item.

        Args:
            cost: what serving it takes, in any unit that is the same for all; above 0.
            weight: the tenant's share, relative to others'; above 0.
            units: added up by `ahead`, such as tokens.
        """
        group = self._classes.setdefault(priority, _Class())
        flow = group.flows.get(tenant)
        if flow is None:
            if len(group.flows) >= _IDLE_KEPT + 2 * len(group.order):
                _forget(group)
            flow = group.flows[tenant] = _Flow(weight, group.stands)
        if flow.live:
            group.weights += weight - flow.weight
        flow.weight = weight
        entry = Entry(item, flow, priority, cost, units)
        flow.entries.append(entry)
        if not flow.live:
            flow.passed = max(flow.passed, group.stands)
            group.weights += weight
            self._order(group, flow)
        flow.live += 1
        flow.units += units
        group.live += 1
        group.units += units
        return entry

    def peek(self) -> Entry[T] | None:
        """What is next; `None` where nothing is queued."""
        for priority in sorted(self._classes):
            group = self._classes[priority]
            while group.live:
                passed, _, flow = group.order[0]
                if passed != flow.passed or not flow.live:
                    heapq.heappop(group.order)
                    continue
                while flow.entries[0].gone:
                    flow.entries.popleft()
                return flow.entries[0]
        return None

    def take(self, entry: Entry[T]) -> None:
        """Serve an entry, usually the next one: its tenant pays for it."""
        if entry.gone:
            return
        group = self._classes[entry.priority]
        group.stands = max(group.stands, entry.flow.passed)
        entry.flow.passed += entry.cost / entry.flow.weight
        self.drop(entry)
        if entry.flow.live:
            self._order(group, entry.flow)

    def drop(self, entry: Entry[T]) -> None:
        """Take an entry out that is no longer wanted; harmless when it is out already."""
        if entry.gone:
            return
        entry.gone = True
        group, flow = self._classes[entry.priority], entry.flow
        flow.live -= 1
        flow.units -= entry.units
        group.live -= 1
        group.units -= entry.units
        if not flow.live:
            flow.entries.clear()
            group.weights -= flow.weight

    def charge(self, tenant: str, priority: int, cost: float) -> None:
        """Correct what a tenant has paid, once it is known what serving took; negative gives back."""
        group = self._classes.get(priority)
        flow = None if group is None else group.flows.get(tenant)
        if group is not None and flow is not None:
            flow.passed = max(flow.passed + cost / flow.weight, 0.0)
            if flow.live:
                self._order(group, flow)

    def ahead(self, tenant: str, priority: int, weight: float) -> tuple[int, int]:
        """About how many entries, and how many of their units, come before one that this tenant would queue now."""
        entries = units = 0
        for each, group in self._classes.items():
            if each < priority:
                entries += group.live
                units += group.units
        group = self._classes.get(priority, _Class[T]())
        flow = group.flows.get(tenant)
        own, own_units = (0, 0) if flow is None else (flow.live, flow.units)
        weights = max(weight, group.weights + (0.0 if own else weight))  # sums of floats may come out below one of them
        if group.live:
            share = weight / weights
            entries += min(group.live, round(own / share))
            units += min(group.units, round(own_units / share))
        return entries, units

    def _order(self, group: _Class[T], flow: _Flow[T]) -> None:
        self._pushed += 1
        heapq.heappush(group.order, (flow.passed, self._pushed, flow))


def _forget(group: _Class[T]) -> None:
    """Keep half of the idle tenants: those that were served most beyond their share."""
    idle = sorted((flow.passed, name) for name, flow in group.flows.items() if not flow.live)
    for _, name in idle[: len(idle) - _IDLE_KEPT // 2]:
        del group.flows[name]
