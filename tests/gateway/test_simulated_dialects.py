"""The simulator behind the gateway: relayed in every dialect, and translated where it is told to speak only one."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from fairlead.config.schema import DIALECTS as NAMES
from fairlead.dialects import DIALECTS
from fairlead.providers.http import LEFT_OUT
from fairlead.providers.sim import Simulator
from fairlead.providers.sim.manners import manners_of
from fairlead.providers.sim.routes import Routes
from official import OFFICIAL
from sim_asking import CASES, CHATS, EXPRESSIBLE, body_of, path_of

CONFIG = """
[gateway]
auth = "open"
[models."*"]
targets = ["sim/*"]
"""
NARROWED = """
[gateway]
auth = "open"
[providers.one]
vendor = "sim"
dialect = "{}"
[models.sim-small]
targets = ["one/sim-small"]
"""
PAIRS = [(name, spoken) for name in CHATS for spoken in sorted(set(NAMES.values())) if spoken in CHATS]


async def post(gateway, name, case, *, is_stream):
    """The gateway's answer, and the request as it was posted."""
    asked = msgspec.structs.replace(CASES[case], stream=is_stream, include_usage=is_stream)
    dialect = DIALECTS[name]
    _, path = Routes([dialect]).post(path_of(dialect, asked.model, is_stream=is_stream))
    body = body_of(name, asked)
    headers = {"content-type": "application/json"} | ({} if dialect.sign is None else {dialect.sign: "2023-06-01"})
    async with httpx.AsyncClient() as client:
        return await client.post(gateway.origin + path, content=body, headers=headers), path, body


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("name", CHATS)
async def test_every_dialect_is_relayed(begin, name, is_stream):
    """Byte for byte, and at the cost that the simulator bills."""
    gateway = await begin(CONFIG)
    cases = [case for known, case in EXPRESSIBLE if known == name]
    alone = Simulator()
    for case in cases:
        answer, path, body = await post(gateway, name, case, is_stream=is_stream)
        script = alone.respond("POST", path, {}, body)
        for step in script.steps:
            script.sent(step)
        script.ended()
        assert answer.content == script.body, case
        assert answer.headers["x-request-id"] == script.headers["x-request-id"]
    costs = [record["cost_nanousd"] for record in await gateway.records()]
    assert costs == [line.cost_nanousd for line in reversed(alone.bill.calls)]


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(("name", "spoken"), PAIRS)
async def test_a_simulator_of_one_dialect_is_translated_for_all_others(begin, name, spoken, is_stream):
    """The answer has the caller's form and the id that the provider gave it."""
    gateway = await begin(NARROWED.format(next(given for given, known in NAMES.items() if known == spoken)))
    answer, _, _ = await post(gateway, name, "tool", is_stream=is_stream)
    assert answer.status_code == 200
    assert LEFT_OUT not in answer.headers
    (OFFICIAL[name].events if is_stream else OFFICIAL[name].reply)(answer.content)
    assert f"{manners_of(spoken).id_prefix}sim0-1".encode() in answer.content
    assert b"get_weather" in answer.content
