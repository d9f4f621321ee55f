"""The public API as an application uses it; never run, checked by `mypy --strict`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, assert_type

from pydantic import BaseModel

from fairlead import (
    CircuitOpen,
    Client,
    Completion,
    Embeddings,
    Extracted,
    FairleadError,
    Piece,
    Retry,
    SyncClient,
    resilient,
)
from fairlead._extract import ExtractStream
from fairlead.call import OK, Call, Outcome
from fairlead.client import Stream
from fairlead.core.breaker import Policy
from fairlead.errors import RateLimited, UpstreamError
from fairlead.fields import Boolish, ISODate, Locale, Money, Percent, Time24
from fairlead.pipeline import Next, Reply, Stage, compose
from fairlead.ports import (
    CacheStore,
    Claim,
    Clock,
    Embedder,
    Hold,
    KeyStore,
    Ledger,
    Limits,
    LogStore,
    PromptSource,
    PromptText,
    Provider,
    Rng,
    Standing,
    Timer,
)
from fairlead.stores.memory import MemoryLedger, MemoryLimits
from fairlead.stores.sqlite import SqliteStore
from fairlead.stores.system import SystemClock, SystemRng
from fairlead.testing import FakeKeyStore, FakeLedger, FakeLimits, SeededRng, VirtualClock
from fairlead.types import ToolCall, Usage


async def ask() -> None:
    """The client, whole and streamed."""
    async with Client() as llm:
        reply = await llm.complete("Say hello", model="gpt-4o-mini", temperature=0.1, tags=["a"], timeout_s=5)
        assert_type(reply, Completion)
        assert_type(reply.text, str)
        assert_type(reply.usage, Usage | None)
        assert_type(reply.tool_calls, tuple[ToolCall, ...])
        assert_type(reply.cost_usd, Decimal | None)
        embedded = await llm.embed(["Say hello", "and go"], model="text-embedding-3-small", dimensions=256, timeout_s=5)
        assert_type(embedded, Embeddings)
        assert_type(embedded.vectors, tuple[tuple[float, ...], ...])
        assert_type(embedded.usage, Usage | None)
        assert_type(embedded.cost_usd, Decimal | None)
        stream = llm.stream([{"role": "user", "content": "Say hello"}], model="gpt-4o-mini", session="s")
        assert_type(stream, Stream)
        async with stream as pieces:
            async for piece in pieces:
                assert_type(piece, Piece)
                assert_type(piece.text, str)
    elsewhere = Client(gateway="http://127.0.0.1:8400", key="fl-a.b")
    await elsewhere.aclose()
    assert_type(Client.from_file("fairlead.toml"), Client)


def ask_without_await() -> str:
    """The client for code without an event loop."""
    with SyncClient(root=Path()) as llm:
        assert_type(SyncClient.from_file(Path("fairlead.toml")), SyncClient)
        assert_type(llm.embed("Say hello", model="text-embedding-3-small"), Embeddings)
        assert_type(llm.embed([[1, 2], [3]], model="text-embedding-3-small"), Embeddings)
        for piece in llm.stream("Say hello", model="gpt-4o-mini"):
            assert_type(piece, Piece)
        try:
            return llm.complete("Say hello", model="gpt-4o-mini").text
        except RateLimited as error:
            assert_type(error.retry_after_s, float | None)
            raise
        except UpstreamError as error:
            assert_type(error.status, int)
            raise
        except FairleadError as error:
            return error.message


@resilient
def protected(question: str, *, model: str = "small") -> int:
    """A protected function keeps its signature."""
    return len(question + model)


def told(retry: Retry) -> None:
    """What is done before each wait."""
    assert_type(retry.error, Exception)


@resilient(max_retries=3, base_delay=0.5, breaker=Policy(consecutive=3), on_retry=told)
async def protected_later(question: str) -> int:
    """With `async`, too."""
    return len(question)


async def use_protected() -> None:
    """What comes out is what the functions return."""
    assert_type(protected("Hello", model="large"), int)
    try:
        assert_type(await protected_later("Hello"), int)
    except CircuitOpen as error:
        assert_type(error.retry_after_s, float | None)


async def patient(call: Call, following: Next) -> Reply:
    """A stage as a function."""
    reply = await following(call)

    def ended(outcome: Outcome) -> None:
        assert_type(outcome.error, FairleadError | None)

    reply.on_end.append(ended)
    return reply


class Counting:
    """A stage as a class."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, call: Call, following: Next) -> Reply:
        self.calls += 1
        return await following(call)


class Echo:
    """A `Provider`."""

    async def send(self, call: Call) -> Reply:
        return Reply(200, call.body)

    async def aclose(self) -> None: ...


class FixedClock:
    """A `Clock`."""

    def now_ns(self) -> int:
        return 0

    def monotonic_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None: ...

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        raise NotImplementedError


class Generous:
    """A `Ledger` and `Limits` at once."""

    async def reserve(self, hold: Hold) -> None: ...

    def settle(self, call_id: str, attempt: int, cost_nanousd: int) -> None: ...

    def reserved_nanousd(self) -> int:
        return 0

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        return [Standing(kind=claim.rate.kind, limit=1, remaining=1, reset_s=0.0) for claim in claims]

    def release(self, claims: Sequence[Claim], used_tokens: int | None) -> None: ...


class Remembering:
    """A `CacheStore`."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    async def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    async def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        self._values[key] = value

    async def delete(self, key: bytes) -> None:
        self._values.pop(key, None)


class OnePrompt:
    """A `PromptSource`."""

    async def names(self) -> Sequence[str]:
        return ["greeting"]

    async def get(self, name: str, version: str) -> PromptText:
        return PromptText(text=f"{name} {version}", digest="")


class Lengths:
    """An `Embedder`."""

    dimensions = 1

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(len(text))] for text in texts]


async def last(call: Call) -> Reply:
    """What answers below all stages."""
    return Reply(200, call.body, {"content-type": "application/json"})


def ports(store: SqliteStore) -> None:
    """Every adapter fits its port without inheriting from it."""
    stages: list[Stage] = [patient, Counting()]
    run: Callable[[Call], Awaitable[Reply]] = compose(stages, last)
    assert_type(OK, Outcome)
    clocks: list[Clock] = [SystemClock(), VirtualClock(), FixedClock()]
    rngs: list[Rng] = [SystemRng(), SeededRng(1)]

    async def seed(scope: str, since_ns: int) -> int:
        return 0

    ledgers: list[Ledger] = [MemoryLedger(clocks[0], seed), FakeLedger(), Generous()]
    limits: list[Limits] = [MemoryLimits(clocks[0]), FakeLimits(clocks[0]), Generous()]
    keys: list[KeyStore] = [store.keys, FakeKeyStore()]
    logs: list[LogStore] = [store.logs]
    providers: Mapping[str, Provider] = {"echo": Echo()}
    caches: list[CacheStore] = [Remembering()]
    prompts: list[PromptSource] = [OnePrompt()]
    embedders: list[Embedder] = [Lengths()]
    print(run, rngs, ledgers, limits, keys, logs, providers, caches, prompts, embedders)


class Booking(BaseModel):
    """The types of fields are the types of their values."""

    at: Time24
    on: Annotated[ISODate, Locale("en-US")]
    price: Money
    discount: Percent
    paid: Boolish


def book(text: str) -> None:
    """Values have plain types; an amount is exact."""
    booking = Booking.model_validate_json(text)
    assert_type(booking.at, str)
    assert_type(booking.on, str)
    assert_type(booking.price.amount, Decimal)
    assert_type(booking.discount, float)
    assert_type(booking.paid, bool)


def by_telephone(error: FairleadError) -> Booking:
    """A fallback may be made."""
    raise error


async def extract() -> None:
    """A typed value has the type that was asked for; what is known of one that is still being written has none."""
    async with Client() as llm:
        found = await llm.extract(
            Booking,
            "A table for Ada",
            model="gpt-4o-mini",
            context={"locale": "en-US"},
            fallback=by_telephone,
            up_to="escalate",
            reasks=1,
            max_reask_tokens=500,
            max_reask_usd=0.05,
            escalate="gpt-4o",
            locale="en-GB",
            min_confidence=0.9,
            repair_cut=True,
            temperature=0.1,
        )
        assert_type(found, Extracted[Booking])
        assert_type(found.value, Booking)
        assert_type(found.is_fallback, bool)
        stream = llm.stream_extract(
            Booking, "A table for Ada", model="gpt-4o-mini", up_to="coerce", min_confidence=0.9, fallback=None
        )
        assert_type(stream, ExtractStream[Booking])
        async with stream as values:
            async for _ in values:
                pass
        assert_type(stream.result.value, Booking)
        assert_type(stream.call, Call)


def extract_without_await() -> Booking:
    """The same without an event loop."""
    with SyncClient() as llm:
        for _ in llm.stream_extract(Booking, "A table for Ada", model="gpt-4o-mini", up_to="parse", locale="en-GB"):
            pass
        found = llm.extract(Booking, "A table for Ada", model="gpt-4o-mini", escalate="gpt-4o", min_confidence=0.5)
        assert_type(found, Extracted[Booking])
        return found.value
