"""The supervisor: one keeper, N workers, restarted when they die, drained in the order that loses nothing."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fairlead.config.launch import Launch
from fairlead.config.schema import Config, Gateway
from fairlead.errors import ConfigError

_START_S = 60.0
_KEEPER_STOP_S = 60.0
_RESTART_S = 0.1
_RESTART_MAX_S = 5.0


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
    """

    def __init__(self, config: Config, root: Path, on_ready: Callable[[Ports], None]) -> None:
        self._config = config
        self._root = root
        self._on_ready = on_ready
        self._stopping = asyncio.Event()
        self._children: dict[str, asyncio.subprocess.Process] = {}

    async def run(self) -> None:
        """Start everything, keep it running, and stop it in order on SIGTERM or SIGINT.

        Raises:
            ConfigError: a port is taken, or a process could not start.
        """
        gateway = self._config.gateway
        held = _hold_both(gateway)
        data, admin = (sock.getsockname()[1] for sock in held)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told, number)
        names = ["keeper", *(f"worker-{n}" for n in range(1, gateway.workers + 1))]
        try:
            held[1].close()
            await self._start("keeper", admin)
            await asyncio.gather(*(self._start(name, data) for name in names[1:]))
            self._on_ready(Ports(data=data, admin=admin))
            watches = [
                loop.create_task(self._keep(name, admin if name == "keeper" else data), name=f"keep-{name}")
                for name in names
            ]
            await self._stopping.wait()
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
        finally:
            await self._stop(names)
            for sock in held:
                sock.close()

    def _told(self, number: signal.Signals) -> None:
        """The first signal drains; a further one reaches the workers again, which then cut what is open."""
        if not self._stopping.is_set():
            self._stopping.set()
            return
        for name, child in self._children.items():
            if name != "keeper" and child.returncode is None:
                child.send_signal(number)

    async def _start(self, name: str, port: int) -> None:
        module = "fairlead.keeper.main" if name == "keeper" else "fairlead.gateway.worker"
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._children[name] = child
        order = Launch(
            config=self._config, root=str(self._root), name=name, port=port, workers=self._config.gateway.workers
        )
        assert child.stdin is not None  # noqa: S101 - asked for above
        assert child.stdout is not None  # noqa: S101
        child.stdin.write(msgspec.json.encode(order) + b"\n")
        try:
            async with asyncio.timeout(_START_S):
                news = await child.stdout.readline()
        except TimeoutError:
            news = b""
        if not news:
            raise ConfigError(f"the {name} process did not start; what it said stands above")

    async def _keep(self, name: str, port: int) -> None:
        """Restart a child whenever it dies, with growing pauses while it dies young."""
        pause_s = _RESTART_S
        while True:
            child = self._children[name]
            code = await child.wait()
            sys.stderr.write(f"fairlead: {name} ended with code {code}; starting it again\n")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _RESTART_MAX_S)
            try:
                await self._start(name, port)
            except ConfigError as error:
                sys.stderr.write(f"fairlead: {error.message}\n")
                continue
            pause_s = _RESTART_S

    async def _stop(self, names: list[str]) -> None:
        """Workers first, so that the keeper sees their last records."""
        workers = [self._children[name] for name in names[1:] if name in self._children]
        for child in workers:
            _terminate(child)
        await asyncio.gather(*(child.wait() for child in workers))
        keeper = self._children.get("keeper")
        if keeper is None:
            return
        _terminate(keeper)
        try:
            async with asyncio.timeout(_KEEPER_STOP_S):
                await keeper.wait()
        except TimeoutError:
            keeper.kill()
            await keeper.wait()


def _terminate(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.terminate()


def _hold_both(gateway: Gateway) -> tuple[socket.socket, socket.socket]:
    data = _hold(gateway.host, gateway.port, "port")
    try:
        return data, _hold(gateway.host, gateway.admin_port, "admin_port")
    except ConfigError:
        data.close()
        raise


def _hold(host: str, port: int, setting: str) -> socket.socket:
    """Bind a port without listening, so that workers may share it and nobody else can take it.

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
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; set another `[gateway] {setting}`"
        ) from error
    return held
