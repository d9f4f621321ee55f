"""The whole pipeline over fakes: what a test of a stage, or of an application's own stage, starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fairlead.call import Call, Candidate, Outcome, Secret
from fairlead.config.build import assemble
from fairlead.core.ids import uuid7
from fairlead.core.pricing import ModelPrices, flat
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import Cancelled, FairleadError
from fairlead.pipeline import Reply, Stage
from fairlead.ports import Clock, Ledger, Limits
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.providers.transport import Transport
from fairlead.stages.admit import Admit
from fairlead.stages.budget import Budget
from fairlead.stages.deadline import Deadline
from fairlead.stages.observe import Observe
from fairlead.stages.resolve import Resolve
from fairlead.stages.route import Route
from fairlead.testing.capture import RecordSink
from fairlead.testing.clock import LoopClock, SeededRng
from fairlead.testing.fakes import FakeLedger, FakeLimits
from fairlead.testing.transport import FakeTransport
from fairlead.types import Principal

DOLLAR_A_MILLION: ModelPrices = flat({"input": 1_000_000, "output": 2_000_000})
"""One dollar per million tokens in, two out: a token costs 1,000 and 2,000 nano-USD."""


def candidate(model: str = "gpt-4o-mini", *, provider: str = "fake", **facts_of: Any) -> Candidate:
    """A candidate with a price; anything of it can be set."""
    given: dict[str, Any] = {"price": DOLLAR_A_MILLION, "max_output_tokens": 100, "label": model} | facts_of
    return Candidate(provider=provider, model=model, **given)


class Bench:
    """A pipeline on fakes, and what it left in them.

    Args:
        transports: by provider name; one `fake` by default.
        aliases: by name; `gpt-4o-mini` at the provider `fake` by default.
        principal: who calls, put where authorize would put it.
        stages: further stages, or others in place of the usual ones, by name.
    """

    def __init__(
        self,
        *,
        transports: Mapping[str, FakeTransport] | None = None,
        sink: RecordSink | None = None,
        aliases: Mapping[str, Sequence[Candidate]] | None = None,
        principal: Principal | None = None,
        clock: Clock | None = None,
        ledger: Ledger | None = None,
        limits: Limits | None = None,
        stages: Mapping[str, Stage] | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = LoopClock() if clock is None else clock
        self.rng = SeededRng(seed)
        self.sink = RecordSink() if sink is None else sink
        self.ledger = FakeLedger() if ledger is None else ledger
        self.limits = FakeLimits(self.clock) if limits is None else limits
        self.transport = FakeTransport(clock=self.clock)
        self.principal = Principal() if principal is None else principal
        self.transports = {"fake": self.transport} if transports is None else transports
        self._providers = {name: self._provider(name, transport) for name, transport in self.transports.items()}
        routes = {name: tuple(each) for name, each in (aliases or {"gpt-4o-mini": [candidate()]}).items()}
        made: dict[str, Stage] = {
            "observe": Observe(self.sink, self.clock, "full"),
            "admit": Admit(self.limits, self.clock),
            "resolve": Resolve(routes, None),
            "route": Route(self.clock, self.rng),
            "budget": Budget(self.ledger, self.clock),
            "deadline": Deadline(self.clock),
        }
        self.run = assemble(made | dict(stages or {}), self._send)

    async def _send(self, call: Call) -> Reply:
        return await self._providers[call.attempt.candidate.provider].send(call)

    def _provider(self, name: str, transport: Transport) -> HttpProvider:
        return HttpProvider(
            name=name,
            speaks=(OPENAI_CHAT,),
            vendor=facts.load().stand_ins["openai_chat"],
            transport=transport,
            host="fake",
            base_path="/v1",
            credentials={"default": Secret(f"sk-{name}")},
            clock=self.clock,
        )

    def call(self, model: str = "gpt-4o-mini", **fields: Any) -> Call:
        """A call as a face opens it; `fields` are of the chat body."""
        body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "Hello"}]} | fields)
        now_ns = self.clock.now_ns()
        return Call(
            id=uuid7(now_ns, self.rng.token(10)),
            dialect_in="openai_chat",
            request=OPENAI_CHAT.request.read(body),
            started_ns=self.clock.monotonic_ns(),
            started_at_ns=now_ns,
            principal=self.principal,
            body=body,
        )

    async def ask(self, model: str = "gpt-4o-mini", **fields: Any) -> bytes:
        """Make a call and see it through as a face does; the whole answer, or all chunks joined.

        Raises:
            FairleadError: as the call ended.
        """
        return await self.see_through(await self.run(self.call(model, **fields)))

    async def see_through(self, reply: Reply) -> bytes:
        """Read a reply to its end and end it."""
        if isinstance(reply.source, bytes):
            reply.end(Outcome("ok", reply.status))
            return reply.source
        outcome = Outcome("cancelled", Cancelled.http_status, Cancelled("the caller left"))
        parts: list[Any] = []
        try:
            async for part in reply.source:
                parts.append(part)  # noqa: PERF401 - what came before an error must not be lost
            outcome = Outcome("ok", reply.status)
        except FairleadError as error:
            outcome = Outcome("truncated", reply.status, error)
            raise
        finally:
            reply.end(outcome)
        return b"".join(parts)
