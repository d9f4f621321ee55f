"""Records without what UTF-8 cannot say."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.record import Record


def plain(record: Record) -> Any:
    """The record as plain values, each lone surrogate replaced by `?`; bytes stay as they are."""
    return _scrubbed(msgspec.to_builtins(record, builtin_types=(bytes,)))


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_scrubbed(key): _scrubbed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(each) for each in value]
    return value
