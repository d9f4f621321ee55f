"""How a supervisor starts a child and how both notice the other's end: an order on standard input, news on standard output.

The pipe of the order stays open; its end of file means that the supervisor is gone, on every platform.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from fairlead.config.schema import Config


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is told.  Secrets are references still, so nothing in it is secret."""

    config: Config
    root: str
    """The folder that relative paths start from."""
    name: str
    """Of this child: `keeper`, `worker-1`, ..."""
    port: int
    workers: int = 1


def run(serve: Callable[[Launch], Awaitable[None]]) -> None:
    """Read the order and serve it, on uvloop where there is one."""
    launch = msgspec.json.decode(sys.stdin.buffer.readline(), type=Launch)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_whole(serve, launch))


async def parent_gone(told: asyncio.Event) -> None:
    """Set `told` when the supervisor's end of the pipe closes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    told.set()


def announce(news: Mapping[str, object]) -> None:
    """Tell the supervisor, in one line of JSON; a supervisor that is gone needs no news."""
    try:
        sys.stdout.buffer.write(msgspec.json.encode(news) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return


async def _whole(serve: Callable[[Launch], Awaitable[None]], launch: Launch) -> None:
    await serve(launch)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
