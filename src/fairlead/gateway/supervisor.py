"""The supervisor: holds the ports, keeps a crew of processes running, and changes what they run with while they serve.

SIGTERM and SIGINT drain, a second one cuts.  SIGHUP, or a change of the file, reloads the configuration.  SIGUSR2 starts
a fresh crew and retires the one before once the new one serves.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairlead.config.reload import FIXED, Source, Watch, held_back
from fairlead.config.schema import Config
from fairlead.errors import FairleadError
from fairlead.gateway.child import RETIRE, say
from fairlead.gateway.crew import Command, Crew, Patience, command_of
from fairlead.gateway.listeners import Listeners

_WATCH_S = 0.25


@dataclass(slots=True, kw_only=True, frozen=True)
class Ports:
    """Where the gateway listens, once it does."""

    data: int
    admin: int


class Supervisor:
    """Runs the processes of one gateway.

    Args:
        root: the folder that relative paths of the configuration start from.
        on_ready: called once all processes serve.
        source: where the configuration is read again; absent: it stays as it is.
        command: the command line of a child by its name.
    """

    def __init__(
        self,
        config: Config,
        root: Path,
        on_ready: Callable[[Ports], None],
        *,
        source: Source | None = None,
        patience: Patience | None = None,
        command: Command = command_of,
    ) -> None:
        self._config = config
        self._root = root
        self._on_ready = on_ready
        self._source = source or Source(read=lambda: config)
        self._patience = patience or Patience()
        self._command = command
        self._stopping = asyncio.Event()
        self._cutting = asyncio.Event()
        self._rereading = asyncio.Event()
        self._restarting = asyncio.Event()
        self._crews: list[Crew] = []
        """The newest last; those before are ending."""
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Start everything, keep it running, and stop it in order on SIGTERM or SIGINT.

        Raises:
            ConfigError: a port is taken, or a process could not start; all others are stopped by then.
        """
        listeners = Listeners(self._config.gateway)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told, number)
        loop.add_signal_handler(signal.SIGHUP, self._rereading.set)
        loop.add_signal_handler(RETIRE, self._restarting.set)
        living = loop.create_task(self._live(listeners), name="children")
        stopping = loop.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                await living
        finally:
            # Nobody may go on waiting in a socket that no worker serves any more.
            listeners.close()
            tasks = (living, stopping, *self._retiring)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(crew.stop(self._cutting) for crew in self._crews))

    def _told(self, number: signal.Signals) -> None:
        """The first signal drains; a further one reaches the workers again, which then cut what is open."""
        if not self._stopping.is_set():
            self._stopping.set()
            return
        self._cutting.set()
        for crew in self._crews:
            crew.send_signal(number)

    async def _live(self, listeners: Listeners) -> None:
        file = self._source.file
        # From here on, as the start takes a while and the file may be changed meanwhile.
        watch = None if file is None else await asyncio.to_thread(Watch, file)
        await self._enlist(self._config, listeners)
        self._on_ready(Ports(data=listeners.data_port, admin=listeners.admin_port))
        async with asyncio.TaskGroup() as group:
            if watch is not None:
                group.create_task(self._watch(watch), name="watch-configuration")
            group.create_task(self._reload(), name="reload")
            group.create_task(self._keep(listeners), name="keep")

    async def _enlist(self, config: Config, listeners: Listeners) -> None:
        """Start a crew.

        Raises:
            ConfigError: it could not be started.
        """
        crew = Crew(
            config,
            self._root,
            data_port=listeners.data_port,
            admin_port=listeners.admin_port,
            sockets=listeners.spread(config.gateway.workers),
            patience=self._patience,
            command=self._command,
        )
        self._crews.append(crew)
        await crew.start()

    # --- another configuration in the same processes ---

    async def _watch(self, watch: Watch) -> None:
        """Notice changes of the file; within a second in all, it is in use."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if await asyncio.to_thread(watch.changed):
                self._rereading.set()

    async def _reload(self) -> None:
        """However often it was asked for meanwhile, it is read once more."""
        while True:
            await self._rereading.wait()
            self._rereading.clear()
            crew = self._crews[-1]
            try:
                wanted = await asyncio.to_thread(self._source.usable, self._root, os.environ)
                config, waiting = await asyncio.to_thread(held_back, crew.config, wanted)
            except FairleadError as error:
                _say_each(error.message, "the configuration stays as it was: ")
                crew.reload_failed()
                continue
            crew.reload(config)
            say("the configuration was read again")
            if waiting:
                names = ", ".join(f"`{path}`" for path in waiting)
                say(f"{names}: in use after {'a full stop and start' if set(waiting) & set(FIXED) else 'SIGUSR2'}")

    # --- other processes ---

    async def _keep(self, listeners: Listeners) -> None:
        """Keep the newest crew running; at a restart, until the next one serves."""
        while True:
            crew = self._crews[-1]
            keeping = asyncio.ensure_future(crew.keep())
            try:
                await self._succeeded(listeners)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
            retiring = asyncio.ensure_future(self._retire(crew))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)

    async def _succeeded(self, listeners: Listeners) -> None:
        """Wait until a fresh crew was asked for and serves."""
        while True:
            await self._restarting.wait()
            self._restarting.clear()
            current = self._crews[-1]
            try:
                wanted = await asyncio.to_thread(self._source.usable, self._root, os.environ)
                config, waiting = await asyncio.to_thread(held_back, current.config, wanted, FIXED)
                await self._enlist(config, listeners)
            except FairleadError as error:
                _say_each(error.message, "no restart: ")
                if self._crews[-1] is not current:
                    await self._crews.pop().stop(self._cutting)
                continue
            for path in waiting:
                say(f"`{path}`: in use after a full stop and start")
            say(f"restarted: {config.gateway.workers} fresh workers serve")
            return

    async def _retire(self, crew: Crew) -> None:
        await crew.retire(self._cutting)
        self._crews.remove(crew)


def _say_each(message: str, before: str) -> None:
    for line in message.splitlines():
        say(before + line)
