"""A run as people read it, and as machines do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

from fairlead.core.money import format_usd
from live.run import Result
from live.wallet import Wallet

_STYLES = {"passed": "green", "failed": "bold red", "capped": "yellow", "skipped": "dim"}


def show(results: Sequence[Result], wallet: Wallet, console: Console) -> None:
    """Print a table with a line for each feature, and the sums."""
    table = Table(box=None, pad_edge=False)
    for heading in ("vendor", "model", "dialect", "feature", "result"):
        table.add_column(heading, no_wrap=heading != "model", overflow="fold")
    for heading in ("calls", "USD", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for each in results:
        cost = "unknown" if each.cost_nanousd is None else format_usd(each.cost_nanousd)
        status = f"[{_STYLES[each.status]}]{each.status}[/]"
        tried = each.calls > 0
        numbers = (str(each.calls), cost, str(each.duration_ms)) if tried else ("", "", "")
        table.add_row(each.vendor, each.model, each.dialect, each.feature, status, *numbers, _plain(each.why))
    console.print(table)
    console.print(_sums(results, wallet), highlight=False)


def as_json(results: Sequence[Result], wallet: Wallet) -> bytes:
    """One object: `results`, `counts`, and what was spent of which cap."""
    rows = []
    for each in results:
        row = msgspec.to_builtins(each)
        cost = row.pop("cost_nanousd")
        rows.append(row | {"cost_usd": None if cost is None else format_usd(cost)})
    return msgspec.json.encode(
        {
            "results": rows,
            "counts": Counter(each.status for each in results),
            "spent_usd": format_usd(wallet.spent_nanousd),
            "cap_usd": format_usd(wallet.cap_nanousd),
        }
    )


def failed(results: Sequence[Result]) -> bool:
    """Whether anything went wrong, or was not tried for want of money."""
    return any(each.status in {"failed", "capped"} for each in results)


def _sums(results: Sequence[Result], wallet: Wallet) -> str:
    counts = Counter[str](each.status for each in results)
    named = ", ".join(f"{counts[status]} {status}" for status in _STYLES if counts[status])
    spent, cap = format_usd(wallet.spent_nanousd), format_usd(wallet.cap_nanousd)
    return f"{named or 'nothing to try'}; at most {spent} of {cap} USD spent"


def _plain(text: str | None) -> str:
    """Text of others, without the brackets that would style it."""
    return "" if text is None else text.replace("[", r"\[")
