"""A worker's pipeline is changed under its calls: those under way end as they began, new ones go the new way (P4, P5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead.config.build import Foundation, lay_foundation
from fairlead.config.launch import Order
from fairlead.config.load import load_text
from fairlead.gateway.pipelines import Pipelines
from fairlead.testing import FakeUpstream, answers, openai_reply, openai_stream
from fairlead.wire import Server
from faults.front import BODY, CHAT, ask, chat, connection, request, text_of, until

ONE = """
[gateway]
auth = "open"
[providers.{name}]
dialect = "openai"
base_url = "{url}"
api_key = "env:UPSTREAM_KEY"
allow_private = true
[models.m]
targets = ["{name}/gpt-4o-mini"]
"""
AFTERMATH_S = 0.05


@dataclass
class Changing:
    """A gateway whose configuration can be changed."""

    foundation: Foundation
    pipelines: Pipelines
    server: Server

    async def change(self, text: str) -> None:
        """Order another configuration, and wait until it is in use or refused."""
        before, failed = self.pipelines.config, self.pipelines.reload_failed
        self.pipelines.obey(Order(config=load_text(text)))
        await until(
            lambda: self.pipelines.config is not before or (self.pipelines.reload_failed and not failed), within_s=5.0
        )


Begin = Callable[[str], Awaitable[Changing]]


@pytest.fixture
async def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Begin]:
    """Start a gateway from the text of a configuration."""
    monkeypatch.setenv("UPSTREAM_KEY", "sk-upstream")
    async with AsyncExitStack() as stack:

        async def started(text: str) -> Changing:
            environ = {"UPSTREAM_KEY": "sk-upstream"}
            foundation = lay_foundation(load_text(text), root=tmp_path, environ=environ, name="test")
            stack.push_async_callback(foundation.aclose)
            pipelines = Pipelines(foundation, aftermath_s=AFTERMATH_S)
            stack.push_async_callback(pipelines.aclose)
            running = asyncio.create_task(pipelines.run())
            stack.callback(running.cancel)
            server = Server(pipelines.app, before_writes=foundation.spool.flush)
            await server.start("127.0.0.1", 0)
            stack.push_async_callback(server.drain, 1.0)
            return Changing(foundation, pipelines, server)

        yield started


async def test_p4_a_call_under_way_ends_where_it_began(begin: Begin) -> None:
    """Its stream comes whole from the provider that is configured no more, which is closed once it has ended."""
    async with FakeUpstream([openai_stream(["a"] * 30).paced(0.02)]) as old, FakeUpstream() as new:
        ours = await begin(ONE.format(name="old", url=old.base_url))
        async with connection(ours) as (reader, writer):
            writer.write(request("POST", CHAT, BODY | {"stream": True}, {"connection": "close"}))
            await reader.readuntil(b"}\n\n")

            await ours.change(ONE.format(name="new", url=new.base_url))
            answer = await chat(ours)
            assert old.open_connections == 1
            rest = await reader.read()

        assert answer.status == 200
        assert answer.headers["x-fairlead-model"] == "new/gpt-4o-mini"
        assert len(old.requests) == 1
        assert b"[DONE]" in rest
        await until(lambda: old.open_connections == 0)
        assert new.open_connections == 1


async def test_p4_a_provider_that_is_the_same_keeps_its_connections(begin: Begin) -> None:
    """Nobody pays for a handshake because something else was changed."""
    async with FakeUpstream() as upstream:
        ours = await begin(ONE.format(name="up", url=upstream.base_url))
        await chat(ours)

        await ours.change(ONE.format(name="up", url=upstream.base_url) + "max_output_tokens = 5\n")
        await chat(ours)

        assert (len(upstream.requests), upstream.connections) == (2, 1)


async def test_p4_a_key_that_was_changed_is_used_at_once(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reference is the same, what stands there is not."""
    async with FakeUpstream() as upstream:
        text = ONE.format(name="up", url=upstream.base_url)
        ours = await begin(text)
        await chat(ours)

        monkeypatch.setenv("UPSTREAM_KEY", "sk-rotated")
        await ours.change(text)
        await chat(ours)

        sent = [each.headers["authorization"] for each in upstream.requests]
        assert sent == ["Bearer sk-upstream", "Bearer sk-rotated"]


async def test_p5_a_model_that_is_gone_is_not_found(begin: Begin) -> None:
    """From the next call on."""
    async with FakeUpstream([openai_reply("late").latency(0.3)]) as upstream:
        text = ONE.format(name="up", url=upstream.base_url)
        ours = await begin(text)
        under_way = asyncio.create_task(chat(ours))
        await upstream.until(lambda: upstream.requests)

        await ours.change(text.replace("[models.m]", "[models.other]"))

        assert (await chat(ours)).status == 404
        assert (await chat(ours, model="other")).status == 200
        assert (await under_way).status == 200


async def test_p6_of_many_orders_at_once_the_last_one_counts(begin: Begin) -> None:
    """Those between are never carried out."""
    async with FakeUpstream() as upstream:
        text = ONE.format(name="up", url=upstream.base_url)
        ours = await begin(text)
        for number in range(100):
            ours.pipelines.obey(Order(config=load_text(text.replace("[models.m]", f"[models.m{number}]"))))

        await until(lambda: "m99" in ours.pipelines.config.models)

        listed = (await ask(ours, "GET", "/v1/models")).json["data"]
        assert [each["id"] for each in listed] == ["m99"]


async def test_p3_what_cannot_be_used_changes_nothing(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, and undone by the next order that can be carried out."""
    async with FakeUpstream() as upstream:
        text = ONE.format(name="up", url=upstream.base_url)
        ours = await begin(text)

        with caplog.at_level(logging.ERROR):
            await ours.change(text.replace("UPSTREAM_KEY", "NOT_THERE"))

        assert ours.pipelines.reload_failed
        assert "the configuration stays as it was" in caplog.text
        assert "NOT_THERE" in caplog.text
        assert (await chat(ours)).status == 200
        await ours.change(text + "max_output_tokens = 5\n")
        assert not ours.pipelines.reload_failed


BREAKER = "breaker = {{ consecutive = {} }}\n"


async def test_p3_breakers_go_on_under_a_change_that_cannot_be_made(begin: Begin) -> None:
    """Also where only the last of it is wrong: what was open stays open, by the numbers that were."""
    async with FakeUpstream([answers.status(500)]) as upstream:
        text = ONE.format(name="up", url=upstream.base_url)
        ours = await begin(text + BREAKER.format(1))
        assert [(await chat(ours)).status for _ in range(2)] == [503, 503]

        await ours.change(text.replace("UPSTREAM_KEY", "NOT_THERE") + BREAKER.format(9))
        assert ours.pipelines.reload_failed
        assert ((await chat(ours)).status, len(upstream.requests)) == (503, 1)

        await ours.change(text + BREAKER.format(9))
        assert (await chat(ours)).status == 200


async def test_p4_a_refused_key_that_was_renewed_is_used_at_once(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the minute for which it was to be left alone is left."""
    async with FakeUpstream([answers.status(401)]) as upstream:
        text = ONE.format(name="up", url=upstream.base_url) + BREAKER.format(5)
        ours = await begin(text)
        assert [(await chat(ours)).status for _ in range(2)] == [502, 503]

        monkeypatch.setenv("UPSTREAM_KEY", "sk-rotated")
        await ours.change(text)

        assert (await chat(ours)).status == 200


async def test_p4_those_in_line_keep_their_places_across_a_change(begin: Begin) -> None:
    """Who comes later stands behind them, and what the line has learnt need not be learnt again."""
    async with FakeUpstream() as upstream:
        text = ONE.format(name="up", url=upstream.base_url)
        text = text.replace("[models.m]", "limits = { rpm = 6 }\n[models.m]")
        ours = await begin(text)
        await chat(ours)

        def waiting() -> list[int]:
            return [each.waiting for each in ours.pipelines.targets().values()]

        tasks = [asyncio.create_task(chat(ours))]
        await until(lambda: waiting() == [1])
        await ours.change(text + "max_output_tokens = 5\n")
        tasks.append(asyncio.create_task(chat(ours)))
        await until(lambda: waiting() == [2])

        for task in tasks:
            task.cancel()
        await until(lambda: waiting() == [0])


async def test_an_operators_word_reaches_those_in_line(begin: Begin) -> None:
    """Who waits for a target that is disabled is refused, or answered elsewhere, now and not when its turn comes."""
    async with FakeUpstream() as upstream:
        text = ONE.format(name="up", url=upstream.base_url)
        ours = await begin(text.replace("[models.m]", "limits = { rpm = 6 }\n[models.m]"))
        await chat(ours)
        waiting = [asyncio.create_task(chat(ours)) for _ in range(2)]
        await until(lambda: [each.waiting for each in ours.pipelines.targets().values()] == [2])

        ours.pipelines.overrule({"up": "disable"})

        async with asyncio.timeout(5):
            assert [(await each).status for each in waiting] == [503, 503]
        assert len(upstream.requests) == 1


async def test_p4_limits_count_on_across_a_change(begin: Begin) -> None:
    """A reload is no way to a second helping."""
    async with FakeUpstream() as upstream:
        text = ONE.format(name="up", url=upstream.base_url).replace('"open"', '"keys"')
        ours = await begin(text)
        key = await virtual_key(ours.foundation)
        assert (await chat(ours, key)).status == 200

        await ours.change(text + "max_output_tokens = 5\n")

        assert (await chat(ours, key)).status == 429


async def virtual_key(foundation: Foundation) -> str:
    """A key that may call once a minute."""
    from fairlead.core.credentials import digest, format_key
    from fairlead.ports import ScopeLimits, StoredKey

    secret = "s" * 43
    stored = StoredKey(
        id="k1", name="k1", digest=digest(foundation.hashing_keys["1"], secret), limits=ScopeLimits(rpm=1)
    )
    await foundation.store.keys.save(stored)
    await foundation.keys.refresh()
    return format_key("k1", secret)


async def test_streams_of_both_pipelines_run_side_by_side(begin: Begin) -> None:
    """Neither waits for the other, and both are whole."""
    async with FakeUpstream(default=lambda _: openai_stream(["a"] * 10).paced(0.01)) as upstream:
        text = ONE.format(name="up", url=upstream.base_url)
        ours = await begin(text)
        first = asyncio.create_task(chat(ours, stream=True))
        await upstream.until(lambda: upstream.requests)
        await ours.change(text.replace("providers.up]", "providers.two]").replace('"up/', '"two/'))
        second = await chat(ours, stream=True)

        assert [text_of(each.body) for each in (await first, second)] == ["a" * 10, "a" * 10]
        assert ours.pipelines.app.in_flight == 0
