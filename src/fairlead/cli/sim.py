"""`fairlead sim`: the simulated provider on a port of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.settings import JsonOption, readable
from fairlead.cli.terminal import console, emit
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from fairlead.providers.sim import SimSettings

_DRAIN_S = 1.0


def sim(
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65_535, help="The port, 0 for a free one.")] = 8_500,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="TOML with [limits] and [[faults]]: what it allows, which calls fail, and how."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, other answers and faults.")] = 0,
    latency: Annotated[
        float, typer.Option(metavar="S", min=0, help="Seconds before the first byte of an answer.")
    ] = 0.0,
    tokens_per_s: Annotated[
        float | None, typer.Option(metavar="R", min=0.001, help="Tokens a second; absent: all at once.")
    ] = None,
    error_rate: Annotated[
        float, typer.Option(metavar="R", min=0, max=1, help="The share of calls that fail with status 500.")
    ] = 0.0,
    any_model: Annotated[bool, typer.Option("--any-model", help="Answer for any model name.")] = False,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The environment variable with the only key that is let in.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Serve a simulated provider that speaks every dialect."""
    from fairlead.providers.sim import SimSettings, read

    api_key = None if api_key_env is None else os.environ.get(api_key_env)
    if api_key_env is not None and not api_key:
        raise ConfigError(f"the environment variable `{api_key_env}` is not set; put the key there")
    trouble = read("" if faults is None else readable(faults))
    settings = SimSettings(
        seed=seed,
        latency_s=latency,
        tokens_per_s=tokens_per_s,
        error_rate=error_rate,
        faults=trouble.faults,
        limits=trouble.limits,
        any_model=any_model,
        api_key=api_key,
    )
    asyncio.run(_serve(settings, host, port, json=json))


async def _serve(settings: SimSettings, host: str, port: int, *, json: bool) -> None:
    """Serve until SIGTERM or SIGINT; answers under way get a second."""
    from fairlead.providers.sim import Simulator
    from fairlead.providers.sim.server import handler
    from fairlead.stores.system import SystemClock
    from fairlead.wire.server import Server

    clock = SystemClock()
    server = Server(handler(Simulator(settings, clock), clock))
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        await server.start(host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {_reason(error)}; set another --port") from error
    _welcome(settings, host, server.port, json=json)
    await told.wait()
    server.stop_accepting()
    await server.drain(_DRAIN_S)


def _welcome(settings: SimSettings, host: str, port: int, *, json: bool) -> None:
    if json:
        emit({"event": "ready", "port": port, "pid": os.getpid()})
        return
    from rich.text import Text

    from fairlead.dialects import DIALECTS

    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    key = "" if settings.api_key is None else " -H 'Authorization: Bearer KEY'"
    body = """{"model": "sim-small", "messages": [{"role": "user", "content": "Say hello"}]}"""
    out = console()
    out.print(Text.assemble(("Simulated provider", "bold"), f" at {url}/v1: no language model is asked."))
    out.print("Call it:", style="bold")
    out.print(Text(f"curl {url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'"))
    out.print("Or in another dialect:", style="bold")
    for each in DIALECTS.values():
        out.print(Text(f"{each.name}: POST {url}/v1{each.upstream_path}"))
    out.print("Read its bill:", style="bold")
    out.print(Text(f"curl {url}/sim/bill"))


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
