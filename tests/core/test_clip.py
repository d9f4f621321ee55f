from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.clip import CONTENT_BYTES, clip


@given(st.binary(max_size=200), st.integers(0, 200))
def test_never_longer_than_the_limit(content: bytes, limit_bytes: int) -> None:
    """What fits stays as it is, what does not is cut to the limit, marker included."""
    clipped = clip(content, limit_bytes)
    assert clipped == content if len(content) <= limit_bytes else len(clipped) == limit_bytes


@given(st.binary(max_size=200), st.integers(0, 200))
def test_clipping_twice_changes_nothing(content: bytes, limit_bytes: int) -> None:
    """The marker keeps saying how long the content once was."""
    once = clip(content, limit_bytes)
    assert clip(once, limit_bytes) == once


def test_the_marker_says_what_was_there() -> None:
    """The beginning is kept, and the whole length is said."""
    clipped = clip(b"x" * 5_000_000, CONTENT_BYTES)
    assert clipped.startswith(b"xxx")
    assert clipped.endswith(b"x...[truncated, 5000000 bytes in all]")
