"""The library: one client, whatever runs it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

import fairlead
from fairlead.config.load import load_text
from fairlead.errors import DeadlineExceeded, InvalidRequest, ModelNotFound, NotYetAvailable, StreamTruncated
from fairlead.types import Finished, TextDelta

CONFIG = """
[models.m]
targets = ["sim/sim-small"]
[models.slow]
targets = ["slow/sim-small"]
[models.cut]
targets = ["cut/sim-small"]
[providers.slow]
vendor = "sim"
latency_s = 30
[providers.cut]
vendor = "sim"
faults = "cut.toml"
"""


@pytest.fixture
def client(tmp_path: Path) -> fairlead.Client:
    """A client of the simulator with a store of its own; the test closes it."""
    (tmp_path / "cut.toml").write_text('[[faults]]\nkind = "cut"\n')
    return fairlead.Client(config=load_text(CONFIG), root=tmp_path)


def stored(folder: Path) -> list[tuple[str, int | None]]:
    with sqlite3.connect(folder / "fairlead.db") as db:
        return db.execute("SELECT outcome, cost_nanousd FROM calls ORDER BY id").fetchall()


async def test_a_completion_tells_all_about_its_call(client: fairlead.Client, tmp_path: Path) -> None:
    """Text, usage, exact cost, model and attempts stand on the completion, and the same cost in the store."""
    async with client as llm:
        reply = await llm.complete("Say hello", model="m", max_tokens=20)

    assert reply.text == str(reply)
    assert reply.usage is not None
    assert reply.finish_reason == "length"
    assert reply.cost_usd == Decimal(reply.cost_nanousd or 0) / 10**9 > 0
    assert (reply.model, reply.attempts) == ("sim/sim-small", 1)
    assert stored(tmp_path) == [("ok", reply.cost_nanousd)]


async def test_messages_and_parameters_are_openais(client: fairlead.Client) -> None:
    """Messages in OpenAI's form and any of its parameters are taken as they are."""
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    messages = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "get_weather please"}]

    async with client as llm:
        reply = await llm.complete(messages, model="m", tools=[tool], temperature=0.1)

    assert [call.name for call in reply.tool_calls] == ["get_weather"]


async def test_a_stream_gives_pieces_and_then_the_account(client: fairlead.Client) -> None:
    """Pieces joined are the answer; afterwards the stream's call knows its cost."""
    async with client as llm:
        whole = await llm.complete("Say hello", model="m")
        stream = llm.stream("Say hello", model="m")
        pieces = [piece async for piece in stream]

    assert "".join(piece.text for piece in pieces) == whole.text
    assert any(isinstance(piece.event, Finished) for piece in pieces)
    assert all(piece.text == "" or isinstance(piece.event, TextDelta) for piece in pieces)
    assert stream.call.cost_nanousd == whole.cost_nanousd


async def test_errors_are_typed(client: fairlead.Client) -> None:
    """Each failure is a class of `fairlead.errors`, and all of them a `FairleadError`."""
    async with client as llm:
        with pytest.raises(ModelNotFound):
            await llm.complete("x", model="nothing")
        with pytest.raises(InvalidRequest, match="max_tokens"):
            await llm.complete("x", model="m", max_tokens=-1)
        with pytest.raises(InvalidRequest, match="JSON"):
            await llm.complete("x", model="m", seed=object())
        with pytest.raises(NotYetAvailable, match="profile"):
            await llm.complete("x", model="m", profile="extraction")
        with pytest.raises(DeadlineExceeded):
            await llm.complete("x", model="slow", timeout_s=0.05)
        with pytest.raises(StreamTruncated):
            async for _ in llm.stream("x", model="cut"):
                pass


async def test_leaving_a_stream_early_ends_the_call(client: fairlead.Client, tmp_path: Path) -> None:
    """A stream left after one piece is recorded once, as cancelled, and charged as its provider charges."""
    async with client as llm, llm.stream("Say hello", model="m") as stream:
        async for _ in stream:
            break

    ((outcome, cost),) = stored(tmp_path)
    assert outcome == "cancelled"
    assert cost


async def test_a_stream_that_another_task_reads_is_left_by_that_one(client: fairlead.Client, tmp_path: Path) -> None:
    """Nobody else may close it; a client that closes waits for its end."""

    async def reading(stream: Any) -> list[str]:
        return [piece.text async for piece in stream]

    async with client as llm:
        stream = llm.stream("Say hello", model="m")
        task = asyncio.ensure_future(reading(stream))
        await asyncio.sleep(0)
        with pytest.raises(InvalidRequest, match="another task"):
            await stream.aclose()

    assert "".join(await task)
    assert [outcome for outcome, _ in stored(tmp_path)] == ["ok"]


@pytest.mark.parametrize(
    "how", ["cancel", *(pytest.param(each, marks=pytest.mark.slow) for each in ("timeout", "anyio"))]
)
async def test_a_cancelled_call_leaves_at_once_and_is_recorded(
    how: str, client: fairlead.Client, tmp_path: Path
) -> None:
    """However the caller's task is cancelled, it gets its own exception at once, and one record is left (M2)."""
    async with client as llm:
        began = asyncio.get_running_loop().time()
        if how == "cancel":
            task = asyncio.ensure_future(llm.complete("x", model="slow"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif how == "timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await llm.complete("x", model="slow")
        else:
            with anyio.move_on_after(0.05) as scope:
                await llm.complete("x", model="slow")
            assert scope.cancelled_caught
        assert asyncio.get_running_loop().time() - began < 5

    ((outcome, cost),) = stored(tmp_path)
    assert outcome == "cancelled"
    assert cost, "the simulator bills what nobody waits for"


async def test_what_the_caller_changes_later_changes_nothing(client: fairlead.Client, tmp_path: Path) -> None:
    """The request is written once, when the call is made (M3)."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "first"}]
    async with client as llm:
        stream = llm.stream(messages, model="m")
        messages[0]["content"] = "second"
        async for _ in stream:
            pass

    with sqlite3.connect(tmp_path / "fairlead.db") as db:
        ((request,),) = db.execute("SELECT request FROM calls").fetchall()
    assert b"first" in request


async def test_a_closed_client_says_so(client: fairlead.Client) -> None:
    """Closing twice is harmless; using a closed client is an error that says what it is (M1)."""
    await client.complete("x", model="m")
    await client.aclose()
    await client.aclose()

    with pytest.raises(InvalidRequest, match="closed"):
        await client.complete("x", model="m")


def test_one_client_on_several_loops(client: fairlead.Client, tmp_path: Path) -> None:
    """A client may be used from one event loop after the other."""
    for _ in range(3):
        assert asyncio.run(client.complete("x", model="m")).text
    asyncio.run(client.aclose())

    assert len(stored(tmp_path)) == 3


def test_one_client_in_many_threads(client: fairlead.Client, tmp_path: Path) -> None:
    """Threads with loops of their own share a client; every call is recorded once."""

    def work(_: int) -> None:
        async def several() -> None:
            await asyncio.gather(*(client.complete("x", model="m") for _ in range(5)))

        asyncio.run(several())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    asyncio.run(client.aclose())

    assert [outcome for outcome, _ in stored(tmp_path)] == ["ok"] * 80


def test_the_synchronous_client(tmp_path: Path) -> None:
    """`SyncClient` completes and streams without a loop, from many threads."""
    with fairlead.SyncClient(
        config=load_text(CONFIG.partition("[models.cut]")[0] + '[providers.slow]\nvendor = "sim"'), root=tmp_path
    ) as llm:
        text = llm.complete("Say hello", model="m").text
        assert "".join(piece.text for piece in llm.stream("Say hello", model="m")) == text
        for _ in llm.stream("Say hello", model="m"):
            break
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: llm.complete("Say hello", model="m").text, range(20))) == {text}

    assert len(stored(tmp_path)) == 23
    assert not [thread for thread in threading.enumerate() if thread.name == "fairlead-sync"]


async def test_the_synchronous_client_beside_a_running_loop(tmp_path: Path) -> None:
    """In a notebook, where a loop runs already, `SyncClient` works and does not wait for itself (M5)."""
    with fairlead.SyncClient(root=tmp_path) as llm:
        assert llm.complete("x", model="sim-small").text


FORKING = """
import asyncio, os, sys
from pathlib import Path
import fairlead

llm = fairlead.SyncClient(root=Path(sys.argv[1]))
llm.complete("x", model="sim-small")
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        for _ in range(5):
            llm.complete("x", model="sim-small")
        llm.close()
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
llm.complete("x", model="sim-small")
llm.close()
sys.exit(max(codes))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_client_made_before_a_fork_serves_parent_and_children(tmp_path: Path) -> None:
    """As under gunicorn with preloading: each process has connections of its own, and no record is lost (P14)."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    done = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path)], capture_output=True, text=True, timeout=20, check=False,
        env=environment,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert len(stored(tmp_path)) == 2 + 3 * 5
