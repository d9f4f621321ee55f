"""The processes that one start of a gateway, or one restart, brings up: a keeper and N workers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.config.launch import Launch, Order
from fairlead.config.schema import Config
from fairlead.errors import ConfigError
from fairlead.gateway.child import RETIRE, Child, say

KEEPER = "keeper"
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "131072"}
"""For glibc: stand by its own default.  Else it raises that with every large block that it gets back, and the keeper's
batches, of other sizes each time, leave a heap full of holes that grows by tens of megabytes an hour."""
_RESTART_S = 0.1
_RESTART_MAX_S = 5.0


@dataclass(slots=True, kw_only=True, frozen=True)
class Patience:
    """How long the supervisor waits for a child."""

    start_s: float = 60.0
    beyond_drain_s: float = 10.0
    """A worker that was told to end may take so much longer than `[gateway] drain_s`."""
    keeper_s: float = 60.0
    cut_s: float = 5.0
    """How long any of them may take after the second signal."""
    young_s: float = 30.0
    """A child that ends younger is started again after longer and longer pauses."""


Command = Callable[[str], Sequence[str]]
"""The command line of a child by its name."""


def command_of(name: str) -> Sequence[str]:
    """The command line of a child of ours."""
    module = "fairlead.keeper.main" if name == KEEPER else "fairlead.gateway.worker"
    return (sys.executable, "-m", module)


class Crew:
    """One keeper, N workers, restarted when they die.

    Args:
        root: the folder that relative paths of the configuration start from.
        data_port: for messages; workers serve the sockets that they inherit.
        sockets: the descriptors for each worker.
    """

    def __init__(
        self,
        config: Config,
        root: Path,
        *,
        data_port: int,
        admin_port: int,
        sockets: Sequence[tuple[int, ...]],
        patience: Patience,
        command: Command,
    ) -> None:
        self.config = config
        """That of children to come; `reload` tells those that run."""
        self._root = root
        self._ports = {KEEPER: admin_port, **{f"worker-{n}": data_port for n in range(1, len(sockets) + 1)}}
        self._sockets = {f"worker-{n}": own for n, own in enumerate(sockets, start=1)}
        self._patience = patience
        self._command = command
        self._children: dict[str, Child] = {}
        self._reload_failed = False

    async def start(self) -> None:
        """Start the keeper, then the workers at the same time.

        Raises:
            ConfigError: a process could not start.
        """
        await self._start(KEEPER)
        await self._children[KEEPER].ready(self._patience.start_s)
        for name in self._sockets:
            await self._start(name)
        for child in self._workers():
            await child.ready(self._patience.start_s)

    async def keep(self) -> None:
        """Keep all of them running, until cancelled."""
        await asyncio.gather(*(self._keep(name) for name in self._ports))

    def reload(self, config: Config) -> None:
        """Have all workers go over to another configuration, and those that are restarted begin with it."""
        self.config = config
        self._reload_failed = False
        self._tell(Order(config=config))

    def reload_failed(self) -> None:
        """Have it shown that the configuration could not be read again."""
        self._reload_failed = True
        self._tell(Order(reload_failed=True))

    async def stop(self, cutting: asyncio.Event) -> None:
        """Have all end: workers first, so that the keeper sees their last records."""
        await self._stop(signal.SIGTERM, cutting)

    async def retire(self, cutting: asyncio.Event) -> None:
        """As `stop`, but gently: workers tell their callers to come anew, for others serve by now."""
        await self._stop(RETIRE, cutting)

    def send_signal(self, number: signal.Signals) -> None:
        """To all workers."""
        for child in self._workers():
            child.send_signal(number)

    async def _start(self, name: str) -> None:
        sockets = self._sockets.get(name, ())
        order = Launch(config=self.config, root=str(self._root), name=name, port=self._ports[name], listeners=sockets)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(name),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
                pass_fds=sockets,
                env={**_ALLOCATOR, **os.environ},
            )
        except OSError as error:
            raise ConfigError(f"the {name} process cannot be started: {error.strerror or error}") from error
        child = self._children[name] = Child(process, order)
        if self._reload_failed and name != KEEPER:
            child.tell(Order(reload_failed=True))

    async def _keep(self, name: str) -> None:
        """Restart a child whenever it dies, with growing pauses while it dies young."""
        pause_s = _RESTART_S
        while True:
            child = self._children[name]
            fault = await child.ended()
            if child.age_s >= self._patience.young_s:
                pause_s = _RESTART_S
            while True:
                say(f"{fault}; starting it again in {pause_s:g} s")
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RESTART_MAX_S)
                try:
                    await self._start(name)
                    await self._children[name].ready(self._patience.start_s)
                except ConfigError as error:
                    fault = f"{name} did not start ({error.message})"
                else:
                    break

    async def _stop(self, number: signal.Signals, cutting: asyncio.Event) -> None:
        drain_s = self.config.gateway.drain_s + self._patience.beyond_drain_s
        await self._end(self._workers(), number, drain_s, cutting)
        keepers = [child for name, child in self._children.items() if name == KEEPER]
        await self._end(keepers, signal.SIGTERM, self._patience.keeper_s, cutting)

    async def _end(
        self, children: Sequence[Child], number: signal.Signals, patience_s: float, cutting: asyncio.Event
    ) -> None:
        """Tell those that run to end, and kill those that have not in time."""
        running = [child for child in children if child.runs]
        if not running:
            return
        for child in running:
            child.send_signal(number)
        over: asyncio.Future[Any] = asyncio.gather(*(child.ended() for child in running))
        told: asyncio.Future[Any] = asyncio.ensure_future(cutting.wait())
        try:
            await asyncio.wait({over, told}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                await asyncio.wait({over}, timeout=self._patience.cut_s)
        finally:
            told.cancel()
        for child in running:
            if child.runs:
                say(f"{child.name} does not end; killing it")
                child.send_signal(signal.SIGKILL)
            elif not child.ended_well:
                say(await child.ended())
        await over

    def _tell(self, order: Order) -> None:
        for child in self._workers():
            child.tell(order)

    def _workers(self) -> list[Child]:
        return [child for name, child in self._children.items() if name != KEEPER]
