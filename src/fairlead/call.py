"""One logical call, its attempts, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from fairlead.core.pricing import ModelPrices
from fairlead.errors import FairleadError
from fairlead.types import Chat, DialectName, Principal, Usage, UsageSource

OutcomeKind = Literal["ok", "error", "cancelled", "truncated", "crashed"]
"""`truncated`: broke after content had gone out.  `crashed`: the process died; only an ingester says so."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """The four clocks of an attempt, in seconds."""

    connect_s: float = 5.0
    first_token_s: float = 60.0
    idle_s: float = 60.0
    total_s: float = 600.0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One place that can answer a call: a provider, one of its credentials, a model and that model's facts."""

    provider: str
    """The name under `[providers]`."""
    model: str
    """The provider's own name of the model."""
    credential: str = "default"
    label: str = "other"
    """The model's metric label: a name from configuration or the price table, never a caller's free text."""
    weight: int | None = None
    """The share of traffic where targets are weighted; `None` where they stand in order."""
    timeouts: Timeouts = Timeouts()
    max_output_tokens: int | None = None
    """The most the model can write, by its facts; bounds a reservation that names no maximum."""
    bills_after_disconnect: bool = False
    """Whether the provider bills the whole answer although the connection was closed."""
    image_tokens: int = 1_600
    """What one image may cost at most, for the reservation."""
    price: ModelPrices | None = None
    """`None`: unpriced."""


class Secret:
    """A value that never shows itself: not in `repr`, not in `str`, not in a pickle, not in JSON."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself; call it only where it goes onto the wire."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[type, tuple[str, ...]]:
        msg = "a Secret cannot be pickled"
        raise TypeError(msg)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Sealed(bytes):
    """Bytes that hold a secret, such as a request's head; like a `Secret` they show themselves to no traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Sealed(***)"

    __str__ = __repr__


@dataclass(slots=True, kw_only=True)
class Request:
    """What the caller asked for, in the caller's own dialect.

    `fields` is the top level of the body, each value still raw JSON: a relay re-joins them without decoding what it
    does not need.  The other attributes are the few values that stages read.
    """

    dialect: DialectName
    fields: Mapping[str, msgspec.Raw]
    model: str
    stream: bool = False
    include_usage: bool = False
    """Whether the caller wants the stream's usage chunk (FAULTS S13)."""
    max_output_tokens: int | None = None
    n: int = 1
    service_tier: str | None = None
    """The tier that is asked for; what it is served in stands in the usage."""
    input_bytes: int = 0
    """Bytes that may become input tokens, inline media taken out: the bound of a reservation, as tokens <= bytes."""
    images: int = 0
    """Images and other inline media, each bounded by the model's facts."""
    end_user: str | None = None
    """The body's own `user`: may choose a rollout bucket, never an identity."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Vendor headers on the allow-list, lower case."""
    credential: Secret | None = None
    """The caller's own provider key, in passthrough mode only."""
    chat: Chat | None = None
    """The neutral form, once somebody needed it."""


@dataclass(slots=True)
class Attempt:
    """One try at one candidate.  All times are monotonic nanoseconds of the process's clock."""

    number: int
    candidate: Candidate
    started_ns: int
    first_token_ns: int | None = None
    ended_ns: int | None = None
    error: FairleadError | None = None
    upstream_status: int | None = None
    upstream_id: str | None = None
    """The provider's request id, for its support desk."""
    usage: Usage | None = None
    usage_source: UsageSource = "none"
    reserved_nanousd: int | None = None
    cost_nanousd: int | None = None
    """`None` while open, and for an unpriced model."""


@dataclass(slots=True, frozen=True)
class Outcome:
    """How a call ended.  Handed to every `on_end` hook."""

    kind: OutcomeKind
    status: int = 200
    error: FairleadError | None = None


OK = Outcome("ok")


@dataclass(slots=True)
class Call:
    """One logical call on its way through the pipeline."""

    id: str
    """UUIDv7, 32 hex digits with dashes."""
    dialect_in: DialectName
    request: Request
    started_ns: int
    """Monotonic nanoseconds."""
    started_at_ns: int
    """Wall clock, nanoseconds since the epoch."""
    principal: Principal = field(default_factory=Principal)
    credential: Secret | None = None
    """The credential as presented, until authorize has turned it into a principal."""
    deadline_ns: int | None = None
    """Monotonic; from `x-fairlead-timeout` or the library's `timeout=`; spans all attempts."""
    body: bytes = b""
    """The request body as received; stored if content logging is on."""
    alias: str = ""
    """The `[models]` entry that matched: a metric label, so never a caller's free text."""
    candidates: tuple[Candidate, ...] = ()
    attempts: list[Attempt] = field(default_factory=list)
    committed: bool = False
    """Set when the first content goes to the caller; from then on nothing retries or falls back."""
    abandoned: bool = False
    """Set by a face when the caller left, before it cancels: tells a timeout from a departure."""
    parent_id: str | None = None
    tags: tuple[str, ...] = ()
    session: str | None = None
    degraded: list[str] = field(default_factory=list)
    answer: Callable[[], bytes] | None = None
    """Gives the answer's bytes for the record, once it ended."""
    on_attempt: Callable[[Call, Attempt], None] | None = None
    """Told of each attempt before it starts; observe uses it to write the admitted record."""

    @property
    def attempt(self) -> Attempt:
        """The attempt under way: the last one opened."""
        return self.attempts[-1]

    def open_attempt(self, candidate: Candidate, now_ns: int) -> Attempt:
        """Append the next attempt.  Route opens the first at each candidate, retry the further ones."""
        attempt = Attempt(len(self.attempts) + 1, candidate, now_ns)
        self.attempts.append(attempt)
        if self.on_attempt is not None:
            self.on_attempt(self, attempt)
        return attempt

    @property
    def cost_nanousd(self) -> int | None:
        """The sum over attempts; `None` if any of them is unpriced."""
        total = 0
        for attempt in self.attempts:
            if attempt.cost_nanousd is None:
                return None
            total += attempt.cost_nanousd
        return total
