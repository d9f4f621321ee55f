"""The simulated provider's own bill: what Fairlead's ledger is checked against, so it shares no code with it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import msgspec

from fairlead.types import Usage

BillOutcome = Literal["ok", "cut", "disconnected"]


class Price(msgspec.Struct, frozen=True):
    """USD for a million tokens."""

    input: str
    cached: str
    output: str


PRICES: Mapping[str, Price] = {
    "sim-small": Price("0.15", "0.075", "0.60"),
    "sim-large": Price("2.50", "1.25", "10.00"),
    "sim-reasoner": Price("1.10", "0.55", "4.40"),
    "sim-long": Price("1.25", "0.125", "10.00"),
    "sim-embed": Price("0.02", "0.02", "0"),
}
LONG_PRICE = Price("2.50", "0.25", "15.00")
LONG_INPUT_TOKENS = 200_000
"""With more input than this `sim-long` costs `LONG_PRICE`, for all tokens of the call."""

_NANOUSD_PER_USD_PER_MILLION = 1_000


class BilledCall(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the bill."""

    id: str
    model: str
    usage: Usage
    cost_nanousd: int
    outcome: BillOutcome


class Bill:
    """What one simulated provider has charged since its start or the last `clear`."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: list[BilledCall] = []

    def charge(self, call_id: str, model: str, usage: Usage, outcome: BillOutcome, *, is_batch: bool = False) -> None:
        """Add a call."""
        cost_nanousd = cost(model, usage, is_batch=is_batch)
        line = BilledCall(id=call_id, model=model, usage=usage, cost_nanousd=cost_nanousd, outcome=outcome)
        self._calls.append(line)

    def clear(self) -> None:
        """Begin anew."""
        self._calls.clear()

    @property
    def calls(self) -> tuple[BilledCall, ...]:
        """Every line, oldest first."""
        return tuple(self._calls)

    @property
    def total_nanousd(self) -> int:
        """The sum of all lines."""
        return sum(call.cost_nanousd for call in self._calls)

    def encode(self) -> bytes:
        """The bill as JSON."""
        return msgspec.json.encode({"total_nanousd": self.total_nanousd, "calls": self._calls})


def cost(model: str, usage: Usage, *, is_batch: bool = False) -> int:
    """Nano-USD of a call, rounded once, half up; a batch costs half.  Models without a price cost what `sim-small` does."""
    price = PRICES.get(model, PRICES["sim-small"])
    if model == "sim-long" and usage.all_input_tokens > LONG_INPUT_TOKENS:
        price = LONG_PRICE
    usd_millionths = (
        (usage.all_input_tokens - usage.cache_read_tokens) * Decimal(price.input)
        + usage.cache_read_tokens * Decimal(price.cached)
        + usage.all_output_tokens * Decimal(price.output)
    )
    if is_batch:
        usd_millionths /= 2
    return int((usd_millionths * _NANOUSD_PER_USD_PER_MILLION).quantize(Decimal(1), ROUND_HALF_UP))
