"""The real pipeline, from observe to deadline, over the real state in memory and providers that are models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairlead.call import Call, Candidate, Outcome, Secret
from fairlead.config.build import assemble
from fairlead.core.breaker import Policy
from fairlead.core.ids import uuid7
from fairlead.core.lane import Lanes
from fairlead.core.pricing import ModelPrices, flat
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import Cancelled, FairleadError
from fairlead.pipeline import Reply
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.providers.transport import Incoming, Transport
from fairlead.stages.admit import Admit
from fairlead.stages.budget import Budget
from fairlead.stages.deadline import Deadline
from fairlead.stages.observe import Observe
from fairlead.stages.pace import Pace
from fairlead.stages.resolve import Resolve
from fairlead.stages.retry import Retry
from fairlead.stages.route import Plan, Route, Static
from fairlead.stores.memory import MemoryLedger, MemoryLimits
from fairlead.testing import RecordSink, SeededRng
from fairlead.types import Principal

PRICE: ModelPrices = flat({"input": 1_000_000, "output": 2_000_000})
"""A token costs 1,000 nano-USD in and 2,000 out."""


class Wire:
    """The way to a provider: a request takes a while to get there."""

    def __init__(
        self, transport: Transport, clock: Any, seed: int, least_s: float = 0.005, most_s: float = 0.04
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._rng = SeededRng(f"wire {seed}")
        self._least_s = least_s
        self._spread_s = most_s - least_s
        self.in_flight = 0
        self.most_in_flight = 0

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> Incoming:
        """As the transport behind it, later."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._clock.sleep(self._least_s + self._rng.random() * self._spread_s)
            return await self._transport.send(head, body, connect_timeout_s)
        finally:
            self.in_flight -= 1

    async def aclose(self) -> None:
        """As the transport behind it."""
        await self._transport.aclose()


class House:
    """One process.

    Args:
        transports: by provider name.
        credentials: of each provider; one `default` where nothing is said.
        aliases: made with the lanes of this house.
    """

    def __init__(
        self,
        clock: Any,
        transports: Mapping[str, Transport],
        aliases: Any,
        *,
        credentials: Mapping[str, Sequence[str]] | None = None,
        plans: Mapping[str, Plan] | None = None,
        weights: Mapping[str, float] | None = None,
        static: Static | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = clock
        self.rng = SeededRng(seed)
        self.sink = RecordSink()
        self.lanes = Lanes()
        self.ledger = MemoryLedger(clock, _nothing_spent)
        self.limits = MemoryLimits(clock)
        self.pace = Pace(self.limits, clock, self.rng, weights)
        self.providers = {
            name: self._provider(name, transport, (credentials or {}).get(name, ("default",)))
            for name, transport in transports.items()
        }
        self.aliases: dict[str, tuple[Candidate, ...]] = {
            name: tuple(made) for name, made in aliases(self.candidate).items()
        }
        stages = {
            "observe": Observe(self.sink, clock, "off"),
            "admit": Admit(self.limits, clock),
            "resolve": Resolve(self.aliases, None),
            "route": Route(clock, self.rng, plans, static),
            "retry": Retry(clock, self.rng),
            "budget": Budget(self.ledger, clock),
            "pace": self.pace,
            "deadline": Deadline(clock),
        }
        self.run = assemble(stages, self._send)

    def candidate(
        self,
        provider: str,
        model: str = "m",
        credential: str = "default",
        *,
        breaker: Policy | None = Policy(),  # noqa: B008 - frozen
        **facts_of: Any,
    ) -> Candidate:
        """A candidate on a lane of this house."""
        lane = self.lanes.of(provider, credential, model, policy=breaker)
        given = {"price": PRICE, "max_output_tokens": 1_000, "label": model} | facts_of
        return Candidate(provider=provider, model=model, credential=credential, lane=lane, **given)

    async def _send(self, call: Call) -> Reply:
        return await self.providers[call.attempt.candidate.provider].send(call)

    def _provider(self, name: str, transport: Transport, credentials: Sequence[str]) -> HttpProvider:
        return HttpProvider(
            name=name,
            speaks=(OPENAI_CHAT,),
            vendor=facts.load().stand_ins["openai_chat"],
            transport=transport,
            host=name,
            base_path="/v1",
            credentials={label: Secret(key_of(name, label)) for label in credentials},
            clock=self.clock,
        )

    def call(
        self,
        alias: str,
        prompt: bytes,
        most: int | None = None,
        *,
        stream: bool = False,
        principal: Principal | None = None,
        priority: int = 0,
        timeout_s: float | None = None,
    ) -> Call:
        """A call as a face opens it."""
        now_ns, started_ns = self.clock.now_ns(), self.clock.monotonic_ns()
        return Call(
            id=uuid7(now_ns, self.rng.token(10)),
            dialect_in="openai_chat",
            request=OPENAI_CHAT.request.read(chat_body(alias, prompt, most, stream=stream)),
            started_ns=started_ns,
            started_at_ns=now_ns,
            principal=principal or Principal(),
            priority=priority,
            deadline_ns=None if timeout_s is None else started_ns + round(timeout_s * 1e9),
        )

    async def ask(self, call: Call, on_content: Callable[[], None] | None = None) -> bytes:
        """See a call through as a face does.

        Args:
            on_content: told when the first content has gone to the caller.

        Raises:
            FairleadError: as it ended.
        """
        reply = await self.run(call)
        if isinstance(reply.source, bytes):
            reply.end(Outcome("ok", reply.status))
            return reply.source
        outcome = Outcome("cancelled", Cancelled.http_status, Cancelled("the caller left"))
        parts: list[Any] = []
        try:
            async for part in reply.source:
                if not call.fate.committed:
                    call.fate.committed = True
                    if on_content is not None:
                        on_content()
                parts.append(part)
            outcome = Outcome("ok", reply.status)
        except FairleadError as error:
            outcome = Outcome("truncated", reply.status, error)
            raise
        finally:
            reply.end(outcome)
        return b"".join(parts)

    async def aclose(self) -> None:
        """End what still runs, as a runtime does."""
        await self.pace.aclose()
        for provider in self.providers.values():
            await provider.aclose()


def key_of(provider: str, credential: str) -> str:
    """The key that a provider knows a credential by."""
    return f"sk-{provider}-{credential}"


def chat_body(model: str, prompt: bytes, most: int | None, *, stream: bool = False) -> bytes:
    """A chat request; written by hand, as an hour of them is."""
    rest = b"" if most is None else b',"max_tokens":%d' % most
    rest += b',"stream":true' if stream else b""
    return b'{"model":%s,"messages":[{"role":"user","content":"%s"}]%s}' % (json.dumps(model).encode(), prompt, rest)


async def _nothing_spent(_scope: str, _since_ns: int) -> int:
    return 0
