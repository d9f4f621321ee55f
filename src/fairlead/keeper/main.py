"""The keeper: moves spooled records into the store and serves the control plane."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from fairlead.config.build import open_store, spool_folder
from fairlead.config.kept import kept_secret
from fairlead.config.launch import Launch, announce, parent_gone, run
from fairlead.errors import FairleadError, StateUnavailable
from fairlead.keeper.app import create_app
from fairlead.stores.ingest import Ingester
from fairlead.stores.system import SystemRng
from fairlead.telemetry.exposition import Exposition

_TICK_S = 0.1
_PAUSE_MAX_S = 5.0


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the keeper has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(launch: Launch) -> None:
    """Serve until SIGTERM or the supervisor's end, then take in what the workers wrote last."""
    config, root = launch.config, Path(launch.root)
    folder = spool_folder(config, root)
    folder.mkdir(parents=True, exist_ok=True)
    store = open_store(config, root)
    ingester = Ingester(folder, store.logs)
    await ingester.run_once()
    admin_key = kept_secret(folder / "admin.key", "FAIRLEAD_ADMIN_KEY", os.environ, SystemRng())
    app = create_app(store.logs, Exposition(store.logs, folder), admin_key, os.environ.get("FAIRLEAD_METRICS_TOKEN"))
    listener = socket.create_server(
        (config.gateway.host, launch.port), family=socket.AF_INET6 if ":" in config.gateway.host else socket.AF_INET
    )
    server = _Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    tasks = [
        loop.create_task(server.serve(sockets=[listener]), name="control-plane"),
        loop.create_task(_ingest(ingester), name="ingest"),
        loop.create_task(parent_gone(done), name="parent-watch"),
    ]
    announce({"port": launch.port, "pid": os.getpid()})
    await done.wait()
    server.should_exit = True
    for task in tasks[1:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await ingester.run_once()
    await store.aclose()


async def _ingest(ingester: Ingester) -> None:
    """Ten times a second; while the store is down, at growing intervals."""
    pause_s = _TICK_S
    while True:
        try:
            await ingester.run_once()
            pause_s = _TICK_S
        except StateUnavailable as error:
            sys.stderr.write(f"fairlead: the store cannot be written ({error.message}); records wait in the spool\n")
            pause_s = min(pause_s * 2, _PAUSE_MAX_S)
        await asyncio.sleep(pause_s)


def main() -> int:
    """Entry point of the keeper process; the launch order comes on standard input."""
    try:
        run(serve)
    except FairleadError as error:
        sys.stderr.write(f"fairlead: {error.message}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
