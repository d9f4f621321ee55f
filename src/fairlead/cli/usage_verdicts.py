"""`fairlead usage --by schema` and `--by field`: how answers were held to their schemas, and what they failed for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.cli.settings import Settings, ingester, is_store_made, opened_store
from fairlead.cli.terminal import cell, fitted
from fairlead.cli.verdicts import place

if TYPE_CHECKING:
    from rich.table import Table

    from fairlead.ports import FieldRow, SchemaRow

VERDICT_GROUPS: Final = ("schema", "field")
_SCHEMA_TITLES: Final = {
    "calls": "calls",
    "failed": "failed",
    "edited": "edited",
    "reasks": "re-asks",
    "reask_tokens": "re-ask tokens",
    "reask_cost_usd": "re-ask USD",
}
_FIELD_TITLES: Final = {"path": "field", "kind": "kind", "errors": "errors"}


async def verdict_rows(settings: Settings, by: str, since_ns: int | None) -> list[dict[str, Any]]:
    """The rows of one of `VERDICT_GROUPS`, ready for JSON."""
    if not is_store_made(settings):
        return []
    async with opened_store(settings) as store:
        await ingester(settings, store).run_once()
        if by == "schema":
            return [_schema(row) for row in await store.logs.schemas(since_ns)]
        return [_field(row) for row in await store.logs.fields(since_ns)]


def verdict_table(by: str, rows: Sequence[dict[str, Any]], width: int | None = None) -> Table:
    """The rows for people, in so many cells."""
    from rich.table import Column

    titles = _SCHEMA_TITLES if by == "schema" else _FIELD_TITLES
    columns = [Column("schema", overflow="fold")]
    for name, title in titles.items():
        is_word = name in ("path", "kind")
        columns.append(Column(title, justify="left" if is_word else "right", overflow="fold", no_wrap=not is_word))
    cells = [[cell(row["schema"]), *(cell(_shown(name, row[name])) for name in titles)] for row in rows]
    return fitted(
        columns, cells, spare=("re-ask tokens", "edited", "re-asks") if by == "schema" else ("kind",), width=width
    )


def _shown(name: str, value: object) -> object:
    if name == "path":
        return place(str(value))
    return f"{value:,}" if isinstance(value, int) else value


def _schema(row: SchemaRow) -> dict[str, Any]:
    from fairlead.core.money import format_usd

    return {
        "schema": row.schema,
        "calls": row.calls,
        "failed": row.failed,
        "edited": row.edited,
        "reasks": row.reasks,
        "reask_tokens": row.reask_tokens,
        "reask_cost_usd": format_usd(row.reask_nanousd),
    }


def _field(row: FieldRow) -> dict[str, Any]:
    return {"schema": row.schema, "path": row.path, "kind": row.kind, "errors": row.errors}
