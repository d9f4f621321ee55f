"""The settings of `fairlead.toml`, all of them: names, types, defaults and what each one does.

The text under a setting is its entry in `docs/reference/configuration.md`.  Settings of features that this version does
not have stand here too, so that a typing mistake inside them is found; `not_yet` lists them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from fairlead.call import Retries, Timeouts
from fairlead.types import DialectName
from fairlead.verdict import Rung

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Weight = Annotated[float, msgspec.Meta(gt=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

DIALECTS: dict[str, DialectName] = {
    "openai": "openai_chat",
    "openai_chat": "openai_chat",
    "openai_responses": "openai_responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
}
"""The dialects of this version, by the names that a configuration may use."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; a key that it does not name is an error."""


class Tls(Table, frozen=True, kw_only=True):
    """`[gateway] tls`: serve HTTPS."""

    cert: str
    """The certificate chain in PEM form, as `file:PATH`."""
    key: str
    """Its private key in PEM form, as `file:PATH`; a file that others can read is refused."""


class Gateway(Table, frozen=True, kw_only=True):
    """`[gateway]`: how `fairlead serve` listens."""

    host: str = "127.0.0.1"
    """The address of the data port and the control port."""
    port: Port = 8400
    """The data port; 0 takes a free one."""
    admin_port: Port = 8401
    """The control port: `/metrics` and the admin API; 0 takes a free one."""
    workers: Positive = 1
    """Worker processes."""
    auth: Literal["keys", "open", "passthrough"] = "keys"
    """Who may call: holders of a virtual key, anybody on this machine, or anybody with a provider key of their own."""
    tls: Tls | None = None
    """Certificate and key for HTTPS; absent: plain HTTP."""
    drain_s: Seconds = 600.0
    """How long open answers may go on after SIGTERM; a second SIGTERM ends them at once."""
    tenant_weights: dict[str, Weight] = {}
    """Shares of tenants where calls wait for a provider, by `team:NAME`, `user:NAME` or `key:ID`; 1 for all others."""
    helicone_headers: bool = False
    """Whether `Helicone-User-Id`, `Helicone-Session-Id`, `Helicone-Property-*` and `Helicone-Cache-Enabled` of requests
    are read; they never go to a provider."""
    memory_max_bytes: Positive | None = None
    """How much memory a worker may use, on Linux; at 90 % of it, or of what its control group may use, new calls get 503."""


class ProviderLimits(Table, frozen=True, kw_only=True):
    """`[providers.NAME] limits`: what the provider allows us."""

    rpm: Positive | None = None
    """Requests a minute."""
    tpm: Positive | None = None
    """Tokens a minute."""
    concurrency: Positive | None = None
    """Requests at one time."""
    learn: bool = False
    """Whether to learn limits from the headers of answers and, where they say nothing, from refusals."""
    max_wait_s: Seconds = 60.0
    """The longest that a call waits in line; one that would wait longer is refused at once, or asks the next target."""


class ProviderTls(Table, frozen=True, kw_only=True):
    """`[providers.NAME] tls`: what both ends of an HTTPS connection prove."""

    ca: str | None = None
    """Authorities in PEM form, as `file:PATH`, to trust for this provider instead of the system's."""
    cert: str | None = None
    """Our own certificate chain in PEM form, as `file:PATH`, for a provider that wants one."""
    key: str | None = None
    """Its private key in PEM form, as `file:PATH`; a file that others can read is refused."""


class Provider(Table, frozen=True, kw_only=True):
    """`[providers.NAME]`: a place that answers calls."""

    vendor: str | None = None
    """A vendor that Fairlead knows; base URL, dialect and the form of the credential follow from it."""
    dialect: Literal["openai", "openai_chat", "openai_responses", "anthropic", "gemini"] | None = None
    """The wire format, where no vendor says it; of a vendor that speaks several, the only one to be used."""
    base_url: str | None = None
    """Where the API is, version path included; overrides the vendor's."""
    api_key: str | None = None
    """A reference to the credential: `env:NAME`, `file:PATH` or `cmd:COMMAND`."""
    credentials: tuple[str, ...] = ()
    """References to several credentials, instead of `api_key`."""
    allow_private: bool | tuple[str, ...] = False
    """Whether private and loopback addresses may be called: all of them, or those of the networks listed, such as
    `["10.0.0.0/8"]`; metadata services never.  Local vendors imply all of them."""
    tls: ProviderTls | None = None
    """Authorities and a client certificate of our own; absent: the system's authorities, and no certificate."""
    proxy: str | None = None
    """An HTTP proxy, as `http://HOST:PORT`, through which the provider is reached with CONNECT; `none` for no proxy.
    Absent: `HTTPS_PROXY` and `NO_PROXY` of the environment, for `https://` providers without `allow_private`."""
    proxy_auth: str | None = None
    """A reference to `user:password` for the proxy."""
    limits: ProviderLimits | None = None
    """The provider's own limits, which Fairlead then stays under."""
    seed: int | None = None
    """Simulator only: the seed of its answers."""
    latency_s: Amount | None = None
    """Simulator only: seconds to the first token."""
    tokens_per_s: Seconds | None = None
    """Simulator only: how fast it writes."""
    error_rate: Share | None = None
    """Simulator only: the share of calls that fail."""
    faults: str | None = None
    """Simulator only: a file of faults to inject."""

    @property
    def secret_refs(self) -> dict[str, str]:
        """Credential label to reference: `default`, or `1`, `2`, ... where there are several; empty without any."""
        if self.api_key is not None:
            return {"default": self.api_key}
        return {str(number): ref for number, ref in enumerate(self.credentials, start=1)}

    @property
    def dialect_name(self) -> DialectName | None:
        """The dialect's own name; `None` where the vendor says it."""
        return None if self.dialect is None else DIALECTS.get(self.dialect)


class Target(Table, frozen=True, kw_only=True):
    """A target with a share of the traffic."""

    target: str
    """`provider/model`."""
    weight: Positive | None = None
    """Its share of the traffic, relative to the other weights; all targets of a model carry one, or none does."""

    @property
    def provider(self) -> str:
        """The part before the first slash."""
        return self.target.partition("/")[0]

    @property
    def model(self) -> str:
        """The part after the first slash; `*` is the name that the caller used."""
        return self.target.partition("/")[2]


class Price(Table, frozen=True, kw_only=True):
    """`[models.NAME] price`: USD per million tokens; what is not named costs what its kind of token usually does."""

    input: Amount | None = None
    """Input tokens that no cache served."""
    output: Amount | None = None
    """Output tokens."""
    cache_read: Amount | None = None
    """Input tokens that the provider's cache served; absent: as `input`."""
    cache_write: Amount | None = None
    """Input tokens written to the provider's cache for 5 minutes; absent: as `input`."""
    cache_write_1h: Amount | None = None
    """Input tokens written to the provider's cache for an hour; absent: as `cache_write`."""
    reasoning: Amount | None = None
    """Reasoning tokens; absent: as `output`."""
    audio_input: Amount | None = None
    """Audio input tokens; absent: as `input`."""
    audio_output: Amount | None = None
    """Audio output tokens; absent: as `output`."""
    image_input: Amount | None = None
    """Image input tokens; absent: as `input`."""
    image_output: Amount | None = None
    """Image output tokens; absent: as `output`."""
    usd_per_hour: Amount | None = None
    """What an own server costs an hour, instead of prices per token."""


class Clocks(Table, frozen=True, kw_only=True):
    """`[models.NAME] timeouts`: the four clocks of an attempt, in seconds."""

    connect: Seconds = 5.0
    """Until the connection stands, TLS included."""
    first_token: Seconds = 60.0
    """From the request to the first content of a stream; an answer that is not streamed has `total` alone."""
    idle: Seconds = 60.0
    """Between two pieces of a stream."""
    total: Seconds = 600.0
    """The whole attempt."""


class Retry(Table, frozen=True, kw_only=True):
    """`[models.NAME] retry`: tries at one target."""

    attempts: Positive = 5
    """The most tries, the first one included."""
    base_delay: Amount = 1.0
    """Seconds before the second try; the wait doubles from there."""
    max_delay: Amount = 60.0
    """The longest wait in seconds."""

    @property
    def as_retries(self) -> Retries:
        """As a candidate takes them."""
        return Retries(attempts=self.attempts, base_s=self.base_delay, max_s=self.max_delay)


class Breaker(Table, frozen=True, kw_only=True):
    """`[models.NAME] breaker`: when to leave a failing target alone."""

    failure_rate: Share = 0.5
    """The share of failed attempts that opens it; above 0."""
    min_calls: Positive = 10
    """How many attempts must be seen before the share counts."""
    window_s: Seconds = 30.0
    """How far back attempts are counted."""
    consecutive: Positive = 5
    """Failures in a row that open it at once."""
    slow_s: Seconds | None = None
    """Seconds to the first token of a stream from which on an attempt counts as failed; absent: only the clocks count."""
    open_s: Seconds = 15.0
    """How long it stays open before probes, give or take a fifth; longer with each opening in a row."""
    max_open_s: Seconds = 300.0
    """The longest that it stays open."""
    probes: Positive = 3
    """How many attempts are let through to find out; all have to succeed."""


class Context(Table, frozen=True, kw_only=True):
    """`[models.NAME] context`: what is sent when a conversation grows."""

    max_input_tokens: Positive | None = None
    """The cap on input tokens."""
    keep_exchanges: Positive = 4
    """The newest exchanges, which are never cut."""
    summary_model: str | None = None
    """The model that summarises what is cut."""
    knowledge: str | None = None
    """The `[knowledge]` entry to search for passages."""
    top_k: Positive = 3
    """How many passages to add."""


class Validation(Table, frozen=True, kw_only=True):
    """`[models.NAME] validation`: what happens to an answer that does not fit its schema."""

    up_to: Rung = "reask"
    """The last rung of the ladder that may be used."""
    attempts: Positive = 2
    """The most re-asks."""
    max_tokens: Positive | None = None
    """The most tokens that all re-asks of a call may use."""
    max_cost_usd: Amount | None = None
    """The most that all re-asks of a call may cost."""
    min_confidence: Share = 0.0
    """How sure the least certain edit must be."""
    locale: str | None = None
    """How dates and numbers with two readings, such as `1.000` in a string, are read: `en-US`; absent: not at all."""
    stream: Literal["buffer", "final"] | None = None
    """`buffer` holds a stream back until its answer fits; `final` lets it pass, and ends it with an error where the
    answer does not fit.  Absent: `final` where the provider enforces the schema and no tools are judged, else
    `buffer`."""
    repair_cut: bool = False
    """Whether an output that its length cut is closed as well as it can be."""
    escalate: str | None = None
    """The `[models]` entry to ask when re-asking fails."""
    fallback: Any = None
    """The value to answer with at last, for `up_to = "fallback"`; it counts where it fits the schema that is asked for."""
    schemas: tuple[str, ...] = ()
    """The names of schemas that metrics tell apart; the others are `other` there."""


class Fallbacks(Table, frozen=True, kw_only=True):
    """`[models.NAME] fallbacks`: further targets, asked in one case only."""

    context_window: tuple[str, ...] = ()
    """Where a prompt does not fit: `provider/model` with a larger window."""
    content_policy: tuple[str, ...] = ()
    """Where a provider's content policy refuses: `provider/model`."""


class Hedge(Table, frozen=True, kw_only=True):
    """`[models.NAME] hedge`: a second attempt where the first is slower than 95 % of those before it."""

    max_extra_cost: Share = 0.05
    """How much all second attempts together may add to what the model costs, as a share of it."""


class StaticReply(Table, frozen=True, kw_only=True):
    """An answer given when nothing else can answer."""

    static: str
    """Its text."""


class Model(Table, frozen=True, kw_only=True):
    """`[models.NAME]`: a name that callers use; `[models."*"]` takes every name that no other entry has."""

    targets: tuple[str | Target, ...]
    """`provider/model` in the order to try, or `{ target = "provider/model", weight = 90 }`; under `"*"` the model
    part may be `*`: the name that the caller used."""
    profile: str | None = None
    """The `[profiles]` entry whose parameters apply where the caller sends none."""
    price: Price | None = None
    """The price, where the built-in table has none or another one."""
    timeouts: Clocks = Clocks()
    """The clocks of an attempt."""
    max_output_tokens: Positive | None = None
    """The most that the model can write; bounds the reservation of a call that names no maximum."""
    retry: Retry | None = None
    """Tries at one target."""
    breaker: Breaker | None = None
    """When to leave a failing target alone."""
    routing: Literal["order", "least-load", "latency"] = "order"
    """Which target is asked first: as they stand, the one with the fewest calls under way, or the fastest for its load.
    Targets with weights are drawn by them.  Of several credentials the least busy one is used in any case."""
    fallbacks: Fallbacks | None = None
    """Further targets, asked in one case only."""
    hedge: Hedge | None = None
    """A second attempt where the first is slow; absent: none."""
    context: Context | None = None
    """What is sent when a conversation grows."""
    validation: Validation | None = None
    """What happens to an answer that does not fit its schema."""
    degraded: tuple[Literal["stale-cache", "queue"] | StaticReply, ...] = ()
    """What answers when no target does, in order."""

    @property
    def resolved_targets(self) -> tuple[Target, ...]:
        """The targets in one form."""
        return tuple(Target(target=each) if isinstance(each, str) else each for each in self.targets)

    @property
    def providers(self) -> frozenset[str]:
        """Whom its targets are at."""
        return frozenset(target.provider for target in self.resolved_targets)

    @property
    def clocks(self) -> Timeouts:
        """`timeouts` as an attempt takes them."""
        own = self.timeouts
        return Timeouts(connect_s=own.connect, first_token_s=own.first_token, idle_s=own.idle, total_s=own.total)


class Profile(Table, frozen=True, kw_only=True):
    """`[profiles.NAME]`: parameters that apply where the caller sends none."""

    temperature: Amount | None = None
    """Sampling temperature."""
    top_p: Share | None = None
    """Nucleus sampling."""
    max_tokens: Positive | None = None
    """The most tokens to write."""


class Knowledge(Table, frozen=True, kw_only=True):
    """`[knowledge.NAME]`: documents to search."""

    paths: tuple[str, ...]
    """File patterns."""


class Prompts(Table, frozen=True, kw_only=True):
    """`[prompts]`: versioned prompts."""

    folder: str = "prompts"
    """Where they are."""


class Store(Table, frozen=True, kw_only=True):
    """`[store]`: where records and keys are kept."""

    url: str = "sqlite:///fairlead.db"
    """The database; a relative path is below the folder of the configuration file."""
    content: Literal["full", "hash", "off"] | None = None
    """How much of requests and answers is stored: all, a hash, or nothing.  Absent: `full`, on loopback only;
    on any other address it must be set."""
    retention_days: Positive | None = None
    """How many days calls are kept, with their bodies; absent: for ever.  Totals and counters stay."""
    fsync: Literal["off", "tick"] = "off"
    """`tick` forces records to the disk before answers leave: they then survive a power loss too."""
    spool: str | None = None
    """The folder of the spool; absent: beside the database."""
    spool_max_bytes: Positive = 1 << 30
    """How large the spool may grow while the store is down; past it records are counted as dropped."""

    @property
    def content_mode(self) -> Literal["full", "hash", "off"]:
        """`content` with its default."""
        return "full" if self.content is None else self.content


class State(Table, frozen=True, kw_only=True):
    """`[state]`: where limits and reservations are counted."""

    url: str | None = None
    """`memory:` counts in each process by itself, `sqlite:///PATH` over all processes of this machine that name the same
    file, `redis://HOST:PORT/DB` (`rediss:`, `valkey:`, `valkeys:`) over all machines that name the same server.  A
    reference such as `env:REDIS_URL` keeps its password out of the file.  Absent: `memory:` for one worker, a file beside
    the store for more."""


class SemanticCache(Table, frozen=True, kw_only=True):
    """`[cache] semantic`: answers to questions that mean the same."""

    mode: Literal["off", "shadow", "on"] = "off"
    """Whether it answers, or only reports what it would have answered."""
    max_error: Share = 0.02
    """The share of wrong answers that is accepted."""


class Cache(Table, frozen=True, kw_only=True):
    """`[cache]`: answers kept for equal requests."""

    ttl_s: Seconds = 3_600.0
    """How long an answer is good."""
    semantic: SemanticCache = SemanticCache()
    """Answers to questions that mean the same."""


class Screen(Table, frozen=True, kw_only=True):
    """`[screen]`: what must not leave."""

    mask: tuple[Literal["email", "phone", "card", "iban"], ...] = ()
    """Kinds of personal data to mask."""


class Alerts(Table, frozen=True, kw_only=True):
    """`[alerts]`: when to tell somebody."""

    cost_per_request_usd: Amount | None = None
    """Mean cost of a call above this."""
    p95_latency_s: Seconds | None = None
    """95th percentile of the latency above this."""
    validation_failure_rate: Share | None = None
    """Share of answers that do not fit their schema above this."""
    cache_hit_rate_min: Share | None = None
    """Share of calls that the cache answers below this."""
    webhook: str | None = None
    """Where to post an alert: a secret reference to the URL."""


class Config(Table, frozen=True, kw_only=True):
    """A whole configuration."""

    gateway: Gateway = Gateway()
    """How `fairlead serve` listens."""
    providers: dict[str, Provider] = {}
    """The places that answer calls; `sim`, the simulator, is always there."""
    models: dict[str, Model] = {}
    """The names that callers use."""
    profiles: dict[str, Profile] = {}
    """Named parameters."""
    knowledge: dict[str, Knowledge] = {}
    """Documents to search."""
    prompts: Prompts | None = None
    """Versioned prompts."""
    store: Store = Store()
    """Where records and keys are kept."""
    state: State = State()
    """Where limits and reservations are counted."""
    cache: Cache | None = None
    """Answers kept for equal requests; absent: no cache."""
    screen: Screen | None = None
    """What must not leave."""
    alerts: Alerts | None = None
    """When to tell somebody."""
