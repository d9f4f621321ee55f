"""What the simulator can be told."""

from __future__ import annotations

import msgspec

from fairlead.providers.sim.allowance import Rates
from fairlead.providers.sim.faults import Fault


class SimSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one simulated provider behaves; by default fast, faultless and open."""

    seed: int = 0
    latency_s: float = 0.0
    """Before the first byte of an answer."""
    tokens_per_s: float | None = None
    """The pace of an answer; `None` is all at once."""
    error_rate: float = 0.0
    """The share of calls that fail with status 500."""
    faults: tuple[Fault, ...] = ()
    limits: Rates | None = None
    """What it gives each key for each model; it counts the tokens of its own bill."""
    any_model: bool = False
    """Answer for any name, as `sim:NAME`; otherwise unknown models are refused as OpenAI does."""
    api_key: str | None = None
    """The only key that is let in; `None` lets all in."""
    bills_after_disconnect: bool = True
    """Whether an answer that the caller abandoned is billed whole."""
