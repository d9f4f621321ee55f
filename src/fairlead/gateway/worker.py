"""A data worker: serves the data port with a pipeline of its own, until told to drain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from fairlead.config.build import Foundation, build, lay_foundation
from fairlead.config.launch import Launch, News, announce, cannot_listen, parent_gone, run
from fairlead.dialects import DIALECTS
from fairlead.gateway.app import App
from fairlead.record import Gauges
from fairlead.wire import Server, server_context

_HOUSEKEEPING_S = 0.5
_DROPPED_SHOWN_NS = 60_000_000_000
"""How long after its last dropped record a worker calls itself degraded, so that a scrape sees it."""
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

_log = logging.getLogger(__name__)


async def serve(launch: Launch) -> None:
    """Serve until SIGTERM or the supervisor's end, then drain; a second SIGTERM cuts what is still open.

    Raises:
        ConfigError: the store, a secret, a TLS file or the port cannot be used.
    """
    config, root = launch.config, Path(launch.root)
    name = f"{launch.name}-{os.getpid()}"
    foundation = lay_foundation(config, root=root, environ=os.environ, name=name)
    await foundation.ingester.run_once()
    runtime = build(foundation, auth=config.gateway.auth)
    hosts = _LOOPBACK_HOSTS if config.gateway.auth == "open" else None
    app = App(runtime, foundation.store.logs, tuple(DIALECTS.values()), hosts)
    server = Server(app, before_writes=foundation.spool.flush)
    await _listen(server, launch)
    loop = asyncio.get_running_loop()
    drain, cut = asyncio.Event(), asyncio.Event()

    def told() -> None:
        (cut if drain.is_set() else drain).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    housekeeping = loop.create_task(Housekeeping(foundation, app, server, name).run(), name="housekeeping")
    orphaned = loop.create_task(parent_gone(drain), name="parent-watch")
    announce(News(ready=True))
    await drain.wait()
    app.ready = False
    server.stop_accepting()
    await _drain(server, cut, config.gateway.drain_s)
    for task in (housekeeping, orphaned):
        task.cancel()
    await asyncio.gather(housekeeping, orphaned, return_exceptions=True)
    await runtime.aclose()
    await foundation.aclose()


class Housekeeping:
    """What a worker does twice a second: notice changed keys, and say how things stand.

    Args:
        name: of this worker in its gauges.
    """

    def __init__(self, foundation: Foundation, app: App, server: Server, name: str) -> None:
        self._foundation = foundation
        self._app = app
        self._server = server
        self._name = name
        self._dropped = 0
        self._dropped_ns: int | None = None

    async def run(self) -> None:
        """Until cancelled; a round that fails is said once, until one succeeds again, and never the last."""
        failing = False
        while True:
            try:
                await self.round()
            except Exception:  # noqa: BLE001 - whatever it is, the next round may do better
                if not failing:
                    _log.exception("housekeeping failed; it is tried again twice a second")
                failing = True
            else:
                failing = False
            await self._foundation.clock.sleep(_HOUSEKEEPING_S)

    async def round(self) -> None:
        """Refresh the keys and write the gauges."""
        foundation = self._foundation
        degraded: dict[str, str] = {}
        if not await foundation.keys.refresh():
            degraded["keys"] = "cached"
        if self._drops():
            degraded["records"] = "dropped"
        foundation.spool(
            Gauges(
                worker=self._name,
                at_ns=foundation.clock.now_ns(),
                reserved_nanousd=foundation.ledger.reserved_nanousd(),
                in_flight=self._app.in_flight,
                connections=self._server.connections,
                dropped_records=foundation.spool.dropped,
                degraded=degraded,
            )
        )

    def _drops(self) -> bool:
        """Whether records were dropped in the last minute."""
        now_ns, dropped = self._foundation.clock.monotonic_ns(), self._foundation.spool.dropped
        if dropped > self._dropped:
            self._dropped, self._dropped_ns = dropped, now_ns
        return self._dropped_ns is not None and now_ns - self._dropped_ns < _DROPPED_SHOWN_NS


async def _listen(server: Server, launch: Launch) -> None:
    files, gateway = launch.tls_files(), launch.config.gateway
    context = None if files is None else server_context(*files)
    try:
        await server.start(gateway.host, launch.port, ssl_context=context, reuse_port=True)
    except OSError as error:
        raise cannot_listen(gateway.host, launch.port, "port", error) from error


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


def main() -> int:
    """Entry point of the worker process; the launch order comes on standard input."""
    return run(serve)


if __name__ == "__main__":
    sys.exit(main())
