from __future__ import annotations

from typing import Any

import msgspec

from fairlead.record import Record
from fairlead.stores.scrub import plain


def test_lone_surrogates_are_replaced_at_any_depth(make: Any) -> None:
    """Every text can be encoded afterwards; bytes and all else stay."""
    record = make.ended("a", session="x\ud800y", tags=("\udfff", "t"), response=b"\xff\x00")
    kept: Any = msgspec.convert(plain(record), type=Record, builtin_types=(bytes,))
    assert kept == make.ended("a", session="x?y", tags=("?", "t"), response=b"\xff\x00")
