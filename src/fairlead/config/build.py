"""The composition root: the only module that names concrete classes, and the one list of stages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

import msgspec

from fairlead.call import Call, Candidate, Request, Secret, Timeouts
from fairlead.config.build_egress import Egress, egress, networks
from fairlead.config.build_state import State, open_state
from fairlead.config.descriptors import open_files_limit, streams_within
from fairlead.config.guard import guarded
from fairlead.config.kept import kept_secret
from fairlead.config.schema import Config, Fallbacks, Model, Price, Provider, StaticReply, Target, Validation
from fairlead.config.secrets import resolve
from fairlead.core.breaker import Policy
from fairlead.core.credentials import HASHING_LABEL, derive
from fairlead.core.ids import uuid7
from fairlead.core.lane import Lane, Lanes
from fairlead.core.money import parse_usd
from fairlead.core.pacing import Pacing
from fairlead.core.pricing import ModelPrices
from fairlead.dialects import dialect, static_reply
from fairlead.dialects.codec import Dialect
from fairlead.errors import ConfigError, StateUnavailable
from fairlead.pipeline import Next, Reply, Stage, compose
from fairlead.ports import Clock, Ledger, Limits, Rng
from fairlead.ports import Provider as ProviderPort
from fairlead.providers import facts, prices
from fairlead.providers.gateway import GatewayErrors
from fairlead.providers.http import HttpProvider
from fairlead.providers.sim import faults
from fairlead.providers.sim.settings import SimSettings
from fairlead.providers.sim.simulator import Simulator
from fairlead.providers.sim.transport import SimTransport
from fairlead.stages.admit import Admit
from fairlead.stages.authorize import Authorize, Identify, ProviderKeys, VirtualKeys, anybody
from fairlead.stages.budget import Budget
from fairlead.stages.deadline import Deadline
from fairlead.stages.fetch import Fetch
from fairlead.stages.observe import Observe
from fairlead.stages.own import Own
from fairlead.stages.pace import Pace
from fairlead.stages.resolve import Resolve
from fairlead.stages.retry import Retry
from fairlead.stages.route import Plan, Route
from fairlead.stages.validate import Validate
from fairlead.stores.ingest import Ingester
from fairlead.stores.keycache import CachedKeys
from fairlead.stores.memory import MemoryLedger, MemoryLimits
from fairlead.stores.segments import let_go, try_lock
from fairlead.stores.spool import Spool
from fairlead.stores.sqlite import SqliteStore
from fairlead.stores.system import SystemClock, SystemRng
from fairlead.telemetry.metrics import count
from fairlead.validation.rules import Ladder
from fairlead.wire import AllowPrivate, Origin, Pool

ORDER = (
    "observe", "authorize", "admit", "resolve", "own", "screen", "fit", "cache", "validate", "route", "retry", "budget",
    "pace", "deadline",
)  # fmt: skip
"""Every stage of DESIGN 1, outermost first.  One that a configuration does not need is not in the list at all."""

_AROUND_KEPT = frozenset({"observe", "authorize", "admit", "deadline"})
"""The stages around what providers keep: there is nothing to choose, to reserve or to try again."""

_SIM = "sim"
_EXPANDED_KEPT = 1_000
"""Names that callers made up and `"*"` took."""
_STAGE_SLACK_S = 10.0
"""How much longer than the longest call that is configured a stage of somebody else's may take, all that follows included."""
_GRACE_S = 2.0
"""How long closing waits for calls that are still under way."""


def assemble(stages: Mapping[str, Stage], last: Next) -> Next:
    """Put the stages into their order and compose them around `last`.

    Raises:
        ValueError: a stage that has no place in the order.
    """
    unknown = stages.keys() - set(ORDER)
    if unknown:
        raise ValueError(f"no place in the order for stage {min(unknown)!r}; add it to `ORDER`")
    return compose([stages[name] for name in ORDER if name in stages], last)


@dataclass(slots=True, kw_only=True)
class Foundation:
    """What one process has once, however many loops it runs: stores, state, secrets, prices."""

    config: Config
    root: Path
    """Relative paths of the configuration start here."""
    clock: Clock
    rng: Rng
    store: SqliteStore
    keys: CachedKeys
    spool: Spool
    ingester: Ingester
    ledger: Ledger
    limits: Limits
    state: State | None
    """What `ledger` and `limits` stand on where processes share them."""
    hashing_keys: Mapping[str, bytes]
    credentials: Mapping[str, Mapping[str, Secret]]
    """Provider to credential label to secret."""
    egresses: Mapping[str, Egress]
    """How each provider is reached."""
    catalogue: Catalogue
    lanes: Lanes
    """How each (provider, credential, model) is doing."""

    async def aclose(self) -> None:
        """Write out what is buffered, move it into the store and let go of both."""
        self.spool.close()
        if self.state is not None:
            await self.state.aclose()
        try:
            await self.ingester.run_once()
        except (StateUnavailable, OSError):
            return  # the records are in the spool; whoever comes next takes them in
        finally:
            await self.store.aclose()


class SupportsAclose(Protocol):
    """Something that can be closed."""

    async def aclose(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Runtime:
    """One pipeline on one event loop."""

    clock: Clock
    rng: Rng
    pipeline: Next
    providers: Mapping[str, ProviderPort]
    flush: Callable[[], None]
    """Write buffered records; a face calls it before an answer's first and before its last bytes leave."""
    kept: Next | None = None
    """The pipeline for what providers keep; `None` where none keeps anything."""
    identify: Identify = anybody
    aliases: tuple[str, ...] = ()
    takes_any: bool = False
    """Whether `"*"` takes the names that no alias has."""
    pace: Pace | None = None
    validates: bool = False
    """Whether answers of any name are held to a schema without the library's asking for it."""
    helicone_headers: bool = False
    """Whether a face reads Helicone's request headers."""
    is_remote: bool = False
    """Whether a gateway elsewhere observes, limits and counts."""
    owned: set[asyncio.Future[Any]] = field(default_factory=set)
    """Calls that are under way apart from their caller; waited for at shutdown."""
    streams: WeakSet[SupportsAclose] = field(default_factory=WeakSet)
    """Streams that a library's user still holds."""
    in_flight: int = 0
    """Calls that a face has under way here."""
    _counter: int = 0

    def new_call(self, request: Request, *, body: bytes, credential: Secret | None = None) -> Call:
        """Open a call at this instant."""
        now_ns = self.clock.now_ns()
        self._counter = (self._counter + 1) & 0xFFF
        return Call(
            id=uuid7(now_ns, self.rng.token(10), self._counter),
            dialect_in=request.dialect,
            request=request,
            started_ns=self.clock.monotonic_ns(),
            started_at_ns=now_ns,
            credential=credential,
            body=body,
        )

    async def aclose(self) -> None:
        """Give calls that are still under way a moment to end, cut the others, then close all connections."""
        if self.owned:
            _, late = await asyncio.wait(self.owned, timeout=_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self.pace is not None:
            await self.pace.aclose()
        for provider in self.providers.values():
            await provider.aclose()


class Catalogue:
    """Which candidates a name stands for, with prices and facts bound once."""

    def __init__(self, config: Config, lanes: Lanes) -> None:
        self._config = config
        self._lanes = lanes
        self._facts = facts.load()
        self._prices = prices.load()
        self._models = dict(config.models)
        self._policies = _policies(config.models)
        self._expanded: dict[str, tuple[Candidate, ...]] = {}
        self._later: dict[Lane, Policy | None] | None = {}
        """What breakers are to go by once this configuration is used; `None`: it is."""
        self.aliases: dict[str, tuple[Candidate, ...]] = {
            name: self._candidates(name, model) for name, model in config.models.items() if name != "*"
        }

    def vendor(self, provider: Provider) -> facts.Vendor:
        """The facts of a provider's vendor; where it names a dialect beside one, as if the vendor spoke no other.

        Raises:
            ConfigError: no such vendor, or it does not speak that.
        """
        found = self._facts.of(provider.vendor, provider.dialect_name)
        if found is None:
            known = ", ".join(sorted(self._facts.vendors))
            if provider.vendor in self._facts.vendors:
                raise ConfigError(f"vendor {provider.vendor!r} does not speak {provider.dialect!r}; remove `dialect`")
            raise ConfigError(
                f"unknown vendor {provider.vendor!r}; known are {known}; or give `dialect` and `base_url`"
            )
        return found

    @property
    def plans(self) -> dict[str, Plan]:
        """How the candidates of each name are used, where that is not just in order."""
        plans = {name: self._plan(model) for name, model in self._models.items()}
        return {name: plan for name, plan in plans.items() if plan != Plan()}

    @property
    def paces(self) -> bool:
        """Whether anything may have to wait for a provider, or be kept from it."""
        limited = any(provider.limits is not None for provider in self._config.providers.values())
        return limited or any(model.breaker is not None for model in self._models.values())

    @property
    def ladders(self) -> dict[str, Ladder]:
        """How far the answers of each name are brought towards their schemas; only of those that say so."""
        return {name: _ladder(model.validation) for name, model in self._models.items() if model.validation is not None}

    def named(self, name: str) -> tuple[Candidate, ...]:
        """The candidates of a name, however it came to be one."""
        found = self.aliases.get(name, ())
        return found or (self.expand(name) if "*" in self._models else ())

    @property
    def retries(self) -> bool:
        """Whether anything is tried more than once."""
        return any(model.retry is not None for model in self._models.values())

    @property
    def keepers(self) -> dict[str, tuple[str, ...]]:
        """The providers that keep answers, which then belong to somebody, with their credentials."""
        return {
            name: tuple(provider.secret_refs) or ("default",)
            for name, provider in self._config.providers.items()
            if self.vendor(provider).is_keeper
        }

    def expand(self, name: str) -> tuple[Candidate, ...]:
        """What `"*"` makes of a name that no alias has; remembered, as prices take a while to find."""
        found = self._expanded.get(name)
        if found is None:
            if len(self._expanded) >= _EXPANDED_KEPT:
                self._expanded.pop(next(iter(self._expanded)))
            found = self._expanded[name] = self._candidates(name, self._models["*"])
        return found

    def take_effect(self) -> None:
        """Let breakers go by what this configuration says: not before it is certain that it is used."""
        later, self._later = self._later or {}, None
        for lane, policy in later.items():
            lane.watch(policy)

    def _lane(self, provider: str, credential: str, model: str, policy: Policy | None) -> Lane:
        lane = self._lanes.of(provider, credential, model, policy=policy)
        if self._later is None:
            lane.watch(policy)
        else:
            self._later[lane] = policy
        return lane

    def family(self, model: str) -> facts.Family:
        """What is known of a model's family."""
        return self._facts.family(model)

    def find_price(self, provider: str, model: str) -> ModelPrices | None:
        """The built-in price of a provider's model, `None` where the table has none."""
        vendor = self.vendor(self._config.providers[provider])
        return None if vendor.prices is None else self._prices.find(vendor.prices, model)

    def _plan(self, model: Model) -> Plan:
        further = Fallbacks() if model.fallbacks is None else model.fallbacks
        return Plan(
            strategy=model.routing,
            on_context_window=self._further(model, further.context_window),
            on_content_policy=self._further(model, further.content_policy),
            hedge_share=None if model.hedge is None else model.hedge.max_extra_cost,
            static=next((each.static for each in model.degraded if isinstance(each, StaticReply)), None),
        )

    def _further(self, model: Model, targets: tuple[str, ...]) -> tuple[Candidate, ...]:
        own = msgspec.structs.replace(model, price=None, max_output_tokens=None)
        return tuple(
            candidate for each in targets for candidate in self._at(Target(target=each), own, Target(target=each).model)
        )

    def _candidates(self, name: str, model: Model) -> tuple[Candidate, ...]:
        return tuple(
            candidate
            for target in model.resolved_targets
            for candidate in self._at(target, model, target.model if target.model != "*" else name)
        )

    def _at(self, target: Target, model: Model, upstream: str) -> list[Candidate]:
        provider = self._config.providers[target.provider]
        vendor = self.vendor(provider)
        family = self._facts.family(upstream)
        table = self.find_price(target.provider, upstream)
        price = table if model.price is None else _overlay(model.price)
        named = target.model != "*" or price is not None
        credentials = tuple(provider.secret_refs) or ("default",)
        policy = self._policies.get(f"{target.provider}/{upstream}") or _policy(model)
        pacing = None
        if provider.limits is not None:
            pacing = Pacing(counts_maximum=vendor.counts_maximum, **msgspec.structs.asdict(provider.limits))
        return [
            Candidate(
                provider=target.provider,
                model=upstream,
                credential=credential,
                label=upstream if named else "other",
                weight=None if target.weight is None else target.weight / len(credentials),
                timeouts=model.clocks,
                max_output_tokens=model.max_output_tokens or family.max_output_tokens,
                bills_after_disconnect=vendor.bills_after_disconnect,
                image_tokens=family.image_tokens,
                price=price,
                refuses=frozenset(family.refuses),
                one_of=family.one_of,
                window=_window(family, table),
                structured=self._facts.mode(vendor, upstream),
                schema_subset=vendor.subset,
                enforces=vendor.enforces,
                native_without=vendor.native_without | family.native_without,
                unenforced=vendor.unenforced,
                asks_json=self._facts.asks_json(vendor, upstream),
                retries=None if model.retry is None else model.retry.as_retries,
                pacing=pacing,
                lane=self._lane(target.provider, credential, upstream, policy),
            )
            for credential in credentials
        ]


def lay_foundation(
    config: Config,
    *,
    root: Path,
    environ: Mapping[str, str],
    name: str,
    clock: Clock | None = None,
    rng: Rng | None = None,
) -> Foundation:
    """Open what a process shares: folders, store, spool, secrets.

    Args:
        name: of this process among those that share the spool.

    Raises:
        ConfigError: a secret, a vendor or a store that cannot be used.
    """
    root = root.absolute()  # the process may change its folder later
    clock = clock or SystemClock()
    rng = rng or SystemRng()
    folder = spool_folder(config, root)
    folder.mkdir(parents=True, exist_ok=True)
    store = open_store(config, root)
    hashing_keys = {
        "1": derive(kept_secret(folder / "secret", "FAIRLEAD_SECRET", environ, rng).reveal(), HASHING_LABEL)
    }
    ingester = Ingester(folder, store.logs)
    lanes = Lanes()
    catalogue = Catalogue(config, lanes)
    state = open_state(config, root, environ, clock, store.logs, ingester)
    return Foundation(
        config=config,
        root=root,
        clock=clock,
        rng=rng,
        store=store,
        keys=CachedKeys(store.keys, clock),
        spool=Spool(folder, name, clock, max_bytes=config.store.spool_max_bytes, fsync=config.store.fsync == "tick"),
        ingester=ingester,
        ledger=MemoryLedger(clock, store.logs.spent) if state is None else state.ledger,
        limits=MemoryLimits(clock) if state is None else state.limits,
        state=state,
        hashing_keys=hashing_keys,
        credentials=_credentials(config, root, environ),
        egresses=_egresses(config, catalogue, root, environ),
        catalogue=catalogue,
        lanes=lanes,
    )


def relaid(foundation: Foundation, config: Config, environ: Mapping[str, str]) -> Foundation:
    """The same stores and state under another configuration; what is bound to them stays as it is.

    Raises:
        ConfigError: a secret, a TLS file or a vendor that cannot be used.
    """
    catalogue = Catalogue(config, foundation.lanes)
    return replace(
        foundation,
        config=config,
        credentials=_credentials(config, foundation.root, environ),
        egresses=_egresses(config, catalogue, foundation.root, environ),
        catalogue=catalogue,
    )


def unchanged_providers(before: Foundation, after: Foundation) -> frozenset[str]:
    """The providers that are the same under both configurations, down to their credentials."""
    ours, theirs = before.config, after.config
    if ours.store.content_mode != theirs.store.content_mode:
        return frozenset()
    return frozenset(
        name
        for name, entry in theirs.providers.items()
        if entry == ours.providers.get(name)
        and before.credentials[name] == after.credentials[name]
        and before.egresses[name] == after.egresses[name]
    )


def build(
    foundation: Foundation,
    *,
    auth: str,
    stages: Mapping[str, Stage] | None = None,
    kept: Mapping[str, ProviderPort] | None = None,
    pace: Pace | None = None,
    extracts: bool = False,
) -> Runtime:
    """Build the pipeline for the running loop.

    Args:
        auth: `keys`, `open` or `passthrough`; the library is `open`, or `keys` with a key of its own.
        stages: further stages, or others in place of ours, by their names in `ORDER`.
        kept: providers that are there already, with the connections that they have.
        pace: the one that is there already, with who waits in its lines and what it has learnt.
        extracts: whether a face holds calls to schemas that the configuration says nothing about.
    """
    config, clock, catalogue = foundation.config, foundation.clock, foundation.catalogue
    there = kept or {}
    providers = {
        name: there[name] if name in there else _provider(foundation, name, entry)
        for name, entry in config.providers.items()
    }
    identify = _identifier(foundation, auth)
    takes_any = "*" in config.models
    made: dict[str, Stage] = {
        "observe": Observe(foundation.spool, clock, config.store.content_mode),
        "admit": Admit(foundation.limits, clock),
        "resolve": Resolve(catalogue.aliases, catalogue.expand if takes_any else None),
        "route": Route(clock, foundation.rng, catalogue.plans, static_reply),
        "budget": Budget(foundation.ledger, clock),
        "deadline": Deadline(clock),
    }
    ladders = catalogue.ladders
    if ladders or extracts:
        made["validate"] = Validate(clock, foundation.rng, ladders, catalogue.named, static_reply)
    keepers = catalogue.keepers
    if keepers:
        made["own"] = Own(foundation.store.owners, clock)
    if catalogue.retries:
        made["retry"] = Retry(clock, foundation.rng)
    pace = (pace or Pace(foundation.limits, clock, foundation.rng)) if catalogue.paces else None
    if pace is not None:
        made["pace"] = pace
    most_s = _STAGE_SLACK_S + max(
        (model.clocks.total_s for model in config.models.values()), default=Timeouts().total_s
    )
    further = {name: guarded(name, stage, clock, most_s) for name, stage in (stages or {}).items()}
    if auth != "open":
        made["authorize"] = Authorize(identify, forward=auth == "passthrough")
    kept_stages = {name: stage for name, stage in made.items() if name in _AROUND_KEPT}
    kept_stages["own"] = Fetch(foundation.store.owners, clock, keepers)
    catalogue.take_effect()
    if pace is not None:
        pace.weights = config.gateway.tenant_weights
    return Runtime(
        clock=clock,
        rng=foundation.rng,
        pipeline=assemble(made | further, _dispatch(providers)),
        providers=providers,
        flush=foundation.spool.flush,
        kept=assemble(kept_stages, _dispatch(providers)) if keepers else None,
        identify=identify,
        aliases=tuple(catalogue.aliases),
        takes_any=takes_any,
        pace=pace,
        validates=bool(ladders),
        helicone_headers=config.gateway.helicone_headers,
    )


def build_remote(gateway: str, key: Secret | None) -> Runtime:
    """The pipeline of a client whose gateway runs elsewhere: that one observes, limits and counts."""
    clock, rng = SystemClock(), SystemRng()
    vendor = facts.load().vendors["fairlead"]
    credentials = {} if key is None else {"default": key}
    base_url = f"{gateway.rstrip('/')}/v1"
    spoken = tuple(replace(dialect(name), errors=GatewayErrors()) for name in vendor.speaks)
    provider = _http_provider(
        "gateway", base_url, spoken, vendor, credentials, clock, Egress(), allow_private=True, keep_streams=False
    )

    def expand(model: str) -> tuple[Candidate, ...]:
        return (Candidate(provider="gateway", model=model, structured="native", enforces=vendor.enforces),)

    stages: dict[str, Stage] = {
        "resolve": Resolve({}, expand),
        "validate": Validate(clock, rng, {}, expand),
        "route": Route(clock, rng),
        "deadline": Deadline(clock),
    }
    return Runtime(
        clock=clock,
        rng=rng,
        pipeline=assemble(stages, provider.send),
        providers={"gateway": provider},
        flush=_nothing,
        is_remote=True,
    )


def spool_folder(config: Config, root: Path) -> Path:
    """Where records wait, beside the database unless configured."""
    if config.store.spool is not None:
        return root / config.store.spool
    return store_path(config, root).with_suffix(".spool")


def store_path(config: Config, root: Path) -> Path:
    """The file behind `sqlite:///`."""
    return root / config.store.url.removeprefix("sqlite:///")


@contextmanager
def sole_gateway(config: Config, root: Path) -> Iterator[None]:
    """Keep a second gateway off this store: each would count budgets and limits for itself.

    Raises:
        ConfigError: another gateway has it, or the folder cannot be used.
    """
    folder = spool_folder(config, root)
    lock_path = folder / "serve.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_path.touch(mode=0o600)
        lock = try_lock(lock_path)
    except OSError as error:
        raise ConfigError(
            f"cannot use {str(folder)!r}: {error.strerror or error}; set another `[store] spool`"
        ) from error
    if lock is None:
        raise ConfigError(
            f"another gateway serves from {str(folder)!r}; stop it, or run this one with a store of its own"
        )
    try:
        yield
    finally:
        let_go(lock)


def open_store(config: Config, root: Path) -> SqliteStore:
    """The store, migrated to this version.

    Raises:
        ConfigError: its schema is newer than this version.
    """
    store = SqliteStore(store_path(config, root), count=count)
    store.migrate()
    return store


def _dispatch(providers: Mapping[str, ProviderPort]) -> Next:
    def send(call: Call) -> Coroutine[Any, Any, Reply]:
        return providers[call.attempt.candidate.provider].send(call)

    return send


def _credentials(config: Config, root: Path, environ: Mapping[str, str]) -> dict[str, dict[str, Secret]]:
    return {
        provider: {label: resolve(ref, environ, root) for label, ref in entry.secret_refs.items()}
        for provider, entry in config.providers.items()
    }


def _egresses(config: Config, catalogue: Catalogue, root: Path, environ: Mapping[str, str]) -> dict[str, Egress]:
    found: dict[str, Egress] = {}
    for name, entry in config.providers.items():
        vendor = catalogue.vendor(entry)
        private = bool(entry.allow_private) or vendor.local
        base_url = entry.base_url or vendor.base_url
        found[name] = egress(entry, base_url=base_url, private=private, root=root, environ=environ)
    return found


def _provider(foundation: Foundation, name: str, entry: Provider) -> HttpProvider:
    vendor = foundation.catalogue.vendor(entry)
    base_url = entry.base_url or vendor.base_url
    speaks = tuple(map(dialect, vendor.speaks))
    credentials = foundation.credentials[name]
    keep_streams = foundation.config.store.content_mode != "off"
    if base_url is not None:
        allow_private = vendor.local or networks(entry.allow_private)
        return _http_provider(
            name,
            base_url,
            speaks,
            vendor,
            credentials,
            foundation.clock,
            foundation.egresses[name],
            allow_private=allow_private,
            keep_streams=keep_streams,
        )
    if entry.vendor != _SIM:
        raise ConfigError(f"provider {name!r} has no `base_url`, and its vendor has none either")
    return HttpProvider(
        name=name,
        speaks=speaks,
        vendor=vendor,
        transport=SimTransport(Simulator(_sim_settings(foundation, entry), foundation.clock), foundation.clock),
        host=_SIM,
        base_path="/v1",
        credentials=credentials,
        clock=foundation.clock,
        keep_streams=keep_streams,
    )


def _http_provider(
    name: str,
    base_url: str,
    speaks: tuple[Dialect, ...],
    vendor: facts.Vendor,
    credentials: Mapping[str, Secret],
    clock: Clock,
    way: Egress,
    *,
    allow_private: AllowPrivate,
    keep_streams: bool,
) -> HttpProvider:
    origin = Origin.of(base_url)
    return HttpProvider(
        name=name,
        speaks=speaks,
        vendor=vendor,
        transport=Pool(
            origin,
            ssl_context=way.ssl_context,
            allow_private=allow_private,
            max_connections=streams_within(open_files_limit()),
            proxy=way.proxy,
        ),
        host=origin.authority,
        base_path=urlsplit(base_url).path.rstrip("/"),
        credentials=credentials,
        clock=clock,
        keep_streams=keep_streams,
    )


def _sim_settings(foundation: Foundation, entry: Provider) -> SimSettings:
    file = faults.read("" if entry.faults is None else (foundation.root / entry.faults).read_text("utf-8"))
    return SimSettings(
        seed=entry.seed or 0,
        latency_s=entry.latency_s or 0.0,
        tokens_per_s=entry.tokens_per_s,
        error_rate=entry.error_rate or 0.0,
        faults=file.faults,
        limits=file.limits,
    )


def _identifier(foundation: Foundation, auth: str) -> Identify:
    if auth == "keys":
        return VirtualKeys(foundation.keys, foundation.hashing_keys, foundation.clock, foundation.rng)
    if auth == "passthrough":
        return ProviderKeys(next(iter(foundation.hashing_keys.values())))
    return anybody


def _window(family: facts.Family, price: ModelPrices | None) -> int | None:
    """The family's, else what the price table says of the very model."""
    return price.context_window if family.window is None and price is not None else family.window


def _overlay(price: Price) -> ModelPrices:
    """A configured price, exact."""
    return prices.overlay(msgspec.structs.asdict(price))


def _ladder(own: Validation) -> Ladder:
    told = {
        name: getattr(own, name) for name in ("up_to", "attempts", "max_tokens", "min_confidence", "locale", "stream")
    }
    return Ladder(
        **told,
        max_nanousd=None if own.max_cost_usd is None else parse_usd(own.max_cost_usd),
        is_cut_repaired=own.repair_cut,
        escalate=own.escalate,
        fallback=None if own.fallback is None else msgspec.json.encode(own.fallback),
        schemas=frozenset(own.schemas),
    )


def _policy(model: Model) -> Policy | None:
    return None if model.breaker is None else Policy(**msgspec.structs.asdict(model.breaker))


def _policies(models: Mapping[str, Model]) -> dict[str, Policy]:
    """By target: it has one breaker, whatever name it is called by, and the first model that configures one decides."""
    found: dict[str, Policy] = {}
    for model in models.values():
        policy = _policy(model)
        if policy is None:
            continue
        for target in model.resolved_targets:
            found.setdefault(target.target, policy)
    return found


def _nothing() -> None:
    """There is no spool to flush."""
