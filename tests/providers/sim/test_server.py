"""The simulator over the wire."""

from __future__ import annotations

import asyncio
import json

import pytest

from fairlead.dialects import DIALECTS
from fairlead.dialects.openai_chat import stream
from fairlead.errors import UpstreamUnreachable
from fairlead.providers.sim import Fault, SimSettings, Simulator
from fairlead.providers.sim.server import handler
from fairlead.testing.clock import VirtualClock
from fairlead.wire import Origin, Pool, Server, head
from sim_asking import CHATS, body_of, chat, path_of


def request(**fields):
    return json.dumps(
        {"model": "sim-small", "messages": [{"role": "user", "content": "Say hello."}], **fields}
    ).encode()


HEAD = head("POST", "/v1/chat/completions", {"host": "127.0.0.1", "content-type": "application/json"})


async def collect(incoming, parts):
    async for part in incoming:
        parts.append(part)


@pytest.fixture
async def served():
    """Start simulators; gives a pool to each."""
    opened = []

    async def serve(**settings):
        simulator = Simulator(SimSettings(**settings))
        server = Server(handler(simulator, VirtualClock()))
        await server.start("127.0.0.1")
        pool = Pool(Origin.of(f"http://127.0.0.1:{server.port}"), allow_private=True)
        opened.append((server, pool))
        return simulator, pool

    yield serve
    for server, pool in opened:
        await pool.aclose()
        await server.drain(1.0)


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("name", CHATS)
async def test_an_answer_is_the_same_as_in_process(served, name, is_stream):
    """Byte for byte, in every dialect."""
    simulator, pool = await served()
    body = body_of(name, chat(stream=is_stream, include_usage=is_stream))
    path = path_of(DIALECTS[name], "sim-small", is_stream=is_stream)
    lines = head("POST", path, {"host": "127.0.0.1", "content-type": "application/json"})
    incoming = await pool.send(lines, body, 5.0)
    expected = Simulator().respond("POST", path, {}, body).body
    assert (incoming.status, incoming.headers["x-fairlead-simulated"]) == (200, "true")
    assert await incoming.read(1_000_000) == expected
    assert [line.outcome for line in simulator.bill.calls] == ["ok"]


async def test_a_cut_stream_arrives_up_to_the_cut(served):
    """Everything before it does, and then the connection is broken."""
    _, pool = await served(faults=(Fault(kind="cut", after_chunks=3),))
    incoming = await pool.send(HEAD, request(stream=True), 5.0)
    raw: list[bytes] = []
    with pytest.raises(UpstreamUnreachable):
        await collect(incoming, raw)
    assert stream.text(b"".join(raw)) == "This is a si"


async def test_a_reset_gives_no_answer(served):
    """The connection is closed before one."""
    _, pool = await served(faults=(Fault(kind="reset"),))
    with pytest.raises(UpstreamUnreachable):
        await pool.send(HEAD, request(), 5.0)


async def test_a_caller_who_disconnects_is_billed(served):
    """As soon as the server notices."""
    simulator, pool = await served(faults=(Fault(kind="stall", after_chunks=2),))
    incoming = await pool.send(HEAD, request(stream=True), 5.0)
    await anext(incoming)
    incoming.abort()
    async with asyncio.timeout(5):
        while not simulator.bill.calls:  # noqa: ASYNC110 - the bill is plain data
            await asyncio.sleep(0)
    assert simulator.bill.calls[0].outcome == "cut"
