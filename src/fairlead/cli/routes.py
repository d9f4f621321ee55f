"""`fairlead routes`: how targets are doing, and by hand in an incident which are used."""

from __future__ import annotations

import asyncio
import getpass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fairlead.cli.durations import duration_ns, written
from fairlead.cli.settings import ConfigOption, JsonOption, Settings, find_settings, is_store_made, opened_store
from fairlead.cli.terminal import cell, console, emit, show_table
from fairlead.errors import InvalidRequest

if TYPE_CHECKING:
    from fairlead.ports import Audited

app = typer.Typer(help="Show how targets are doing; in an incident, leave one alone or use it whatever happens.")

TargetArgument = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="`provider`, `provider/model` or `provider/model#credential`."),
]
SpanOption = Annotated[
    str | None, typer.Option("--for", metavar="SPAN", help="How long, such as 1h; absent: until `routes reset`.")
]
_FRESH_NS = 10_000_000_000
"""Gauges so old are of a worker that has ended."""


@app.command(name="list")
def list_routes(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List all targets with what workers and operators say about them."""
    rows = asyncio.run(_rows(find_settings(config)))
    if json:
        emit(rows)
    else:
        _show(rows)


@app.command()
def disable(
    target: TargetArgument, span: SpanOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Leave a target alone, on all workers within a second."""
    _overrule("disable", target, span, find_settings(config), json=json)


@app.command()
def force(
    target: TargetArgument, span: SpanOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Use a target though its breaker is open or it was set aside."""
    _overrule("force", target, span, find_settings(config), json=json)


@app.command()
def reset(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="Absent: all of them.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Take back what was said about a target, or about all."""
    settings = find_settings(config)

    async def run() -> int:
        async with opened_store(settings) as store:
            return await store.routes.reset(target, _audited("routes reset", target or "*", ""))

    gone = asyncio.run(run())
    if json:
        emit({"reset": gone})
    else:
        console().print(f"{gone} taken back" if gone else "nothing was said about it")


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The most rows.")] = 20,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show the audit log, newest first."""
    settings = find_settings(config)

    async def run() -> list[Audited]:
        async with opened_store(settings) as store:
            return list(await store.routes.audit(limit))

    found = asyncio.run(run()) if is_store_made(settings) else []
    rows = [
        {
            "at": written(each.at_ns),
            "actor": each.actor,
            "action": each.action,
            "subject": each.subject,
            "detail": each.detail,
        }
        for each in found
    ]
    if json:
        emit(rows)
        return
    from rich.table import Table

    table = Table("at", "who", "did", "to", "", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(cell(value) for value in row.values()))
    show_table(table)


def _overrule(
    action: Literal["disable", "force"], target: str, span: str | None, settings: Settings, *, json: bool
) -> None:
    from fairlead.ports import Overruled

    _check(settings, target)
    now_ns = _now_ns()
    lasts_ns = None if span is None else duration_ns(span)
    overruled = Overruled(target=target, action=action, until_ns=None if lasts_ns is None else now_ns + lasts_ns)
    detail = "until it is taken back" if span is None else f"for {span}"

    async def run() -> None:
        async with opened_store(settings) as store:
            await store.routes.overrule(overruled, _audited(f"routes {action}", target, detail))

    asyncio.run(run())
    if json:
        emit({"target": target, "action": action, "until": None if lasts_ns is None else written(now_ns + lasts_ns)})
    else:
        does = "left alone" if action == "disable" else "used whatever happens"
        console().print(f"{target} is {does}, {detail}; `fairlead routes reset {target}` takes it back")


def _check(settings: Settings, target: str) -> None:
    """Refuse what names nothing that is configured."""
    known = _targets(settings)
    names = {name for each in known for name in _names(each)}
    provider = target.partition("/")[0]
    by_name = any(each.targets and "*" in str(each.targets) for each in settings.config.models.values())
    if target in names or (by_name and provider in settings.config.providers):
        return
    from difflib import get_close_matches

    near = get_close_matches(target, sorted(names), n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`fairlead routes list` shows them"
    raise InvalidRequest(f"no target {target!r} is configured; {hint}")


def _targets(settings: Settings) -> list[str]:
    from fairlead.config.build import Catalogue
    from fairlead.core.lane import Lanes

    known = Catalogue(settings.config, Lanes()).aliases.values()
    return list(dict.fromkeys(each.lane.name for candidates in known for each in candidates))


def _names(target: str) -> tuple[str, str, str]:
    """What a target is called: with its credential, without, and its provider alone."""
    plain = target.partition("#")[0]
    return target, plain, plain.partition("/")[0]


async def _rows(settings: Settings) -> list[dict[str, Any]]:
    said: dict[str, Any] = {}
    gauges: dict[str, list[Any]] = {}
    if is_store_made(settings):
        async with opened_store(settings) as store:
            said = {each.target: each for each in await store.routes.current(_now_ns())}
            fresh = [each for each in await store.logs.gauges() if _now_ns() - each.at_ns < _FRESH_NS]
        for worker in fresh:
            for name, target in worker.targets.items():
                gauges.setdefault(name, []).append(target)
    rows = []
    for name in dict.fromkeys((*_targets(settings), *said)):
        seen = [each for target, told in gauges.items() if name in _names(target) for each in told]
        word = next((said[each] for each in _names(name) if each in said), None)
        rows.append(
            {
                "target": name,
                "states": sorted({each.state for each in seen}),
                "in_flight": sum(each.in_flight for each in seen),
                "waiting": sum(each.waiting for each in seen),
                "said": None if word is None else word.action,
                "until": None if word is None or word.until_ns is None else written(word.until_ns),
            }
        )
    return rows


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("target", "state", box=None, header_style="bold", pad_edge=False)
    for name in ("under way", "waiting"):
        table.add_column(name, justify="right")
    table.add_column("said by hand")
    for row in rows:
        state = ", ".join(row["states"]) or "not known"
        style = "" if row["states"] in (["closed"], []) else "yellow"
        said = "" if row["said"] is None else row["said"] + ("" if row["until"] is None else f" until {row['until']}")
        table.add_row(cell(row["target"]), cell(state, style), cell(row["in_flight"]), cell(row["waiting"]), cell(said))
    show_table(table)


def _audited(action: str, subject: str, detail: str) -> Audited:
    from fairlead.ports import Audited

    try:
        actor = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        actor = "unknown"
    return Audited(at_ns=_now_ns(), actor=actor, action=action, subject=subject, detail=detail)


def _now_ns() -> int:
    from fairlead.stores.system import SystemClock

    return SystemClock().now_ns()
