"""The simulated embedding model."""

from __future__ import annotations

import json
import math

import pytest

from fairlead.errors import UpstreamProtocol, UpstreamUnreachable
from fairlead.providers.sim import Fault, Rates, SimSettings, SimTransport, Simulator
from fairlead.providers.sim.bill import BilledCall
from fairlead.testing.clock import VirtualClock
from fairlead.types import Usage


class Sim:
    """A simulator that is asked for embeddings."""

    def __init__(self, **settings):
        self.clock = VirtualClock()
        self.simulator = Simulator(SimSettings(**settings))
        self.transport = SimTransport(self.simulator, self.clock)

    async def send(self, **fields):
        head = b"POST /v1/embeddings HTTP/1.1\r\nHost: sim\r\n"
        return await self.transport.send(
            head, json.dumps({"model": "sim-embed", "input": "hello", **fields}).encode(), 5.0
        )

    async def vectors(self, **fields):
        incoming = await self.send(**fields)
        assert incoming.status == 200
        return [row["embedding"] for row in json.loads(await incoming.read(1_000_000))["data"]]


async def test_the_same_text_has_the_same_vector_everywhere():
    """On every machine and in every version."""
    assert await Sim().vectors(dimensions=4) == [[0.33641896, -0.23343727, 0.69595755, 0.58989187]]


async def test_other_texts_seeds_and_models_have_others():
    """As if somebody had read them."""
    seen = [
        await Sim().vectors(),
        await Sim().vectors(input="hullo"),
        await Sim(seed=1).vectors(),
        await Sim(any_model=True).vectors(model="other"),
    ]

    assert len({json.dumps(each) for each in seen}) == 4


@pytest.mark.parametrize("dimensions", [1, 3, 256, 4_096])
async def test_a_vector_has_the_length_1(dimensions):
    """As those of most models have."""
    (vector,) = await Sim().vectors(dimensions=dimensions)

    assert len(vector) == dimensions
    assert math.sqrt(math.fsum(number * number for number in vector)) == pytest.approx(1, abs=1e-6)


async def test_a_shorter_vector_is_the_beginning_of_a_longer_one():
    """Made a unit vector again."""
    (short,), (long,) = await Sim().vectors(dimensions=2), await Sim().vectors(dimensions=64)

    assert short[0] / short[1] == pytest.approx(long[0] / long[1], rel=1e-5)


async def test_what_is_billed_is_the_input():
    """Two cents a million tokens."""
    sim = Sim()

    await sim.vectors(input=["x" * 4_000, "y" * 400])

    assert sim.simulator.bill.calls == (
        BilledCall(id="sim0-1", model="sim-embed", usage=Usage(input_tokens=1_100), cost_nanousd=22_000, outcome="ok"),
    )


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"model": "sim-small"}, 404),
        ({"model": "other"}, 404),
        ({"input": ""}, 400),
        ({"input": ["a", ""]}, 400),
        ({"input": None}, 400),
        ({"dimensions": 4_097}, 400),
    ],
)
async def test_what_cannot_be_embedded_is_refused_and_costs_nothing(fields, status):
    """As OpenAI refuses it."""
    sim = Sim()

    assert (await sim.send(**fields)).status == status
    assert sim.simulator.bill.calls == ()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("sim-small", "`sim-small` makes no embeddings; `sim-embed` does."),
        ("other", "The model `other` does not exist; the simulator has `sim-embed`."),
    ],
)
async def test_a_refusal_names_the_models_that_make_embeddings(model, message):
    """No other would do."""
    incoming = await Sim().send(model=model)

    assert json.loads(await incoming.read(10_000))["error"]["message"] == message


@pytest.mark.parametrize(
    ("kind", "status"),
    [("status", 500), ("rate_limit", 429), ("quota", 429), ("unauthorized", 401), ("error_event", 200)],
)
async def test_faults_strike_embeddings_too(kind, status):
    """And such a call costs nothing."""
    sim = Sim(faults=(Fault(kind=kind),))

    assert (await sim.send()).status == status
    assert sim.simulator.bill.calls == ()


@pytest.mark.parametrize("kind", ["cut", "reset"])
async def test_an_answer_that_breaks_off_costs_nothing(kind):
    """Half a vector is none."""
    sim = Sim(faults=(Fault(kind=kind),))

    with pytest.raises((UpstreamUnreachable, UpstreamProtocol)):
        await (await sim.send()).read(1_000_000)

    assert sim.simulator.bill.calls == ()


async def test_the_providers_limits_count_the_input():
    """A text that does not fit any more is refused."""
    sim = Sim(limits=Rates(tpm=60, bucket_s=60))

    statuses = [(await sim.send(input="x" * 160)).status for _ in range(2)]

    assert statuses == [200, 429]
