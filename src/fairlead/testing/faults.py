"""A provider that behaves like one, and what goes wrong with it: for tests of how an application takes trouble.

    model = ProviderModel(clock, rates=Rates(rpm=600, tpm=60_000), faults=[outage(from_s=60, for_s=30)])
    transport = FakeTransport(default=model, clock=clock)  # or FakeUpstream(default=model), over real sockets

The faults are those of `fairlead sim --faults FILE`: what a test holds in its hand is served over the wire by that.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from fairlead.core.estimate import estimate_prompt
from fairlead.ports import Clock
from fairlead.providers.sim.allowance import Allowance, Rates
from fairlead.providers.sim.faults import Fault, FaultPlan
from fairlead.testing import answers
from fairlead.testing.answers import Answer
from fairlead.testing.openai_chat import openai_error, openai_reply, openai_stream, tokens
from fairlead.testing.script import Received

_NS = 1_000_000_000
_PIECES = 4
"""In so many pieces the text of a stream comes."""
_DEFAULT_MOST = 100
"""What an answer may be at most where the request does not say."""


def outage(*, from_s: float = 0.0, for_s: float | None = None, status: int = 503, rate: float = 1.0) -> Fault:
    """Errors instead of answers; `rate` below 1 is a partial outage."""
    return Fault(kind="status", status=status, rate=rate, from_s=from_s, until_s=_end(from_s, for_s))


def unreachable(*, from_s: float = 0.0, for_s: float | None = None, rate: float = 1.0) -> Fault:
    """Connections that break before an answer."""
    return Fault(kind="reset", rate=rate, from_s=from_s, until_s=_end(from_s, for_s))


def hang(*, from_s: float = 0.0, for_s: float | None = None, rate: float = 1.0) -> Fault:
    """Requests that are taken and never answered."""
    return Fault(kind="hang", rate=rate, from_s=from_s, until_s=_end(from_s, for_s))


def flapping(*, every_s: float, for_s: float, from_s: float = 0.0, status: int = 503) -> Fault:
    """Down for `for_s`, up for the rest of every `every_s`."""
    return Fault(kind="status", status=status, from_s=from_s, every_s=every_s, for_s=for_s)


def slow_start(delay_s: float, *, from_s: float = 0.0, for_s: float | None = None, rate: float = 1.0) -> Fault:
    """A brown-out, slow but not down: so much longer until the first byte."""
    return Fault(kind="slow_start", delay_s=delay_s, rate=rate, from_s=from_s, until_s=_end(from_s, for_s))


def storm(
    *, from_s: float = 0.0, for_s: float | None = None, rate: float = 1.0, retry_after: str | None = "1"
) -> Fault:
    """429 whatever the limits say, as when others use the same account."""
    return Fault(kind="rate_limit", retry_after=retry_after, rate=rate, from_s=from_s, until_s=_end(from_s, for_s))


def overloaded(
    model: str | None = None, *, from_s: float = 0.0, for_s: float | None = None, rate: float = 1.0
) -> Fault:
    """529, for all models or for one."""
    return Fault(kind="status", status=529, match_model=model, rate=rate, from_s=from_s, until_s=_end(from_s, for_s))


def cut_streams(rate: float = 1.0, *, after_chunks: int = 2, from_s: float = 0.0, for_s: float | None = None) -> Fault:
    """Answers that break off."""
    return Fault(kind="cut", after_chunks=after_chunks, rate=rate, from_s=from_s, until_s=_end(from_s, for_s))


def stalled_streams(
    rate: float = 1.0, *, after_chunks: int = 2, from_s: float = 0.0, for_s: float | None = None
) -> Fault:
    """Answers that fall silent."""
    return Fault(kind="stall", after_chunks=after_chunks, rate=rate, from_s=from_s, until_s=_end(from_s, for_s))


def revoked(key: str | None = None, *, from_s: float = 0.0, for_s: float | None = None) -> Fault:
    """A credential that is refused, or every one."""
    return Fault(kind="unauthorized", match_key=key, from_s=from_s, until_s=_end(from_s, for_s))


def out_of_quota(key: str | None = None, *, from_s: float = 0.0, for_s: float | None = None) -> Fault:
    """An account without money."""
    return Fault(kind="quota", match_key=key, from_s=from_s, until_s=_end(from_s, for_s))


def _end(from_s: float, for_s: float | None) -> float | None:
    return None if for_s is None else from_s + for_s


@dataclass(frozen=True, slots=True)
class Spread:
    """A log-normal distribution: half of all is below `median`; `sigma` 0.5 puts one in a hundred above three times it."""

    median: float
    sigma: float = 0.5

    def draw(self, rng: random.Random) -> float:
        """One value."""
        return self.median if self.sigma == 0 else self.median * rng.lognormvariate(0.0, self.sigma)


class ProviderModel:
    """A provider with limits that it keeps and tells the truth about, answers that take their time, and faults.

    It is a reaction: what a `FakeTransport` or a `FakeUpstream` is given as its script or its default.  The same seed and
    the same requests give the same answers.

    Args:
        clock: whose time fills its buckets and turns its faults on and off; they count from the making of the model.
        rates: of each credential and model; absent: without limits.
        first_s: until the first token, in seconds.
        writes: tokens an answer has, cut at the request's maximum.
        tokens_a_second: the pace of an answer after its first token.
        misjudged: how far its count of a prompt lies from a quarter of its bytes, as a factor.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        rates: Rates | None = None,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        first_s: Spread = Spread(0.5),
        writes: Spread = Spread(40.0),
        tokens_a_second: float = 80.0,
        misjudged: Spread = Spread(1.0, 0.0),
    ) -> None:
        self._clock = clock
        self._rates = rates
        self._plan = FaultPlan(faults, seed)
        self._rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._first_s = first_s
        self._writes = writes
        self._tokens_a_second = tokens_a_second
        self._misjudged = misjudged
        self._began_ns = clock.monotonic_ns()
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self._numbered = 0
        self.counts: Counter[str] = Counter()
        """What became of the requests: `ok`, `refused` by the limits, or the kind of a fault."""
        self.used_tokens = 0
        """By the requests that were let in."""

    @property
    def requests(self) -> int:
        """How many came."""
        return sum(self.counts.values())

    def __call__(self, request: Received) -> Answer:
        """The answer to a request, and what it does to the limits."""
        asked = json.loads(request.body)
        model, key = asked["model"], request.headers.get("authorization", "").removeprefix("Bearer ")
        self._numbered += 1
        at_s = (request.at_ns - self._began_ns) / _NS
        fault = self._plan.choose(self._numbered, model, key=key, at_s=at_s)
        instead = None if fault is None else _instead(fault)
        if instead is not None and fault is not None:
            self.counts[fault.kind] += 1
            return instead
        prompt, output, most = self._sizes(asked)
        headers: dict[str, str] = {}
        allowance = self._allowance(key, model, at_s)
        if allowance is not None:
            wait_s = allowance.take(at_s, prompt=prompt, output=output, most=most)
            headers = allowance.headers(wait_s)
            if wait_s > 0:
                self.counts["refused"] += 1
                return openai_error(
                    429, "Rate limit reached.", kind="tokens", error_code="rate_limit_exceeded", headers=headers
                )
        self.counts["ok" if fault is None else fault.kind] += 1
        self.used_tokens += prompt + output
        answer = self._answer(asked, prompt, output)
        if headers:
            answer = replace(answer, headers=(*answer.headers, *headers.items()))
        return answer if fault is None else _disturbed(answer, fault)

    def _sizes(self, asked: dict[str, Any]) -> tuple[int, int, int]:
        prompt = estimate_prompt(sum(len(message["content"]) for message in asked["messages"]))
        prompt = max(1, round(prompt * self._misjudged.draw(self._rng)))
        most = asked.get("max_completion_tokens") or asked.get("max_tokens") or _DEFAULT_MOST
        return prompt, max(1, min(most, round(self._writes.draw(self._rng)))), most

    def _allowance(self, key: str, model: str, at_s: float) -> Allowance | None:
        if self._rates is None:
            return None
        found = self._allowances.get((key, model))
        if found is None:
            found = self._allowances[key, model] = Allowance(self._rates, at_s)
        return found

    def _answer(self, asked: dict[str, Any], prompt: int, output: int) -> Answer:
        first_s = self._first_s.draw(self._rng)
        writing_s = output / self._tokens_a_second
        if not asked.get("stream"):
            return _whole(prompt, output).latency(first_s + writing_s)
        counted = (asked.get("stream_options") or {}).get("include_usage", False)
        return _stream(prompt, output, counted=counted).latency(first_s).paced(writing_s / (_PIECES + 3))


@lru_cache(maxsize=4_096)
def _whole(prompt: int, output: int) -> Answer:
    return openai_reply("word " * min(output, 50), tokens(prompt, output))


@lru_cache(maxsize=4_096)
def _stream(prompt: int, output: int, *, counted: bool) -> Answer:
    return openai_stream(["word " * max(1, output // _PIECES)] * _PIECES, tokens(prompt, output) if counted else None)


def _instead(fault: Fault) -> Answer | None:  # noqa: PLR0911 - a table of faults
    """What comes in place of an answer; `None` where one comes, disturbed."""
    waiting = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
    match fault.kind:
        case "status":
            return openai_error(fault.status, "The provider fails on purpose.", headers=waiting)
        case "rate_limit":
            return openai_error(
                429, "Rate limit reached.", kind="requests", error_code="rate_limit_exceeded", headers=waiting
            )
        case "quota":
            kind = "insufficient_quota"
            return openai_error(429, "You exceeded your current quota.", kind=kind, error_code=kind, headers=waiting)
        case "unauthorized":
            kind = "invalid_request_error"
            return openai_error(401, "Incorrect API key provided.", kind=kind, error_code="invalid_api_key")
        case "reset":
            return answers.refuse()
        case "hang":
            return answers.blackhole()
        case "html":
            return answers.html(200)
        case "empty":
            return answers.status(200, {"content-type": "application/json"})
        case "truncated_json":
            return answers.status(200, {"content-type": "application/json"}, b'{"id":"chatcmpl-fake","choi')
        case "error_event":
            return openai_error(200, "The provider fails on purpose.", error_code="overloaded_error")
    return None


def _disturbed(answer: Answer, fault: Fault) -> Answer:
    match fault.kind:
        case "slow_start":
            return answer.latency(answer.latency_s + fault.delay_s)
        case "slow":
            return answer.paced(answer.pause_s + fault.delay_s)
    # The role comes first, and carries no text.
    at = answer.offset(1 + fault.after_chunks) if len(answer.pieces) > 1 else len(answer.body) // 2
    if fault.kind == "late_error_event" and len(answer.pieces) > 1:
        error = b'data: {"error":{"message":"The provider fails on purpose.","code":"overloaded_error"}}\n\n'
        return replace(answer, pieces=(*answer.pieces[: 1 + fault.after_chunks], error))
    return answer.stall(at) if fault.kind == "stall" else answer.limit_data(at)
