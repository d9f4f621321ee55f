"""Calls whose answers had to fit a schema, as they stand in the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fairlead.ports import Batch
from fairlead.record import Ended, Identity
from fairlead.stores.sqlite import SqliteStore
from fairlead.telemetry.metrics import count
from fairlead.verdict import Edit, FieldError, Validated

AGE = FieldError(path="/guests/3/age", message="`two` is not a whole number", kind="type", field="/guests/*/age")
NAME = FieldError(path="/name", message="is required, and missing", kind="required")
OUTPUT = b'{"guests": [{"age": "two"}]}\x1b[2J\n2026-01-01  forged'
FAILED = Validated(schema="Booking", rung="coerce", fits=False, errors=(AGE, NAME), output=OUTPUT)
MENDED = Validated(
    schema="Booking",
    rung="reask",
    edits=(Edit(rung="coerce", kind="number_words", path="/seats", before='"two"', after="2", confidence=0.95),),
    errors=(AGE,),
    reasks=2,
    reask_tokens=340,
    reask_nanousd=1_200_000,
    output=OUTPUT,
    lost=("maxItems",),
)
FITS = Validated(schema="Weather", rung="parse")


def call(call_id: str, validated: Validated | None, **rest: Any) -> Ended:
    """One call that is over."""
    fields: dict[str, Any] = {"status": 200, "outcome": "ok", "response": b"said"}
    return Ended(
        call_id=call_id,
        started_at_ns=1_000 + ord(call_id),
        duration_ns=10,
        dialect="openai_chat",
        alias="a",
        model="a",
        stream=False,
        identity=Identity(tenant="local"),
        validated=validated,
        **(fields | rest),
    )


CALLS = (
    call(
        "a", FAILED, outcome="error", status=422, error_class="validation", error_code="output_invalid", response=None
    ),
    call("b", MENDED),
    call("c", FITS),
    call("d", None, outcome="error", status=504, error_class="timeout"),
)


def fill(folder: Path, *records: Ended) -> None:
    """Store these calls where the commands look for them."""

    async def work() -> None:
        store = SqliteStore(folder / "fairlead.db", count=count)
        try:
            await asyncio.to_thread(store.migrate)
            await store.logs.ingest(Batch(segment="s", offset=1, records=records or CALLS))
        finally:
            await store.aclose()

    asyncio.run(work())
