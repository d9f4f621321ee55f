"""One logical call, its attempts, and how it ended."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from fairlead.core.lane import Lane
from fairlead.core.pacing import Pacing
from fairlead.core.pricing import ModelPrices
from fairlead.errors import FairleadError
from fairlead.types import Chat, DialectName, Embed, Operation, Principal, Usage, UsageSource
from fairlead.verdict import FieldError, Rung, Validated

NOBODY = Principal()
"""Who calls where nobody asks: open mode and the library."""

STATIC = "static"
"""In `Call.degraded`: the answer is the operator's, nobody was asked or nobody could answer."""
FALLBACK = "fallback"
"""In `Call.degraded`: the answer is of another target than the one that was to answer."""

FALLBACK_VALUE = "fallback-value"
"""In `Call.degraded`: the answer is the value that stands for one which does not fit its schema."""

Priority = Literal["interactive", "batch", "background"]
PRIORITIES: dict[str, int] = {"interactive": 0, "batch": 1, "background": 2}
"""Who goes first where calls wait for a provider: the lower number."""

Mode = Literal["native", "tool", "prompted"]
"""How a model is asked for an answer that fits a schema: by its provider's own parameter for that, by the arguments of a
tool that it has to call, or in words."""
Subset = Literal["full", "openai", "anthropic", "gemini", "grammar", "plain"]
"""What of JSON Schema a provider takes, see `fairlead.validation.shaping.subset`."""

OutcomeKind = Literal["ok", "error", "cancelled", "truncated", "crashed"]
"""`truncated`: broke after content had gone out.  `crashed`: the process died; only an ingester says so."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """The four clocks of an attempt, in seconds."""

    connect_s: float = 5.0
    first_token_s: float = 60.0
    idle_s: float = 60.0
    total_s: float = 600.0


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a candidate is tried, and how long to wait in between."""

    attempts: int = 5
    """The first one included."""
    base_s: float = 1.0
    max_s: float = 60.0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One place that can answer a call: a provider, one of its credentials, a model and that model's facts."""

    provider: str
    """The name under `[providers]`."""
    model: str
    """The provider's own name of the model."""
    credential: str = "default"
    label: str = "other"
    """The model's metric label: a name from configuration or the price table, never a caller's free text."""
    weight: float | None = None
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
    refuses: frozenset[str] = frozenset()
    """Parameters that the model does not take, by their neutral names."""
    one_of: tuple[str, ...] = ()
    """Parameters of which the model takes one at a time, the first for choice."""
    window: int | None = None
    """Tokens that fit into the model's context, by its facts; `None` where nobody knows."""
    structured: Mode = "prompted"
    """How it is asked for an answer that fits a schema, where validation is on."""
    schema_subset: Subset = "full"
    """What of JSON Schema its native way takes."""
    enforces: bool = True
    """Whether its native way holds the model to the schema, where it is asked to."""
    native_without: frozenset[str] = frozenset()
    """What a request must not have for the native way, by neutral names: `tools`, `stream`."""
    unenforced: bool = False
    """Whether its native way takes any schema that it is not asked to hold the model to."""
    asks_json: bool | None = None
    """Whether it takes the response format `json_object`, which then goes with a schema in words; `None`: nobody knows."""
    retries: Retries | None = None
    """`None`: tried once."""
    pacing: Pacing | None = None
    """The provider's limits on us; `None`: nothing waits for them."""
    lane: Lane = msgspec.field(default_factory=Lane)
    """How it is doing: its breaker, its load, its speed."""

    @property
    def target(self) -> str:
        """`provider/model`, as it is configured."""
        return f"{self.provider}/{self.model}"


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


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a provider keeps, and what is to become of it."""

    method: str
    path: str
    """Below the provider's base URL, with its query; made of what a dialect allows."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The schema that an answer has to fit; for each candidate the request is shaped by it."""

    name: str
    """As the caller calls it."""
    schema: bytes
    """JSON Schema, as sent."""

    @property
    def most_bytes(self) -> int:
        """The most that asking for it adds to a prompt, in whichever way; shaping keeps to it."""
        return 3 * len(self.schema) + 1_024


class Request(msgspec.Struct, kw_only=True):
    """What the caller asked for, in the caller's own dialect.

    `fields` is the top level of the body, each value still raw JSON: a relay re-joins them without decoding what it
    does not need.  The other attributes are the few values that stages read.
    """

    dialect: DialectName
    fields: Mapping[str, msgspec.Raw]
    model: str
    operation: Operation = "answer"
    stream: bool = False
    include_usage: bool = False
    """Whether the caller wants the stream's usage chunk (FAULTS S13)."""
    max_output_tokens: int | None = None
    n: int = 1
    service_tier: str | None = None
    """The tier that is asked for; what it is served in stands in the usage."""
    input_bytes: int = 0
    """Bytes that may become input tokens, inline media taken out: the bound of a reservation, as tokens <= bytes."""
    prompt_tokens: int | None = None
    """An estimate of the input, once somebody needed it; or its count, where the body has that."""
    images: int = 0
    """Images and other inline media, each bounded by the model's facts."""
    is_partial: bool = False
    """Whether part of the prompt lies with the provider, so that its bytes bound nothing."""
    goes_on_from: tuple[str, str] | None = None
    """The field that names something which a provider keeps, such as the answer before this one, and its id."""
    resource: Resource | None = None
    """What of all that a provider keeps is asked for, where the operation is that."""
    is_kept: bool = False
    """Whether a provider of the same dialect keeps the answer under an id."""
    end_user: str | None = None
    """The body's own `user`: may choose a rollout bucket, never an identity."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Vendor headers on the allow-list, lower case."""
    credential: Secret | None = None
    """The caller's own provider key, in passthrough mode only."""
    chat: Chat | Embed | None = None
    """The neutral form, once somebody needed it."""
    wanted: Wanted | None = None
    """The schema that the answer is held to; `None`: it is not, and nothing of the request is changed for one."""

    @property
    def most_bytes(self) -> int:
        """`input_bytes`, and what asking for a schema may add to them."""
        return self.input_bytes if self.wanted is None else self.input_bytes + self.wanted.most_bytes


class Attempt(msgspec.Struct):
    """One try at one candidate.  All times are monotonic nanoseconds of the process's clock."""

    number: int
    candidate: Candidate
    started_ns: int
    sent_ns: int | None = None
    """When it went to the provider; before that it may wait in line."""
    first_token_ns: int | None = None
    ended_ns: int | None = None
    error: FairleadError | None = None
    upstream_status: int | None = None
    upstream_id: str | None = None
    """The provider's request id, for its support desk."""
    upstream_headers: Mapping[str, str] | None = None
    """The headers of its answer; what they say about its limits is read where somebody learns from it."""
    kept_as: str | None = None
    """The id under which the provider keeps its answer."""
    structured: Mode | None = None
    """How the answer that fits a schema was asked for; `None`: none was."""
    lost: tuple[str, ...] = ()
    """What of the schema the provider has no form for, as JSON Pointers into it."""
    enforced: bool = False
    """Whether the provider holds the model to the whole of the schema, so that its text fits as it comes."""
    usage: Usage | None = None
    usage_source: UsageSource = "none"
    reserved_nanousd: int | None = None
    cost_nanousd: int | None = None
    """`None` while open, and for an unpriced model."""
    _awaited: int = 0
    _waiting: list[Callable[[], None]] = msgspec.field(default_factory=list)

    def close(self, now_ns: int, error: FairleadError | None) -> None:
        """Note how and when it ended; whoever opened it does this, and the first word counts."""
        if self.ended_ns is None:
            self.ended_ns = now_ns
            self.error = error

    def await_usage(self) -> None:
        """Its provider goes on, and bills, without us: what it used will be known later, by `usage_known`."""
        self._awaited += 1

    def usage_known(self) -> None:
        """What `await_usage` announced has come, or will not come any more."""
        self._awaited -= 1
        while self._waiting and not self._awaited:
            self._waiting.pop(0)()

    def when_known(self, callback: Callable[[], None]) -> None:
        """Call back once the usage is known: nearly always at once."""
        if self._awaited:
            self._waiting.append(callback)
        else:
            callback()


class Fate(msgspec.Struct):
    """What happened to a call, shared by all its branches."""

    committed: bool = False
    """The first content has gone to the caller; from then on nothing retries or falls back."""
    abandoned: bool = False
    """The caller left.  A face sets this before it cancels: it tells a departure from our own clocks and shutdown."""
    admitted: bool = False
    """An attempt has been announced, so there is an `Admitted` record."""


class Outcome(msgspec.Struct, frozen=True):
    """How a call ended.  Handed to every `on_end` hook."""

    kind: OutcomeKind
    status: int = 200
    error: FairleadError | None = None


OK = Outcome("ok")


Judge = Callable[[Any], tuple[Any, tuple[FieldError, ...]]]
"""Makes of a value that fits its schema one of the caller's own types, or says why it cannot."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """How far this very call goes to hold its answer to a schema; `None` is what its model's configuration says."""

    up_to: Rung | Literal["off"] | None = None
    attempts: int | None = None
    """The most re-asks."""
    max_tokens: int | None = None
    """The most tokens of all re-asks."""
    max_nanousd: int | None = None
    """The most that all re-asks may cost."""
    locale: str | None = None
    """How ambiguous dates and numbers are read, such as `en-US`."""
    is_cut_repaired: bool | None = None
    """Whether an output that the length cut is closed as well as it can be."""
    escalate: str | None = None
    """The model that is asked when asking again fails."""
    judge: Judge | None = None
    """Has the last word on a value that fits."""
    min_confidence: float | None = None
    """What the least certain edit must reach."""
    is_shown: bool = False
    """Whether a stream is shown as it comes, and its end made to fit: whoever reads it takes the value from the call."""
    is_bounded: bool = False
    """Whether it may hold an answer to less than the configuration says, and to nothing more."""


class Call(msgspec.Struct):
    """One logical call on its way through the pipeline."""

    id: str
    """UUIDv7, 32 hex digits with dashes."""
    dialect_in: DialectName
    request: Request
    started_ns: int
    """Monotonic nanoseconds."""
    started_at_ns: int
    """Wall clock, nanoseconds since the epoch."""
    principal: Principal = NOBODY
    credential: Secret | None = None
    """The credential as presented, until authorize has turned it into a principal."""
    deadline_ns: int | None = None
    """Monotonic; from `x-fairlead-timeout` or the library's `timeout=`; spans all attempts."""
    body: bytes = b""
    """The request body as received; stored if content logging is on, and let go of then."""
    alias: str = ""
    """The `[models]` entry that matched: a metric label, so never a caller's free text."""
    candidates: tuple[Candidate, ...] = ()
    attempt: Attempt = cast("Attempt", None)
    """The attempt under way on this branch of the call; there is none before route."""
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    """All of them, in the order in which they were opened; shared by all branches."""
    fate: Fate = msgspec.field(default_factory=Fate)
    parent_id: str | None = None
    tags: tuple[str, ...] = ()
    session: str | None = None
    priority: int = 0
    """One of `PRIORITIES`."""
    degraded: list[str] = msgspec.field(default_factory=list)
    held: Held | None = None
    """What the caller says about validation; `None`: nothing."""
    validated: Validated | None = None
    """How its answer was held to a schema, as far as that is known before its attempts are paid; `None`: it was not."""
    answered_first: int | None = None
    """How many attempts the first answer took; those after them are re-asks.  `None`: there is no answer to judge."""
    value: Any = None
    """The answer as a value, once it fits."""
    on_admitted: Callable[[Call], None] | None = None
    """Told when the first attempt is about to go upstream; observe uses it to write the `Admitted` record."""

    def open_attempt(self, candidate: Candidate, now_ns: int) -> Attempt:
        """Begin the next attempt.  Route opens the first at each candidate, retry the further ones."""
        self.attempt = Attempt(len(self.attempts) + 1, candidate, now_ns)
        self.attempts.append(self.attempt)
        return self.attempt

    @property
    def committed(self) -> bool:
        """Whether the first content has gone to the caller."""
        return self.fate.committed

    def branch(self) -> Call:
        """The same call with an attempt of its own to come, for two attempts at one time."""
        return copy.copy(self)

    def announce(self) -> None:
        """The attempt's reservation stands and it is about to go upstream."""
        if not self.fate.admitted:
            self.fate.admitted = True
            if self.on_admitted is not None:
                self.on_admitted(self)

    @property
    def answered_by(self) -> str:
        """`provider/model` of the attempt that answered; `static` or `fallback-value` for an answer of the operator's."""
        for own in (FALLBACK_VALUE, STATIC):  # the value stands for a text that did not fit
            if own in self.degraded:
                return own
        return self.attempt.candidate.target

    @property
    def is_known(self) -> bool:
        """Whether the usage of every attempt is known."""
        for attempt in self.attempts:  # noqa: SIM110 - `all` costs three times as much, once a call
            if attempt._awaited:  # noqa: SLF001 - a friend, in this very file
                return False
        return True

    def when_known(self, callback: Callable[[], None]) -> None:
        """Call back once the usage of every attempt is known: nearly always at once."""
        for attempt in self.attempts:
            if attempt._awaited:  # noqa: SLF001 - a friend, in this very file
                attempt.when_known(lambda: self.when_known(callback))
                return
        callback()

    @property
    def reasks(self) -> Sequence[Attempt]:
        """The attempts after the first answer."""
        return () if self.answered_first is None else self.attempts[self.answered_first :]

    @property
    def report(self) -> Validated | None:
        """How its answer was held to a schema, with what re-asks have taken."""
        if self.validated is None or not self.reasks:
            return self.validated
        used = [attempt.usage for attempt in self.reasks if attempt.usage is not None]
        return msgspec.structs.replace(
            self.validated,
            reasks=len(self.reasks),
            reask_tokens=sum(usage.all_input_tokens + usage.all_output_tokens for usage in used),
            reask_nanousd=sum(attempt.cost_nanousd or 0 for attempt in self.reasks),
        )

    @property
    def cost_nanousd(self) -> int | None:
        """The sum over attempts; `None` if any of them is unpriced."""
        total = 0
        for attempt in self.attempts:
            if attempt.cost_nanousd is None:
                return None
            total += attempt.cost_nanousd
        return total


_TRUST: tuple[UsageSource, ...] = ("none", "final", "cumulative", "estimated")


def total_usage(attempts: Sequence[Attempt]) -> tuple[Usage | None, UsageSource]:
    """The usage of all attempts, and the least certain of their sources."""
    if len(attempts) == 1:
        return attempts[0].usage, attempts[0].usage_source
    total: Usage | None = None
    source: UsageSource = "none"
    for attempt in attempts:
        if attempt.usage is not None:
            total = attempt.usage if total is None else total + attempt.usage
            source = max(source, attempt.usage_source, key=_TRUST.index)
    return total, source
