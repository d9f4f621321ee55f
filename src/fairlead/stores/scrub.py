"""Records without what cannot be written down: text that UTF-8 cannot say, and numbers that cannot be."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.record import Admitted, AttemptRecord, Ended, Record
from fairlead.stores.rollups import MOST_NANOUSD, MOST_TOKENS, totals_of
from fairlead.verdict import Validated


def plain(record: Record) -> Any:
    """The record as plain values, each lone surrogate replaced by `?`; bytes stay as they are."""
    return _scrubbed(msgspec.to_builtins(record, builtin_types=(bytes,)))


def is_plausible(record: AttemptRecord | Admitted | Validated) -> bool:
    """Whether its numbers can be summed up."""
    if isinstance(record, Admitted):
        return 0 <= (record.reserved_nanousd or 0) <= MOST_NANOUSD
    if isinstance(record, Validated):
        counts = (record.reasks, record.reask_tokens, record.further_edits, record.further_errors)
        return all(0 <= each <= MOST_TOKENS for each in counts) and 0 <= record.reask_nanousd <= MOST_NANOUSD
    try:
        totals_of((record,))
    except ValueError:
        return False
    return True


def storable(record: Record) -> Record:
    """The same record, as far as it can be stored: without lone surrogates, and implausible numbers made unknown."""
    kept: Record = msgspec.convert(plain(record), type=Record, builtin_types=(bytes,))
    if isinstance(kept, Admitted) and not is_plausible(kept):
        return msgspec.structs.replace(kept, reserved_nanousd=None)
    if not isinstance(kept, Ended):
        return kept
    if kept.validated is not None and not is_plausible(kept.validated):
        uncounted = msgspec.structs.replace(
            kept.validated, reasks=0, reask_tokens=0, reask_nanousd=0, further_edits=0, further_errors=0
        )
        kept = msgspec.structs.replace(kept, validated=uncounted)
    if all(is_plausible(each) for each in kept.attempts):
        return kept
    attempts = tuple(
        each
        if is_plausible(each)
        else msgspec.structs.replace(each, usage=None, usage_source="none", cost_nanousd=None)
        for each in kept.attempts
    )
    return msgspec.structs.replace(kept, attempts=attempts, usage=None, usage_source="none", cost_nanousd=None)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_scrubbed(key): _scrubbed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(each) for each in value]
    return value
