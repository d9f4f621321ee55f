"""The pipeline that a worker's new calls use, and those before, on which calls under way come to their end."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping

from fairlead.config.build import Foundation, Runtime, build, relaid, unchanged_providers
from fairlead.config.launch import Order
from fairlead.config.schema import Config
from fairlead.core.lane import Override
from fairlead.dialects import DIALECTS
from fairlead.errors import FairleadError
from fairlead.gateway.app import App
from fairlead.ports import Provider
from fairlead.record import TargetGauges

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_LOOK_S = 0.1
_AFTERMATH_S = 60.0
"""So long a provider may still read answers that are billed though their callers left."""

_log = logging.getLogger(__name__)


class Pipelines:
    """Changes the configuration of a worker while it serves.

    Limits, budgets, stores and spool stay as they are, and so do providers that the change does not touch, with their
    connections.  A provider that is no longer configured is closed once the last call on it has ended.
    """

    def __init__(self, foundation: Foundation, *, aftermath_s: float = _AFTERMATH_S) -> None:
        self._foundation = foundation
        self._aftermath_s = aftermath_s
        auth = foundation.config.gateway.auth
        self._runtime = build(foundation, auth=auth)
        self.app = App(self._runtime, foundation.store.logs, tuple(DIALECTS.values()), _local_hosts(auth))
        self.reload_failed = False
        """Whether the last change could not be made."""
        self._said: dict[str, Override] = {}
        self._wanted: Order | None = None
        self._asked = asyncio.Event()
        self._dropped: set[Provider] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def config(self) -> Config:
        """The one in use."""
        return self._foundation.config

    def targets(self) -> dict[str, TargetGauges]:
        """How the configured targets are doing."""
        return target_gauges(self._foundation, self._runtime)

    def overrule(self, said: dict[str, Override]) -> None:
        """Go by what operators say about targets, those who wait in line included."""
        self._foundation.lanes.overrule(said)
        if said != self._said and self._runtime.pace is not None:
            self._runtime.pace.heed()
        self._said = said

    def obey(self, order: Order) -> None:
        """Take an order; of several that come while one is carried out, the last one counts."""
        self._wanted = order
        self._asked.set()

    async def run(self) -> None:
        """Carry out orders until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            order = self._wanted
            if order is not None and order.config is not None:
                await self._change(order.config)
            else:
                self.reload_failed = True

    async def aclose(self) -> None:
        """Close every provider that there is."""
        for task in tuple(self._closing):
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for provider in self._dropped:
            await provider.aclose()
        await self._runtime.aclose()

    async def _change(self, config: Config) -> None:
        try:
            foundation = await asyncio.to_thread(relaid, self._foundation, config, os.environ)
            kept = self._kept(unchanged_providers(self._foundation, foundation))
            runtime = build(foundation, auth=config.gateway.auth, kept=kept, pace=self._runtime.pace)
        except FairleadError as error:
            self.reload_failed = True
            _log.error("the configuration stays as it was: %s", error.message)
            return
        self.reload_failed = False
        for lane in foundation.lanes.all():
            if lane.provider not in kept:  # as with a credential that was refused, and is another now
                lane.renew()
        before, self._runtime, self._foundation = self._runtime, runtime, foundation
        self.app.swap(runtime, _local_hosts(config.gateway.auth))
        dropped = {provider for name, provider in before.providers.items() if name not in kept}
        if dropped:
            self._dropped |= dropped
            closing = asyncio.get_running_loop().create_task(self._close(before, dropped), name="retired-providers")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _kept(self, names: frozenset[str]) -> Mapping[str, Provider]:
        return {name: provider for name, provider in self._runtime.providers.items() if name in names}

    async def _close(self, runtime: Runtime, dropped: set[Provider]) -> None:
        """Close providers once nothing uses them: neither calls of their own pipeline nor of those before it."""
        clock = runtime.clock
        while self._in_use(runtime, dropped):
            await clock.sleep(_LOOK_S)
        await clock.sleep(self._aftermath_s)
        for provider in dropped:
            await provider.aclose()
        self._dropped -= dropped

    def _in_use(self, runtime: Runtime, dropped: set[Provider]) -> bool:
        return any(
            each.in_flight and not dropped.isdisjoint(each.providers.values()) for each in (runtime, *self.app.earlier)
        )


def target_gauges(foundation: Foundation, runtime: Runtime) -> dict[str, TargetGauges]:
    """How the configured targets are doing; empty where nothing paces or overrules them."""
    now_ns = runtime.clock.monotonic_ns()
    waiting = {} if runtime.pace is None else runtime.pace.waiting()
    lanes = {each.lane.name: each.lane for known in foundation.catalogue.aliases.values() for each in known}
    return {
        name: TargetGauges(state=lane.state(now_ns), in_flight=lane.in_flight, waiting=waiting.get(name, 0))
        for name, lane in lanes.items()
        if runtime.pace is not None or lane.override is not None
    }


def _local_hosts(auth: str) -> frozenset[str] | None:
    return _LOOPBACK_HOSTS if auth == "open" else None
