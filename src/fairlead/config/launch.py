"""How a supervisor starts a child and how both notice the other's end: an order on standard input, news on standard output.

The pipe of the order stays open; its end of file means that the supervisor is gone, on every platform.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

from fairlead.config.schema import Config
from fairlead.config.secrets import file_path, secret_path
from fairlead.errors import ConfigError, FairleadError

_LONGEST_ORDER: Final = 1 << 26

_log = logging.getLogger(__name__)


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is told.  Secrets are references still, so nothing in it is secret."""

    config: Config
    root: str
    """The folder that relative paths start from."""
    name: str
    """Of this child: `keeper`, `worker-1`, ..."""
    port: int
    listeners: tuple[int, ...] = ()
    """Descriptors of the sockets to serve, inherited and bound to `port`; without any, the child binds one."""

    def tls_files(self) -> tuple[str, str] | None:
        """The certificate chain and its key, the same for both ports; `None` for plain HTTP.

        Raises:
            ConfigError: one of them cannot be used.
        """
        tls = self.config.gateway.tls
        if tls is None:
            return None
        root = Path(self.root)
        return str(file_path(tls.cert, root)), str(secret_path(tls.key, root))


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker that runs is told, one line of JSON each."""

    config: Config | None = None
    """Go over to this configuration."""
    reload_failed: bool = False
    """The configuration could not be read again, so the one before goes on."""


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a child tells, one line of JSON each."""

    ready: bool = False
    """It serves."""
    error: str | None = None
    """Why it ends."""


def run(serve: Callable[[Launch], Awaitable[None]]) -> int:
    """Read the order and serve it, on uvloop where there is one; returns the exit code of this process.

    What is logged goes to stderr under the child's name.  What ends the child before its time is told to the
    supervisor, who says it in one line; only a fault of ours leaves a traceback.
    """
    with open(0, "rb", buffering=0, closefd=False) as orders:
        launch = msgspec.json.decode(orders.readline(), type=Launch)
    _configure_logging(launch.name)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_whole(serve, launch))
    except FairleadError as error:
        announce(News(error=error.message if error.detail is None else f"{error.message} ({error.detail})"))
    except OSError as error:
        announce(News(error=explained(error)))
    except Exception:  # noqa: BLE001 - it is logged with its traceback, and ends the process
        _log.exception("this process ends by a fault of its own")
        announce(News(error="a fault of its own; the traceback stands above"))
    else:
        return 0
    return 1


def explained(error: OSError) -> str:
    """What the operating system says, and about which file."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def cannot_listen(host: str, port: int, setting: str, error: OSError) -> ConfigError:
    """The error for a port that cannot be bound, with what chooses another."""
    reason = error.strerror or error
    if error.errno == errno.EADDRINUSE:
        reason = f"port {port} is in use by another program"
    option = setting.replace("_", "-")
    return ConfigError(
        f"cannot listen on {host}:{port}: {reason}; set another `[gateway] {setting}`, or give `--{option} N`"
    )


async def parent_gone(told: asyncio.Event) -> None:
    """Set `told` when the supervisor's end of the pipe closes, or cannot be watched any more."""
    await heed(lambda _: None, told)


async def heed(obey: Callable[[Order], None], told: asyncio.Event) -> None:
    """Pass on what the supervisor orders, and set `told` when there is no supervisor any more."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LONGEST_ORDER)
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            obey(msgspec.json.decode(line, type=Order))
    finally:
        told.set()


def announce(news: News) -> None:
    """Tell the supervisor; one that is gone needs no news."""
    try:
        sys.stdout.buffer.write(msgspec.json.encode(news) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return


class _OneLine(logging.Formatter):
    """A record's message on one line, whatever is in it; a traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        return " ".join(super().formatMessage(record).split())


def _configure_logging(name: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(f"fairlead[{name}]: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


async def _whole(serve: Callable[[Launch], Awaitable[None]], launch: Launch) -> None:
    await serve(launch)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
