"""What goes to the terminal: JSON for machines, text for people, and nothing that could steer the terminal itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC: titles, links, clipboard
    r"|\x1b(?![\[\]PX^_])[ -/]*[0-~]",  # two-character escapes
    re.DOTALL,
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_HELD: Final = 4_096
_PIPE_WIDTH: Final = 200
_BETWEEN: Final = 2
"""Blanks between two columns."""


def clean(text: str) -> str:
    """The text without escape sequences, control characters (but line feed and tab) and bidirectional overrides."""
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


class CleanStream:
    """Cleans text that comes in pieces, also where a sequence is cut in two (FAULTS X12)."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """What may be shown by now."""
        whole = _SEQUENCE.sub("", self._held + text)
        at = whole.find("\x1b")
        if at < 0 or len(whole) - at > _LONGEST_HELD:
            self._held = ""
            return clean(whole)
        self._held = whole[at:]
        return clean(whole[:at])

    def end(self) -> str:
        """What was held back for the rest of a sequence that never came."""
        held, self._held = self._held, ""
        return clean(held)


def one_line(text: str) -> str:
    """Cleaned, and on one line."""
    return " ".join(clean(text).split())


def complain(message: str) -> None:
    """Say on stderr what went wrong, each line of it under our name."""
    for line in clean(message).splitlines() or [""]:
        sys.stderr.write(f"fairlead: {line}\n")
    sys.stderr.flush()


def emit(document: object) -> None:
    """Print one JSON document on one line."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    sys.stdout.flush()


def console() -> Console:
    """Standard output for people; colours only where it is a terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def show_table(table: Table) -> None:
    """Print a table; into a pipe without the blanks that fill up its last column."""
    out = console()
    if sys.stdout.isatty():
        out.print(table)
        return
    with out.capture() as piped:
        out.print(table)
    sys.stdout.write("\n".join(line.rstrip() for line in piped.get().split("\n")))


def room() -> int | None:
    """How many cells a line of the terminal has; `None`: it is none, and whatever reads can take long lines."""
    return console().width if sys.stdout.isatty() else None


def fitted(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], *, spare: Collection[str], width: int | None
) -> Table:
    """A table whose columns fit side by side.

    Args:
        spare: headers of what may be left out, the first of them first; the caption names them.
        width: how many cells there are; `None`: all columns fit.
    """
    from rich.table import Table

    widths = {str(column.header): _widest(column, [row[i] for row in rows]) for i, column in enumerate(columns)}
    gone: list[str] = []
    for name in spare:
        if width is None or sum(widths.values()) - _BETWEEN <= width:
            break
        widths.pop(name)
        gone.append(name)
    kept = [number for number, column in enumerate(columns) if column.header not in gone]
    table = Table(
        *(columns[number] for number in kept),
        box=None,
        header_style="bold",
        pad_edge=False,
        show_footer=any(column.footer for column in columns),
    )
    for row in rows:
        table.add_row(*(row[number] for number in kept))
    if any(gone):
        table.caption = f"No room for: {', '.join(filter(None, gone))}; `--json` has it all"
        table.caption_justify = "left"
    return table


def _widest(column: Column, cells: Sequence[Text]) -> int:
    """With the blanks that part it from the next."""
    from rich.cells import cell_len

    titles = (cell_len(str(column.header)), cell_len(str(column.footer)), column.min_width or 0)
    widest = max(*titles, *(each.cell_len for each in cells))
    return _BETWEEN + (widest if column.max_width is None else min(widest, column.max_width))


def counted(number: int, noun: str) -> str:
    """`1 name`, `2 names`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def cell(value: object, style: str = "") -> Text:
    """A table cell of text that somebody else may have written."""
    from rich.text import Text

    return Text("" if value is None else one_line(str(value)), style=style)
