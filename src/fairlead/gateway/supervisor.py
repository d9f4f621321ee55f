"""The supervisor: one keeper, N workers, restarted when they die, drained in the order that loses nothing."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.config.launch import Launch, cannot_listen
from fairlead.config.schema import Config, Gateway
from fairlead.errors import ConfigError
from fairlead.gateway.child import Child, say

_KEEPER = "keeper"
_RESTART_S = 0.1
_RESTART_MAX_S = 5.0


@dataclass(slots=True, kw_only=True, frozen=True)
class Ports:
    """Where the gateway listens, once it does."""

    data: int
    admin: int


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


def _command(name: str) -> Sequence[str]:
    module = "fairlead.keeper.main" if name == _KEEPER else "fairlead.gateway.worker"
    return (sys.executable, "-m", module)


class Supervisor:
    """Runs the processes of one gateway.

    Args:
        root: the folder that relative paths of the configuration start from.
        on_ready: called once all processes serve.
        command: the command line of a child by its name.
    """

    def __init__(
        self,
        config: Config,
        root: Path,
        on_ready: Callable[[Ports], None],
        *,
        patience: Patience | None = None,
        command: Callable[[str], Sequence[str]] = _command,
    ) -> None:
        self._config = config
        self._root = root
        self._on_ready = on_ready
        self._patience = patience or Patience()
        self._command = command
        self._stopping = asyncio.Event()
        self._cutting = asyncio.Event()
        self._children: dict[str, Child] = {}

    async def run(self) -> None:
        """Start everything, keep it running, and stop it in order on SIGTERM or SIGINT.

        Raises:
            ConfigError: a port is taken, or a process could not start; all others are stopped by then.
        """
        held = _hold_both(self._config.gateway)
        data, admin = (sock.getsockname()[1] for sock in held)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told, number)
        living = loop.create_task(self._live(data, admin), name="children")
        stopping = loop.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                await living
        finally:
            living.cancel()
            stopping.cancel()
            await asyncio.gather(living, stopping, return_exceptions=True)
            await self._stop()
            for sock in held:
                sock.close()

    def _told(self, number: signal.Signals) -> None:
        """The first signal drains; a further one reaches the workers again, which then cut what is open."""
        if not self._stopping.is_set():
            self._stopping.set()
            return
        self._cutting.set()
        for child in self._workers():
            child.send_signal(number)

    async def _live(self, data: int, admin: int) -> None:
        """Start the keeper, then the workers at the same time, and keep all of them running."""
        ports = {_KEEPER: admin, **{f"worker-{n}": data for n in range(1, self._config.gateway.workers + 1)}}
        await self._start(_KEEPER, admin)
        await self._ready(_KEEPER)
        for name in ports:
            if name != _KEEPER:
                await self._start(name, data)
        for child in self._workers():
            await self._ready(child.name)
        self._on_ready(Ports(data=data, admin=admin))
        await asyncio.gather(*(self._keep(name, port) for name, port in ports.items()))

    async def _start(self, name: str, port: int) -> None:
        order = Launch(config=self._config, root=str(self._root), name=name, port=port)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(name),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError(f"the {name} process cannot be started: {error.strerror or error}") from error
        self._children[name] = Child(process, order)

    async def _ready(self, name: str) -> None:
        await self._children[name].ready(self._patience.start_s)

    async def _keep(self, name: str, port: int) -> None:
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
                    await self._start(name, port)
                    await self._ready(name)
                except ConfigError as error:
                    fault = f"{name} did not start ({error.message})"
                else:
                    break

    async def _stop(self) -> None:
        """Workers first, so that the keeper sees their last records."""
        await self._end(self._workers(), self._config.gateway.drain_s + self._patience.beyond_drain_s)
        await self._end([child for name, child in self._children.items() if name == _KEEPER], self._patience.keeper_s)

    async def _end(self, children: Sequence[Child], patience_s: float) -> None:
        """Tell those that run to end, and kill those that have not in time."""
        running = [child for child in children if child.runs]
        if not running:
            return
        for child in running:
            child.send_signal(signal.SIGTERM)
        over: asyncio.Future[Any] = asyncio.gather(*(child.ended() for child in running))
        cutting: asyncio.Future[Any] = asyncio.ensure_future(self._cutting.wait())
        await asyncio.wait({over, cutting}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if cutting.done():
            await asyncio.wait({over}, timeout=self._patience.cut_s)
        cutting.cancel()
        for child in running:
            if child.runs:
                say(f"{child.name} does not end; killing it")
                child.send_signal(signal.SIGKILL)
            elif not child.ended_well:
                say(await child.ended())
        await over

    def _workers(self) -> list[Child]:
        return [child for name, child in self._children.items() if name != _KEEPER]


def _hold_both(gateway: Gateway) -> tuple[socket.socket, socket.socket]:
    data = _hold(gateway.host, gateway.port, "port")
    try:
        return data, _hold(gateway.host, gateway.admin_port, "admin_port")
    except ConfigError:
        data.close()
        raise


def _hold(host: str, port: int, setting: str) -> socket.socket:
    """Bind a port without listening, so that our children may share it and nobody else can take it.

    Raises:
        ConfigError: it is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = probe.getsockname()[1]
        held = socket.socket(family)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        raise cannot_listen(host, port, setting, error) from error
    return held
