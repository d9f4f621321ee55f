"""The storm of 429: 50 workers want three times what a provider gives, for an hour, and three ways to go about it.

The provider takes 600 requests and 60,000 tokens a minute, at most ten seconds' worth at once, and says so truly in its
headers.  An average call has 100 tokens, so both limits bind.  Ten workers are interactive, a fifth of the capacity;
forty are batch, of four tenants with equal weights whose demands are 16 to 1.  A worker does one call after the other; when
it is behind, the next one begins at once.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from tests.simulate.house import House, Wire, chat_body, key_of
from tests.simulate.loop import SimClock, run

from fairlead.call import PRIORITIES, Retries
from fairlead.core.pacing import Pacing
from fairlead.errors import FairleadError
from fairlead.providers.sim.allowance import Rates
from fairlead.testing import FakeTransport
from fairlead.testing.faults import ProviderModel, Spread
from fairlead.types import Principal

_NS = 1_000_000_000
RPM, TPM = 600, 60_000
RATES = Rates(rpm=RPM, tpm=TPM, bucket_s=10.0)
MOST_TOKENS = 200
PROMPT_TOKENS = Spread(50.0, 0.5)
_SENT: ContextVar[list[int]] = ContextVar("sent")


@dataclass(frozen=True)
class Worker:
    """One that calls, and how often it would like to."""

    tenant: str
    priority: str
    a_minute: float


WORKERS = (
    *[Worker(tenant, "interactive", 12.0) for tenant in "AABBBCCDDD"],
    *[Worker("A", "batch", 48.0)] * 20,
    *[Worker("B", "batch", 48.0)] * 10,
    *[Worker("C", "batch", 30.0)] * 6,
    *[Worker("D", "batch", 15.0)] * 4,
)


@dataclass
class Seen:
    """What the workers saw."""

    minutes: int
    waits_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By priority: from the wish to the moment in which the request that was answered went out."""
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By tenant and priority."""
    given_up: Counter[str] = field(default_factory=Counter)
    """By priority."""
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_minute: list[list[int]] = field(default_factory=list)
    """Answered calls, their tokens, refused attempts."""
    attempts: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.by_minute = [[0, 0, 0] for _ in range(self.minutes)]


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    name: str
    goodput: float
    """Of the capacity of the limit that binds."""
    refused_share: float
    """Of all attempts."""
    attempts_a_call: float
    given_up_share: float
    """Of all calls."""
    least_share: float
    """Of its fair share: the tenant that got least."""
    interactive_p50_s: float
    interactive_p95_s: float
    """Calls that were given up count as endless waits."""
    answered_by_minute: tuple[int, ...]
    refused_by_minute: tuple[int, ...]


Ask = Callable[[Worker, bytes], Awaitable[int | None]]
"""Makes a call; the tokens it took, `None` where it was given up."""


class Scene:
    """The provider, and what is common to all ways to call it."""

    def __init__(self, clock: SimClock, seed: int, rates: Rates = RATES) -> None:
        self.clock = clock
        self.seed = seed
        self.model = ProviderModel(
            clock,
            rates=rates,
            seed=seed,
            first_s=Spread(0.6, 0.4),
            writes=Spread(36.0, 0.6),
            misjudged=Spread(1.0, 0.2),
        )
        self.transport = FakeTransport(default=self.model, clock=clock)
        self.wire = _Noting(self.transport, clock, seed)

    async def post(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """A bare request, for those who retry by themselves."""
        head = b"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer " + key_of("p", "default").encode()
        incoming = await self.wire.send(head, body, 5.0)
        return incoming.status, dict(incoming.headers), await incoming.read(1 << 20)


class _Noting(Wire):
    """Notes when the request of this call went out last."""

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> Any:
        _SENT.get()[:] = [self._clock.monotonic_ns()]
        return await super().send(head, body, connect_timeout_s)


# --- the ways ---


def fairlead(scene: Scene, pacing: Pacing) -> Ask:
    """The pipeline with limits and retries."""
    house = House(
        scene.clock,
        {"p": scene.wire},
        lambda candidate: {"m": [candidate("p", pacing=pacing, retries=Retries())]},
        seed=scene.seed,
    )
    principals = {tenant: Principal(team=tenant) for tenant in "ABCD"}

    async def ask(worker: Worker, prompt: bytes) -> int | None:
        call = house.call(
            "m",
            prompt,
            MOST_TOKENS,
            principal=principals[worker.tenant],
            priority=PRIORITIES[worker.priority],  # type: ignore[index]
        )
        try:
            await house.ask(call)
        except FairleadError:
            return None
        usage = call.attempt.usage
        assert usage is not None
        return usage.all_input_tokens + usage.all_output_tokens

    return ask


def decorator(scene: Scene) -> Ask:
    """The usual advice: up to five tries, with a wait that doubles from one second to sixty."""

    async def ask(_worker: Worker, prompt: bytes) -> int | None:
        delay_s = 1.0
        for attempt in range(5):
            status, _, body = await scene.post(chat_body("m", prompt, MOST_TOKENS))
            if status == 200:
                return _total(body)
            if attempt < 4:
                await scene.clock.sleep(delay_s)
                delay_s = min(delay_s * 2, 60.0)
        return None

    return ask


SDK_RETRIES = 2


def sdk_wait_s(tried: int, headers: dict[str, str], random_number: float) -> float | None:
    """What OpenAI's Python SDK waits after try number `tried` was refused; `None` for no further try."""
    if tried > SDK_RETRIES:
        return None
    hint = headers.get("retry-after-ms")
    wait_s = None if hint is None else float(hint) / 1000
    if wait_s is None and (hint := headers.get("retry-after")) is not None:
        wait_s = float(hint)
    if wait_s is not None and wait_s > 120:
        return None
    if wait_s is not None and wait_s > 0:
        return wait_s
    return min(0.5 * 2.0 ** (tried - 1), 8.0) * (1 - 0.25 * random_number)


def sdk(scene: Scene) -> Ask:
    """OpenAI's Python SDK on its defaults."""
    rng = random.Random(f"sdk {scene.seed}")  # noqa: S311 - repeatable on purpose

    async def ask(_worker: Worker, prompt: bytes) -> int | None:
        tried = 0
        while True:
            tried += 1
            status, headers, body = await scene.post(chat_body("m", prompt, MOST_TOKENS))
            if status == 200:
                return _total(body)
            wait_s = sdk_wait_s(tried, headers, rng.random())
            if wait_s is None:
                return None
            await scene.clock.sleep(wait_s)

    return ask


def _total(body: bytes) -> int:
    _, _, rest = body.partition(b'"total_tokens":')
    return int(rest[: rest.index(b",") if b"," in rest else rest.index(b"}")].rstrip(b"}"))


# --- the hour ---


async def _work(scene: Scene, number: int, worker: Worker, ask: Ask, seen: Seen) -> None:
    clock = scene.clock
    rng = random.Random(f"worker {scene.seed} {number}")  # noqa: S311 - repeatable on purpose
    began_ns = clock.ns
    end_ns = began_ns + seen.minutes * 60 * _NS
    due_ns = began_ns
    sent: list[int] = []
    _SENT.set(sent)
    while True:
        due_ns += round(rng.expovariate(worker.a_minute / 60) * _NS)
        if due_ns >= end_ns:
            return
        if due_ns > clock.ns:
            await clock.sleep((due_ns - clock.ns) / _NS)
        if clock.ns >= end_ns:
            return
        wished_ns = clock.ns
        tokens = await ask(worker, b"x" * (4 * max(1, round(PROMPT_TOKENS.draw(rng)))))
        if clock.ns >= end_ns:
            return
        if tokens is None:
            seen.given_up[worker.priority] += 1
            seen.waits_s[worker.priority].append(float("inf"))
            continue
        seen.waits_s[worker.priority].append((sent[0] - wished_ns) / _NS)
        seen.answered[worker.tenant, worker.priority] += 1
        seen.tokens[worker.tenant, worker.priority] += tokens
        minute = seen.by_minute[(clock.ns - began_ns) // (60 * _NS)]
        minute[0] += 1
        minute[1] += tokens


async def _watch(scene: Scene, seen: Seen) -> None:
    before = scene.model.counts["refused"]
    for minute in seen.by_minute:
        await scene.clock.sleep(60.0)
        refused = scene.model.counts["refused"]
        minute[2], before = refused - before, refused


def hour(way: Callable[[Scene], Ask], *, seed: int = 1, minutes: int = 60, rates: Rates = RATES, skip: int = 0) -> Seen:
    """Let the workers work.

    Args:
        skip: minutes at the beginning that do not count.
    """
    clock = SimClock()

    async def main() -> Seen:
        scene = Scene(clock, seed, rates)
        ask = way(scene)
        if skip:
            lead = Seen(skip)
            await _all(scene, ask, lead)
        attempts, refused = scene.model.requests, scene.model.counts["refused"]
        seen = Seen(minutes)
        await _all(scene, ask, seen)
        seen.attempts = scene.model.requests - attempts
        seen.refused = scene.model.counts["refused"] - refused
        return seen

    return run(main(), clock)


async def _all(scene: Scene, ask: Ask, seen: Seen) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch(scene, seen))
        for number, worker in enumerate(WORKERS):
            group.create_task(_work(scene, number, worker, ask, seen))


# --- figures ---


def figures(name: str, seen: Seen) -> Figures:
    """What the workers saw, in one line."""
    answered, tokens = sum(seen.answered.values()), sum(seen.tokens.values())
    given_up = sum(seen.given_up.values())
    waits = sorted(seen.waits_s["interactive"])
    return Figures(
        name=name,
        goodput=max(answered / (RPM * seen.minutes), tokens / (TPM * seen.minutes)),
        refused_share=seen.refused / max(1, seen.attempts),
        attempts_a_call=seen.attempts / max(1, answered),
        given_up_share=given_up / max(1, answered + given_up),
        least_share=min(shares(seen).values()),
        interactive_p50_s=waits[len(waits) // 2],
        interactive_p95_s=waits[int(len(waits) * 0.95)],
        answered_by_minute=tuple(minute[0] for minute in seen.by_minute),
        refused_by_minute=tuple(minute[2] for minute in seen.by_minute),
    )


def shares(seen: Seen) -> dict[str, float]:
    """What each tenant got of its fair share: the interactive calls that it wants, and an equal part of what is left, or all
    that it wants of that, if that is less (max-min fairness)."""
    wanted: dict[str, dict[str, float]] = {kind: defaultdict(float) for kind in ("interactive", "batch")}
    for worker in WORKERS:
        wanted[worker.priority][worker.tenant] += worker.a_minute
    fair = dict(wanted["interactive"])
    left, open_tenants = RPM - sum(fair.values()), dict(wanted["batch"])
    while open_tenants:
        part = left / len(open_tenants)
        tenant = min(open_tenants, key=open_tenants.__getitem__)
        given = min(part, open_tenants.pop(tenant))
        fair[tenant] += given
        left -= given
    got: dict[str, float] = defaultdict(float)
    for (tenant, _), tokens in seen.tokens.items():
        got[tenant] += tokens / TPM * RPM / seen.minutes
    return {tenant: got[tenant] / amount for tenant, amount in fair.items()}
