"""The supervisor with children that misbehave."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from fairlead.config.load import load_text
from fairlead.errors import ConfigError
from fairlead.gateway.crew import Patience
from fairlead.gateway.supervisor import Ports, Supervisor

CONFIG = load_text("[gateway]\nport = 0\nadmin_port = 0\ndrain_s = 0.1\n")
READY = "import os, signal, sys, time\nsys.stdin.readline()\nprint('{\"ready\":true}', flush=True)\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
GOOD = READY + "sys.stdin.read()\n"


def commands(worker: str, keeper: str = GOOD) -> Callable[[str], Sequence[str]]:
    """Children that run these programs."""
    return lambda name: (sys.executable, "-S", "-c", keeper if name == "keeper" else worker)


class Run:
    """A supervisor under way in this process."""

    def __init__(self, worker: str, **patience: float) -> None:
        self.ready = asyncio.Event()
        self._others = set(psutil.Process().children())
        self._supervisor = Supervisor(
            CONFIG, Path(), self._serves, patience=Patience(**patience), command=commands(worker)
        )
        self.task = asyncio.ensure_future(self._supervisor.run())

    def _serves(self, _: Ports) -> None:
        self.ready.set()

    def alive(self) -> set[psutil.Process]:
        """Its children; those of other tests, such as a gateway that many share, are not counted."""
        return set(psutil.Process().children()) - self._others

    async def stop(self, signals: int = 1) -> None:
        """Send this process a signal, which the supervisor has taken over, and wait for its end."""
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.01)
        await self.task


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what it waits for happens in other processes
            await asyncio.sleep(0.01)


async def test_a_child_hung_at_its_start_is_killed() -> None:
    """The start fails in words that say so, and nothing is left behind."""
    run = Run(DEAF + "import time\ntime.sleep(60)", start_s=0.5)

    with pytest.raises(ConfigError, match=r"the worker-1 process was not ready after 0\.5 s"):
        await run.task
    assert not run.alive()


async def test_a_signal_ends_a_start_that_hangs() -> None:
    """Nobody has to wait for the start's own limit."""
    run = Run("import time\ntime.sleep(60)")
    await until(lambda: len(run.alive()) == 2)

    await run.stop()

    assert not run.alive()


async def test_what_a_child_says_at_a_failed_start_is_the_error() -> None:
    """As it said it, so that it can stand alone."""
    run = Run("""print('{"error":"no such thing"}', flush=True)\nraise SystemExit(1)""")

    with pytest.raises(ConfigError) as caught:
        await run.task
    assert caught.value.message == "no such thing"


async def test_a_silent_death_at_the_start_tells_its_code() -> None:
    """There is nothing else to tell."""
    with pytest.raises(ConfigError, match="worker-1 ended with code 7 before it was ready"):
        await Run("raise SystemExit(7)").task


async def test_a_child_that_is_ready_and_dies_is_restarted_slower_and_slower(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Being ready once is no success; each restart is one line."""
    run = Run(READY + "raise SystemExit(3)")
    said = ""

    def growing() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return "0.4 s\n" in said

    await until(growing)
    await run.stop()

    assert said.splitlines()[:3] == [
        f"fairlead: worker-1 ended with code 3; starting it again in {pause} s" for pause in (0.1, 0.2, 0.4)
    ]


async def test_a_child_that_lived_is_restarted_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The pause starts over once a child has proved itself."""
    run = Run(READY + "raise SystemExit(3)", young_s=0.0)
    said = ""

    def thrice() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return said.count("again") >= 3

    await until(thrice)
    await run.stop()

    assert said.count("again in 0.1 s\n") == said.count("again")


async def test_a_child_never_waits_for_its_output_to_be_read(tmp_path: Path) -> None:
    """It may print more than a pipe holds, in one line or in many."""
    done = tmp_path / "done"
    run = Run(f"{READY}print('x' * 1_000_000)\nprint('y\\n' * 100_000, flush=True)\nopen({str(done)!r}, 'w')\n{GOOD}")

    await until(done.exists)
    await run.stop()


async def test_a_worker_that_does_not_drain_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    """Some time after its own limit."""
    run = Run(DEAF + GOOD.replace("sys.stdin.read()", "time.sleep(60)"), beyond_drain_s=0.2)
    await run.ready.wait()

    await run.stop()

    assert not run.alive()
    assert capsys.readouterr().err == "fairlead: worker-1 does not end; killing it\n"


async def test_after_a_second_signal_a_worker_is_killed_sooner() -> None:
    """Whoever asks twice does not want to wait for the drain."""
    run = Run(DEAF + GOOD.replace("sys.stdin.read()", "time.sleep(60)"), beyond_drain_s=60.0, cut_s=0.2)
    await run.ready.wait()

    await run.stop(signals=2)

    assert not run.alive()
