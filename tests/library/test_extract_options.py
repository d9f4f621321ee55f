"""The library: what may be said of an extraction, and what is refused before anything is sent."""

from __future__ import annotations

import functools
import inspect
import logging
import sqlite3
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

import fairlead
from fairlead.config.load import load_text
from fairlead.errors import FairleadError, InvalidRequest, OutputInvalid

CONFIG = """
[models.m]
targets = ["sim/sim-small"]
[models.strong]
targets = ["sim/sim-large"]
[models.climbs]
targets = ["sim/sim-small"]
validation = { up_to = "escalate", escalate = "strong", attempts = 1 }
[models.falls]
targets = ["sim/sim-small"]
validation = { up_to = "fallback", fallback = { name = "nobody", seats = 0 } }
"""
FITS = 'sim:say {"name": "Ada", "seats": 2}'
LACKS = 'sim:say {"name": "Ada"}'


class Row(TypedDict):
    """A plain one."""

    name: str
    seats: int


class Booking(BaseModel):
    """One with a day."""

    day: date


@pytest.fixture
def client(tmp_path: Path) -> fairlead.Client:
    """A client of the simulator with a store of its own; the test closes it."""
    return fairlead.Client(config=load_text(CONFIG), root=tmp_path)


def asked(folder: Path) -> int:
    with sqlite3.connect(folder / "fairlead.db") as db:
        (count,) = db.execute("SELECT count(*) FROM calls").fetchone()
    return int(count)


# --- what cannot be meant ---


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"up_to": "nonsense"}, "one of parse, extract, repair, coerce, reask, escalate"),
        ({"up_to": ["parse"]}, "one of parse"),
        ({"up_to": "fallback"}, "`fallback=`"),
        ({"up_to": "escalate"}, "needs `escalate=`"),
        ({"up_to": "coerce", "escalate": "strong"}, "leave one of them out"),
        ({"escalate": "stron"}, "did you mean 'strong'"),
        ({"escalate": "*"}, "names no model"),
        ({"escalate": 3}, "name of a model"),
        ({"escalate": "m"}, "another model"),
        ({"reasks": -1}, "`reasks=` is a whole number"),
        ({"reasks": True}, "`reasks=` is a whole number"),
        ({"reasks": "2"}, "`reasks=` is a whole number"),
        ({"max_reask_tokens": -5}, "`max_reask_tokens=` is a whole number"),
        ({"max_reask_usd": -0.1}, "0 or more"),
        ({"max_reask_usd": "0.1"}, "an amount in dollars"),
        ({"max_reask_usd": float("nan")}, "an amount in dollars"),
        ({"max_reask_usd": True}, "an amount in dollars"),
        ({"locale": "xx"}, "as in `en-US`"),
        ({"locale": "english"}, "as in `en-US`"),
        ({"locale": 1}, "as in `en-US`"),
        ({"min_confidence": 1.5}, "from 0 to 1"),
        ({"min_confidence": "high"}, "from 0 to 1"),
        ({"repair_cut": "yes"}, "True or False"),
        ({"fallback": lambda one, two: (one, two)}, "takes more"),
        ({"timeout_s": float("inf")}, "number of seconds"),
        ({"timeout_s": "5"}, "number of seconds"),
        ({"timeout_s": 10**30}, "number of seconds"),
        ({"tags": "nightly"}, "list of strings"),
        ({"tags": [1]}, "list of strings"),
        ({"session": 5}, "is a string"),
        ({"priority": []}, "`interactive`, `batch` or `background`"),
        ({"lokale": "en-US"}, "did you mean `locale=`"),
        ({"timeout": 5}, "did you mean `timeout_s=`"),
        ({"fallbacks": ["strong"]}, "did you mean `fallback=`"),
        ({"stream": True}, "no place in an extraction"),
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    client: fairlead.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, options: dict[str, Any], remedy: str
) -> None:
    """With the remedy, whatever the fallback is, and without a word in the log."""
    with caplog.at_level(logging.WARNING):
        async with client as llm:
            with pytest.raises(InvalidRequest) as caught:
                await llm.extract(Row, FITS, model="m", **({"fallback": None} | options))
            await llm.complete("x", model="m")

    assert remedy in caught.value.message
    assert asked(tmp_path) == 1, "the second one"
    assert caplog.records == []


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"reasks": 1}, "use `extract`"),
        ({"max_reask_tokens": 1}, "use `extract`"),
        ({"max_reask_usd": 0.1}, "use `extract`"),
        ({"escalate": "strong"}, "use `extract`"),
        ({"up_to": "reask"}, "use `extract`"),
        ({"up_to": "escalate"}, "use `extract`"),
        ({"up_to": "fallback"}, "`fallback=`"),
        ({"lokale": "en-US"}, "did you mean `locale=`"),
        ({"min_confidence": -1}, "from 0 to 1"),
        ({"n": 2}, "no place in an extraction"),
    ],
    ids=str,
)
async def test_a_stream_refuses_what_asks_again(client: fairlead.Client, options: dict[str, Any], remedy: str) -> None:
    """By name, and when it is made."""
    async with client as llm:
        with pytest.raises(InvalidRequest) as caught:
            llm.stream_extract(Row, FITS, model="m", **options)

    assert remedy in caught.value.message


async def test_calls_of_every_kind_refuse_what_cannot_be_meant(client: fairlead.Client) -> None:
    """Never as an error of ours."""
    async with client as llm:
        with pytest.raises(InvalidRequest, match="`stream`"):
            await llm.complete("x", model="m", stream=True)
        with pytest.raises(InvalidRequest, match="messages"):
            await llm.complete({"role": "user", "content": "x"}, model="m")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match="messages"):
            llm.stream(None, model="m")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match="timeout_s"):
            await llm.embed("x", model="m", timeout_s=float("nan"))


async def test_parameters_of_a_chat_are_no_misspelt_options(client: fairlead.Client) -> None:
    """However near their names are."""
    async with client as llm:
        found = await llm.extract(
            Row, FITS, model="m", session_id="s", max_tokens=50, metadata={}, top_p=0.5, store=False, verbosity="low"
        )

    assert found.value == {"name": "Ada", "seats": 2}


async def test_a_gateway_elsewhere_knows_its_own_models() -> None:
    """The name of one is not looked up here; that there has to be one is clear."""
    async with fairlead.Client(gateway="http://127.0.0.1:9") as llm:
        with pytest.raises(InvalidRequest, match="needs `escalate=`"):
            await llm.extract(Row, FITS, model="m", up_to="escalate")
        found = await llm.extract(Row, FITS, model="m", escalate="theirs", fallback=None)

    assert found.is_fallback


# --- what is meant ---


async def test_a_stronger_model_alone_means_that_it_is_asked(client: fairlead.Client) -> None:
    """Without the rung's name."""
    async with client as llm:
        found = await llm.extract(Row, LACKS, model="m", escalate="strong", reasks=0, fallback=None)

    assert (found.attempts, found.model) == (2, "sim/sim-large")


async def test_the_stronger_model_may_be_configured(client: fairlead.Client) -> None:
    """The call then names the rung alone."""
    async with client as llm:
        found = await llm.extract(Row, LACKS, model="climbs", up_to="escalate", reasks=0, fallback=None)

    assert (found.attempts, found.model) == (2, "sim/sim-large")


async def test_a_stronger_model_takes_no_configured_fallback_away(client: fairlead.Client) -> None:
    """It is the rung before that."""
    async with client as llm:
        found = await llm.extract(Row, LACKS, model="falls", escalate="strong", reasks=0)

    assert found.attempts == 2
    assert found.value == {"name": "nobody", "seats": 0}


@pytest.mark.parametrize("most", [0, 1, 0.1 + 0.2, Decimal("0.5"), 1e-12], ids=str)
async def test_any_amount_bounds_re_asks(client: fairlead.Client, most: Any) -> None:
    """What is finer than a nano-dollar is rounded down."""
    async with client as llm:
        found = await llm.extract(Row, FITS, model="m", max_reask_usd=most)

    assert found.attempts == 1


async def test_an_unsure_answer_is_refused_where_certainty_is_asked_for(client: fairlead.Client) -> None:
    """A name that was spelt in another way is 0.9."""
    said = 'sim:say {"Name": "Ada", "seats": 2}'
    async with client as llm:
        found = await llm.extract(Row, said, model="m", min_confidence=0.9)
        with pytest.raises(OutputInvalid):
            await llm.extract(Row, said, model="m", min_confidence=0.95, reasks=0)

    assert found.value == {"name": "Ada", "seats": 2}


@pytest.mark.parametrize(
    ("options", "day"),
    [
        ({"context": {"locale": "en-US"}}, date(2026, 3, 4)),
        ({"context": {"locale": "en-US"}, "locale": "en-GB"}, date(2026, 4, 3)),
        ({"context": {"locale": "unheard-of"}}, None),
        ({"context": {"locale": 5}}, None),
        ({"context": ["locale"]}, None),
        ({}, None),
    ],
    ids=["of the context", "the call's own", "unknown", "no text", "no mapping", "none"],
)
async def test_the_locale_of_the_context_is_the_calls(
    client: fairlead.Client, options: dict[str, Any], day: date | None
) -> None:
    """Where that has no own."""
    said = 'sim:say {"day": "03/04/2026"}'
    async with client as llm:
        found = await llm.extract(Booking, said, model="m", up_to="coerce", fallback=None, **options)

    assert (None if found.value is None else found.value.day) == day


# --- fallbacks ---


class _Made:
    def __call__(self, error: FairleadError) -> str:
        return type(error).__name__


DEFAULT: dict[str, Any] = {"name": "nobody", "seats": 0}


@pytest.mark.parametrize(
    ("fallback", "value"),
    [
        (Row, Row),
        (list[int], list[int]),
        (_Made(), "OutputInvalid"),
        (functools.partial(dict, DEFAULT), DEFAULT),
        (DEFAULT.copy, DEFAULT),
        (functools.partial(lambda a, error: (a, error.code), "a"), ("a", "output_invalid")),
    ],
    ids=["a class", "a generic type", "an object", "a partial", "a builtin method", "a partial of the error"],
)
async def test_functions_make_a_fallback_and_classes_are_one(
    client: fairlead.Client, fallback: Any, value: Any
) -> None:
    """A class is never called."""
    async with client as llm:
        found = await llm.extract(Row, "sim:say no", model="m", up_to="coerce", fallback=fallback)

    assert found.value == value


async def _refuses_later(error: FairleadError) -> None:
    raise LookupError(error.code)


def _refuses() -> None:
    raise LookupError("output_invalid")


def _gives_up(error: FairleadError) -> None:
    raise InvalidRequest("ask by telephone") from error


@pytest.mark.parametrize(
    ("fallback", "raised", "words"),
    [
        (_refuses, LookupError, "output_invalid"),
        (_refuses_later, LookupError, "output_invalid"),
        (_gives_up, InvalidRequest, "by telephone"),
    ],
)
async def test_what_a_fallback_raises_is_its_owners(
    client: fairlead.Client, fallback: Callable[..., Any], raised: type[Exception], words: str
) -> None:
    """It comes out as it is."""
    async with client as llm:
        with pytest.raises(raised, match=words):
            await llm.extract(Row, "sim:say no", model="m", up_to="coerce", fallback=fallback)
        with pytest.raises(raised, match=words):
            _ = [value async for value in llm.stream_extract(Row, "sim:say no", model="m", fallback=fallback)]


# --- without await ---


@pytest.mark.parametrize("name", ["extract", "stream_extract", "complete", "stream", "embed"])
def test_the_client_without_await_takes_what_the_other_one_takes(name: str) -> None:
    """Its help says so."""
    plain = inspect.signature(getattr(fairlead.SyncClient, name)).parameters
    other = inspect.signature(getattr(fairlead.Client, name)).parameters

    assert [str(each) for each in plain.values()] == [str(each) for each in other.values()]


def test_the_client_without_await_refuses_at_once(tmp_path: Path) -> None:
    """A stream too, before anything is asked of it."""
    with fairlead.SyncClient(config=load_text(CONFIG), root=tmp_path) as llm:
        with pytest.raises(InvalidRequest, match="did you mean `locale=`"):
            llm.stream_extract(Row, FITS, model="m", lokale="en-US")
        with pytest.raises(InvalidRequest, match="locale"):
            llm.extract(Row, FITS, model="m", locale="xx")
        assert llm.extract(Row, FITS, model="m", min_confidence=1.0).value == {"name": "Ada", "seats": 2}
        *_, last = llm.stream_extract(Row, FITS, model="m", up_to="parse")

    assert last == {"name": "Ada", "seats": 2}
