"""Providers that have too many callers, and how they are left alone (FAULTS U4, U5, U17-U20)."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import openai
import pytest

from fairlead.testing import Answer, FakeUpstream, Received, answers, openai_error, speak_openai
from faults.front import ENVIRON, Begin, chat, recorded
from faults.trouble import BREAKER, RETRY, both, config, error_of, sdk_fails, sdk_says, tried


def limited(**headers: str) -> Answer:
    """A 429 with these headers, `_` for `-`."""
    return openai_error(
        429, "slow down", error_code="rate_limit_exceeded", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def gap_s(upstream: FakeUpstream) -> float:
    """Between the first and the second request."""
    first, second = upstream.requests[:2]
    return (second.at_ns - first.at_ns) / 1e9


# --- U4 ---


@pytest.mark.parametrize("stream", [False, True])
async def test_u4_a_short_wait_is_waited_for_at_the_same_target(begin: Begin, stream: bool) -> None:
    """The provider knows when it has room again; the caller gets an answer instead of an error."""
    async with FakeUpstream([limited(retry_after_ms="300")]) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url, two.base_url), ENVIRON)
        assert await sdk_says(gateway, stream=stream) == "Hello, world."

    assert 0.3 <= gap_s(one) < 0.6
    assert two.requests == []
    (record,) = await recorded(gateway)
    assert tried(record) == [("one", "upstream_rate_limited"), ("one", None)]


async def test_u4_for_a_long_wait_another_target_is_asked_now(begin: Begin) -> None:
    """And the first one is left alone for as long as it asked, by all."""
    async with FakeUpstream(default=limited(retry_after="30")) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url, two.base_url), ENVIRON)
        began = time.monotonic()
        for _ in range(5):
            assert await sdk_says(gateway) == "Hello, world."
        took_s = time.monotonic() - began

    assert took_s < 2
    assert (len(one.requests), len(two.requests)) == (1, 5)


async def test_u4_where_nobody_else_is_left_the_wait_is_told(begin: Begin) -> None:
    """A 429 with the provider's `Retry-After`; who calls all the same gets a 503 with what is left of it."""
    async with FakeUpstream(default=limited(retry_after="30")) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        first, second = await chat(gateway), await chat(gateway)

    assert error_of(first) == (429, "upstream_rate_limited", "true")
    assert (first.headers["retry-after"], first.headers["retry-after-ms"]) == ("30", "30000")
    assert error_of(second) == (503, "circuit_open", "true")
    assert int(second.headers["retry-after"]) in {29, 30}
    assert len(one.requests) == 1


async def test_u4_an_sdk_waits_as_it_is_told(begin: Begin) -> None:
    """Where Fairlead does not try again itself, `Retry-After` reaches the SDK, which obeys it."""
    async with FakeUpstream([limited(retry_after_ms="400")]) as one:
        gateway = await begin(config(one.base_url, model=BREAKER), ENVIRON)
        assert await sdk_says(gateway, retries=1) == "Hello, world."

    assert gap_s(one) >= 0.4


async def test_u4_a_wait_that_does_not_fit_is_told_at_once(begin: Begin) -> None:
    """A caller with half a second is not kept for a second that it does not have."""
    async with FakeUpstream(default=limited(retry_after="2")) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        began = time.monotonic()
        answer = await chat(gateway, headers={"x-fairlead-timeout": "0.5"})
        took_s = time.monotonic() - began

    assert error_of(answer) == (429, "upstream_rate_limited", "true")
    assert (answer.headers["retry-after"], took_s < 0.4) == ("2", True)


# --- U5 ---

NOW = datetime.now(UTC)
SENT = format_datetime(NOW, usegmt=True)
"""A date counts from that of the answer, whatever our own clock says."""
GOOGLES = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota"}


def googles(wait: str) -> Answer:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait}]
    return answers.json([{"error": GOOGLES | {"details": details}}], 429)


AT_ONCE = {
    "past date": limited(retry_after=format_datetime(NOW - timedelta(days=400), usegmt=True), date=SENT),
    "a date on no day that is told": limited(retry_after=format_datetime(NOW + timedelta(days=1), usegmt=True)),
    "zero": limited(retry_after="0"),
    "garbage": limited(retry_after="soon"),
    "empty": limited(retry_after=""),
    "NaN": limited(retry_after="nan"),
    "no hint": limited(),
    "garbage beside a good one": limited(retry_after="9999999", retry_after_ms="1"),
    "a date like none": limited(retry_after="Thu, 99 Foo 2026 99:99:99 GMT"),
}


@pytest.mark.parametrize("hint", AT_ONCE)
async def test_u5_a_hint_that_is_over_or_means_nothing_is_a_backoff(begin: Begin, hint: str) -> None:
    """It is tried again after our own short wait."""
    async with FakeUpstream([AT_ONCE[hint]]) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        assert await sdk_says(gateway) == "Hello, world."

    assert gap_s(one) < 0.3


FAR = {
    "a year ahead": (limited(retry_after=format_datetime(NOW + timedelta(days=365), usegmt=True), date=SENT), 86_400),
    "a minute ahead": (limited(retry_after=format_datetime(NOW + timedelta(seconds=60), usegmt=True), date=SENT), 60),
    "for ever": (limited(retry_after="1e999"), 86_400),
    "many digits": (limited(retry_after="9" * 50), 86_400),
    "milliseconds": (limited(retry_after_ms="61500"), 62),
    "a fraction": (limited(retry_after="61.5"), 62),
    "Google's": (googles("52s"), 52),
}


@pytest.mark.parametrize("hint", FAR)
async def test_u5_a_hint_far_away_is_told_within_a_day(begin: Begin, hint: str) -> None:
    """One try; `Retry-After` is the provider's wait, and never more than a day."""
    answer, wait_s = FAR[hint]
    async with FakeUpstream(default=answer) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url), ENVIRON)
        told = await chat(gateway)
        backed = await begin(config(one.base_url, two.base_url), ENVIRON)
        assert (await chat(backed)).status == 200

    assert error_of(told) == (429, "upstream_rate_limited", "true")
    assert abs(int(told.headers["retry-after"]) - wait_s) <= 1
    assert len(one.requests) == 2


async def test_u5_a_negative_hint_means_never(begin: Begin) -> None:
    """Neither Fairlead nor an SDK tries again."""
    async with FakeUpstream(default=limited(retry_after="-1")) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        raised = await sdk_fails(gateway, openai.RateLimitError)

    assert raised.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in raised.response.headers
    assert len(one.requests) == 1


async def test_u5_googles_wait_in_the_body_is_waited_for(begin: Begin) -> None:
    """It sends no header."""
    async with FakeUpstream([googles("0.3s")]) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        assert await sdk_says(gateway) == "Hello, world."

    assert gap_s(one) >= 0.3


# --- U17 ---


async def test_u17_where_all_are_left_alone_the_smallest_wait_is_told_at_once(begin: Begin) -> None:
    """A 503 with `Retry-After` as a header, without a queue and without a request; it holds for streams as well."""
    waits = ("40", "20", "30")
    upstreams = [FakeUpstream(default=limited(retry_after=wait)) for wait in waits]
    async with upstreams[0] as one, upstreams[1] as two, upstreams[2] as three:
        gateway = await begin(config(one.base_url, two.base_url, three.base_url), ENVIRON)
        assert (await chat(gateway)).status == 429
        took_s = []
        for number in range(20):
            began = time.monotonic()
            answer = await chat(gateway, stream=bool(number % 2))
            took_s.append(time.monotonic() - began)
            assert error_of(answer) == (503, "circuit_open", "true")
            assert answer.headers["retry-after"] in {"19", "20"}

    assert sorted(took_s)[10] < 0.05
    assert [len(each.requests) for each in upstreams] == [1, 1, 1]
    assert "one/gpt-4o-mini" in answer.json["error"]["message"]


async def test_u17_an_sdk_waits_for_an_open_breaker_and_gets_its_answer(begin: Begin) -> None:
    """The wait that it is told is the one after which a probe is let through."""
    async with FakeUpstream([openai_error(500, "no")] * 3) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        await chat(gateway)
        began = time.monotonic()
        assert await sdk_says(gateway, retries=1) == "Hello, world."
        took_s = time.monotonic() - began

    assert 0.3 < took_s < 2
    assert len(one.requests) == 4


# --- U18, U19 ---


async def test_u18_a_provider_that_fails_everything_is_not_stormed(begin: Begin) -> None:
    """Retries add a fifth at the most, a breaker ends it after three; a second after it works again, so do calls."""
    async with FakeUpstream(default=openai_error(500, "no")) as one:
        retrying = await begin(config(one.base_url, model=RETRY), ENVIRON)
        statuses = [(await chat(retrying)).status for _ in range(100)]
        tries = len(one.requests)
        assert set(statuses) == {503}
        assert 100 < tries <= 100 * 1.2 + 3 + 3  # and what time refills in the meantime

        guarded = await begin(config(one.base_url), ENVIRON)
        ready = asyncio.Semaphore(10)

        async def call() -> int:
            async with ready:
                return int((await chat(guarded)).status)

        assert set(await asyncio.gather(*(call() for _ in range(100)))) == {503}
        assert len(one.requests) - tries <= 30, "those that were under way"
        one.then(*[speak_openai] * 100)
        began = time.monotonic()
        while (await chat(guarded)).status != 200:  # noqa: ASYNC110 - each look is a call
            await asyncio.sleep(0.02)
        assert time.monotonic() - began < 1.5


async def test_u19_only_the_probes_go_through_when_a_breaker_half_opens(begin: Begin) -> None:
    """Thirty callers that come at once are one probe; the others hear at once that it is open."""
    async with FakeUpstream([openai_error(500, "no")] * 3) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        await chat(gateway)
        await asyncio.sleep(0.75)
        one.then(speak_openai_slowly)
        done = await asyncio.gather(*(chat(gateway) for _ in range(30)))
        after = await asyncio.gather(*(chat(gateway) for _ in range(30)))

    assert sorted(answer.status for answer in done) == [200] + [503] * 29
    assert {answer.status for answer in after} == {200}


def speak_openai_slowly(request: Received) -> Answer:
    return speak_openai(request).latency(0.3)


@pytest.mark.slow
async def test_u19_flapping_opens_at_most_once_in_an_open_time(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """A provider that fails every second call makes a breaker neither flutter nor stay open."""
    model = (
        "breaker = { consecutive = 5, failure_rate = 0.5, min_calls = 10, open_s = 0.2, max_open_s = 0.2, probes = 2 }"
    )
    turn = 0

    def flap(request: Received) -> Answer:
        nonlocal turn
        turn += 1
        return speak_openai(request) if turn % 2 else openai_error(500, "no")

    async with FakeUpstream(default=flap) as one:
        gateway = await begin(config(one.base_url, model=model), ENVIRON)
        began = time.monotonic()
        with caplog.at_level(logging.WARNING, "fairlead"):
            while time.monotonic() - began < 2:
                await chat(gateway)
                await asyncio.sleep(0.005)

    openings = [record for record in caplog.records if "left alone" in record.getMessage()]
    assert len(openings) == 1, "a probe that fails opens nothing anew"
    assert 20 <= len(one.requests) <= 10 + 2 * (2 / 0.16 + 1), "two probes each time, and each time after its wait"


# --- U20 ---


async def test_u20_one_model_that_is_overloaded_leaves_the_others_alone(begin: Begin) -> None:
    """The same provider and credential answer for another model as if nothing were."""

    def react(request: Received) -> Answer:
        return openai_error(529, "busy") if request.json["model"] == "gpt-4o-mini" else speak_openai(request)

    more = f'[models.n]\ntargets = ["one/gpt-4o"]\n{both()}\n'
    async with FakeUpstream(default=react) as one:
        gateway = await begin(config(one.base_url, more=more), ENVIRON)
        for _ in range(5):
            assert (await chat(gateway)).status == 503
            assert (await chat(gateway, model="n")).status == 200
        assert error_of(await chat(gateway))[1] == "circuit_open"


async def test_u20_one_credential_that_is_empty_leaves_the_others_alone(begin: Begin) -> None:
    """Its calls go out under the other one, and only one of them found out."""
    environ = {"UPSTREAM_KEY": "sk-first", "SECOND_KEY": "sk-second"}

    def react(request: Received) -> Answer:
        empty = request.headers["authorization"] == "Bearer sk-first"
        return openai_error(429, "none", error_code="insufficient_quota") if empty else speak_openai(request)

    async with FakeUpstream(default=react) as one:
        text = config(one.base_url).replace(
            'api_key = "env:UPSTREAM_KEY"', 'credentials = ["env:UPSTREAM_KEY", "env:SECOND_KEY"]'
        )
        gateway = await begin(text, environ)
        for _ in range(10):
            assert (await chat(gateway)).status == 200

    keys = [request.headers["authorization"] for request in one.requests]
    assert (keys.count("Bearer sk-first"), keys.count("Bearer sk-second")) == (1, 10)
    records: list[Any] = await recorded(gateway, 10)
    assert {tuple(record["degraded"]) for record in records} == {()}, "the same target answered"
