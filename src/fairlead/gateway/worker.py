"""A data worker: serves its sockets of the data port with a pipeline of its own, until told to drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fairlead.config.build import Foundation, lay_foundation
from fairlead.config.descriptors import connections_within, open_files_limit
from fairlead.config.launch import Launch, News, announce, cannot_listen, heed, run
from fairlead.core.lane import Override
from fairlead.errors import StateUnavailable
from fairlead.gateway.app import App
from fairlead.gateway.child import RETIRE
from fairlead.gateway.memory import is_short
from fairlead.gateway.pipelines import Pipelines
from fairlead.gateway.watchdog import Watchdog
from fairlead.record import Gauges, TargetGauges
from fairlead.wire import Exchange, Server, ServerLimits, server_context

_HOUSEKEEPING_S = 0.5
_FAREWELL_S = 5.0
"""How long a worker that has a successor answers with `connection: close` before it closes idle connections."""
_LOOK_S = 0.05
_GC_ALLOCATIONS = 20_000
_DROPPED_SHOWN_NS = 60_000_000_000
"""How long after its last dropped record a worker calls itself degraded, so that a scrape sees it."""

_log = logging.getLogger(__name__)


async def serve(launch: Launch) -> None:
    """Serve until SIGTERM or the supervisor's end, then drain; a second SIGTERM cuts what is still open.

    Raises:
        ConfigError: the store, the state, a secret, a TLS file or the port cannot be used.
    """
    name = f"{launch.name}-{os.getpid()}"
    foundation = lay_foundation(launch.config, root=Path(launch.root), environ=os.environ, name=name)
    await foundation.ingester.run_once()
    pipelines = Pipelines(foundation)
    servers = await _listen(pipelines.app, launch, foundation.spool.flush)
    end = _End()
    housekeeping = Housekeeping(
        foundation,
        pipelines.app,
        servers,
        name,
        reload_failed=lambda: pipelines.reload_failed,
        short_of_memory=lambda: is_short(pipelines.config.gateway.memory_max_bytes),
        targets=pipelines.targets,
        overrule=pipelines.overrule,
    )
    loop = asyncio.get_running_loop()
    tasks = [
        loop.create_task(housekeeping.run(), name="housekeeping"),
        loop.create_task(pipelines.run(), name="configuration"),
        loop.create_task(heed(pipelines.obey, end.drain), name="orders"),
    ]
    # What is here now stays; a call leaves no cycles, so looking for some may come more rarely.
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS, 20, 20)
    watchdog = Watchdog(loop)
    watchdog.start()
    announce(News(ready=True))
    await end.comes()
    pipelines.app.ready = False
    for server in servers:
        server.stop_accepting()
    if not end.drain.is_set():
        await _take_leave(servers, pipelines.app, end.drain)
    await _drain(servers, end.cut, pipelines.config.gateway.drain_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await pipelines.aclose()
    await foundation.aclose()
    watchdog.stop()


class _End:
    """What signals say about the end: retire as others serve, drain, and cut at the second time of asking."""

    def __init__(self) -> None:
        self.retire, self.drain, self.cut = asyncio.Event(), asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told)
        loop.add_signal_handler(RETIRE, self.retire.set)

    def _told(self) -> None:
        (self.cut if self.drain.is_set() else self.drain).set()

    async def comes(self) -> None:
        """Wait until it has been told."""
        await _first(self.retire.wait(), self.drain.wait())


class Housekeeping:
    """What a worker does twice a second: look at its memory, notice changed keys and what operators say about targets,
    and say how things stand.

    Args:
        name: of this worker in its gauges.
        reload_failed: whether the configuration could not be read again.
        short_of_memory: may block.
        targets: how the configured targets are doing.
        overrule: told what operators say about targets.
    """

    def __init__(
        self,
        foundation: Foundation,
        app: App,
        servers: Sequence[Server],
        name: str,
        *,
        reload_failed: Callable[[], bool] = lambda: False,
        short_of_memory: Callable[[], bool] = lambda: False,
        targets: Callable[[], dict[str, TargetGauges]] = dict,
        overrule: Callable[[dict[str, Override]], None] | None = None,
    ) -> None:
        self._foundation = foundation
        self._app = app
        self._servers = servers
        self._name = name
        self._reload_failed = reload_failed
        self._short_of_memory = short_of_memory
        self._targets = targets
        self._overrule = foundation.lanes.overrule if overrule is None else overrule
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
        """Look at the memory, refresh the keys and write the gauges."""
        foundation = self._foundation
        self._app.sheds = await asyncio.to_thread(self._short_of_memory)
        degraded = {} if foundation.state is None else foundation.state.degraded
        if not await foundation.keys.refresh():
            degraded["keys"] = "cached"
        if self._app.sheds:
            degraded["calls"] = "shed"
        if self._drops():
            degraded["records"] = "dropped"
        await self._hear_operators()
        foundation.spool(
            Gauges(
                worker=self._name,
                at_ns=foundation.clock.now_ns(),
                reserved_nanousd=foundation.ledger.reserved_nanousd(),
                in_flight=self._app.in_flight,
                connections=sum(server.connections for server in self._servers),
                dropped_records=foundation.spool.dropped,
                config_reload_failed=self._reload_failed(),
                degraded=degraded,
                targets=self._targets(),
            )
        )

    async def _hear_operators(self) -> None:
        """What they say counts on; while the store is down, what they said last."""
        foundation = self._foundation
        with suppress(StateUnavailable):
            said = await foundation.store.routes.current(foundation.clock.now_ns())
            self._overrule({each.target: each.action for each in said})

    def _drops(self) -> bool:
        """Whether records were dropped in the last minute."""
        now_ns, dropped = self._foundation.clock.monotonic_ns(), self._foundation.spool.dropped
        if dropped > self._dropped:
            self._dropped, self._dropped_ns = dropped, now_ns
        return self._dropped_ns is not None and now_ns - self._dropped_ns < _DROPPED_SHOWN_NS


async def _listen(app: App, launch: Launch, before_writes: Callable[[], None]) -> list[Server]:
    """Serve every socket that was handed down, each by a server of its own."""
    files, gateway = launch.tls_files(), launch.config.gateway
    context = None if files is None else server_context(*files)
    limits = ServerLimits(max_connections=connections_within(open_files_limit()))
    if not launch.listeners:
        server = Server(app, limits=limits, before_writes=before_writes)
        try:
            await server.start(gateway.host, launch.port, ssl_context=context, reuse_port=True)
        except OSError as error:
            raise cannot_listen(gateway.host, launch.port, "port", error) from error
        return [server]
    servers = []
    for descriptor in launch.listeners:
        server = Server(app, limits=limits, before_writes=before_writes)
        await server.start(sock=socket.socket(fileno=descriptor), ssl_context=context)
        servers.append(server)
    return servers


async def _take_leave(servers: Sequence[Server], app: App, drain: asyncio.Event) -> None:
    """Answer with `connection: close` for a while, so that callers who keep connections find a successor by themselves.

    A connection that is closed while it idles can cross a request on its way; one that was told to close cannot.
    """

    async def last_time(exchange: Exchange) -> None:
        exchange.keep_alive = False
        await app(exchange)

    for server in servers:
        server.handler = last_time
    loop = asyncio.get_running_loop()
    ends = loop.time() + _FAREWELL_S
    while any(server.connections for server in servers) and loop.time() < ends and not drain.is_set():
        await _first(drain.wait(), asyncio.sleep(_LOOK_S))


async def _drain(servers: Sequence[Server], cut: asyncio.Event, drain_s: float) -> None:
    """Let open answers finish, but no longer than `drain_s`, and no longer than a second signal says."""
    draining: asyncio.Future[Any] = asyncio.gather(*(server.drain(drain_s) for server in servers))
    cutting: asyncio.Future[Any] = asyncio.ensure_future(cut.wait())
    await asyncio.wait({draining, cutting}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        await asyncio.gather(*(server.drain(0.0) for server in servers))
    cutting.cancel()


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for any of them."""
    tasks: list[asyncio.Task[object]] = [asyncio.get_running_loop().create_task(each) for each in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def main() -> int:
    """Entry point of the worker process; the launch order comes on standard input."""
    return run(serve)


if __name__ == "__main__":
    sys.exit(main())
