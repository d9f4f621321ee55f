"""`fairlead usage`: what was called, and what it cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fairlead.cli.durations import duration_ns, written
from fairlead.cli.settings import (
    ConfigOption,
    JsonOption,
    Settings,
    find_settings,
    ingester,
    is_store_made,
    opened_store,
)
from fairlead.cli.terminal import cell, console, emit, fitted, room, show_table
from fairlead.cli.usage_verdicts import VERDICT_GROUPS, verdict_rows, verdict_table

if TYPE_CHECKING:
    from rich.table import Table

    from fairlead.ports import UsageRow

GROUPS: Final = ("model", "key", "user", "team", "provider", "alias", "day", "outcome")
_BAR_CELLS: Final = 20
_COUNTS: Final = {"calls": "calls", "errors": "errors", "input_tokens": "tokens in", "output_tokens": "tokens out"}
_SPARE: Final = ("", "tokens in", "tokens out", "errors", "calls")
"""What a narrow terminal has no room for, the first first; the bar has no header."""


def usage(
    by: Annotated[
        str,
        typer.Option(
            metavar="GROUP",
            help=f"One of {', '.join(GROUPS)}; or how answers were held to their schemas: {', '.join(VERDICT_GROUPS)} "
            "(counted from the calls themselves, so as far back as they are kept; of fields, those that fail most).",
        ),
    ] = "model",
    since: Annotated[str | None, typer.Option(metavar="SPAN", help="How far back, such as 24h; absent: all.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Add up calls, tokens and cost in USD."""
    if by not in (*GROUPS, *VERDICT_GROUPS):
        raise typer.BadParameter(f"--by is one of {', '.join((*GROUPS, *VERDICT_GROUPS))}, not {by!r}")
    span_ns = None if since is None else duration_ns(since)
    settings = find_settings(config)
    if by in VERDICT_GROUPS:
        _verdicts(settings, by, span_ns, json=json)
        return
    rows, total, since_ns, names = asyncio.run(_totals(settings, by, span_ns))
    if json:
        shown = [{"group": row.group, **figures([row])} for row in rows]
        emit({"by": by, "since": written(since_ns), "rows": shown, "total": figures(total)})
    else:
        show_table(usage_table(by, rows, figures(total), names, room())) if rows else console().print("No calls yet.")


def _verdicts(settings: Settings, by: str, span_ns: int | None, *, json: bool) -> None:
    from fairlead.stores.system import SystemClock

    since_ns = None if span_ns is None else SystemClock().now_ns() - span_ns
    rows = asyncio.run(verdict_rows(settings, by, since_ns))
    if json:
        emit({"by": by, "since": written(since_ns), "rows": rows})
    else:
        show_table(verdict_table(by, rows, room())) if rows else console().print("Nothing was held to a schema yet.")


async def _totals(
    settings: Settings, by: str, span_ns: int | None
) -> tuple[Sequence[UsageRow], Sequence[UsageRow], int | None, Mapping[str, str]]:
    """Rows by the group, rows that count each call once, the start, and what people call the groups."""
    from fairlead.stores.system import SystemClock

    since_ns = None if span_ns is None else SystemClock().now_ns() - span_ns
    if not is_store_made(settings):
        return (), (), since_ns, {}
    async with opened_store(settings) as store:
        await ingester(settings, store).run_once()
        rows = await store.logs.usage(by, since_ns)
        # A call that fell back stands under two models; by outcome it stands once.
        total = await store.logs.usage("outcome", since_ns)
        names = {key.id: f"{key.name} ({key.id})" for key in await store.keys.keys()} if by == "key" else {}
        return rows, total, since_ns, names


def figures(rows: Sequence[UsageRow]) -> dict[str, Any]:
    """The sum of rows, ready for JSON; the cost is `None` where only calls without a known price add to it."""
    from fairlead.core.money import format_usd

    cost_nanousd = sum(row.cost_nanousd for row in rows)
    unpriced_calls = sum(row.unpriced_calls for row in rows)
    return {
        "calls": sum(row.calls for row in rows),
        "errors": sum(row.errors for row in rows),
        "input_tokens": sum(row.input_tokens for row in rows),
        "output_tokens": sum(row.output_tokens for row in rows),
        "cost_usd": None if unpriced_calls and not cost_nanousd else format_usd(cost_nanousd),
        "unpriced_calls": unpriced_calls,
    }


def bar(value: int, most: int) -> str:
    """A bar of up to 20 cells; anything above nothing shows."""
    return "" if value <= 0 else "█" * max(1, round(_BAR_CELLS * value / most))


def usage_table(
    by: str,
    rows: Sequence[UsageRow],
    total: dict[str, Any],
    called: Mapping[str, str] | None = None,
    width: int | None = None,
) -> Table:
    """The totals for people, in so many cells.

    Args:
        called: what people call the groups, where that is not their name.
    """
    from rich.table import Column

    columns = [Column(by, footer="total", overflow="fold")]
    for name, title in {**_COUNTS, "cost_usd": "cost USD", "unpriced_calls": "unpriced"}.items():
        footer = total[name] or "unknown" if name == "cost_usd" else f"{total[name]:,}"
        columns.append(Column(title, footer=footer, justify="right", no_wrap=True))
    columns.append(Column("", min_width=_BAR_CELLS, no_wrap=True))
    most = max((row.cost_nanousd for row in rows), default=0)
    cells = []
    for row in rows:
        own = figures([row])
        cells.append(
            [
                cell((called or {}).get(row.group, row.group) or "(none)"),
                *(cell(f"{own[name]:,}") for name in _COUNTS),
                cell(own["cost_usd"] or "unknown"),
                cell(own["unpriced_calls"] or "", "yellow"),
                cell(bar(row.cost_nanousd, most), "cyan"),
            ]
        )
    return fitted(columns, cells, spare=_SPARE, width=width)
