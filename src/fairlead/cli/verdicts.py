"""How an answer was held to its schema, for people: what is wrong beside what the model wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.cli.terminal import clean, counted, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Row = Mapping[str, object]
Validated = Mapping[str, Any]

SIDE_BY_SIDE: Final = 100
"""From so many cells on, errors and output stand beside each other."""
_EXCERPT: Final = 600
"""So many characters of an output stand in a list."""
_INDENT: Final = 4


def is_refused(row: Row) -> bool:
    """Whether an output was refused in this call, whatever it ended with."""
    validated = row.get("validated")
    return isinstance(validated, Mapping) and (not validated["fits"] or bool(validated["errors"]))


def heading(validated: Validated) -> str:
    """The verdict on one line: the schema, how far the ladder was climbed, how it ended, what asking again took."""
    return f"schema {one_line(validated['schema'])}  rung {validated['rung']}  {_ended(validated)}{_asked(validated)}"


def verdict(row: Row, width: int | None) -> RenderableType:
    """What is wrong and the output that was refused for it, beside each other where there is room.

    Args:
        width: of the terminal; `None`: it is none.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    validated: Any = row["validated"]
    told = Padding(Text(heading(validated), style="yellow" if validated["fits"] else "red"), (0, 0, 0, _INDENT // 2))
    errors, output = Text("\n".join(error_lines(validated))), _excerpt(row)
    if width is None or width < SIDE_BY_SIDE:
        title = Padding(Text("refused output:"), (0, 0, 0, _INDENT // 2))
        return Group(told, Padding(errors, (0, 0, 0, _INDENT)), title, Padding(output, (0, 0, 0, _INDENT)))
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for _ in range(2):
        table.add_column(ratio=1, overflow="fold")
    table.add_row(errors, output)
    return Group(told, Padding(table, (0, 0, 0, _INDENT)))


def details(validated: Validated) -> list[tuple[str, str]]:
    """All of it, each line with its name."""
    lines = [("validated", heading(validated))]
    lines += [("edit", _edit(edit)) for edit in validated["edits"]]
    lines += _further("edit", validated["further_edits"])
    lines += [("refused for", each) for each in error_lines(validated)]
    if validated["lost"]:
        lines.append(("not enforced", one_line(", ".join(validated["lost"]))))
    return lines


def error_lines(validated: Validated) -> list[str]:
    """Each field error on its line, with the kind where nothing more was stored."""
    lines = [one_line(f"{place(each['path'])}: {each['message'] or each['kind']}") for each in validated["errors"]]
    return lines + [text for _, text in _further("error", validated["further_errors"])]


def place(path: str) -> str:
    """Where in an answer; the whole has the empty path."""
    return path or "the answer"


def _ended(validated: Validated) -> str:
    if not validated["fits"]:
        return "failed"
    return "refused first, then mended" if validated["errors"] else "fits"


def _asked(validated: Validated) -> str:
    if not validated["reasks"]:
        return ""
    times = counted(validated["reasks"], "re-ask")
    return f"  {times}, {counted(validated['reask_tokens'], 'token')}, {validated['reask_usd']} USD"


def _edit(edit: Validated) -> str:
    told = f"{edit['rung']} {edit['kind']} {place(edit['path'])}"
    before, after = edit["before"], edit["after"]
    change = "" if before is after is None else f": {_value(before)} -> {_value(after)}"
    return one_line(f"{told}{change} ({edit['confidence']:g})")


def _value(value: str | None) -> str:
    return "nothing" if value is None else value


def _further(noun: str, number: int) -> Sequence[tuple[str, str]]:
    return [(noun, f"and {number:,} more")] if number else []


def _excerpt(row: Row) -> Text:
    """The beginning of the output that was refused, without what could steer the terminal."""
    from rich.text import Text

    refused = row["refused"]
    if not isinstance(refused, str):
        return Text("(the output is not stored)", style="dim")
    text = clean(refused)
    if len(text) <= _EXCERPT:
        return Text(text, style="dim")
    return Text.assemble(
        (text[:_EXCERPT], "dim"), f"... of {len(text):,} characters; `fairlead logs show {row['call_id']}`"
    )
