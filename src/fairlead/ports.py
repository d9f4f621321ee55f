"""What the pipeline needs from the outside, each a small Protocol with one contract suite over all its adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from fairlead.call import Call
from fairlead.pipeline import Reply
from fairlead.record import Record
from fairlead.types import Budget, ErrorClass, Principal, Rate, Window

Sink = Callable[[Record], None]
"""Takes a record and returns at once; what it cannot keep it counts."""


class Timer(Protocol):
    """A callback to come."""

    def cancel(self) -> None:
        """Call it off; harmless afterwards."""
        ...


class Clock(Protocol):
    """Time as a seam.  Raises nothing."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since the epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Never goes back; its zero means nothing."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back on the running loop after `seconds`."""
        ...


class Rng(Protocol):
    """Randomness as a seam.  Raises nothing."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...

    def token(self, size: int) -> bytes:
        """`size` bytes fit for secrets and ids."""
        ...


class Provider(Protocol):
    """Sends an attempt upstream."""

    async def send(self, call: Call) -> Reply:
        """Answer `call.attempt`; a streamed reply comes back once its first content was seen.

        Raises:
            UpstreamError: any of its kinds.
            InvalidRequest: the target cannot express what the call asks for.
        """
        ...

    async def aclose(self) -> None: ...


class Hold(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reservation: the worst case of one attempt against every budget that it touches."""

    call_id: str
    attempt: int
    budgets: tuple[Budget, ...]
    amount_nanousd: int
    at_ns: int
    """Wall clock at admission: chooses the windows, also for the settlement."""
    lease_s: float = 660.0
    """After this long without a settlement the reservation lapses."""


class Ledger(Protocol):
    """Money: reserve before, settle after.  `(call_id, attempt)` is the key of both."""

    async def reserve(self, hold: Hold) -> None:
        """Take the amount from all budgets of the hold, or from none.

        Raises:
            BudgetExceeded: it does not fit; names the scope.
            StateUnavailable: the store cannot answer; budgets fail closed.
        """
        ...

    def settle(self, call_id: str, attempt: int, cost_nanousd: int) -> None:
        """Replace the reservation by the real cost.  Idempotent; unknown or lapsed holds are charged all the same
        if they are still known, and ignored otherwise.  Returns at once; raises nothing."""
        ...

    def reserved_nanousd(self) -> int:
        """The sum of open reservations of this process."""
        ...


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one call takes of one rate."""

    rate: Rate
    amount: int = 1


class Standing(msgspec.Struct, frozen=True, gc=False):
    """The tightest limit after a decision, for the `x-ratelimit-*` headers."""

    kind: Literal["requests", "tokens", "concurrency"]
    limit: int
    remaining: int
    reset_s: float


class Limits(Protocol):
    """Requests a minute, tokens a minute and concurrency of our callers."""

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        """Take all claims or none; one standing for each claim.  This very sequence is what `release` takes back.

        Raises:
            RateLimited: one does not fit; carries the wait after which it would.
            StateUnavailable: the store cannot answer.
        """
        ...

    def release(self, claims: Sequence[Claim], used_tokens: int | None) -> None:
        """Give back, once, what `acquire` was given: concurrency, and the tokens claimed in place of which those used
        are charged; where they are more, a caller whom that puts over the limit waits until it is paid off.  `None`: unknown, the claim stands.
        Returns at once; raises nothing."""
        ...


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual key at rest: never the secret, only its keyed hash."""

    id: str
    digest: bytes
    """HMAC-SHA256 of the secret under the key-hashing key."""
    name: str
    hash_id: str = "1"
    """Which root secret made the digest; for rotation."""
    user: str | None = None
    team: str | None = None
    models: frozenset[str] | None = None
    limits: ScopeLimits | None = None
    trusts_user_header: bool = False
    created_at_ns: int = 0
    expires_at_ns: int | None = None
    revoked_at_ns: int | None = None


class ScopeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator allows one key, user, team or model; `None` is no limit."""

    budget_nanousd: int | None = None
    budget_window: Window = "total"
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None


class KeyStore(Protocol):
    """Virtual keys, and the limits of users, teams and models."""

    async def find(self, key_id: str) -> tuple[StoredKey, Principal] | None:
        """The key and the principal that it stands for, limits of its user and team included.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        ...

    async def save(self, key: StoredKey) -> None:
        """Create or replace.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        ...

    async def keys(self) -> Sequence[StoredKey]:
        """All of them, newest first.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        ...

    async def limit(self, scope: str, limits: ScopeLimits | None) -> None:
        """Set or clear the limits of `user:NAME`, `team:NAME` or `model:NAME`.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        ...

    async def generation(self) -> int:
        """Moves with every change; a cheap question.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        ...


class Overruled(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's word about a target."""

    target: str
    """`provider`, `provider/model` or `provider/model#credential`."""
    action: Literal["disable", "force"]
    until_ns: int | None = None
    """Wall clock; `None` until it is taken back."""


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an operator did."""

    at_ns: int
    """Wall clock."""
    actor: str
    action: str
    subject: str
    detail: str = ""


class Routes(Protocol):
    """What operators say about targets in an incident.  Every method raises `StateUnavailable` where the store cannot
    answer."""

    async def current(self, now_ns: int) -> Sequence[Overruled]:
        """What counts now, by target."""
        ...

    async def overrule(self, overruled: Overruled, audited: Audited) -> None:
        """Say something about a target, in place of what was said before, and log it."""
        ...

    async def reset(self, target: str | None, audited: Audited) -> int:
        """Take it back, for one target or for all, and log it; returns for how many."""
        ...

    async def audit(self, limit: int) -> Sequence[Audited]:
        """Who did what, newest first."""
        ...


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer lies that a provider keeps."""

    provider: str
    credential: str
    """The name of the credential that it was made under; no other one can read it."""
    model: str
    """The provider's own name of the model that gave it."""
    at_ns: int
    """When its call began; wall clock."""


class Owners(Protocol):
    """Whose the answers are that providers keep.  Both methods raise `StateUnavailable` where the store cannot answer."""

    async def remember(self, tenant: str, answer_id: str, kept: Kept) -> None:
        """Note that an answer is this tenant's, in place of what was noted before; others' answers of the same id stay
        theirs."""
        ...

    async def find(self, tenant: str, answer_id: str) -> Kept | None:
        """Where this tenant's answer lies; `None` where it has none of that id, whoever else may."""
        ...


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one spool segment up to `offset`, to be stored with that offset in one transaction."""

    segment: str
    offset: int
    records: tuple[Record, ...]
    finished: bool = False
    """The segment has no writer any more: calls admitted in it that never ended, crashed."""
    torn: bool = False
    """A finished segment ended inside a record, which is lost."""
    rejected: int = 0
    """Frames up to `offset` that hold no record this version knows."""
    is_partial: bool = False
    """The frame at `offset` goes on in the next batch: other batches may carry the same offset, with other records."""


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls to list; newest first."""

    call_id: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    search: str | None = None
    """Plain substring of request or response; no wildcards."""
    failed: ErrorClass | None = None
    """Only calls that ended with an error of this class; of `validation` those too that ended well after an output was
    refused."""
    after_id: str | None = None
    """Only calls admitted after this one, oldest first: how a tail goes on."""
    limit: int = 50


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of one group."""

    group: str
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_nanousd: int
    unpriced_calls: int


class SchemaRow(msgspec.Struct, frozen=True, kw_only=True):
    """How the answers that had to fit one schema were held to it."""

    schema: str
    """Its name, as callers call it."""
    calls: int
    failed: int
    """Calls without an answer that fits."""
    edited: int
    """Calls whose answer fits after edits."""
    reasks: int
    reask_tokens: int
    reask_nanousd: int


class FieldRow(msgspec.Struct, frozen=True, kw_only=True):
    """How often outputs were refused for one field, and one rule that it broke."""

    schema: str
    path: str
    """A JSON Pointer, with `*` for elements of lists and names that the schema does not have; empty for the whole."""
    kind: str
    errors: int


class LogStore(Protocol):
    """Where records end up.  Every method raises `StateUnavailable` where the store cannot answer."""

    async def ingest(self, batch: Batch) -> int:
        """Store a batch once, however often it is delivered; returns how many calls it ended."""
        ...

    async def calls(self, query: LogQuery) -> Sequence[Mapping[str, object]]:
        """Calls as plain mappings, ready for JSON."""
        ...

    async def usage(self, by: str, since_ns: int | None) -> Sequence[UsageRow]:
        """Totals by `model`, `key`, `user`, `team`, `provider`, `alias`, `day` or `outcome`."""
        ...

    async def spent(self, scope: str, since_ns: int) -> int:
        """Nano-USD of a scope's calls admitted since."""
        ...

    async def counters(self) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], int]:
        """Every metric counter by name and labels, as integers in the smallest unit."""
        ...


class CacheStore(Protocol):
    """Answers kept for a while.  Keys already contain the tenant, so no caller can be given another's answer; a store
    that does not answer is bypassed, since a miss is always safe."""

    async def get(self, key: bytes) -> bytes | None:
        """The value, `None` where there is none or its time is over.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        ...

    async def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        """Keep a value for at most `ttl_s`, in place of what was there; the store may drop it sooner.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        ...

    async def delete(self, key: bytes) -> None:
        """Drop a value; harmless where there is none.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        ...


class PromptText(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a prompt as it was written."""

    text: str
    """The template, not yet rendered."""
    digest: str
    """SHA-256 of the text's UTF-8 in hex: a record that holds it says exactly which words were used."""


class PromptSource(Protocol):
    """Prompts by name and version.  A port because where they are kept, such as a folder under git, is not the
    concern of whoever renders them."""

    async def names(self) -> Sequence[str]:
        """All prompts, sorted.  Raises nothing."""
        ...

    async def get(self, name: str, version: str) -> PromptText:
        """One version, the same text for ever.

        Raises:
            NotFound: no such prompt, or no such version of it.
        """
        ...


class Embedder(Protocol):
    """Texts to vectors.  A port because a provider, a model in process and a fake are all used for it."""

    dimensions: int
    """The length of every vector."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, in their order.

        Raises:
            UpstreamError: any of its kinds; a local model that cannot run counts as unavailable.
        """
        ...
