"""The supervisor: one keeper, N workers, restarted when they die, drained in the order that loses nothing."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from fairlead.config.launch import Launch, News, cannot_listen
from fairlead.config.schema import Config, Gateway
from fairlead.errors import ConfigError

_KEEPER = "keeper"
_RESTART_S = 0.1
_RESTART_MAX_S = 5.0
_LAST_WORDS_S = 1.0


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
        self._children: dict[str, _Child] = {}

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
            self._children[name] = await _Child.start(self._command(name), order)
        except OSError as error:
            raise ConfigError(f"the {name} process cannot be started: {error.strerror or error}") from error

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
                _say(f"{fault}; starting it again in {pause_s:g} s")
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

    async def _end(self, children: Sequence[_Child], patience_s: float) -> None:
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
                _say(f"{child.name} does not end; killing it")
                child.send_signal(signal.SIGKILL)
            elif not child.ended_well:
                _say(await child.ended())
        await over

    def _workers(self) -> list[_Child]:
        return [child for name, child in self._children.items() if name != _KEEPER]


class _Child:
    """One process of ours: its order, its news, its end."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.fault: str | None = None
        """What it said was wrong."""
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._is_ready = False
        self._heard = asyncio.Event()
        """It is ready, or never will be."""
        self._listener = self._loop.create_task(self._listen(), name=f"news-of-{name}")

    @classmethod
    async def start(cls, command: Sequence[str], order: Launch) -> _Child:
        """Start the process and hand it its order.

        Raises:
            OSError: the system starts no process.
        """
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert process.stdin is not None  # noqa: S101 - asked for above
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        return cls(order.name, process)

    @property
    def runs(self) -> bool:
        """Whether the process is there still."""
        return self._process.returncode is None

    @property
    def ended_well(self) -> bool:
        """Whether it ended because it was told to."""
        return self.fault is None and self._process.returncode in (0, -signal.SIGTERM)

    @property
    def age_s(self) -> float:
        """Time since its start."""
        return self._loop.time() - self._began_s

    def send_signal(self, number: signal.Signals) -> None:
        """Harmless once it has ended."""
        if self.runs:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def ready(self, patience_s: float) -> None:
        """Wait until it serves.

        Raises:
            ConfigError: it does not, and has ended or was killed.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._heard.wait()
        if self._is_ready:
            return
        if not self._heard.is_set():
            self.fault = f"the {self.name} process was not ready after {patience_s:g} s"
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._process.wait()
        self.send_signal(signal.SIGKILL)
        fault = await self.ended()
        raise ConfigError(self.fault or f"{fault} before it was ready")

    async def ended(self) -> str:
        """Wait for its end; how it ended, and what it said about that."""
        code = await self._process.wait()
        # A pipe that something else holds open must not keep us waiting.
        await asyncio.wait({self._listener}, timeout=_LAST_WORDS_S)
        self._listener.cancel()
        return f"{self.name} ended with code {code}" + ("" if self.fault is None else f" ({self.fault})")

    async def _listen(self) -> None:
        """Read its news to their end, so that it never waits for us to read."""
        assert self._process.stdout is not None  # noqa: S101 - asked for at the start
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # longer than any news, and dropped by the reader
                continue
            if not line:
                break
            self._hear(line)
        self._heard.set()

    def _hear(self, line: bytes) -> None:
        try:
            news = msgspec.json.decode(line, type=News)
        except msgspec.MsgspecError:
            _say(f"{self.name} printed: {line.decode('utf-8', 'replace')}")
            return
        self.fault = news.error
        self._is_ready = news.ready
        self._heard.set()


def _say(text: str) -> None:
    sys.stderr.write(f"fairlead: {' '.join(text.split())}\n")
    sys.stderr.flush()


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
