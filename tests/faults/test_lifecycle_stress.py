"""Rows P10, P12, P14 and P15 of the fault list: a loop that is blocked, memory that ends, forks, a store that is down."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import fairlead
from fairlead.config.load import load_text
from fairlead.core import frame
from fairlead.errors import StateUnavailable
from fairlead.gateway.worker import Housekeeping
from fairlead.record import Gauges, decode_records
from fairlead.testing import FakeUpstream, openai_stream
from faults.front import BODY, CHAT, ENVIRON, OPEN, UPSTREAM, Begin, ask, chat, connection, request
from loads import until
from processes import Process

SIM = load_text('[models.m]\ntargets = ["sim/sim-small"]\n')


async def test_p10_a_loop_that_user_code_blocks_holds_up_nobody_else(tmp_path: Path) -> None:
    """Calls of other threads go on meanwhile, and the one of the blocked loop is answered afterwards."""
    answered: list[float] = []
    stop = threading.Event()

    def others() -> None:
        with fairlead.SyncClient(config=SIM, root=tmp_path) as llm:
            while not stop.is_set():
                llm.complete("hi", model="m")
                answered.append(time.monotonic())

    async with fairlead.Client(config=SIM, root=tmp_path) as llm:
        await llm.complete("warm", model="m")
        thread = asyncio.create_task(asyncio.to_thread(others))
        while not answered:  # noqa: ASYNC110 - another thread tells
            await asyncio.sleep(0.01)
        own = asyncio.create_task(llm.complete("hi", model="m"))
        await asyncio.sleep(0)
        began = time.monotonic()
        time.sleep(0.5)  # noqa: ASYNC251 - this is the user's code
        ended = time.monotonic()
        done = await own
        stop.set()
        await thread

    assert done.text
    meanwhile = [at for at in answered if began < at < ended]
    assert len(meanwhile) > 2


def keeping(gateway: Any, short_of_memory: Callable[[], bool]) -> Housekeeping:
    return Housekeeping(gateway.foundation, gateway.app, [gateway.server], "w", short_of_memory=short_of_memory)


async def test_p12_where_memory_is_short_new_calls_are_sent_away(begin: Begin) -> None:
    """With 503, when to try again, and nothing taken; those under way end well, and so does a single one."""
    async with FakeUpstream([openai_stream(["a"] * 30).paced(0.02)]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        async with connection(gateway) as (reader, writer):
            writer.write(request("POST", CHAT, BODY | {"stream": True}, {"connection": "close"}))
            await reader.readuntil(b"}\n\n")
            await keeping(gateway, lambda: True).round()

            refused = await chat(gateway)
            health = await ask(gateway, "GET", "/health/ready")
            rest = await reader.read()
        alone = await chat(gateway)
        await keeping(gateway, lambda: False).round()

        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["x-should-retry"] == "true"
        assert refused.json["error"]["code"] == "overloaded"
        assert b"[DONE]" in rest
        assert health.status == 200
        assert alone.status == 200, "a gateway that does nothing would never have memory again"
        assert len(upstream.requests) == 2
        assert not gateway.app.sheds


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p12_a_worker_at_its_limit_says_so_and_recovers(gateway: Callable[..., Process]) -> None:
    """The limit is a setting that can be changed while it serves; the metrics show what happens."""
    config = OPEN + '[providers.slow]\nvendor = "sim"\ntokens_per_s = 5\n[models.slow]\ntargets = ["slow/sim-small"]\n'
    ours = gateway(config)
    file = ours.folder / "fairlead.toml"
    limited = config.replace('"open"\n', '"open"\nmemory_max_bytes = 1\n')
    import openai

    with openai.OpenAI(base_url=ours.base_url, api_key="any", max_retries=0) as client:
        stream = client.chat.completions.create(model="slow", messages=[{"role": "user", "content": "hi"}], stream=True)
        next(iter(stream))
        file.write_text(limited)

        def sheds() -> bool:
            try:
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
            except openai.InternalServerError as error:
                return error.status_code == 503 and error.response.headers["retry-after"] == "1"
            return False

        until(sheds, 10, "a refusal")
        until(lambda: 'fairlead_degraded{feature="calls",mode="shed"' in "".join(ours.metrics()), 10, "the metric")
        file.write_text(config)
        until(lambda: not sheds(), 10, "an answer")
        stream.close()


def _call_in_a_fork(llm: fairlead.SyncClient, answers: Any) -> None:
    answers.put(llm.complete("hi", model="m").text)


@pytest.mark.skipif(sys.platform != "linux", reason="forking is no way to start a process elsewhere")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_p14_a_client_made_before_the_fork_serves_in_the_children(tmp_path: Path) -> None:
    """As under gunicorn with `--preload`, though it has made calls already."""
    context = multiprocessing.get_context("fork")
    with fairlead.SyncClient(config=SIM, root=tmp_path) as llm:
        mine = llm.complete("hi", model="m").text
        answers = context.Queue()
        children = [context.Process(target=_call_in_a_fork, args=(llm, answers)) for _ in range(3)]
        for child in children:
            child.start()
        theirs = [answers.get(timeout=10) for _ in children]
        for child in children:
            child.join(10)
        assert theirs == [mine] * 3
        assert llm.complete("hi", model="m").text == mine


def test_p14_one_client_on_several_loops_in_several_threads(tmp_path: Path) -> None:
    """As in a synchronous web application that runs a loop for each request."""
    llm = fairlead.Client(config=SIM, root=tmp_path)

    def one_request(_: int) -> str:
        async def handle() -> str:
            return (await llm.complete("hi", model="m")).text

        return asyncio.run(handle())

    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(one_request, range(16)))
    asyncio.run(llm.aclose())

    assert len(answers) == 1


async def test_p14_the_synchronous_client_works_where_a_loop_runs_already(tmp_path: Path) -> None:
    """As in a notebook."""
    with fairlead.SyncClient(config=SIM, root=tmp_path) as llm:
        assert llm.complete("hi", model="m").text
        assert "".join(piece.text for piece in llm.stream("hi", model="m"))


async def test_p15_with_the_store_down_it_stays_ready_and_serves(begin: Begin) -> None:
    """Known keys are answered from memory, records wait in the spool, and the worker calls itself degraded."""
    gateway = await begin(OPEN.replace('"open"', '"keys"'))
    key = await gateway.key("k1")
    assert (await chat(gateway, key)).status == 200

    await asyncio.to_thread(alter, gateway, "ALTER TABLE generation RENAME TO hidden")
    await asyncio.to_thread(alter, gateway, "ALTER TABLE calls RENAME TO hidden_calls")
    housekeeping = keeping(gateway, lambda: False)
    await housekeeping.round()

    assert (await ask(gateway, "GET", "/health/ready")).status == 200
    assert (await chat(gateway, key)).status == 200
    with pytest.raises(StateUnavailable):
        await gateway.records()

    await asyncio.to_thread(alter, gateway, "ALTER TABLE hidden_calls RENAME TO calls")
    await asyncio.to_thread(alter, gateway, "ALTER TABLE hidden RENAME TO generation")
    await housekeeping.round()
    gateway.foundation.spool.flush()
    degraded = await asyncio.to_thread(said_of_itself, gateway)
    assert len(await gateway.records()) == 2
    assert degraded == [{"keys": "cached"}, {}]


def said_of_itself(gateway: Any) -> list[dict[str, str]]:
    """What waits in the spool of how the worker stands."""
    segments = sorted((gateway.foundation.root / "fairlead.spool").glob("*.spool"))
    payloads = [payload for path in segments for payload in frame.decode(path.read_bytes()).payloads]
    records = [record for payload in payloads for record in decode_records(payload)[0]]
    return [record.degraded for record in records if isinstance(record, Gauges)]


def alter(gateway: Any, statement: str) -> None:
    connection = sqlite3.connect(gateway.foundation.root / "fairlead.db")
    connection.execute("PRAGMA legacy_alter_table = ON")
    connection.execute(statement)
    connection.close()
