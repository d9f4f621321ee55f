"""What a configuration must keep beyond types: names that exist, addresses that are safe, choices that fit together."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from fairlead.config.lines import KeyPath
from fairlead.config.problem import Problem, suggestion, written
from fairlead.config.rules_validation import validation_faults
from fairlead.config.schema import DIALECTS, Config, Model, Price, Provider, Target
from fairlead.config.secrets import is_reference
from fairlead.core.money import scaled
from fairlead.providers.facts import Vendor

SIM = "sim"
"""The provider and the vendor that every configuration has."""
SIM_MODELS = ("sim-small", "sim-large", "sim-reasoner", "sim-long", "sim-embed")
"""The models of the simulator that answers in process."""

NO_PROXY = "none"
"""The value of `proxy` that turns a proxy of the environment off."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SIM_ONLY = ("seed", "latency_s", "tokens_per_s", "error_rate", "faults")
_PICO_PER_MILLION = 1_000_000
"""Pico-USD a token in one USD per million tokens."""
SHARED = ("redis:", "rediss:", "valkey:", "valkeys:")
"""How `state.url` begins where machines share it."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address; a name other than `localhost` counts as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def broken(config: Config, vendors: Mapping[str, Vendor]) -> Iterator[Problem]:
    """Every rule that the configuration breaks."""
    yield from _gateway(config)
    yield from _places(config)
    for name, provider in config.providers.items():
        yield from _provider(config, name, provider, vendors)
    for name, model in config.models.items():
        yield from _model(config, name, model)


def _gateway(config: Config) -> Iterator[Problem]:
    gateway = config.gateway
    if gateway.port == gateway.admin_port != 0:
        yield Problem(("gateway", "admin_port"), "`gateway.admin_port` must differ from `gateway.port`")
    if not is_loopback(gateway.host):
        if gateway.auth == "open":
            yield Problem(
                ("gateway", "auth"),
                f"`gateway.auth` is `open`, which is allowed on loopback addresses only, not on {gateway.host!r}; "
                'set `auth = "keys"`, or `host = "127.0.0.1"`',
            )
        if config.store.content is None:
            yield Problem(
                ("gateway", "host"),
                f"{gateway.host!r} is not a loopback address, so the file must say how much of the callers' content "
                'is stored; set `[store] content` to "full", "hash" or "off"',
            )
    for tenant in gateway.tenant_weights:
        kind, _, name = tenant.partition(":")
        if kind not in {"team", "user", "key"} or not name:
            yield Problem(
                ("gateway", "tenant_weights", tenant),
                f"`gateway.tenant_weights`: {tenant!r} is no tenant; write `team:NAME`, `user:NAME` or `key:ID`",
            )
    if gateway.tls is not None:
        for key, ref in (("cert", gateway.tls.cert), ("key", gateway.tls.key)):
            if not ref.startswith("file:"):
                yield Problem(("gateway", "tls", key), f"`gateway.tls.{key}` must be `file:PATH`")


def _places(config: Config) -> Iterator[Problem]:
    """Where records and counts are kept."""
    path = config.store.url.removeprefix("sqlite:///")
    if path == config.store.url or not path:
        yield Problem(("store", "url"), "`store.url` must be `sqlite:///PATH`, such as `sqlite:///fairlead.db`")
    yield from _state(config)


def _state(config: Config) -> Iterator[Problem]:
    url, workers = config.state.url, config.gateway.workers
    if url is None:
        return
    if url == "memory:":
        if workers > 1:
            yield Problem(
                ("state", "url"),
                f"`state.url` is `memory:`, with which each of the {workers} workers would count limits and budgets by "
                'itself; remove it, or set `url = "sqlite:///fairlead.state.db"`',
            )
    elif url.startswith(SHARED):
        for message in _server_faults(url):
            yield Problem(("state", "url"), f"`state.url` {message}")
    elif not is_reference(url) and url.removeprefix("sqlite:///") in ("", url):
        yield Problem(("state", "url"), "`state.url` must be `memory:`, `sqlite:///PATH` or `redis://HOST:6379/0`")
    elif url == config.store.url:
        yield Problem(("state", "url"), "`state.url` must not be `store.url`; give it a file of its own")


def _server_faults(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        yield f"is not a URL: {error}"
        return
    if not parts.hostname or not (parts.path.strip("/") or "0").isdecimal():
        yield "must name a server and perhaps the number of a database, such as `redis://HOST:6379/0`"
    if parts.password is not None:
        yield "carries a password; put the whole URL into the environment and write `env:REDIS_URL` here"


def _provider(config: Config, name: str, provider: Provider, vendors: Mapping[str, Vendor]) -> Iterator[Problem]:
    path: KeyPath = ("providers", name)
    here = written(path)
    if _NAME.fullmatch(name) is None:
        yield Problem(path, f"`{here}`: a provider's name is made of letters, digits and `._-`")
    vendor = None if provider.vendor is None else vendors.get(provider.vendor)
    if provider.vendor is not None and vendor is None:
        yield Problem((*path, "vendor"), f"`{here}.vendor` is not known; {suggestion(provider.vendor, vendors)}")
    if vendor is not None and provider.dialect_name not in (None, *vendor.speaks):
        known = [each for each, spoken in DIALECTS.items() if spoken in vendor.speaks]
        message = f"`{here}.dialect` is nothing that this vendor speaks; {suggestion(provider.dialect or '', known)}"
        yield Problem((*path, "dialect"), message)
    if provider.vendor is None and (provider.dialect is None or provider.base_url is None):
        yield Problem(path, f"`{here}` needs `vendor`, or `dialect` and `base_url`")
    if vendor is not None and provider.vendor != SIM and (vendor.base_url or provider.base_url) is None:
        yield Problem(path, f"`{here}` needs `base_url`; this vendor has none of its own")
    if provider.vendor != SIM:
        for key in _SIM_ONLY:
            if getattr(provider, key) is not None:
                yield Problem((*path, key), f'`{here}.{key}` works with `vendor = "sim"` only; remove it')
    private = bool(provider.allow_private) or (vendor is not None and vendor.local)
    for index, network in enumerate(provider.allow_private if isinstance(provider.allow_private, tuple) else ()):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            yield Problem(
                (*path, "allow_private", index),
                f"`{here}.allow_private[{index}]` is not a network, such as `10.0.0.0/8`: {error}",
            )
    if provider.base_url is not None:
        for message in url_faults(provider.base_url, private=private):
            yield Problem((*path, "base_url"), f"`{here}.base_url` {message}")
    yield from _egress(path, provider, vendor)
    yield from _credentials(config, path, provider, vendor)


def _egress(path: KeyPath, provider: Provider, vendor: Vendor | None) -> Iterator[Problem]:
    """How the provider is reached: TLS files and proxy."""
    here, tls = written(path), provider.tls
    base_url = provider.base_url or (None if vendor is None else vendor.base_url)
    if tls is not None:
        for key, ref in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)):
            if ref is not None and not (ref.startswith("file:") and is_reference(ref)):
                yield Problem((*path, "tls", key), f"`{here}.tls.{key}` must be `file:PATH`")
        if tls.cert is None and tls.key is not None:
            yield Problem((*path, "tls", "key"), f"`{here}.tls.key` belongs to a certificate; add `cert`")
        if base_url is None or not base_url.lower().startswith("https:"):
            yield Problem((*path, "tls"), f"`{here}.tls` works with an `https://` base URL only; remove it")
    if provider.proxy is not None and provider.proxy != NO_PROXY:
        if base_url is None:
            yield Problem((*path, "proxy"), f"`{here}.proxy` is of no use in process; remove it")
        for message in _proxy_faults(provider.proxy):
            yield Problem((*path, "proxy"), f"`{here}.proxy` {message}")
    if provider.proxy_auth is not None:
        if provider.proxy in (None, NO_PROXY):
            yield Problem((*path, "proxy_auth"), f"`{here}.proxy_auth` needs `proxy`")
        if not is_reference(provider.proxy_auth):
            yield Problem((*path, "proxy_auth"), f"`{here}.proxy_auth` {_NOT_A_REFERENCE}")


def _proxy_faults(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        yield "is not a URL"
        return
    if "@" in parts.netloc:
        yield "must not carry a user or a password; use `proxy_auth`"
    elif parts.scheme != "http" or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        yield f"must be `http://HOST:PORT`, or `{NO_PROXY}`"


def url_faults(url: str, *, private: bool) -> Iterator[str]:
    """What is wrong with a base URL, to stand behind its name."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        yield "is not a URL"
        return
    if parts.scheme not in ("http", "https") or not host:
        yield "must be a URL such as `https://api.example.com/v1`"
    elif parts.username is not None or parts.password is not None:
        yield "must not carry a user or a password; use `api_key`"
    elif parts.query or parts.fragment or "?" in url or "#" in url:
        yield "must not have a query or a fragment"
    elif parts.scheme == "http" and not private:
        yield "is plain HTTP, which shows the key to the network; use `https://`, or `allow_private = true` for an own server"


def _credentials(config: Config, path: KeyPath, provider: Provider, vendor: Vendor | None) -> Iterator[Problem]:
    here = written(path)
    if provider.api_key is not None and provider.credentials:
        yield Problem((*path, "credentials"), f"`{here}` has both `api_key` and `credentials`; keep one")
    if provider.api_key is not None and not is_reference(provider.api_key):
        yield Problem((*path, "api_key"), f"`{here}.api_key` {_NOT_A_REFERENCE}")
    for index, ref in enumerate(provider.credentials):
        if not is_reference(ref):
            yield Problem((*path, "credentials", index), f"`{here}.credentials[{index}]` {_NOT_A_REFERENCE}")
    if vendor is None or vendor.keyless or provider.secret_refs or config.gateway.auth == "passthrough":
        return
    variable = vendor.env or "NAME"
    yield Problem(path, f'`{here}` needs a credential; add `api_key = "env:{variable}"`')


_NOT_A_REFERENCE = (
    "must be a reference and never the secret itself; "
    "use `env:NAME` for an environment variable, `file:PATH` or `cmd:COMMAND`"
)


def _model(config: Config, name: str, model: Model) -> Iterator[Problem]:
    path: KeyPath = ("models", name)
    here = written(path)
    if not name or len(name) > 256 or not name.isprintable() or name != name.strip():
        yield Problem(path, f"`{here}`: a model's name has 1 to 256 printable characters")
    if not model.targets:
        yield Problem((*path, "targets"), f'`{here}.targets` is empty; name one, such as `"openai/gpt-4o-mini"`')
    seen: set[str] = set()
    for index, target in enumerate(model.resolved_targets):
        place: KeyPath = (*path, "targets", index)
        if not target.provider or not target.model:
            yield Problem(place, f"{target.target!r} is not a target; write `provider/model`")
        elif target.provider not in config.providers:
            yield Problem(place, f"no provider {target.provider!r}; {suggestion(target.provider, config.providers)}")
        elif target.model == "*" and name != "*":
            yield Problem(place, f'{target.target!r} relays any name and stands under `[models."*"]` only')
        elif target.model not in (*SIM_MODELS, "*") and _is_in_process(config.providers[target.provider]):
            yield Problem(place, f"the simulator has no model {target.model!r}; {suggestion(target.model, SIM_MODELS)}")
        if target.target in seen:
            yield Problem(place, f"{target.target!r} stands twice in `{here}.targets`; remove one")
        seen.add(target.target)
    if config.gateway.auth == "passthrough" and len(model.providers) > 1:
        yield Problem(
            (*path, "targets"),
            f'`{here}.targets`: with `auth = "passthrough"` the caller\'s key must not go to a second provider; '
            "keep the targets of one provider, or give each provider's models a name of their own",
        )
    yield from _further(config, path, model)
    if len({target.weight is None for target in model.resolved_targets}) > 1:
        yield Problem((*path, "targets"), f"`{here}.targets`: give every target a weight, or none")
    if model.price is not None:
        yield from _price(path, model.price)
    if model.validation is not None:
        yield from validation_faults(config, name, model, model.validation)


def _further(config: Config, path: KeyPath, model: Model) -> Iterator[Problem]:
    """The targets that are asked in one case only."""
    for kind in () if model.fallbacks is None else model.fallbacks.__struct_fields__:
        for index, each in enumerate(getattr(model.fallbacks, kind)):
            target, place = Target(target=each), (*path, "fallbacks", kind, index)
            if not target.provider or not target.model:
                yield Problem(place, f"{each!r} is not a target; write `provider/model`")
            elif target.provider not in config.providers:
                yield Problem(
                    place, f"no provider {target.provider!r}; {suggestion(target.provider, config.providers)}"
                )
            elif config.gateway.auth == "passthrough" and target.provider not in model.providers:
                yield Problem(
                    place,
                    f'`{written(place)}`: with `auth = "passthrough"` the caller\'s key must not go to a second provider; '
                    "name a model of the same provider, or remove it",
                )


def _is_in_process(provider: Provider) -> bool:
    return provider.vendor == SIM and provider.base_url is None


def _price(path: KeyPath, price: Price) -> Iterator[Problem]:
    amounts = {key: getattr(price, key) for key in price.__struct_fields__ if getattr(price, key) is not None}
    place: KeyPath = (*path, "price")
    here = written(place)
    if price.usd_per_hour is not None:
        if len(amounts) > 1:
            yield Problem(place, f"`{here}` has both `usd_per_hour` and prices per token; keep one")
    elif price.input is None or price.output is None:
        yield Problem(place, f"`{here}` needs `input` and `output` in USD per million tokens, or `usd_per_hour`")
    for key, amount in amounts.items():
        try:
            scaled(amount, _PICO_PER_MILLION)
        except ValueError:
            yield Problem((*place, key), f"`{here}.{key}`: the smallest step is 0.000001 USD")
