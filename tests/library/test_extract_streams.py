"""The library: typed values while they are written."""

from __future__ import annotations

import asyncio
import gc
import logging
import sqlite3
from datetime import date
from pathlib import Path
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

import fairlead
from fairlead.config.load import load_text
from fairlead.errors import InvalidRequest, OutputInvalid
from fairlead.testing import FakeUpstream, answers

CONFIG = """
[models.m]
targets = ["sim/sim-small"]
[models.strict]
targets = ["sim/sim-small"]
validation = { up_to = "parse" }
[models.narrow]
targets = ["narrow/sim-small"]
[providers.narrow]
vendor = "sim"
limits = { concurrency = 1, max_wait_s = 1 }
[models.american]
targets = ["sim/sim-small"]
validation = { up_to = "coerce", locale = "en-US" }
"""
CALLED = """
[providers.up]
vendor = "openai"
api_key = "env:UPSTREAM_KEY"
base_url = "{origin}/v1"
allow_private = true
[models.m]
targets = ["up/gpt-4"]
"""
SEARCH = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}


class Row(TypedDict):
    """A plain one."""

    name: str
    seats: int


class Booking(BaseModel):
    """What a guest asks for."""

    name: str
    day: date


SAID = '{"name": "Ada Lovelace", "day": "2026-05-04"}'
ADA = Booking(name="Ada Lovelace", day=date(2026, 5, 4))


@pytest.fixture
def client(tmp_path: Path) -> fairlead.Client:
    """A client of the simulator with a store of its own; the test closes it."""
    return fairlead.Client(config=load_text(CONFIG), root=tmp_path)


def records(folder: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "fairlead.db") as db:
        return db.execute("SELECT outcome, status, error_code FROM calls ORDER BY id").fetchall()


def calls(name: str, *arguments: str) -> list[dict[str, Any]]:
    """The choices of a stream that calls a tool."""
    begun = {"index": 0, "id": "1", "type": "function", "function": {"name": name, "arguments": ""}}
    deltas = [begun, *({"index": 0, "function": {"arguments": piece}} for piece in arguments)]
    return [{"index": 0, "delta": {"tool_calls": [delta]}, "finish_reason": None} for delta in deltas]


def says(text: str) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": text}, "finish_reason": None}


def streamed(*choices: dict[str, Any], reason: str) -> answers.Answer:
    """A stream of OpenAI's with these choices."""
    ended = {"index": 0, "delta": {}, "finish_reason": reason}
    return answers.sse(
        [
            {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4", "choices": [choice]}
            for choice in (*choices, ended)
        ]
    )


async def test_a_stream_gives_more_and_more_and_then_the_value(client: fairlead.Client) -> None:
    """What is not there yet is None."""
    async with client as llm, llm.stream_extract(Booking, f"sim:say {SAID}", model="m") as stream:
        seen = [value async for value in stream]

    assert len(seen) > 3
    assert seen[0].day is None
    assert [value.name for value in seen if value.name is not None][-1] == "Ada Lovelace"
    assert seen[-1] == ADA == stream.result.value
    assert stream.result.cost_nanousd


async def test_the_value_of_a_stream_is_repaired_at_its_end(client: fairlead.Client) -> None:
    """What came before it was as the model wrote it."""
    said = '```json\n{"name": "Ada", "seats": "three",}\n```'
    async with client as llm, llm.stream_extract(Row, f"sim:say {said}", model="m") as stream:
        *_, last = [value async for value in stream]

    assert last == {"name": "Ada", "seats": 3}
    assert stream.result.report is not None
    assert stream.result.report.rung == "coerce"


async def test_a_stream_that_does_not_fit_raises_or_falls_back(client: fairlead.Client, tmp_path: Path) -> None:
    """And its record says so."""
    async with client as llm:
        with pytest.raises(OutputInvalid, match="seats"):
            _ = [value async for value in llm.stream_extract(Row, 'sim:say {"name": "Ada"}', model="m")]
        async with llm.stream_extract(Row, 'sim:say {"name": "Ada"}', model="m", fallback=None) as stream:
            *_, last = [value async for value in stream]

    assert last is None
    assert stream.result.is_fallback
    with sqlite3.connect(tmp_path / "fairlead.db") as db:
        rows = db.execute("SELECT outcome, error_class, refused FROM calls").fetchall()
    assert rows == [("truncated", "validation", b'{"name": "Ada"}')] * 2


async def test_the_result_of_a_stream_is_there_at_its_end(client: fairlead.Client) -> None:
    """Not before."""
    async with client as llm, llm.stream_extract(Row, 'sim:say {"name": "Ada"}', model="m") as stream:
        with pytest.raises(InvalidRequest, match="not complete"):
            assert stream.result


# --- one policy ---


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("strict", {}, f"```json\n{SAID}\n```"),
        ("m", {"up_to": "parse"}, f"```json\n{SAID}\n```"),
        ("m", {"up_to": "repair"}, '{"name": "Ada", "day": "4 May 2026 or so"}'),
        ("m", {"min_confidence": 1.0}, '{"Name": "Ada", "day": "2026-05-04"}'),
        ("m", {}, '{"name": "Ada", "day": "03/04/2026"}'),
    ],
    ids=["as configured", "as called", "repair", "confidence", "no locale"],
)
async def test_a_stream_is_held_to_what_an_answer_is(
    client: fairlead.Client, model: str, options: dict[str, Any], said: str
) -> None:
    """By the configuration of its model, and the caller's words."""
    async with client as llm:
        with pytest.raises(OutputInvalid) as whole:
            await llm.extract(Booking, f"sim:say {said}", model=model, reasks=0, **options)
        with pytest.raises(OutputInvalid) as shown:
            _ = [value async for value in llm.stream_extract(Booking, f"sim:say {said}", model=model, **options)]

    assert shown.value.errors == whole.value.errors


@pytest.mark.parametrize(("model", "options"), [("american", {}), ("m", {"locale": "en-US"})])
async def test_a_stream_is_read_in_its_locale(client: fairlead.Client, model: str, options: dict[str, Any]) -> None:
    """Configured or called for."""
    said = '{"name": "Ada Lovelace", "day": "05/04/2026"}'
    async with client as llm, llm.stream_extract(Booking, f"sim:say {said}", model=model, **options) as stream:
        *_, last = [value async for value in stream]

    assert last == ADA


# --- what is the answer ---


async def test_the_arguments_of_the_callers_own_tools_are_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However well they would fit."""
    monkeypatch.setenv("UPSTREAM_KEY", "k")
    said = streamed(*calls("search", '{"name": "Bob",', ' "seats": 1}'), reason="tool_calls")
    async with FakeUpstream(default=said) as upstream:
        config = load_text(CALLED.format(origin=upstream.origin))
        async with fairlead.Client(config=config, root=tmp_path) as llm:
            stream = llm.stream_extract(Row, "Find Bob", model="m", tools=[SEARCH], fallback="nobody")
            seen = [value async for value in stream]

    assert seen == ["nobody"]


async def test_the_tool_that_stands_for_the_answer_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside words that the model says before it."""
    monkeypatch.setenv("UPSTREAM_KEY", "k")
    said = streamed(says("Sure: "), *calls("Row", '{"name": "Ada",', ' "seats": 3}'), reason="tool_calls")
    async with FakeUpstream(default=said) as upstream:
        config = load_text(CALLED.format(origin=upstream.origin))
        async with fairlead.Client(config=config, root=tmp_path) as llm:
            stream = llm.stream_extract(Row, "A table for Ada", model="m")
            seen = [value async for value in stream]

    assert stream.call.attempt.structured == "tool"
    assert seen[0] == {"name": "Ada"}
    assert seen[-1] == {"name": "Ada", "seats": 3}


# --- leaving early ---


async def test_a_stream_that_is_left_has_ended_when_it_is_closed(client: fairlead.Client, tmp_path: Path) -> None:
    """Its attempt is over and its record written, with nothing to wait for."""
    async with client as llm:
        stream = llm.stream_extract(Booking, f"sim:say {SAID}", model="m")
        async for _ in stream:
            break
        await stream.aclose()

        assert stream.call.fate.abandoned
        assert stream.call.attempt.ended_ns is not None
    assert records(tmp_path) == [("cancelled", 499, "client_closed")]


async def test_a_stream_that_is_left_makes_room_for_the_next_one(client: fairlead.Client) -> None:
    """Where one may run at a time."""
    async with client as llm:
        for _ in range(2):
            async with llm.stream_extract(Booking, f"sim:say {SAID}", model="narrow") as stream:
                await anext(aiter(stream))
        found = await llm.extract(Booking, f"sim:say {SAID}", model="narrow")

    assert found.value == ADA


async def test_a_stream_that_is_dropped_ends_before_its_client_has_closed(
    client: fairlead.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody has to say so, and nothing is logged about it."""
    with caplog.at_level(logging.WARNING):
        async with client as llm:
            async for _ in llm.stream_extract(Booking, f"sim:say {SAID}", model="m"):
                break
            gc.collect()

    assert records(tmp_path) == [("cancelled", 499, "client_closed")]
    assert caplog.records == []


async def test_a_stream_whose_reader_is_cancelled_ends_as_cancelled(
    client: fairlead.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the middle of it."""
    begun = asyncio.Event()

    async def reading(llm: fairlead.Client) -> None:
        async with llm.stream_extract(Booking, f"sim:say {SAID}", model="m") as stream:
            async for _ in stream:
                begun.set()
                await asyncio.Event().wait()

    with caplog.at_level(logging.WARNING):
        async with client as llm:
            task = asyncio.ensure_future(reading(llm))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    assert records(tmp_path) == [("cancelled", 499, "client_closed")]
    assert caplog.records == []


async def test_a_stream_that_nobody_begins_to_read_asks_nobody(client: fairlead.Client, tmp_path: Path) -> None:
    """It may be closed all the same."""
    async with client as llm:
        await llm.stream_extract(Booking, f"sim:say {SAID}", model="m").aclose()

    assert records(tmp_path) == []
