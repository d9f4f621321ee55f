"""deadline: late attempts are cut, on a clock of their own."""

from __future__ import annotations

import pytest

from fairlead.call import Timeouts
from fairlead.errors import DeadlineExceeded, UpstreamTimeout
from fairlead.testing import VirtualClock, answers, openai_reply, openai_stream, virtual_run
from fairlead.testing.pipeline import Bench, candidate


def run(
    timeouts: Timeouts, answer: object, *, deadline_s: float | None = None, **fields: object
) -> tuple[Bench, float]:
    """Ask once in virtual time; the bench, and how many seconds it took."""
    clock = VirtualClock()

    async def scenario() -> tuple[Bench, float]:
        bench = Bench(clock=clock, aliases={"m": [candidate(timeouts=timeouts)]})
        bench.transport.then(answer)  # type: ignore[arg-type]
        call = bench.call("m", **fields)
        if deadline_s is not None:
            call.deadline_ns = call.started_ns + int(deadline_s * 1e9)
        began = clock.monotonic_ns()
        try:
            await bench.see_through(await bench.run(call))
        except (UpstreamTimeout, DeadlineExceeded) as error:
            bench.failure = error  # type: ignore[attr-defined]
        return bench, (clock.monotonic_ns() - began) / 1e9

    return virtual_run(scenario(), clock)


def code(bench: Bench) -> str | None:
    return bench.sink.ended[0].error_code


def test_a_whole_answer_has_the_total_clock_alone() -> None:
    """A slow whole answer may take longer than the first-token clock, as its first byte is its last."""
    bench, took_s = run(Timeouts(first_token_s=10, total_s=100), openai_reply("slow").latency(50))

    assert code(bench) is None
    assert took_s == pytest.approx(50, abs=0.1)


def test_a_whole_answer_is_cut_at_the_total_clock() -> None:
    """After `total_s` the attempt is over, and the record says `timeout`."""
    bench, took_s = run(Timeouts(total_s=100), openai_reply("slow").latency(500))

    assert code(bench) == "upstream_timeout"
    assert bench.sink.ended[0].error_class == "timeout"
    assert took_s == pytest.approx(100, abs=0.1)


def test_a_silent_stream_is_cut_at_the_first_token_clock() -> None:
    """Headers and then silence end at `first_token_s` (S4)."""
    bench, took_s = run(Timeouts(first_token_s=10, total_s=100), openai_stream(["a"], stall_at=0), stream=True)

    assert code(bench) == "upstream_timeout"
    assert took_s == pytest.approx(10, abs=0.1)


def test_a_stalled_stream_is_cut_at_the_idle_clock() -> None:
    """A stall after content ends `idle_s` after the last content (S5)."""
    stream = openai_stream(["a", "b", "c"])
    bench, took_s = run(Timeouts(idle_s=7, total_s=100), stream.stall(stream.offset(3)), stream=True)

    ended = bench.sink.ended[0]
    assert (ended.outcome, ended.error_code) == ("truncated", "upstream_timeout")
    assert took_s == pytest.approx(7, abs=0.1)


def test_a_lively_stream_is_cut_at_the_total_clock() -> None:
    """Content that keeps coming does not move the total clock (S6)."""
    stream = openai_stream([f"word{i}" for i in range(100)]).paced(1.0)
    bench, took_s = run(Timeouts(idle_s=5, total_s=20), stream, stream=True)

    assert bench.sink.ended[0].outcome == "truncated"
    assert took_s == pytest.approx(20, abs=0.1)


def test_the_callers_own_deadline_is_kept() -> None:
    """`x-fairlead-timeout` cuts earlier than the configured clocks."""
    bench, took_s = run(Timeouts(), openai_reply("slow").latency(50), deadline_s=3)

    assert (code(bench), bench.sink.ended[0].error_class) == ("deadline_exceeded", "timeout")
    assert took_s == pytest.approx(3, abs=0.1)


def test_the_callers_own_deadline_is_no_fault_of_the_provider() -> None:
    """When the caller's time is up nothing falls back, and no further provider is blamed."""
    clock = VirtualClock()

    async def scenario() -> Bench:
        two = [candidate(), candidate("gpt-4o")]
        bench = Bench(clock=clock, aliases={"m": two})
        bench.transport.then(openai_reply("slow").latency(50))
        call = bench.call("m")
        call.deadline_ns = call.started_ns + 3 * 10**9
        with pytest.raises(DeadlineExceeded):
            await bench.run(call)
        return bench

    bench = virtual_run(scenario(), clock)

    assert len(bench.transport.requests) == len(bench.sink.ended[0].attempts) == 1


def test_pings_do_not_move_the_idle_clock() -> None:
    """A stream that only sends comments after its first content is idle (S5)."""
    content = openai_stream(["a"], done=False)
    pings = b": ping\n\n" * 50
    kept = content.body[: content.offset(2)] + pings
    stream = (
        answers.status(200, {"content-type": "text/event-stream"}, kept).slice(content.offset(2), *[8] * 50).paced(0.5)
    )
    bench, took_s = run(Timeouts(idle_s=5, total_s=100), stream, stream=True)

    assert bench.sink.ended[0].outcome == "truncated"
    assert took_s == pytest.approx(5, abs=1.1)


def test_no_timer_is_left_behind() -> None:
    """A call that ended leaves no timer on the clock."""
    clock = VirtualClock()

    async def scenario() -> int:
        bench = Bench(clock=clock)
        bench.transport.then(openai_stream(["a"]))
        await bench.ask(stream=True)
        return clock.pending if isinstance(clock.pending, int) else clock.pending()  # type: ignore[operator]

    assert virtual_run(scenario(), clock) == 0
