"""The seam: composing stages, and what happens at the end of a reply."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.call import OK, Call, Outcome
from fairlead.pipeline import Next, Reply, Stage, compose, finish


def named(name: str, log: list[str]) -> Stage:
    """A stage that logs its way down, its way up and its hook."""

    async def stage(call: Call, following: Next) -> Reply:
        log.append(f"{name} down")
        reply = await following(call)
        log.append(f"{name} up")
        reply.on_end.append(lambda outcome: log.append(f"{name} {outcome.kind}"))
        return reply

    return stage


class Source:
    """A stream that only knows how to be closed, perhaps slowly."""

    progressed_ns = 0

    def __init__(self, log: list[str], gate: asyncio.Event | None = None) -> None:
        self._log = log
        self._gate = gate

    async def aclose(self) -> None:
        if self._gate is not None:
            await self._gate.wait()
        self._log.append("closed")


async def test_stages_run_outermost_first_and_hooks_last_in_first_out() -> None:
    """The first stage of the list is the outermost; the hook registered last runs first."""
    log: list[str] = []

    async def last(call: Call) -> Reply:
        return Reply(200, b"")

    reply = await compose([named("a", log), named("b", log)], last)(None)  # type: ignore[arg-type]
    reply.end(OK)

    assert log == ["a down", "b down", "b up", "a up", "a ok", "b ok"]


def test_every_hook_runs_once_however_often_a_reply_is_ended() -> None:
    """A second end finds nothing left to do."""
    runs: list[Outcome] = []
    reply = Reply(200, b"")
    reply.on_end += [runs.append, runs.append]

    reply.end(OK)
    reply.end(Outcome("error", 500))

    assert runs == [OK, OK]


def test_a_hook_that_raises_keeps_no_other_from_running() -> None:
    """All hooks run; what failed is raised together at the end."""
    runs: list[Outcome] = []

    def broken(_: Outcome) -> None:
        raise ValueError("broken")

    reply = Reply(200, b"")
    reply.on_end += [runs.append, broken, runs.append, broken]

    with pytest.raises(ExceptionGroup) as caught:
        reply.end(OK)

    assert len(runs) == 2
    assert len(caught.value.exceptions) == 2


async def test_the_source_is_closed_before_the_hooks_run() -> None:
    """Hooks see the attempt's final usage, as the source has been closed by then."""
    log: list[str] = []
    reply = Reply(200, Source(log))  # type: ignore[arg-type]
    reply.on_end.append(lambda _: log.append("hook"))

    await finish(reply, OK, set())

    assert log == ["closed", "hook"]


async def test_a_cancelled_finish_still_finishes() -> None:
    """Whoever waits may be cancelled, even twice; the source is closed and the hooks run all the same (S18)."""
    log: list[str] = []
    gate = asyncio.Event()
    owned: set[asyncio.Task[object]] = set()
    reply = Reply(200, Source(log, gate))  # type: ignore[arg-type]
    reply.on_end.append(lambda _: log.append("hook"))
    task = asyncio.ensure_future(finish(reply, OK, owned))  # type: ignore[arg-type]
    await asyncio.sleep(0)

    for _ in range(2):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert log == []
    gate.set()
    await asyncio.wait(owned)

    assert log == ["closed", "hook"]
    assert owned == set()
