"""A run as people read it: a table on the terminal, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.results import Results
from bench.summary import Line, Spread, lines

_COLUMNS = (
    "", "worker us", "keeper us", "x floor", "with keeper", "a second", "p50 ms", "p99 ms", "1 conn. p50", "p99 ", "RSS MB",
)  # fmt: skip


def show(results: Results, console: Console) -> None:
    """Print the table, one part a row, and what was left out."""
    console.print(f"[bold]fairlead bench[/bold]  {_where(results)}")
    for name, title in results.rows.items():
        table = Table(title=_title(name, title), title_justify="left", title_style="bold")
        for heading in _columns(name):
            table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
        for line in lines(results):
            if line.row == name:
                table.add_row(*_cells(line))
        console.print(table)
    for text in _notes(results):
        console.print(f"- {text}", highlight=False)


def markdown(results: Results) -> str:
    """The same table."""
    parts = [f"Taken {results.taken_at}: {_where(results)}", ""]
    for name, title in results.rows.items():
        headings = _columns(name)
        parts += [f"**{_title(name, title)}**", "", _row(headings), _row(["---", *["---:"] * (len(headings) - 1)])]
        parts += [_row(_cells(line)) for line in lines(results) if line.row == name]
        parts.append("")
    parts += [f"- {text}" for text in _notes(results)]
    return "\n".join(parts) + "\n"


def _title(name: str, title: str) -> str:
    return f"{name}: {title}" + (" (CPU for each chunk)" if name == "stream" else " (CPU for each answer)")


def _columns(row: str) -> tuple[str, ...]:
    return _COLUMNS if row == "small" else (*_COLUMNS[:6], _COLUMNS[-1])


def _cells(line: Line) -> list[str]:
    rss = [f"{line.rss_mb[name]:.0f}" for name in ("loaded worker", "loaded keeper") if name in line.rss_mb]
    cells = [
        line.subject + (f" ({line.errors} errors)" if line.errors else ""),
        _number(line.worker_us),
        _number(line.keeper_us),
        _ratio(line.worker_ratio),
        _ratio(line.both_ratio),
        "" if line.rps is None else f"{line.rps.median:,.0f}",
    ]
    if line.row == "small":
        cells += [_added(line, name) for name in ("open p50", "open p99", "one p50", "one p99")]
    return [*cells, " + ".join(rss)]


def _added(line: Line, name: str) -> str:
    return f"{line.added_ms[name]:.2f}" if name in line.added_ms else ""


def _number(spread: Spread | None) -> str:
    if spread is None:
        return ""
    digits = 0 if spread.median >= 1000 else 1
    return f"{spread.median:,.{digits}f} ({spread.low:,.{digits}f}-{spread.high:,.{digits}f})"


def _ratio(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.median:,.2f} ({spread.low:,.2f}-{spread.high:,.2f})"


def _where(results: Results) -> str:
    here = results.machine
    return f"{here.cores} cores {here.cpu}, Linux {here.kernel}, Python {here.python}, commit {here.commit}"


def _notes(results: Results) -> list[str]:
    here = results.machine
    notes = [
        "Medians over the rounds, with the lowest and the highest; ratios are taken round by round.",
        "Milliseconds are what a subject adds to the upstream: open loop at 30 % of its own capacity, and 1 connection.",
        f"Others were at work on this machine before the run: load {here.load_before:.2f}."
        if here.load_before > 0.5
        else f"The machine was quiet before the run: load {here.load_before:.2f}.",
    ]
    return notes + [f"Left out: {each.subject} ({each.row}): {each.why}" for each in results.skipped]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.strip() for cell in cells) + " |"
