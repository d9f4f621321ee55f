"""`fairlead serve`: the gateway, until a signal ends it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.settings import ConfigOption, JsonOption, Settings, find_settings
from fairlead.cli.terminal import complain, emit
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from fairlead.config.schema import Config
    from fairlead.gateway.supervisor import Ports

_NEEDED = ("fastapi", "prometheus_client", "uvicorn")


def serve(
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Worker processes; overrides [gateway] workers.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address of both ports; overrides [gateway] host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65_535, help="Data port, 0 for a free one; overrides [gateway] port."),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="Control port, 0 for a free one; overrides [gateway] admin_port."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run the gateway until Ctrl-C or SIGTERM."""
    _check_installed()
    import asyncio

    from fairlead.config.build import sole_gateway
    from fairlead.config.descriptors import few_streams, lift_open_files_limit, open_files_limit
    from fairlead.config.reload import Source
    from fairlead.gateway.supervisor import Supervisor

    given = {"workers": workers, "host": host, "port": port, "admin_port": admin_port}
    overrides = {name: value for name, value in given.items() if value is not None}
    found = find_settings(config)
    settings = Settings(config=overridden(found.config, overrides), root=found.root, file=found.file)
    source = Source(read=lambda: overridden(find_settings(found.file).config, overrides), file=found.file)

    lift_open_files_limit()
    narrow = few_streams(open_files_limit())
    if narrow is not None:
        complain(narrow)

    def ready(ports: Ports) -> None:
        if json:
            emit({"event": "ready", "data_port": ports.data, "admin_port": ports.admin, "pid": os.getpid()})
            return
        from fairlead.cli.banner import welcome

        welcome(settings, ports.data, ports.admin)

    with sole_gateway(settings.config, settings.root):
        asyncio.run(Supervisor(settings.config, settings.root, ready, source=source).run())


def overridden(config: Config, gateway: Mapping[str, object]) -> Config:
    """The configuration with other `[gateway]` settings, held to the same rules as a file.

    Raises:
        ConfigError: they break a rule, or are not yet in this version.
    """
    from msgspec.structs import replace

    from fairlead.config.not_yet import unavailable
    from fairlead.config.rules import broken
    from fairlead.providers import facts

    changed = replace(config, gateway=replace(config.gateway, **gateway))
    problems = [*unavailable({"gateway": gateway}), *broken(changed, facts.load().vendors)]
    if problems:
        raise ConfigError("\n".join(problem.message for problem in problems))
    return changed


def _check_installed() -> None:
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        raise ConfigError(f"`serve` needs {names}; in the repository's folder run `pip install '.[gateway]'`")
