"""`fairlead check`: what a configuration switches on, and why, without calling anybody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import typer

from fairlead.cli.settings import ConfigOption, JsonOption, Settings, find_settings
from fairlead.cli.terminal import cell, complain, console, counted, emit, room, show_table

if TYPE_CHECKING:
    from fairlead.config.schema import Config

DEGRADED = (
    ("rate limits", "a store that is down does not touch them"),
    ("hard budgets", "fail closed: refused with 503 while what was spent cannot be read"),
    ("keys", "known keys stay good for up to 60 s, then 503; unknown ones are refused"),
    ("records", "wait in the spool up to its cap, then are counted as dropped; traffic goes on"),
)
"""What each feature does while the store is down."""
STATE_DEGRADED = (
    ("rate limits", "each process goes by its own share: the limit divided by the processes there were"),
    ("hard budgets", "fail closed: refused with 503 until the shared state answers again"),
)
"""What each feature does while a state that processes share is down."""


def check(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Say what the configuration switches on, and why."""
    from fairlead.cli.models import catalogue

    settings = find_settings(config)
    problems = problems_outside(settings)
    report = {
        "config": None if settings.file is None else str(settings.file),
        "gateway": gateway(settings.config),
        "stages": [{"stage": name, "on": on, "because": why} for name, on, why in stages(settings.config)],
        "providers": providers(settings.config),
        "models": catalogue(settings.config),
        "store": store(settings),
        "state": state(settings.config),
        "degraded": [{"feature": feature, "mode": mode} for feature, mode in DEGRADED],
        "problems": problems,
    }
    if json:
        emit(report)
    else:
        _show(report)
    for problem in problems:
        complain(problem)
    if problems:
        raise typer.Exit(1)


def problems_outside(settings: Settings) -> list[str]:
    """What is wrong with secrets, certificates and the like, a line each; the secrets themselves go nowhere."""
    from fairlead.config.build_state import check_state
    from fairlead.config.reload import Source
    from fairlead.errors import ConfigError

    def see_source() -> None:
        Source(read=lambda: settings.config, file=settings.file).usable(settings.root, os.environ)

    found = []
    for see in (see_source, lambda: check_state(settings.config, settings.root, os.environ)):
        try:
            see()
        except ConfigError as error:
            found += error.message.splitlines()
    return found


def gateway(config: Config) -> dict[str, Any]:
    """Where it would listen, and who would get in."""
    own = config.gateway
    return {
        "host": own.host,
        "port": own.port,
        "admin_port": own.admin_port,
        "workers": own.workers,
        "auth": own.auth,
        "tls": own.tls is not None,
        "helicone_headers": own.helicone_headers,
    }


def stages(config: Config) -> list[tuple[str, bool, str]]:
    """Every stage of the pipeline in its order: its name, whether it is on, and why."""
    from fairlead.config.build import ORDER

    auth, keepers = config.gateway.auth, ", ".join(_keepers(config))
    reasons = {
        "observe": (True, f"always; contents are stored {config.store.content_mode!r}"),
        "authorize": (auth != "open", f"[gateway] auth is {auth!r}"),
        "admit": (True, "always; binds keys, users and teams that have limits"),
        "resolve": (True, f"always; {counted(len(config.models), 'name')} under [models]"),
        "own": (bool(keepers), f"answers are kept by {keepers}" if keepers else "no provider keeps answers"),
        "validate": _where(validation=[name for name, each in config.models.items() if each.validation]),
        "route": (True, "always; targets in order, by weight, load or speed; fallback until the first content"),
        "retry": _where(retry=[name for name, each in config.models.items() if each.retry]),
        "pace": _where(
            limits=[name for name, each in config.providers.items() if each.limits],
            breaker=[name for name, each in config.models.items() if each.breaker],
        ),
        "budget": (True, "always; binds keys, users and teams that have a budget"),
        "deadline": (True, "always; four clocks an attempt"),
    }
    return [(name, *reasons.get(name, (False, "not yet in this version"))) for name in ORDER]


def _keepers(config: Config) -> list[str]:
    """The providers that keep answers, which then belong to somebody."""
    from fairlead.providers import facts

    known = facts.load()
    found = {name: known.of(each.vendor, each.dialect_name) for name, each in config.providers.items()}
    return [name for name, vendor in found.items() if vendor is not None and vendor.is_keeper]


def _where(**named: list[str]) -> tuple[bool, str]:
    """Whether any of these settings is made, and for which providers or models."""
    made = [f"`{setting}` of {', '.join(names)}" for setting, names in named.items() if names]
    return bool(made), "; ".join(made) or "; ".join(f"nothing says `{setting}`" for setting in named)


def providers(config: Config) -> list[dict[str, Any]]:
    """Where calls may go."""
    from fairlead.providers import facts

    known = facts.load()
    rows = []
    for name, provider in config.providers.items():
        vendor = known.of(provider.vendor, provider.dialect_name)
        base_url = provider.base_url or (None if vendor is None else vendor.base_url)
        rows.append(
            {
                "provider": name,
                "vendor": provider.vendor,
                "base_url": base_url,
                "credentials": list(provider.secret_refs.values()),
                "simulated": base_url is None and provider.vendor == "sim",
            }
        )
    return rows


def store(settings: Settings) -> dict[str, Any]:
    """Where records go."""
    from fairlead.config.build import spool_folder, store_path

    own = settings.config.store
    return {
        "path": str(store_path(settings.config, settings.root)),
        "spool": str(spool_folder(settings.config, settings.root)),
        "spool_max_bytes": own.spool_max_bytes,
        "content": own.content_mode,
        "fsync": own.fsync,
    }


def state(config: Config) -> dict[str, Any]:
    """Where limits and reservations are counted, for whom, and what happens while that is down."""
    from fairlead.config.build_state import shown_url

    url = shown_url(config)
    scheme = url.partition(":")[0]
    shared_by = {"memory": "one process", "sqlite": "the processes of this machine"}.get(scheme, "all machines")
    modes = () if scheme == "memory" else STATE_DEGRADED
    return {
        "url": url,
        "shared_by": shared_by,
        "degraded": [{"feature": feature, "mode": mode} for feature, mode in modes],
    }


def _show(report: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from fairlead.cli.models import models_table

    out = console()

    def table(title: str, *columns: str) -> Table:
        out.print(Text(f"\n{title}", style="bold cyan"))
        return Table(*columns, box=None, header_style="bold", pad_edge=False)

    own, kept = report["gateway"], report["store"]
    out.print(Text(f"Configuration: {report['config'] or 'the environment (no fairlead.toml here)'}"))
    scheme = "https" if own["tls"] else "http"
    out.print(
        Text(f"Gateway: {scheme}://{own['host']}:{own['port']}, control port {own['admin_port']}, auth {own['auth']!r}")
    )
    if own["helicone_headers"]:
        out.print(Text("Helicone's request headers are read, as `helicone_headers` says"))
    out.print(Text(f"Store: {kept['path']}, spool {kept['spool']} up to {kept['spool_max_bytes'] / 2**20:,.0f} MiB"))
    out.print(Text(f"State: {report['state']['url']}, shared by {report['state']['shared_by']}"))
    rows = table("Stages", "stage", "", "because")
    for stage in report["stages"]:
        style = "green" if stage["on"] else "dim"
        rows.add_row(cell(stage["stage"]), cell("on" if stage["on"] else "off", style), cell(stage["because"]))
    show_table(rows)
    rows = table("Providers", "provider", "where", "credentials")
    for each in report["providers"]:
        where = "in process, simulated" if each["simulated"] else each["base_url"]
        rows.add_row(cell(each["provider"]), cell(where), cell(", ".join(each["credentials"]) or "none"))
    show_table(rows)
    out.print(Text("\nModels", style="bold cyan"))
    show_table(models_table(report["models"], room()))
    for title, modes in (("store", report["degraded"]), ("state", report["state"]["degraded"])):
        if modes:
            rows = table(f"While the {title} is down", "feature", "what it does")
            for each in modes:
                rows.add_row(cell(each["feature"]), cell(each["mode"]))
            show_table(rows)
