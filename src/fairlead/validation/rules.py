"""How far answers are brought towards their schemas: what a configuration says, and a caller before it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec

from fairlead.call import Held
from fairlead.verdict import RUNGS, Rung


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """How far the answers of one alias are brought towards their schemas."""

    up_to: Rung = "reask"
    attempts: int = 2
    """The most re-asks."""
    max_tokens: int | None = None
    """The most tokens of all re-asks."""
    max_nanousd: int | None = None
    """The most that all re-asks may cost."""
    min_confidence: float = 0.0
    """What the least certain edit must reach."""
    locale: str | None = None
    stream: Literal["buffer", "final"] | None = None
    """`buffer` holds a stream back until its answer fits; `final` lets it pass and ends it with an error where it does
    not.  `None`: `final` where the provider enforces the schema and no tools are judged, else
    `buffer`."""
    is_cut_repaired: bool = False
    """Whether an output that the length cut is closed as well as it can be."""
    escalate: str | None = None
    """The model that is asked when asking again fails."""
    fallback: bytes | None = None
    """The value that is given at last, as JSON."""
    schemas: Collection[str] = frozenset()
    """The schemas that metrics name."""

    def allows(self, rung: Rung) -> bool:
        """Whether it goes as far as that."""
        return RUNGS.index(rung) <= RUNGS.index(self.up_to)


def bounded(ladder: Ladder, held: Held) -> Ladder:
    """What the caller says where it asks for less than the configuration does."""
    if held.up_to is None or held.up_to == "off" or ladder.allows(held.up_to):
        return merged(ladder, held)
    return ladder


def merged(ladder: Ladder, held: Held) -> Ladder:
    """What the caller says before what the configuration says."""
    told: dict[str, Any] = {
        "up_to": held.up_to,
        "attempts": held.attempts,
        "max_tokens": held.max_tokens,
        "max_nanousd": held.max_nanousd,
        "locale": held.locale,
        "is_cut_repaired": held.is_cut_repaired,
        "escalate": held.escalate,
        "min_confidence": held.min_confidence,
    }
    return msgspec.structs.replace(ladder, **{name: value for name, value in told.items() if value is not None})
