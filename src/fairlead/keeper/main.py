"""The keeper: moves spooled records into the store and serves the control plane."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from fairlead.config.build_keeper import KeeperParts, build_keeper
from fairlead.config.launch import Launch, News, announce, cannot_listen, explained, parent_gone, run
from fairlead.errors import InternalError, StateUnavailable
from fairlead.keeper.app import create_app
from fairlead.keeper.retention import keep_pruning
from fairlead.ports import Rng
from fairlead.wire import server_context

_TICK_S = 0.1
_PAUSE_MAX_S = 5.0
_GRACE_S = 5
"""For answers of the control plane that are under way at the end; the last records still have to be taken in."""

_log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the keeper has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(launch: Launch) -> None:
    """Serve until SIGTERM or the supervisor's end, then take in what the workers wrote last.

    Raises:
        ConfigError: the store, a secret, a TLS file or the port cannot be used.
    """
    parts = build_keeper(launch.config, Path(launch.root), os.environ)
    await parts.ingest()
    server = _control_plane(launch, parts)
    listener = _listen(launch)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    control = loop.create_task(server.serve(sockets=[listener]), name="control plane")
    own = [
        loop.create_task(keep_ingesting(parts.ingest, parts.clock.sleep, parts.rng), name="ingest"),
        loop.create_task(parent_gone(told), name="parent watch"),
    ]
    retention_days = launch.config.store.retention_days
    if retention_days is not None:
        own.append(loop.create_task(keep_pruning(parts.prune, parts.clock, retention_days), name="retention"))
    announce(News(ready=True))
    try:
        await until_told(told, [control, *own])
    finally:
        server.should_exit = True
        for task in own:
            task.cancel()
        await asyncio.gather(control, *own, return_exceptions=True)
    try:
        await parts.ingest()
    except (StateUnavailable, OSError) as error:
        _log.warning("records wait in the spool for the next start, as they cannot be stored: %s", _reason(error))
    finally:
        await parts.aclose()


async def until_told(told: asyncio.Event, tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for the event, while all tasks go on.

    Raises:
        Exception: what ended a task before.
        InternalError: a task came to an end by itself.
    """
    telling = asyncio.ensure_future(told.wait())
    try:
        ended, _ = await asyncio.wait({telling, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        telling.cancel()
    if told.is_set():
        return
    for task in ended & set(tasks):
        await task
        raise InternalError(f"the task {task.get_name()!r} ended, which it never should")


async def keep_ingesting(
    ingest: Callable[[], Awaitable[int]], sleep: Callable[[float], Awaitable[None]], rng: Rng
) -> None:
    """Ingest ten times a second; while the store or the spool cannot be used, at growing intervals, said once."""
    pause_s = _TICK_S
    while True:
        try:
            await ingest()
        except (StateUnavailable, OSError) as error:
            if pause_s == _TICK_S:
                _log.warning("records wait in the spool, as they cannot be stored: %s", _reason(error))
            pause_s = min(pause_s * 2, _PAUSE_MAX_S)
            # Several keepers that one outage stopped do not come back in step.
            await sleep(pause_s * (0.75 + rng.random() / 2))
            continue
        if pause_s != _TICK_S:
            _log.info("records are stored again")
            pause_s = _TICK_S
        await sleep(pause_s)


def _reason(error: StateUnavailable | OSError) -> str:
    if isinstance(error, OSError):
        return explained(error)
    return error.message if error.detail is None else f"{error.message} ({error.detail})"


def _control_plane(launch: Launch, parts: KeeperParts) -> _Server:
    """The server of the admin API, with TLS where the data port has it.

    Raises:
        ConfigError: a TLS file cannot be used.
    """
    cert, key = launch.tls_files() or (None, None)
    if cert is not None:
        server_context(cert, key)  # uvicorn makes its own; this one says clearly what is wrong with the files
    return _Server(
        uvicorn.Config(
            create_app(parts),
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            lifespan="off",
            server_header=False,
            ssl_certfile=cert,
            ssl_keyfile=key,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )


def _listen(launch: Launch) -> socket.socket:
    """The control port, which the supervisor holds too.

    Raises:
        ConfigError: it cannot be bound.
    """
    host = launch.config.gateway.host
    try:
        return socket.create_server(
            (host, launch.port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, reuse_port=True
        )
    except OSError as error:
        raise cannot_listen(host, launch.port, "admin_port", error) from error


def main() -> int:
    """Entry point of the keeper process; the launch order comes on standard input."""
    return run(serve)


if __name__ == "__main__":
    sys.exit(main())
