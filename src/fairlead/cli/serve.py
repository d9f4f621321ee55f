"""`fairlead serve`: the gateway, until a signal ends it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.settings import ConfigOption, JsonOption, Settings, find_settings
from fairlead.cli.terminal import emit

if TYPE_CHECKING:
    from fairlead.gateway.supervisor import Ports


def serve(
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Worker processes; overrides `[gateway] workers`.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address of both ports; overrides `[gateway] host`.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65_535, help="Data port, 0 for a free one.")
    ] = None,
    admin_port: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65_535, help="Control port, 0 for a free one.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run the gateway until Ctrl-C or SIGTERM, then let open answers finish."""
    _check_installed()
    import asyncio

    from fairlead.config.override import overridden
    from fairlead.gateway.supervisor import Supervisor

    settings = find_settings(config)
    given = {"workers": workers, "host": host, "port": port, "admin_port": admin_port}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = Settings(config=overridden(settings.config, changes), root=settings.root, file=settings.file)

    def ready(ports: Ports) -> None:
        if json:
            emit({"event": "ready", "data_port": ports.data, "admin_port": ports.admin, "pid": os.getpid()})
        else:
            _welcome(settings, ports)

    asyncio.run(Supervisor(settings.config, settings.root, ready).run())
