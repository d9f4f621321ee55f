from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.quantile import RecentQuantile

samples = st.lists(st.floats(0, 1e6), max_size=400)


@given(samples, st.sampled_from([0.5, 0.95, 0.99]))
def test_it_is_the_nearest_rank_of_the_last_128(values: list[float], share: float) -> None:
    """Asked at any moment it is what sorting all that is kept says."""
    quantile = RecentQuantile(share)
    for value in values:
        quantile.add(value)
    recent = sorted(values[-128:])
    if len(recent) < 20:
        assert quantile.value is None
    else:
        assert quantile.value == recent[min(len(recent) - 1, math.floor(share * len(recent)))]
        assert quantile.value == quantile.value


@given(samples)
def test_the_mean_is_of_what_is_kept(values: list[float]) -> None:
    """From the first sample on."""
    quantile = RecentQuantile()
    assert quantile.mean is None
    for value in values:
        quantile.add(value)
    kept = values[-128:]
    assert quantile.mean == (pytest.approx(sum(kept) / len(kept)) if kept else None)


def test_it_moves_with_the_newest_samples() -> None:
    """A provider that became slow is slow, however fast it used to be."""
    quantile = RecentQuantile()
    for _ in range(1_000):
        quantile.add(1.0)
    assert quantile.value == 1.0
    for _ in range(10):
        quantile.add(9.0)
    assert quantile.value == 9.0


def test_all_of_them_is_the_largest() -> None:
    """A share of 1 does not run over the end."""
    quantile = RecentQuantile(1.0)
    for value in range(20):
        quantile.add(value)
    assert quantile.value == 19
