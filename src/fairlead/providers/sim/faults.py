"""Faults that the simulator shows on request."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from fairlead.errors import ConfigError
from fairlead.providers.sim.allowance import Rates
from fairlead.providers.sim.draws import Draws

FaultKind = Literal[
    "status",
    "rate_limit",
    "quota",
    "reset",
    "cut",
    "stall",
    "error_event",
    "late_error_event",
    "html",
    "empty",
    "truncated_json",
    "slow",
    "slow_start",
    "hang",
    "unauthorized",
]
"""`status`: an error answer.  `rate_limit`, `quota`, `unauthorized`: refused with status and body as the dialect's provider has
them, which is 429 or 401 with most.  `reset`: the connection breaks before an answer.  `hang`: there is never an answer.  `cut`, `stall`: it breaks or falls silent after `after_chunks`.
`error_event`: an error inside a 200; `late_error_event`: after content.  `html`, `empty`, `truncated_json`: a 200 with such
a body.  `slow`: `delay_s` more before each chunk; `slow_start`: before the first byte."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[faults]]`: one kind of trouble, and which calls it strikes.  The first that strikes a call is the only one."""

    kind: FaultKind
    """What goes wrong; see below."""
    rate: float = 1.0
    """The share of matching calls."""
    match_model: str | None = None
    """Only calls for this model."""
    match_key: str | None = None
    """Only calls with this key."""
    from_s: float = 0.0
    """Only calls that come so many seconds after the start, or later."""
    until_s: float | None = None
    """Only calls that come before so many seconds after the start; absent: to the end."""
    every_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Comes and goes: it begins anew so often, counted from `from_s`; absent: it stays..."""
    for_s: float = 1.0
    """...and lasts so long each time."""
    times: int | None = None
    """At most so often; absent: without an end."""
    after_chunks: int = 3
    """Content chunks that still come before a `cut`, `stall` or `late_error_event`."""
    status: int = 500
    """Of the kind `status`."""
    retry_after: str | None = None
    """The header's text, sensible or not; absent: no header."""
    delay_s: float = 1.0
    """Of the kinds `slow` and `slow_start`."""

    def is_on(self, at_s: float) -> bool:
        """Whether its time has come, so many seconds after the start."""
        if at_s < self.from_s or (self.until_s is not None and at_s >= self.until_s):
            return False
        return self.every_s is None or (at_s - self.from_s) % self.every_s < self.for_s


class FaultsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a faults file says."""

    limits: Rates | None = None
    faults: tuple[Fault, ...] = ()


def load(text: str) -> tuple[Fault, ...]:
    """The `[[faults]]` of a TOML text, as `read`."""
    return read(text).faults


def read(text: str) -> FaultsFile:
    """The `[limits]` and `[[faults]]` of a TOML text.

    Raises:
        ConfigError: not TOML, an unknown key or kind, or a value of the wrong type.
    """
    try:
        return msgspec.convert(tomllib.loads(text), FaultsFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"The faults file cannot be read: {error}.") from None


class FaultPlan:
    """Which fault strikes which call: fixed by the seed and the number of the call."""

    __slots__ = ("_faults", "_left", "_seed")

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = tuple(faults)
        self._left = [fault.times for fault in faults]
        self._seed = seed

    def choose(self, call: int, model: str, *, key: str | None = None, at_s: float = 0.0) -> Fault | None:
        """The first fault that strikes, in the order of the file.

        Args:
            at_s: seconds since the start.
        """
        for index, fault in enumerate(self._faults):
            left = self._left[index]
            if left == 0 or fault.match_model not in {None, model} or fault.match_key not in {None, key}:
                continue
            if not fault.is_on(at_s):
                continue
            if fault.rate >= 1 or Draws(self._seed, "fault", index, call).chance(fault.rate):
                self._left[index] = None if left is None else left - 1
                return fault
        return None
