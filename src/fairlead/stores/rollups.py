"""Totals by the hour: what usage and budgets add up, also after the calls themselves were deleted.

By `key`, `user`, `team`, `alias` and `outcome` a call counts once.  By `provider` and `model` each attempt counts where
it went, so a call that fell back stands under two names, and one without an attempt under the empty one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from fairlead.record import AttemptRecord

HOUR_NS: Final = 3_600 * 10**9
MOST_TOKENS: Final = 10**12
MOST_NANOUSD: Final = 10**15
"""No attempt takes a trillion tokens or costs a million dollars: such a number is a fault, and sums must not overflow."""

Group = tuple[int, str, str, str, str, str]
"""Hour, key, user, team, alias and outcome: what tells calls apart.  Absent names are empty."""
_Place = tuple[Group, str | None, str | None]
"""A group of calls with the provider and model of their only attempt: empty without one, `None` if there are several."""
_BY_CALL: Final = ("key", "user", "team", "alias", "outcome")
_NO_FAULT: Final = frozenset({"ok", "cancelled"})


class Totals(NamedTuple):
    """What the attempts of one call come to."""

    input_tokens: int
    output_tokens: int
    spent_nanousd: int
    is_unpriced: bool
    """Whether the cost of an attempt is unknown."""


class Row(NamedTuple):
    """One total."""

    kind: str
    name: str
    hour: int
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_nanousd: int
    """As usage shows it: nothing for a crashed call, whose cost nobody knows."""
    spent_nanousd: int
    """As budgets count it: what a crashed call had reserved."""
    unpriced_calls: int


class Rollups:
    """Adds up calls."""

    def __init__(self) -> None:
        self._calls: dict[_Place, list[int]] = {}
        self._parts: dict[tuple[str, str, int], list[int]] = {}
        """What calls of several attempts add by kind, name and hour."""

    def add(self, group: Group, totals: Totals, attempts: Sequence[AttemptRecord], sign: int = 1) -> None:
        """Count a call, or take it off again with a `sign` of -1."""
        input_tokens, output_tokens, spent_nanousd, is_unpriced = totals
        has_failed = attempt_failed = group[5] not in _NO_FAULT
        provider: str | None = ""
        model: str | None = ""
        if len(attempts) == 1:
            (attempt,) = attempts
            provider, model, attempt_failed = attempt.provider, attempt.model, _has_failed(attempt)
        elif attempts:
            provider = model = None
            self._add_parts(group[0], attempts, sign)
        sums = self._calls.get((group, provider, model))
        if sums is None:
            sums = self._calls[group, provider, model] = [0] * 8
        # Spelled out, as this is done for every call, and a loop takes three times as long.
        sums[0] += sign
        sums[1] += sign * has_failed
        sums[2] += sign * input_tokens
        sums[3] += sign * output_tokens
        sums[4] += 0 if group[5] == "crashed" else sign * spent_nanousd
        sums[5] += sign * spent_nanousd
        sums[6] += sign * is_unpriced
        sums[7] += sign * attempt_failed

    def rows(self) -> list[Row]:
        """All totals that something was added to, in the order of their kinds, names and hours."""
        merged: dict[tuple[str, str, int], list[int]] = {}
        for (group, provider, model), (calls, failed, *sums, attempts_failed) in self._calls.items():
            hour, *names = group
            for kind, name in zip(_BY_CALL, names, strict=True):
                _add(merged, (kind, name, hour), [calls, failed, *sums])
            if provider is None or model is None:
                continue
            if group[5] == "crashed":
                sums[3] = 0  # where it went nobody knows, nor what it cost there
            for kind, name in (("provider", provider), ("model", model)):
                _add(merged, (kind, name, hour), [calls, attempts_failed, *sums])
        for place, part in self._parts.items():
            _add(merged, place, part)
        return [Row(*place, *sums) for place, sums in sorted(merged.items())]

    def _add_parts(self, hour: int, attempts: Sequence[AttemptRecord], sign: int) -> None:
        for kind in ("provider", "model"):
            parts: dict[str, list[AttemptRecord]] = {}
            for attempt in attempts:
                parts.setdefault(getattr(attempt, kind), []).append(attempt)
            for name, part in parts.items():
                _add(self._parts, (kind, name, hour), [sign * figure for figure in _figures(part)])


def totals_of(attempts: Iterable[AttemptRecord]) -> Totals:
    """Known tokens and costs of a call's attempts.

    Raises:
        ValueError: numbers that cannot be.
    """
    all_input = all_output = spent_nanousd = 0
    is_unpriced = False
    for attempt in attempts:
        usage, cost_nanousd = attempt.usage, attempt.cost_nanousd
        if usage is not None:
            input_tokens, output_tokens = usage.all_input_tokens, usage.all_output_tokens
            if not (0 <= input_tokens <= MOST_TOKENS and 0 <= output_tokens <= MOST_TOKENS):
                raise _implausible("tokens")
            all_input += input_tokens
            all_output += output_tokens
        if cost_nanousd is None:
            is_unpriced = True
        elif 0 <= cost_nanousd <= MOST_NANOUSD:
            spent_nanousd += cost_nanousd
        else:
            raise _implausible("nano-USD")
    return Totals(all_input, all_output, spent_nanousd, is_unpriced)


def _implausible(what: str) -> ValueError:
    return ValueError(f"an attempt with a number of {what} that cannot be")


def _add(sums: dict[tuple[str, str, int], list[int]], place: tuple[str, str, int], figures: list[int]) -> None:
    found = sums.get(place)
    sums[place] = figures if found is None else [a + b for a, b in zip(found, figures, strict=True)]


def _figures(attempts: Sequence[AttemptRecord]) -> tuple[int, ...]:
    """What those attempts of one call that went to the same place add there."""
    totals = totals_of(attempts)
    has_failed = any(_has_failed(attempt) for attempt in attempts)
    spent_nanousd = totals.spent_nanousd
    return 1, has_failed, totals.input_tokens, totals.output_tokens, spent_nanousd, spent_nanousd, totals.is_unpriced


def _has_failed(attempt: AttemptRecord) -> bool:
    return attempt.error_class is not None and attempt.error_class != "cancelled"
