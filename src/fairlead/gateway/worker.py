"""A data worker: serves the data port with a pipeline of its own, until told to drain."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from fairlead.config.build import Foundation, build, lay_foundation
from fairlead.config.launch import Launch, announce, parent_gone, run
from fairlead.config.secrets import secret_path
from fairlead.dialects import DIALECTS
from fairlead.errors import FairleadError, StateUnavailable
from fairlead.gateway.app import App
from fairlead.record import Gauges
from fairlead.wire import Server, server_context

_HOUSEKEEPING_S = 0.5
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


async def serve(launch: Launch) -> None:
    """Serve until SIGTERM or the supervisor's end, then drain; a second SIGTERM cuts what is still open."""
    config, root = launch.config, Path(launch.root)
    name = f"{launch.name}-{os.getpid()}"
    foundation = lay_foundation(config, root=root, environ=os.environ, name=name)
    await foundation.ingester.run_once()
    runtime = build(foundation, auth=config.gateway.auth)
    hosts = _LOOPBACK_HOSTS if config.gateway.auth == "open" else None
    app = App(runtime, foundation.store.logs, tuple(DIALECTS.values()), hosts)
    server = Server(app)
    tls = config.gateway.tls
    await server.start(
        config.gateway.host,
        launch.port,
        ssl_context=None
        if tls is None
        else server_context(str(secret_path(tls.cert, root)), str(secret_path(tls.key, root))),
        reuse_port=True,
    )
    loop = asyncio.get_running_loop()
    drain, cut = asyncio.Event(), asyncio.Event()

    def told() -> None:
        (cut if drain.is_set() else drain).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    housekeeping = loop.create_task(_keep_house(foundation, app, server, name), name="housekeeping")
    orphaned = loop.create_task(parent_gone(drain), name="parent-watch")
    announce({"port": server.port, "pid": os.getpid()})
    await drain.wait()
    app.ready = False
    server.stop_accepting()
    await _drain(server, cut, config.gateway.drain_s)
    for task in (housekeeping, orphaned):
        task.cancel()
    await asyncio.gather(housekeeping, orphaned, return_exceptions=True)
    await runtime.aclose()
    await foundation.aclose()


async def _drain(server: Server, cut: asyncio.Event, drain_s: float) -> None:
    """Let open answers finish, but no longer than `drain_s`, and no longer than a second signal says."""
    draining = asyncio.ensure_future(server.drain(drain_s))
    cutting = asyncio.ensure_future(cut.wait())
    await asyncio.wait({draining, cutting}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        await server.drain(0.0)
    cutting.cancel()


async def _keep_house(foundation: Foundation, app: App, server: Server, name: str) -> None:
    """Twice a second: notice changed keys, and say how things stand."""
    while True:
        degraded: dict[str, str] = {}
        try:
            await foundation.keys.refresh()
        except StateUnavailable:
            degraded["keys"] = "cached"
        foundation.spool(
            Gauges(
                worker=name,
                at_ns=foundation.clock.now_ns(),
                reserved_nanousd=foundation.ledger.reserved_nanousd(),
                in_flight=app.in_flight,
                connections=server.connections,
                dropped_records=foundation.spool.dropped,
                degraded=degraded,
            )
        )
        await foundation.clock.sleep(_HOUSEKEEPING_S)


def main() -> int:
    """Entry point of the worker process; the launch order comes on standard input."""
    try:
        run(serve)
    except FairleadError as error:
        sys.stderr.write(f"fairlead: {error.message}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"fairlead: {error.strerror or error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
