"""How answers were held to their schemas, added up from the verdicts of the calls that are stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from fairlead.ports import FieldRow, SchemaRow

MOST_FIELDS: Final = 50
"""So many fields are told of, those that fail most."""

_BY_SCHEMA: Final = """
    SELECT json_extract(validated, '$.schema') AS name, count(*) AS calls,
        total(json_extract(validated, '$.fits') IS 0) AS failed,
        total(json_extract(validated, '$.fits') IS NOT 0 AND json_array_length(validated, '$.edits') > 0) AS edited,
        total(json_extract(validated, '$.reasks')) AS reasks,
        total(json_extract(validated, '$.reask_tokens')) AS reask_tokens,
        sum(coalesce(json_extract(validated, '$.reask_nanousd'), 0)) AS reask_nanousd
    FROM calls WHERE validated IS NOT NULL AND started_at_ns >= ? GROUP BY 1
"""
_BY_FIELD: Final = """
    SELECT json_extract(validated, '$.schema') AS name, coalesce(json_extract(error.value, '$.field'), json_extract(error.value, '$.path'), '') AS path,
        coalesce(json_extract(error.value, '$.kind'), 'schema') AS kind, count(*) AS errors
    FROM calls, json_each(validated, '$.errors') AS error
    WHERE validated IS NOT NULL AND started_at_ns >= ? GROUP BY 1, 2, 3 ORDER BY errors DESC, 1, 2, 3 LIMIT ?
"""


def schemas(connection: sqlite3.Connection, since_ns: int | None) -> Sequence[SchemaRow]:
    """What became of the answers that had to fit, the schema that failed most first."""
    rows = [
        SchemaRow(
            schema=row["name"],
            calls=row["calls"],
            failed=int(row["failed"]),
            edited=int(row["edited"]),
            reasks=int(row["reasks"]),
            reask_tokens=int(row["reask_tokens"]),
            reask_nanousd=row["reask_nanousd"],
        )
        for row in connection.execute(_BY_SCHEMA, (since_ns or 0,))
    ]
    return sorted(rows, key=lambda row: (-row.failed, -row.reasks, -row.calls, row.schema))


def fields(connection: sqlite3.Connection, since_ns: int | None) -> Sequence[FieldRow]:
    """The fields that outputs were refused for, the most frequent first; all elements of a list are one field."""
    return [
        FieldRow(schema=row["name"], path=row["path"], kind=row["kind"], errors=row["errors"])
        for row in connection.execute(_BY_FIELD, (since_ns or 0, MOST_FIELDS))
    ]
