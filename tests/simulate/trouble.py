"""Providers in trouble, and what their callers notice: outage, flapping, brown-out, one bad model, one bad credential.

Calls come at an even pace with random gaps (Poisson), whatever became of those before them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.simulate.house import House, Wire, key_of
from tests.simulate.loop import SimClock, run

from fairlead.call import Call, Retries
from fairlead.core.breaker import Policy
from fairlead.errors import FairleadError
from fairlead.providers.sim.faults import Fault
from fairlead.testing import FakeTransport
from fairlead.testing.faults import (
    ProviderModel,
    Spread,
    flapping,
    outage,
    overloaded,
    revoked,
    slow_start,
)

_NS = 1_000_000_000


@dataclass(frozen=True)
class Result:
    """What one caller saw."""

    at_s: float
    """When it called."""
    alias: str
    took_s: float
    """Until its first content, or its error."""
    error: str | None
    attempts: int


@dataclass(frozen=True)
class Sent:
    """One attempt as it went out."""

    at_s: float
    provider: str
    key: str
    model: str
    state: str
    """Of the breaker."""
    openings: int
    """Of the breaker, so far."""


@dataclass
class Story:
    """What happened."""

    results: list[Result] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    openings: dict[str, list[float]] = field(default_factory=dict)
    """By lane, in seconds from the start."""
    closings: dict[str, list[float]] = field(default_factory=dict)
    open_until_s: dict[str, list[float]] = field(default_factory=dict)
    """When the time of each opening was over."""

    def calls(self, from_s: float = 0.0, until_s: float = float("inf"), alias: str | None = None) -> list[Result]:
        """The calls of a stretch of time."""
        return [each for each in self.results if from_s <= each.at_s < until_s and alias in {None, each.alias}]

    def attempts(self, from_s: float = 0.0, until_s: float = float("inf"), **which: str) -> list[Sent]:
        """The attempts of a stretch of time."""
        return [
            each
            for each in self.sent
            if from_s <= each.at_s < until_s and all(getattr(each, name) == value for name, value in which.items())
        ]


def failed(results: Sequence[Result]) -> float:
    """The share that saw an error."""
    return sum(each.error is not None for each in results) / max(1, len(results))


def p95_s(results: Sequence[Result]) -> float:
    """Of the time until content."""
    waits = sorted(each.took_s for each in results)
    return waits[int(len(waits) * 0.95)]


Faults = Mapping[str, Sequence[Fault]]


class Stage:
    """One house and its providers.

    Args:
        faults: by provider.
        aliases: see `House`.
    """

    def __init__(
        self, faults: Faults, aliases: Callable[[Any], Any], *, credentials: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.clock = SimClock()
        self.story = Story()
        self._began_ns = self.clock.ns
        models = {
            name: ProviderModel(self.clock, faults=each, seed=number, first_s=Spread(0.5, 0.4))
            for number, (name, each) in enumerate(faults.items())
        }
        transports = {
            name: _Noting(FakeTransport(default=model, clock=self.clock), self, name) for name, model in models.items()
        }
        self.house = House(self.clock, transports, aliases, credentials=credentials, seed=1)
        self._states: dict[str, tuple[str, int | None]] = {}
        self.clock.step = self._look

    @property
    def now_s(self) -> float:
        """From the start."""
        return (self.clock.ns - self._began_ns) / _NS

    def _look(self) -> None:
        for lane in self.house.lanes.all():
            breaker = lane.breaker
            if breaker is None:
                continue
            state, opened_ns = breaker.state, breaker.opened_at_ns
            before = self._states.get(lane.name, ("closed", None))
            self._states[lane.name] = (state, opened_ns)
            if opened_ns is not None and opened_ns != before[1]:
                self.story.openings.setdefault(lane.name, []).append((opened_ns - self._began_ns) / _NS)
                until_s = (breaker._until_ns - self._began_ns) / _NS
                self.story.open_until_s.setdefault(lane.name, []).append(until_s)
            if state == "closed" and before[0] != "closed":
                self.story.closings.setdefault(lane.name, []).append(self.now_s)

    def play(self, a_second: Mapping[str, float], seconds: float, *, stream: bool = False) -> Story:
        """Let the callers come."""

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for alias, rate in a_second.items():
                    group.create_task(self._pour(group, alias, rate, seconds, stream=stream))
            await self.house.aclose()

        run(main(), self.clock)
        return self.story

    async def _pour(
        self, group: asyncio.TaskGroup, alias: str, a_second: float, seconds: float, *, stream: bool
    ) -> None:
        rng = random.Random(alias)  # noqa: S311 - repeatable on purpose
        due_s = 0.0
        while (due_s := due_s + rng.expovariate(a_second)) < seconds:
            await self.clock.sleep(due_s - self.now_s)
            group.create_task(self._one(self.house.call(alias, b"x" * 200, 100, stream=stream)))

    async def _one(self, call: Call) -> None:
        at_s, error = self.now_s, None
        try:
            await self.house.ask(call)
        except FairleadError as raised:
            error = raised.code
        first_ns = next((each.first_token_ns for each in call.attempts if each.first_token_ns is not None), None)
        ended_s = self.now_s if first_ns is None else (first_ns - self._began_ns) / _NS
        self.story.results.append(Result(at_s, call.alias, ended_s - at_s, error, len(call.attempts)))


class _Noting(Wire):
    """Notes each attempt."""

    def __init__(self, transport: FakeTransport, stage: Stage, name: str) -> None:
        super().__init__(transport, stage.clock, 1)
        self._stage = stage
        self._name = name

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> Any:
        key = head.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode()
        model = body.partition(b'"model":"')[2].partition(b'"')[0].decode()
        credential = key.removeprefix(key_of(self._name, ""))
        lane = self._stage.house.lanes._lanes[self._name, credential, model]
        state = "none" if lane.breaker is None else lane.breaker.state
        openings = len(self._stage.story.openings.get(lane.name, ()))
        self._stage.story.sent.append(Sent(self._stage.now_s, self._name, key, model, state, openings))
        return await super().send(head, body, connect_timeout_s)


# --- the scenes ---

RETRIES = Retries()
FLAPS = {
    "down for 10 s of every 20": flapping(every_s=20, for_s=10),
    "down for 2 s of every 4": flapping(every_s=4, for_s=2),
    "every second answer an error": outage(rate=0.5),
}


def total_outage(*, breaker: Policy | None = Policy(), for_s: float = 60.0, then_s: float = 40.0) -> Story:  # noqa: B008 - frozen
    """200 calls a second; from second 5 on everything fails for a while."""
    stage = Stage(
        {"p": [outage(from_s=5, for_s=for_s)]},
        lambda candidate: {"m": [candidate("p", retries=RETRIES, breaker=breaker)]},
    )
    return stage.play({"m": 200.0}, 5 + for_s + then_s)


def flaps(fault: Fault) -> Story:
    """20 calls a second for five minutes, with a healthy provider to fall back to."""
    stage = Stage(
        {"p": (fault,), "q": ()},
        lambda candidate: {"m": [candidate("p", retries=RETRIES), candidate("q", retries=RETRIES)]},
    )
    return stage.play({"m": 20.0}, 300.0)


def brown_out() -> Story:
    """Streams, 10 a second; from second 30 to second 120 the first provider takes 8 s longer to begin."""
    policy = Policy(slow_s=3.0)
    stage = Stage(
        {"p": [slow_start(8.0, from_s=30, for_s=90)], "q": ()},
        lambda candidate: {"m": [candidate("p", retries=RETRIES, breaker=policy), candidate("q", retries=RETRIES)]},
    )
    return stage.play({"m": 10.0}, 240.0, stream=True)


def one_model_overloaded() -> Story:
    """One key, two models, 10 calls a second to each; from second 30 to second 90 one of them answers 529."""
    stage = Stage(
        {"p": [overloaded("big", from_s=30, for_s=60)]},
        lambda candidate: {name: [candidate("p", name, retries=RETRIES)] for name in ("big", "small")},
    )
    return stage.play({"big": 10.0, "small": 10.0}, 120.0)


def one_key_revoked() -> Story:
    """Three credentials, 10 calls a second; the first is revoked after 30 s, for good."""
    names = ("1", "2", "3")
    stage = Stage(
        {"p": [revoked(key_of("p", "1"), from_s=30)]},
        lambda candidate: {"m": [candidate("p", "m", name, retries=RETRIES) for name in names]},
        credentials={"p": names},
    )
    return stage.play({"m": 10.0}, 330.0)


# --- figures ---


def rows() -> list[tuple[str, str, str]]:
    """Each scene, what of it is asked upstream, and what callers notice."""
    return [_outage_row(), _budget_row(), *_flapping_rows(), _brown_out_row(), _model_row(), _key_row()]


def _outage_row() -> tuple[str, str, str]:
    story = total_outage()
    calls, attempts = len(story.calls(5, 65)), len(story.attempts(5, 65))
    opened, closed = story.openings["p/m"][0] - 5, story.closings["p/m"][0]
    late_s = closed - story.open_until_s["p/m"][-1]
    return (
        "everything fails for a minute, 200 calls a second, nobody else to ask",
        f"{attempts} attempts for {calls:,} calls; left alone after {opened:.2f} s",
        f"taken up again {late_s:.2f} s after the time for which it was left alone last, {closed - 65:.0f} s after the end",
    )


def _budget_row() -> tuple[str, str, str]:
    story = total_outage(breaker=None, for_s=20.0, then_s=0.0)
    calls, attempts = len(story.calls(0, 25)), len(story.attempts(0, 25))
    return (
        "the same for 20 s without a breaker",
        f"{attempts / calls:.2f} attempts a call: the retry budget",
        f"{failed(story.calls(5, 25)):.0%} see the error",
    )


def _flapping_rows() -> list[tuple[str, str, str]]:
    found = []
    for name, fault in FLAPS.items():
        story = flaps(fault)
        openings = story.openings["p/m"]
        apart_s = min(later - earlier for earlier, later in pairwise(openings))
        found.append(
            (
                f"{name}, five minutes, a second provider behind it",
                f"left alone {len(openings)} times, at least {apart_s:.1f} s apart",
                f"{failed(story.results):.2%} of {len(story.results):,} callers see an error",
            )
        )
    return found


def _brown_out_row() -> tuple[str, str, str]:
    story = brown_out()
    opened = story.openings["p/m"][0]
    slow = sum(each.took_s > 3.0 for each in story.calls(opened, 120))
    return (
        "brown-out: 8 s longer to the first token, `slow_s = 3`, a second provider behind it",
        f"left alone {opened - 30:.1f} s after it began",
        f"then a p95 of {p95_s(story.calls(opened, 120)):.1f} s to the first token, {slow} slow calls in {120 - opened:.0f} s",
    )


def _model_row() -> tuple[str, str, str]:
    story = one_model_overloaded()
    before, during = story.calls(0, 30, "small"), story.calls(30, 90, "small")
    return (
        "one model of a key answers 529",
        f"{len(story.attempts(30, 90, model='big'))} attempts for {len(story.calls(30, 90, 'big'))} calls of that model",
        f"the other model: {failed(during):.2%} errors, p95 {p95_s(before):.2f} s before and {p95_s(during):.2f} s meanwhile",
    )


def _key_row() -> tuple[str, str, str]:
    story = one_key_revoked()
    revoked_key, *others = (len(story.attempts(30, key=key_of("p", name))) for name in "123")
    return (
        "one of three credentials is revoked",
        f"{revoked_key} attempts with it in five minutes, {others[0]:,} and {others[1]:,} with the others",
        f"{failed(story.results):.2%} of {len(story.results):,} callers see an error",
    )
