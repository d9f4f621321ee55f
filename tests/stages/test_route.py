"""route: who answers, and who is next."""

from __future__ import annotations

from collections import Counter

import pytest

from fairlead.call import Candidate
from fairlead.core.pricing import flat
from fairlead.errors import EmptyStream, StreamTruncated, UpstreamRejected, UpstreamUnavailable
from fairlead.testing import (
    Answer,
    FakeTransport,
    answers,
    assert_one_terminal_record,
    openai_error,
    openai_reply,
    openai_stream,
)
from fairlead.testing.pipeline import Bench, candidate
from fairlead.types import Budget, Principal

BODY_FAULTS = {
    "refused": answers.refuse(),
    "500": answers.status(500),
    "html in a 200": answers.html(),
    "empty body": answers.status(200, {"content-type": "application/json"}, b""),
    "null": answers.json(None),
    "error in a 200": answers.json({"error": {"message": "overloaded", "type": "server_error"}}),
    "truncated": openai_reply("x").limit_data(20),
    "credential refused": answers.status(401, {}, b'{"error":{"message":"bad key"}}'),
    "no quota": openai_error(
        429, "You exceeded your current quota", kind="insufficient_quota", error_code="insufficient_quota"
    ),
}


def two(first: Answer, second: Answer, *, weights: tuple[int | None, int | None] = (None, None)) -> Bench:
    transports = {"one": FakeTransport(default=lambda _: first), "two": FakeTransport(default=lambda _: second)}
    aliases = {"m": [candidate(provider="one", weight=weights[0]), candidate(provider="two", weight=weights[1])]}
    return Bench(transports=transports, aliases=aliases)


@pytest.mark.parametrize("fault", BODY_FAULTS)
async def test_a_fault_of_the_first_provider_is_answered_by_the_second(fault: str) -> None:
    """Whatever is the provider's fault falls back (U1, U6-U8, U10-U12), and both attempts are recorded."""
    bench = two(BODY_FAULTS[fault], openai_reply("from two"))

    assert b"from two" in await bench.ask("m")

    assert_one_terminal_record(bench.sink.records)
    (ended,) = bench.sink.ended
    assert [attempt.provider for attempt in ended.attempts] == ["one", "two"]
    assert ended.attempts[0].error_code is not None
    assert ended.attempts[1].error_code is None


async def test_a_fault_of_the_caller_does_not_fall_back() -> None:
    """A 400 of the provider goes to the caller; the second provider is not asked (U8)."""
    bench = two(answers.status(400, {}, b'{"error":{"message":"bad temperature"}}'), openai_reply("from two"))

    with pytest.raises(UpstreamRejected):
        await bench.ask("m")

    assert len(bench.sink.ended[0].attempts) == 1


async def test_when_all_fail_the_last_failure_is_told() -> None:
    """The caller learns what the last candidate said."""
    bench = two(answers.refuse(), answers.status(503))

    with pytest.raises(UpstreamUnavailable):
        await bench.ask("m")


async def test_an_error_as_the_first_frame_of_a_stream_falls_back() -> None:
    """An error inside a 200, before any content, is the same as an HTTP error (S2)."""
    first = answers.sse([{"error": {"message": "overloaded", "type": "server_error", "code": 529}}])
    bench = two(first, openai_stream(["two"]))

    assert b"two" in await bench.ask("m", stream=True)


async def test_a_stream_without_content_falls_back() -> None:
    """Pings and a terminator alone are no answer (S3)."""
    bench = two(answers.sse(["[DONE]"]), openai_stream(["two"]))

    assert b"two" in await bench.ask("m", stream=True)
    assert bench.sink.ended[0].attempts[0].error_code == EmptyStream.code


async def test_nothing_falls_back_once_content_has_gone_out() -> None:
    """A stream that breaks after content ends in an error; the second provider is not asked (S1)."""
    broken = openai_stream(["one", "more"])
    bench = two(broken.limit_data(broken.offset(3)), openai_stream(["two"]))

    with pytest.raises(StreamTruncated):
        await bench.ask("m", stream=True)

    (ended,) = bench.sink.ended
    assert (ended.outcome, len(ended.attempts)) == ("truncated", 1)
    assert ended.usage_source == "estimated"
    assert ended.cost_nanousd


async def test_weights_share_the_traffic() -> None:
    """Of 1,000 calls with weights 90 and 10, between 850 and 950 go to the first (seeded)."""
    bench = two(openai_reply("a"), openai_reply("b"), weights=(90, 10))

    for _ in range(1_000):
        await bench.ask("m")

    shares = Counter(ended.attempts[0].provider for ended in bench.sink.ended)
    assert 850 <= shares["one"] <= 950
    assert shares["one"] + shares["two"] == 1_000


async def test_a_weighted_candidate_that_fails_falls_back_to_the_others() -> None:
    """Weights choose who is first, not who is asked at all."""
    bench = two(answers.refuse(), openai_reply("b"), weights=(90, 10))

    for _ in range(20):
        assert b'"b"' in await bench.ask("m")


def test_the_default_candidate_is_unpriced() -> None:
    """A candidate that nobody priced has an unknown price, not a price of zero."""
    assert Candidate(provider="p", model="m").price is None


async def test_a_candidate_too_dear_for_the_budget_gives_way_to_a_cheaper_one() -> None:
    """Where the first target does not fit into the budget, the next that does answers."""
    dear = candidate("gpt-4", price=flat({"input": 10**9, "output": 10**9}))
    budget = Budget(scope="key:k", limit_nanousd=10_000_000, window="day")
    bench = Bench(aliases={"m": [dear, candidate()]}, principal=Principal(key_id="k", budgets=(budget,)))

    await bench.ask("m")

    first, second = bench.sink.ended[0].attempts
    assert (first.error_code, first.status, first.cost_nanousd) == ("budget_exceeded", None, 0)
    assert second.error_code is None
    assert len(bench.transport.requests) == 1
