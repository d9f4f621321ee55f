from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.record import Record
from fairlead.stores.scrub import plain, storable
from fairlead.verdict import Edit, FieldError, Validated


def test_lone_surrogates_are_replaced_at_any_depth(make: Any) -> None:
    """Every text can be encoded afterwards; bytes and all else stay."""
    record = make.ended("a", session="x\ud800y", tags=("\udfff", "t"), response=b"\xff\x00")
    kept: Any = msgspec.convert(plain(record), type=Record, builtin_types=(bytes,))
    assert kept == make.ended("a", session="x?y", tags=("?", "t"), response=b"\xff\x00")


def test_lone_surrogates_in_a_verdict_are_replaced(make: Any) -> None:
    """They come from what a model wrote."""
    validated = Validated(
        schema="\ud800",
        edits=(Edit(rung="coerce", kind="k", path="/\ud800", before="\ud800"),),
        errors=(FieldError(path="/\ud800", message="\ud800"),),
        output=b"\xed\xa0\x80",
    )
    kept: Any = storable(make.ended("a", validated=validated))
    assert kept.validated == Validated(
        schema="?",
        edits=(Edit(rung="coerce", kind="k", path="/?", before="?"),),
        errors=(FieldError(path="/?", message="?"),),
        output=b"\xed\xa0\x80",
    )


@pytest.mark.parametrize("wrong", [{"reasks": -1}, {"reask_tokens": 10**19 // 2}, {"reask_nanousd": 10**18}])
def test_re_asks_that_cannot_be_are_made_unknown(make: Any, wrong: dict[str, int]) -> None:
    """Sums must not overflow; the rest of the verdict stays."""
    kept: Any = storable(make.ended("a", validated=Validated(schema="s", rung="reask", **wrong)))
    assert kept.validated == Validated(schema="s", rung="reask")
