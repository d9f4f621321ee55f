"""Row P11 of the fault list: code that is not Fairlead's own raises, hangs or returns what makes no sense.

There are two kinds of it: commands behind `cmd:` references, and stages that a composition of its own hands to `build`.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from fairlead.call import Call
from fairlead.config.build import build
from fairlead.config.load import load
from fairlead.config.reload import Source
from fairlead.config.secrets import resolve
from fairlead.errors import ConfigError
from fairlead.pipeline import Next, Reply, Stage
from faults.front import BODY, CHAT, KEYS, Begin, ask, chat, connection, recorded, request, until
from loads import until as until_true
from processes import CLEAN_ENVIRONMENT, FAIRLEAD, Process

PYTHON = shlex.quote(sys.executable)
CANARY = "sk-canary-0123456789"
CONFIG = """[gateway]
auth = "open"
[models.m]
targets = ["sim/sim-small"]
[providers.o]
vendor = "openai"
api_key = {command}
"""


def configured(command: str) -> str:
    """The file with this reference in its seventh line."""
    return CONFIG.format(command=json.dumps(command))


def python(code: str) -> str:
    """A `cmd:` reference that runs this, with an argument that nobody should see."""
    return f"cmd:{PYTHON} -c {shlex.quote(code)} {CANARY}"


BROKEN = {
    "raises": (python("raise SystemExit('no vault')"), "it ended with code 1"),
    "is not there": (f"cmd:no-such-program {CANARY}", "it cannot be run"),
    "is killed": (python("import os; os.kill(os.getpid(), 9)"), "it ended with code -9"),
    "prints nothing": (python(""), "is empty"),
    "prints lines": (python("print('a'); print('b')"), "line break"),
    "prints bytes": (python("import sys; sys.stdout.buffer.write(b'\\xff')"), "no UTF-8 text"),
    "prints without end": (python("while True: print('x' * 4096)"), "more than 65536 bytes"),
}


@pytest.mark.parametrize(("command", "told"), BROKEN.values(), ids=BROKEN.keys())
def test_p11_a_command_that_fails_is_named_and_nothing_of_it_is_used(command: str, told: str, tmp_path: Path) -> None:
    """The problem names file, line and provider, and neither the arguments nor what was printed."""
    file = tmp_path / "fairlead.toml"
    file.write_text(configured(command))

    with pytest.raises(ConfigError) as caught:
        Source(read=lambda: load(file), file=file).usable(tmp_path, CLEAN_ENVIRONMENT)

    assert caught.value.message.startswith(f"{file}:7: `providers.o`: the command ")
    assert told in caught.value.message
    assert CANARY not in f"{caught.value.message} {caught.value.detail}"


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(600)",
        "import time\nwhile True: print('x', end='', flush=True); time.sleep(0.01)",
        "import os, time; os.close(1); time.sleep(600)",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    ],
    ids=["silent", "slow", "deaf", "stubborn"],
)
def test_p11_a_command_that_hangs_is_killed_at_its_deadline(code: str) -> None:
    """However it hangs; the message says what was expected, and no process is left."""
    before = set(psutil.Process().children())

    with pytest.raises(ConfigError, match=r"must print the secret and end within 0\.3 seconds") as caught:
        resolve(python(code), CLEAN_ENVIRONMENT, deadline_s=0.3)

    assert set(psutil.Process().children()) <= before
    assert CANARY not in f"{caught.value.message} {caught.value.detail}"


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p11_a_command_that_hangs_at_start_ends_it_in_one_line(tmp_path: Path) -> None:
    """After ten seconds."""
    (tmp_path / "fairlead.toml").write_text(configured("cmd:sleep 600"))
    began = time.monotonic()

    done = subprocess.run(
        [FAIRLEAD, "serve", "--port", "0", "--admin-port", "0"],
        cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False, env=CLEAN_ENVIRONMENT,
    )  # fmt: skip

    assert done.returncode == 1
    assert "the command 'sleep' of a `cmd:` reference failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert 9 < time.monotonic() - began < 25


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_p11_commands_that_fail_at_a_reload_leave_everything_as_it_was(gateway: Callable[..., Process]) -> None:
    """Raising, hanging or printing what is no secret: calls go on meanwhile and afterwards, and the log says which."""
    ours = gateway(configured("cmd:echo sk-1"))

    def change(command: str, *told: str) -> int:
        """Have it read another file; how often it answered until it had said so."""
        (ours.folder / "fairlead.toml").write_text(configured(command))
        ours.child.send_signal(signal.SIGHUP)
        answered = 0

        def is_told() -> bool:
            nonlocal answered
            answered += ours.get("/v1/models")["data"][0]["id"] == "m"
            return any(all(each in line for each in told) for line in ours.log.read_text().splitlines())

        until_true(is_told, 45, "the news")
        return answered

    refused = ("the configuration stays as it was", "fairlead.toml:7: `providers.o`: the command")
    assert change("cmd:false", *refused, "'false'")
    assert change("cmd:sleep 600", *refused, "'sleep'") > 20, "ten seconds of answers"
    assert change(python("print('a'); print('b')"), *refused, "line break")
    assert change("cmd:echo sk-2", "the configuration was read again")
    assert "sk-" not in ours.log.read_text()


class Junk:
    """No reply at all."""


async def raising(call: Call, following: Next) -> Reply:
    raise ValueError(CANARY)


async def raising_afterwards(call: Call, following: Next) -> Reply:
    await following(call)
    raise ValueError(CANARY)


async def leaving_nothing(call: Call, following: Next) -> Reply:
    return None  # type: ignore[return-value]


async def leaving_text(call: Call, following: Next) -> Reply:
    return CANARY  # type: ignore[return-value]


async def leaving_junk(call: Call, following: Next) -> Reply:
    return Junk()  # type: ignore[return-value]


async def hanging(call: Call, following: Next) -> Reply:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


Composed = Callable[..., Awaitable[Any]]


@pytest.fixture
async def composed(begin: Begin) -> AsyncIterator[Composed]:
    """Start a gateway whose pipeline has a stage of somebody else's at this place."""
    made = []

    async def started(place: str, stage: Stage) -> Any:
        gateway = await begin(KEYS)
        runtime = build(gateway.foundation, auth="keys", stages={place: stage})
        gateway.app.swap(runtime, None)
        made.append(runtime)
        return gateway

    yield started
    for runtime in made:
        await runtime.aclose()


def heal(gateway: Any) -> None:
    """The same gateway without that stage."""
    gateway.app.swap(gateway.runtime, None)


@pytest.mark.parametrize("place", ["screen", "cache"])
@pytest.mark.parametrize(
    "stage",
    [
        raising,
        raising_afterwards,
        leaving_nothing,
        leaving_text,
        leaving_junk,
    ],
)
async def test_p11_a_stage_that_is_broken_costs_its_own_call(
    composed: Composed, place: str, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A 500 that shows nothing of it, one record, a log that names the stage, and whatever was taken is given back."""
    gateway = await composed(place, stage)
    key = await gateway.key("k1", concurrency=1, budget_nanousd=10**9, budget_window="day")

    broken = [await chat(gateway, key), await chat(gateway, key, stream=True)]
    health = await ask(gateway, "GET", "/health/live")
    heal(gateway)
    good = await chat(gateway, key)

    for answer in broken:
        assert answer.status == 500
        assert answer.json["error"]["code"] == "internal_error"
        assert CANARY.encode() not in answer.body
    assert (health.status, good.status) == (200, 200)
    kept = await recorded(gateway, 3)
    assert [row["error_code"] for row in kept] == [None, "internal_error", "internal_error"]
    assert [row["call_id"] for row in reversed(kept)] == [
        answer.headers["x-fairlead-call-id"] for answer in (*broken, good)
    ]
    assert gateway.foundation.ledger.reserved_nanousd() == 0
    for answer in broken:
        assert f"call {answer.headers['x-fairlead-call-id']} failed inside Fairlead" in caplog.text


async def test_p11_a_stage_that_hangs_holds_up_nobody_else(composed: Composed) -> None:
    """Others are answered, and once its caller has left the call is recorded and what it had taken is free."""
    gateway = await composed("screen", hanging)
    key = await gateway.key("k1", concurrency=1)
    runtime = gateway.app.in_flight
    async with connection(gateway) as (_, writer):
        writer.write(request("POST", CHAT, BODY, {"authorization": f"Bearer {key}"}))
        await until(lambda: gateway.app.in_flight == runtime + 1)
        assert (await ask(gateway, "GET", "/v1/models", headers={"authorization": f"Bearer {key}"})).status == 200
        heal(gateway)
        assert (await chat(gateway, key)).status == 429, "the one that hangs has the only place"
        assert (await chat(gateway, await gateway.key("k2"))).status == 200
    await until(lambda: not gateway.app.in_flight)
    assert (await chat(gateway, key)).status == 200
    outcomes = [row["outcome"] for row in await recorded(gateway, 4)]
    assert sorted(map(str, outcomes)) == ["cancelled", "error", "ok", "ok"]


async def test_p11_a_stage_that_hangs_is_cut_at_the_deadline_of_the_call(composed: Composed) -> None:
    """With 504, as if a provider had been too slow."""
    gateway = await composed("screen", hanging)
    key = await gateway.key("k1")
    async with asyncio.timeout(1):
        answer = await chat(gateway, key, headers={"x-fairlead-timeout": "0.1"})
    assert answer.status == 504
