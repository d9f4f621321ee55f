"""deadline: the first-token, idle and total clocks of an attempt.  The connect clock is the transport's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fairlead.call import Call, Outcome, Timeouts
from fairlead.errors import DeadlineExceeded, FairleadError, UpstreamTimeout
from fairlead.expiry import Expiry
from fairlead.pipeline import Chunks, Events, Next, Reply
from fairlead.ports import Clock, Timer

_NS = 1_000_000_000


class Deadline:
    """Cuts an attempt that is late.  The total spans all attempts of a call, the others each attempt."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, call: Call, following: Next) -> Reply:
        timeouts = call.attempt.candidate.timeouts
        ends_ns = call.started_ns + int(timeouts.total_s * _NS)
        if call.deadline_ns is not None:
            ends_ns = min(ends_ns, call.deadline_ns)
        late = _late_in_total(call, timeouts, ends_ns)
        call.attempt.sent_ns = now_ns = self._clock.monotonic_ns()
        wait_s = (ends_ns - now_ns) / _NS
        if call.request.stream and timeouts.first_token_s < wait_s:
            wait_s, late = timeouts.first_token_s, partial(_late, call, "first_token", timeouts.first_token_s)
        with Expiry(self._clock, wait_s, late):
            reply = await following(call)
        if not isinstance(reply.source, bytes):
            reply.on_end.append(_Watch(self._clock, call, reply.source, timeouts, ends_ns).stop)
        return reply


class _Watch:
    """One timer over a whole stream: it looks at the last progress only when it fires, never on a chunk."""

    def __init__(self, clock: Clock, call: Call, source: Chunks | Events, timeouts: Timeouts, ends_ns: int) -> None:
        self._clock = clock
        self._call = call
        self._source = source
        self._timeouts = timeouts
        self._idle_ns = int(timeouts.idle_s * _NS)
        self._ends_ns = ends_ns
        self._timer: Timer = self._arm()

    def stop(self, _: Outcome) -> None:
        self._timer.cancel()

    def _arm(self) -> Timer:
        due_ns = min(self._ends_ns, self._source.progressed_ns + self._idle_ns)
        return self._clock.timer(max(0.0, (due_ns - self._clock.monotonic_ns()) / _NS), self._look)

    def _look(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._ends_ns:
            self._source.abort(_late_in_total(self._call, self._timeouts, self._ends_ns)())
        elif now_ns >= self._source.progressed_ns + self._idle_ns:
            self._source.abort(_late(self._call, "idle", self._timeouts.idle_s))
        else:
            self._timer = self._arm()


def _late_in_total(call: Call, timeouts: Timeouts, ends_ns: int) -> Callable[[], FairleadError]:
    """The caller's own deadline says nothing about the provider; the configured total does."""
    if ends_ns == call.deadline_ns:
        return partial(DeadlineExceeded, "the call did not end within the time that its caller allows")
    return partial(_late, call, "total", timeouts.total_s)


def _late(call: Call, clock: str, seconds: float) -> UpstreamTimeout:
    provider = call.attempt.candidate.provider
    return UpstreamTimeout(
        f"provider {provider!r} was too slow: {clock} clock of {seconds:g} s; "
        f"raise `timeouts.{clock}` of the model if it needs longer"
    )
