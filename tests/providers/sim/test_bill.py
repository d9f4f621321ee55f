"""What the simulated provider charges."""

from __future__ import annotations

import pytest

from fairlead.providers.sim.bill import Bill, cost
from fairlead.types import Usage


@pytest.mark.parametrize(
    ("model", "usage", "nanousd"),
    [
        ("sim-small", Usage(input_tokens=1_000_000), 150_000_000),
        ("sim-small", Usage(cache_read_tokens=1_000_000), 75_000_000),
        ("sim-small", Usage(output_tokens=1_000_000), 600_000_000),
        ("sim-large", Usage(input_tokens=1, cache_read_tokens=1, output_tokens=1), 13_750),
        ("sim-reasoner", Usage(output_tokens=1, reasoning_tokens=1), 8_800),
        ("sim-long", Usage(input_tokens=200_000), 250_000_000),
        ("sim-long", Usage(input_tokens=200_001, output_tokens=1), 500_017_500),
        ("sim-long", Usage(input_tokens=100_001, cache_read_tokens=100_000), 275_002_500),
        ("sim:other", Usage(input_tokens=1), 150),
        ("sim-small", Usage(), 0),
    ],
)
def test_prices_are_those_of_the_table(model, usage, nanousd):
    """USD for a million tokens; long prompts cost more for all of the call; unknown models cost as the small one."""
    assert cost(model, usage) == nanousd


def test_a_batch_costs_half_and_is_rounded_half_up():
    """37.5 nano-USD are 38."""
    assert cost("sim-small", Usage(cache_read_tokens=1), is_batch=True) == 38


def test_the_bill_is_the_sum_of_its_lines():
    """And nothing once it was cleared."""
    bill = Bill()
    for number in range(3):
        bill.charge(f"c{number}", "sim-small", Usage(output_tokens=1), "ok")
    assert (bill.total_nanousd, len(bill.calls)) == (1_800, 3)
    bill.clear()
    assert (bill.total_nanousd, bill.calls) == (0, ())
