"""A thousand whole systems, each drawn from its seed, in all of which the invariants hold."""

from __future__ import annotations

import pytest
from tests.simulate.seeds import simulate

PART = 25


@pytest.mark.parametrize("first", range(0, 1_000, PART))
def test_the_invariants_hold(first):
    """One record a call, one end a caller, money conserved, everything given back, nothing retried after content."""
    for seed in range(first, first + PART):
        told = simulate(seed)
        assert told.calls == sum(told.outcomes.values())


@pytest.mark.parametrize(
    "seed",
    [
        # Closing waited for answers that are billed anyway, but not for the reading on that such an answer began: the
        # record of its call was never written.
        pytest.param(10, id="10-reading-on-begins-while-closing"),
        pytest.param(45, id="45-reading-on-begins-while-closing"),
    ],
)
def test_a_seed_that_once_broke_holds(seed):
    """Seeds are pinned to what they found."""
    simulate(seed)


@pytest.mark.parametrize("seed", [3, 33, 333])
def test_a_seed_is_one_history(seed):
    """The same seed gives the same calls, attempts, times and errors."""
    assert simulate(seed) == simulate(seed)
