"""The keeper's tasks."""

from __future__ import annotations

import asyncio
import errno
import logging

import pytest

from fairlead.errors import InternalError, StateUnavailable
from fairlead.keeper.main import keep_ingesting, until_told


class Ends(Exception):
    """Ends a script."""


class Script:
    """Ingestion that goes as told, and the pauses after each time."""

    def __init__(self, *steps: Exception | None, chance: float = 0.5) -> None:
        self._chance = chance
        self._steps = iter(steps)
        self.pauses_s: list[float] = []

    async def ingest(self) -> int:
        step = next(self._steps, Ends())
        if step is not None:
            raise step
        return 0

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)

    def random(self) -> float:
        return self._chance

    def token(self, size: int) -> bytes:
        return bytes(size)

    async def run(self) -> None:
        with pytest.raises(Ends):
            await keep_ingesting(self.ingest, self.sleep, self)


FULL = OSError(errno.ENOSPC, "No space left on device", "a.spool")
DOWN = StateUnavailable("the store cannot answer right now")


async def test_ingestion_survives_a_full_disk_and_a_store_that_is_down() -> None:
    """It slows down to once in five seconds, and is back at full speed after the first success."""
    script = Script(None, FULL, DOWN, FULL, DOWN, FULL, FULL, FULL, None)
    await script.run()
    assert script.pauses_s == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.1]


@pytest.mark.parametrize(("chance", "pauses_s"), [(0.0, [0.15, 0.3]), (1.0, [0.25, 0.5])])
async def test_pauses_in_an_outage_have_jitter(chance: float, pauses_s: list[float]) -> None:
    """A quarter less to a quarter more, so that keepers which one outage stopped do not come back in step."""
    script = Script(DOWN, DOWN, chance=chance)
    await script.run()
    assert script.pauses_s == pytest.approx(pauses_s)


async def test_an_outage_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """Each episode anew, with what the system says and the file it says it of."""
    script = Script(FULL, FULL, DOWN, None, None, DOWN, DOWN)
    with caplog.at_level(logging.INFO):
        await script.run()
    waiting = "records wait in the spool, as they cannot be stored: "
    assert [record.getMessage() for record in caplog.records] == [
        waiting + "a.spool: No space left on device",
        "records are stored again",
        waiting + "the store cannot answer right now",
    ]


async def test_a_task_that_fails_ends_the_keeper_with_its_exception() -> None:
    """Nothing that is not understood is survived."""

    async def fails() -> None:
        raise RuntimeError("unforeseen")

    going = asyncio.ensure_future(asyncio.Event().wait())
    with pytest.raises(RuntimeError, match="unforeseen"):
        await until_told(asyncio.Event(), [going, asyncio.ensure_future(fails())])
    going.cancel()


async def test_a_task_that_just_ends_ends_the_keeper() -> None:
    """The keeper is not half there."""

    async def ends() -> None:
        pass

    task = asyncio.create_task(ends(), name="ingest")
    with pytest.raises(InternalError, match="'ingest' ended"):
        await until_told(asyncio.Event(), [task])


async def test_told_to_end_the_keeper_asks_no_task() -> None:
    """Not even one that ended at the same moment."""
    told = asyncio.Event()
    told.set()

    async def fails() -> None:
        raise RuntimeError("late")

    task = asyncio.ensure_future(fails())
    await until_told(told, [task])
    await asyncio.gather(task, return_exceptions=True)
