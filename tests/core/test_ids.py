from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.ids import uuid7

moments = st.integers(0, (2**48 - 1) * 10**6 - 1)
random_bytes = st.binary(min_size=10, max_size=16)


@given(moments, random_bytes, st.integers(0, 4095))
def test_is_a_uuid_of_version_7(now_ns: int, rand: bytes, counter: int) -> None:
    """It parses as a UUID of version 7 and the RFC's variant, and carries the millisecond."""
    made = uuid7(now_ns, rand, counter)
    parsed = uuid.UUID(made)
    assert str(parsed) == made
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == now_ns // 1_000_000


@given(moments, random_bytes, random_bytes, st.integers(0, 4094))
def test_counts_within_a_millisecond(now_ns: int, first: bytes, second: bytes, counter: int) -> None:
    """A higher counter sorts later, whatever the random bytes."""
    assert uuid7(now_ns, first, counter) < uuid7(now_ns, second, counter + 1)


@given(st.integers(0, (2**48 - 2) * 10**6), random_bytes, random_bytes, st.integers(0, 4095), st.integers(0, 4095))
def test_sorts_by_time(now_ns: int, first: bytes, second: bytes, one: int, other: int) -> None:
    """A later millisecond sorts later, whatever counters and random bytes."""
    assert uuid7(now_ns, first, one) < uuid7(now_ns + 1_000_000, second, other)


def test_needs_randomness() -> None:
    """Too few random bytes are refused."""
    with pytest.raises(ValueError, match="10 random bytes"):
        uuid7(0, b"123456789")
