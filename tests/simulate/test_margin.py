"""How pacing stays below a provider's own count."""

from __future__ import annotations

import asyncio

import pytest
from tests.simulate.house import House, Wire
from tests.simulate.loop import SimClock, run

from fairlead.core.pacing import Pacing
from fairlead.errors import UpstreamRateLimited, UpstreamUnavailable
from fairlead.testing import FakeTransport, ProviderModel
from fairlead.testing.faults import Spread, outage, storm

TPM = 6_000
SIXTH = TPM // 6


def going_out(prompts: list[int]) -> list[float]:
    """When calls with prompts of these sizes, all made at once, go out, in seconds."""
    clock = SimClock()
    model = ProviderModel(clock, writes=Spread(1.0, 0.0))
    transport = FakeTransport(default=model, clock=clock)

    async def main() -> None:
        house = house_of(transport, clock)
        calls = [house.call("m", b"x" * (4 * prompt), 1) for prompt in prompts]
        await asyncio.gather(*(house.ask(call) for call in calls))
        await house.aclose()

    began_ns = clock.ns
    run(main(), clock)
    return [(request.at_ns - began_ns) / 1e9 for request in transport.requests]


def house_of(transport: FakeTransport, clock: SimClock) -> House:
    wire = Wire(transport, clock, 0, 0.0, 0.0)
    return House(clock, {"p": wire}, lambda made: {"m": [made("p", pacing=Pacing(tpm=TPM), breaker=None)]})


def test_a_sixth_of_a_minutes_tokens_goes_out_at_once():
    """Four calls of a quarter of it, less the frame of a prompt; the fifth waits for the limit to give it."""
    at_s = going_out([SIXTH // 4 - 12] * 5)
    assert at_s[:4] == [0.0] * 4
    assert 1.0 < at_s[4] < 3.0


def test_a_call_larger_than_that_goes_out_and_those_after_it_make_it_good():
    """Half a minute's tokens at once; the next calls are each held a twelfth of a minute more until it is paid off."""
    at_s = going_out([TPM // 2, *[10] * 6])
    assert at_s[0] == 0.0
    assert at_s[-1] > 20.0


@pytest.mark.parametrize(
    ("struck", "error", "counted"),
    [(storm(retry_after=None), UpstreamRateLimited, True), (outage(), UpstreamUnavailable, False)],
)
def test_what_was_refused_stays_counted(struck, error, counted):
    """The provider had less left than was thought; a failure of another kind has used nothing, and is given back."""
    clock = SimClock()
    transport = FakeTransport(default=ProviderModel(clock, faults=[struck]), clock=clock)

    async def main() -> int:
        house = house_of(transport, clock)
        call = house.call("m", b"x" * 400, 1)
        with pytest.raises(error):
            await house.ask(call)
        line = next(iter(house.pace._lines.values()))
        await house.aclose()
        return line._error_tokens

    owed = run(main(), clock)
    assert (owed == 0) is counted
    assert counted or owed < -100
