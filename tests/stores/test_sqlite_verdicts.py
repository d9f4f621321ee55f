"""Verdicts, added up from the calls that are stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.ports import Batch, FieldRow, LogQuery, SchemaRow
from fairlead.stores.sqlite import SqliteStore
from fairlead.stores.sqlite_verdicts import MOST_FIELDS
from fairlead.verdict import Edit, FieldError, Validated

EDITED = (Edit(rung="extract", kind="fence"),)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "x.db", count=lambda _: ())
    await asyncio.to_thread(opened.migrate)
    yield opened
    await opened.aclose()


async def stored(store: SqliteStore, *records: Any) -> None:
    await store.logs.ingest(Batch(segment="s", offset=1, records=records))


def error(path: str, kind: str = "type") -> FieldError:
    return FieldError(path=path, message="m", kind=kind)


async def test_a_schema_adds_up_its_calls(store: SqliteStore, make: Any) -> None:
    """Those that failed, those whose answer took edits, and what asking again took; others are not among them."""
    await stored(
        store,
        make.ended("a", validated=Validated(schema="s", fits=False, edits=EDITED, reasks=2, reask_tokens=7)),
        make.ended("b", validated=Validated(schema="s", edits=EDITED, reasks=1, reask_tokens=5, reask_nanousd=9)),
        make.ended("c", validated=Validated(schema="s")),
        make.ended("d", validated=Validated(schema="t")),
        make.ended("e"),
    )
    assert await store.logs.schemas(None) == [
        SchemaRow(schema="s", calls=3, failed=1, edited=1, reasks=3, reask_tokens=12, reask_nanousd=9),
        SchemaRow(schema="t", calls=1, failed=0, edited=0, reasks=0, reask_tokens=0, reask_nanousd=0),
    ]


async def test_elements_of_a_list_are_one_field(store: SqliteStore, make: Any) -> None:
    """So is what the model has made names of; the place itself counts where it holds nothing of that."""
    placed = [
        FieldError(path=path, message="m", kind="type", field=field)
        for path, field in (
            ("/guests/0/age", "/guests/*/age"),
            ("/guests/Ada/age", "/guests/*/age"),
            ("/years/2026", None),
            ("", None),
        )
    ]
    await stored(store, make.ended("a", validated=Validated(schema="s", errors=tuple(placed))))
    found = {(row.path, row.errors) for row in await store.logs.fields(None)}
    assert found == {("/guests/*/age", 2), ("/years/2026", 1), ("", 1)}


async def test_the_fields_that_fail_most_are_told(store: SqliteStore, make: Any) -> None:
    """So many and no more, the most frequent first, each with the rule that it broke."""
    rare = tuple(error(f"/f{number}", "schema") for number in range(MOST_FIELDS))
    common = (error("/z", "required"),) * 2
    await stored(store, make.ended("a", validated=Validated(schema="s", errors=rare + common)))
    rows = await store.logs.fields(None)
    assert rows[0] == FieldRow(schema="s", path="/z", kind="required", errors=2)
    assert len(rows) == MOST_FIELDS


async def test_only_calls_admitted_since_count(store: SqliteStore, make: Any) -> None:
    """To the nanosecond."""
    await stored(store, make.ended("a", validated=Validated(schema="s", errors=(error("/a"),))))
    assert len(await store.logs.schemas(1_000)) == len(await store.logs.fields(1_000)) == 1
    assert [*await store.logs.schemas(1_001), *await store.logs.fields(1_001)] == []


async def test_verdicts_are_found_without_reading_other_calls(store: SqliteStore) -> None:
    """By an index of their own."""
    plan = await store.run(
        lambda connection: connection.execute(
            "EXPLAIN QUERY PLAN SELECT validated FROM calls WHERE validated IS NOT NULL AND started_at_ns >= 5"
        ).fetchall()
    )
    assert "calls_validated" in plan[0]["detail"]


async def test_a_call_that_is_deleted_takes_its_verdict_and_the_refused_output_along(
    store: SqliteStore, make: Any
) -> None:
    """Nothing of what the model wrote is found any more."""
    quoted = Edit(rung="coerce", kind="k", path="/a", before="quoted-words")
    verdict = Validated(
        schema="s", edits=(quoted,), errors=(FieldError(path="/a", message="quoted-words"),), output=b"refused-words"
    )
    await stored(store, make.ended("a", validated=verdict))
    assert await store.logs.prune(2**62, 10) == 1
    assert await store.logs.calls(LogQuery(failed="validation")) == []
    assert [*await store.logs.schemas(None), *await store.logs.fields(None)] == []
    left = await store.run(lambda connection: list(connection.iterdump()))
    assert "rollups" in "".join(left)
    assert "words" not in "".join(left)
