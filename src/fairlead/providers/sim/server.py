"""The simulator over the wire: what `fairlead sim` serves, and what tests and benches call upstream."""

from __future__ import annotations

import asyncio

from fairlead.ports import Clock
from fairlead.providers.sim.script import Script
from fairlead.providers.sim.simulator import Simulator
from fairlead.wire import Exchange, Handler


def handler(simulator: Simulator, clock: Clock) -> Handler:
    """Answers requests of `fairlead.wire.server.Server` from this simulator."""

    async def handle(exchange: Exchange) -> None:
        script = simulator.respond(exchange.method, exchange.path, exchange.headers, exchange.body)
        exchange.on_disconnect = script.left
        try:
            await _play(script, exchange, clock)
        except asyncio.CancelledError:
            script.left()
            raise

    return handle


async def _play(script: Script, exchange: Exchange, clock: Clock) -> None:
    if script.pause_s:
        await clock.sleep(script.pause_s)
    if script.status == 0 and script.end == "silent":
        await asyncio.get_running_loop().create_future()  # until the peer goes away
    if script.status == 0:
        exchange.abort()
        return
    if not script.streams:
        exchange.respond(script.status, script.headers, script.body)
        for step in script.steps:
            script.sent(step)
        script.ended()
        return
    exchange.start(script.status, script.headers)
    await _stream(script, exchange, clock)


async def _stream(script: Script, exchange: Exchange, clock: Clock) -> None:
    for step in script.steps:
        if step.pause_s:
            await clock.sleep(step.pause_s)
        await exchange.drain()
        if exchange.disconnected:
            script.left()
            return
        exchange.write(step.data)
        script.sent(step)
    if script.end == "silent":
        await asyncio.get_running_loop().create_future()  # until the peer goes away
    script.ended()
    if script.end == "broken":
        # An abort drops what the transport still holds; a turn of the loop lets it go out first.
        await asyncio.sleep(0)
        exchange.abort()
    else:
        exchange.end()
