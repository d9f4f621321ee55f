"""The seam: composing stages, and what happens at the end of a reply."""

from __future__ import annotations

import pytest

from fairlead.call import OK, Call, Candidate, Outcome
from fairlead.pipeline import Next, Reply, Stage, compose


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
    """A stream that only knows how to be closed."""

    progressed_ns = 0

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def close(self) -> None:
        self._log.append("closed")
        if self._log.count("closed") > 1:
            raise ValueError("closed twice")


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


def test_the_source_is_closed_before_the_hooks_run() -> None:
    """Hooks see the attempt's final usage, as the source has been closed by then."""
    log: list[str] = []
    reply = Reply(200, Source(log))  # type: ignore[arg-type]
    reply.on_end.append(lambda _: log.append("hook"))

    reply.end(OK)

    assert log == ["closed", "hook"]


def test_hooks_run_although_closing_failed() -> None:
    """A source that cannot be closed keeps no hook from running."""
    log: list[str] = ["closed"]
    reply = Reply(200, Source(log))  # type: ignore[arg-type]
    reply.on_end.append(lambda _: log.append("hook"))

    with pytest.raises(ExceptionGroup):
        reply.end(OK)

    assert log == ["closed", "closed", "hook"]


def test_what_waits_for_usage_runs_once_the_usage_is_known() -> None:
    """A callback waits for every attempt whose provider goes on without us, and runs once."""
    call = Call(id="1", dialect_in="openai_chat", request=None, started_ns=0, started_at_ns=0)  # type: ignore[arg-type]
    log: list[str] = []
    first = call.open_attempt(Candidate(provider="p", model="m"), 0)
    second = call.open_attempt(Candidate(provider="p", model="m"), 0)
    call.when_known(lambda: log.append("at once"))
    first.await_usage()
    second.await_usage()

    call.when_known(lambda: log.append("later"))
    second.usage_known()
    assert log == ["at once"]
    first.usage_known()

    assert log == ["at once", "later"]


def test_branches_have_an_attempt_each_and_share_their_fate() -> None:
    """Two attempts at one time have a branch of the call each; what happens to the call happens to both."""
    call = Call(id="1", dialect_in="openai_chat", request=None, started_ns=0, started_at_ns=0)  # type: ignore[arg-type]
    other = call.branch()
    call.open_attempt(Candidate(provider="one", model="m"), 0)
    other.open_attempt(Candidate(provider="two", model="m"), 0)

    call.fate.committed = True

    assert (call.attempt.candidate.provider, other.attempt.candidate.provider) == ("one", "two")
    assert [attempt.number for attempt in call.attempts] == [1, 2]
    assert other.committed
