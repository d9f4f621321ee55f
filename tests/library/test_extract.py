"""The library: typed values out of models."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, time
from enum import Enum
from pathlib import Path
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, ValidationInfo, field_validator

import fairlead
from fairlead.config.load import load_text
from fairlead.errors import BudgetExceeded, InvalidRequest, NotYetAvailable, OutputInvalid, UpstreamUnavailable
from fairlead.fields import Time24

CONFIG = """
[models.m]
targets = ["sim/sim-small"]
[models.strong]
targets = ["sim/sim-large"]
[models.down]
targets = ["down/sim-small"]
[providers.down]
vendor = "sim"
error_rate = 1.0
"""
Begin = Callable[..., Awaitable[Any]]


class Booking(BaseModel):
    """What a guest asks for."""

    name: str
    day: date
    at: time
    seats: int = 2

    @field_validator("seats")
    @classmethod
    def _fits(cls, seats: int, info: ValidationInfo) -> int:
        most = (info.context or {}).get("most", 8)
        if seats > most:
            msg = f"there are {most} seats"
            raise ValueError(msg)
        return seats


class Row(TypedDict):
    """A plain one."""

    name: str
    seats: int


@dataclass
class Point:
    """A plain one, too."""

    x: int
    y: int


class Mood(Enum):
    """One of two."""

    GOOD = "positive"
    BAD = "negative"


SAID = '{"name": "Ada", "day": "2026-05-04", "at": "14:30:00", "seats": 3}'
ADA = Booking(name="Ada", day=date(2026, 5, 4), at=time(14, 30), seats=3)


@pytest.fixture
def client(tmp_path: Path) -> fairlead.Client:
    """A client of the simulator with a store of its own; the test closes it."""
    return fairlead.Client(config=load_text(CONFIG), root=tmp_path)


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        (Booking, SAID, ADA),
        (Row, '{"name": "Ada", "seats": "three"}', {"name": "Ada", "seats": 3}),
        (Point, "```json\n{x: 1, y: 2}\n```", Point(1, 2)),
        (Mood, "**Positive.**", Mood.GOOD),
        (list[Row], '[{"name": "a", "seats": 1}, {"name": "b", "seats": 2}]', [{"name": "a", "seats": 1}, {"name": "b", "seats": 2}]),
        (int, "42", 42),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}}, '{"a": "yes"}', {"a": True}),
    ],
    ids=["model", "typed dict", "dataclass", "enum", "list", "int", "schema"],
)  # fmt: skip
async def test_a_value_of_any_kind_comes_out(client: fairlead.Client, kind: Any, said: str, value: Any) -> None:
    """Whatever the model put around it."""
    async with client as llm:
        found = await llm.extract(kind, f"sim:say {said}", model="m")

    assert found.value == value
    assert type(found.value) is type(value)
    assert (found.attempts, found.is_fallback) == (1, False)
    assert found.report is not None
    assert found.report.fits


@pytest.mark.parametrize("written", ["2:30pm", "14:30", "14:30:00"])
async def test_times_come_out_as_times(client: fairlead.Client, written: str) -> None:
    """For pydantic's own type and for ours."""

    class Both(BaseModel):
        own: time
        ours: Time24

    async with client as llm:
        found = await llm.extract(Both, f"sim:say {json.dumps({'own': written, 'ours': written})}", model="m")

    assert found.value == Both(own=time(14, 30), ours="14:30:00")


async def test_what_was_done_is_told(client: fairlead.Client, tmp_path: Path) -> None:
    """In the answer and in the record."""
    said = '{"name": "Ada", "day": "May 4th, 2026", "at": "2:30pm",}'

    async with client as llm:
        found = await llm.extract(Booking, f"sim:say {said}", model="m")

    assert found.report is not None
    assert found.report.rung == "repair"
    assert {edit.path for edit in found.report.edits} >= {"/day", "/at"}
    with sqlite3.connect(tmp_path / "fairlead.db") as db:
        (stored,) = db.execute("SELECT validated FROM calls").fetchone()
    assert json.loads(stored)["rung"] == "repair"


async def test_validators_are_heard_and_their_words_go_to_the_model(client: fairlead.Client) -> None:
    """With the context that they were given."""
    async with client as llm:
        few = await llm.extract(Booking, f"sim:say {SAID}", model="m", context={"most": 2}, reasks=1, fallback=None)
        many = await llm.extract(Booking, f"sim:say {SAID}", model="m", context={"most": 3})

    assert many.value == ADA
    assert few.report is not None
    assert few.report.errors[0].path == "/seats"
    assert "there are 2 seats" in few.report.errors[0].message
    assert few.attempts == 2


async def test_usage_and_cost_are_of_all_attempts(client: fairlead.Client) -> None:
    """The answer that was refused is paid, too."""
    async with client as llm:
        once = await llm.extract(Row, 'sim:say {"name": "Ada", "seats": 2}', model="m")
        twice = await llm.extract(Row, 'sim:say {"name": "Ada"}', model="m")

    assert (once.attempts, twice.attempts) == (1, 2)
    assert twice.report is not None
    assert twice.report.reasks == 1
    assert once.usage is not None
    assert twice.usage is not None
    assert twice.usage.all_input_tokens > 2 * once.usage.all_input_tokens
    assert (twice.cost_nanousd or 0) > twice.report.reask_nanousd > 0


async def test_without_a_fallback_the_error_names_the_fields(client: fairlead.Client) -> None:
    """And nothing untyped gets out."""
    async with client as llm:
        with pytest.raises(OutputInvalid, match="seats") as caught:
            await llm.extract(Row, 'sim:say {"name": "Ada"}', model="m", up_to="coerce")

    assert [error.path for error in caught.value.errors] == ["/seats"]


async def _later(error: Exception) -> str:
    return type(error).__name__


@pytest.mark.parametrize(
    ("fallback", "value"),
    [
        (None, None),
        ({"name": "nobody"}, {"name": "nobody"}),
        (lambda: "made", "made"),
        (lambda error: type(error).__name__, "OutputInvalid"),
        (_later, "OutputInvalid"),
    ],
    ids=["None", "a value", "a function", "a function of the error", "a coroutine"],
)
async def test_a_fallback_stands_in(client: fairlead.Client, fallback: Any, value: Any) -> None:
    """Marked as such."""
    async with client as llm:
        found = await llm.extract(Row, "sim:say no", model="m", up_to="coerce", fallback=fallback)

    assert (found.value, found.is_fallback) == (value, True)
    assert found.report is not None
    assert not found.report.fits


async def test_a_fallback_stands_in_where_nobody_can_answer(client: fairlead.Client) -> None:
    """An application goes on in an outage."""
    async with client as llm:
        found = await llm.extract(Row, "hi", model="down", fallback=None)
        with pytest.raises(UpstreamUnavailable):
            await llm.extract(Row, "hi", model="down")

    assert (found.value, found.is_fallback, found.report) == (None, True, None)


async def test_a_fallback_hides_no_mistake_of_the_callers(client: fairlead.Client) -> None:
    """A request that cannot be served is not an answer that does not fit."""
    async with client as llm:
        with pytest.raises(fairlead.FairleadError, match="no model"):
            await llm.extract(Row, "hi", model="unknown-model-of-nobody", fallback=None)
        with pytest.raises(InvalidRequest, match="response_format"):
            await llm.extract(Row, "hi", model="m", fallback=None, response_format={"type": "text"})
        with pytest.raises(NotYetAvailable):
            await llm.extract(Row, "hi", model="m", fallback=None, profile="extraction")
    assert BudgetExceeded.http_status == 429


async def test_a_stronger_model_is_asked_at_last(client: fairlead.Client) -> None:
    """The simulator repeats itself until the message is another one, so it is the re-ask that is left out."""
    async with client as llm:
        found = await llm.extract(
            Row, 'sim:say {"name": "Ada"}', model="m", up_to="escalate", escalate="strong", reasks=0, fallback=None
        )

    assert (found.attempts, found.model) == (2, "sim/sim-large")


# --- elsewhere ---


async def test_a_gateway_elsewhere_is_asked_and_the_value_checked_here(begin: Begin) -> None:
    """Its own validation and ours are one after the other."""
    gateway = await begin(
        '[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\nvalidation = { up_to = "coerce" }\n'
    )
    async with fairlead.Client(gateway=gateway.origin) as llm:
        found = await llm.extract(Booking, f"sim:say ```{SAID}```", model="m")
        refused = await llm.extract(Row, 'sim:say {"name": "Ada"}', model="m", fallback=None)
        with pytest.raises(OutputInvalid) as caught:
            await llm.extract(Row, 'sim:say {"name": "Ada"}', model="m")

    assert found.value == ADA
    assert refused.is_fallback
    assert [error.path for error in caught.value.errors] == ["/seats"]


def test_the_client_without_await_extracts_too(tmp_path: Path) -> None:
    """And its streams are iterators."""
    with fairlead.SyncClient(config=load_text(CONFIG), root=tmp_path) as llm:
        found = llm.extract(Row, 'sim:say {"name": "Ada", "seats": 2}', model="m")
        *_, last = llm.stream_extract(Row, 'sim:say {"name": "Ada", "seats": 2}', model="m")

    assert found.value == last == {"name": "Ada", "seats": 2}
