"""`model_list`: each deployment becomes a target, and where it answers a provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from fairlead.config.lines import KeyPath
from fairlead.config.litellm.account import EMPTY, Account
from fairlead.config.litellm.places import COMPATIBLE, KEYS, VENDORS, base_of, is_private, named, split_model
from fairlead.config.litellm.values import (
    NO_NUMBER,
    count,
    looked_up,
    mapping,
    number,
    positive,
    referred,
    usd_per_million,
    whole,
)
from fairlead.providers.facts import Vendor

_PLACEHOLDERS: Final = frozenset(
    {"", "none", "null", "empty", "dummy", "fake", "fake-key", "anything", "na", "not-needed", "no-key"}
)
"""Words that stand for no key, where a server wants none."""
_LIMITS: Final = {"rpm": "rpm", "tpm": "tpm", "max_parallel_requests": "concurrency"}
_CLOCKS: Final[Mapping[str, tuple[str, str, Callable[[Any], float | None]]]] = {
    "timeout": ("timeouts", "total", positive),
    "stream_timeout": ("timeouts", "first_token", positive),
    "num_retries": ("retry", "attempts", count),
    "max_retries": ("retry", "attempts", count),
}
_MODES: Final = frozenset({"chat", "completion", "embedding", "responses"})
_NO_PATTERNS: Final = 'patterns of names are not known; `[models."*"]` with `PROVIDER/*` takes all others'
_ABOUT: Final = "it describes the model; what Fairlead knows stands in `fairlead models`"
_NO_PROFILE: Final = "parameters by configuration are not in this version; callers send them"


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `model_list` that could be carried over."""

    path: KeyPath
    alias: str
    target: str
    shares: dict[str, float]
    """What its share of the traffic may go by: `weight`, `rpm`, `tpm`."""
    order: float | None
    settings: dict[str, Any]
    """What its entry under `[models]` gets: price, longest answer, clocks, retries."""


class Deployments:
    """Reads `model_list`, entry by entry.

    Args:
        vendors: those that Fairlead knows.
        environ: where `os.environ/NAME` is looked up; a secret is not.
    """

    def __init__(self, account: Account, vendors: Mapping[str, Vendor], environ: Mapping[str, str]) -> None:
        self._account = account
        self._vendors = vendors
        self._environ = environ
        self.providers: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}
        """What tells a provider from others to its name."""
        self._secrets: dict[str, str] = {}
        """A key that stood in the file to the variable that is to hold it."""

    def read(self, path: KeyPath, entry: Any) -> Deployment | None:
        """The deployment; `None` where it is left out, which is said."""
        params, alias = mapping(entry, "litellm_params"), mapping(entry).get("model_name")
        here = (*path, "litellm_params")
        model = looked_up(params.get("model"), self._environ)
        why = self._unfit(alias, model, mapping(entry, "model_info").get("mode"))
        if why is not None or model is None:
            self._account.left(path, why or "it names no model")
            return None
        has_base = bool(looked_up(params.get("api_base") or params.get("base_url"), self._environ))
        provider, upstream = split_model(model, _word(params.get("custom_llm_provider")), has_base=has_base)
        if not upstream or ("*" in upstream and upstream != alias) or not upstream.isprintable():
            self._account.left(path, _NO_PATTERNS)
            return None
        name = self._provider(path, here, params, provider, has_base=has_base)
        if name is None:
            return None
        target = f"{name}/{upstream}"
        self._account.carried((*path, "model_name"), f"models.{alias}")
        self._account.carried((*here, "model"), f"models.{alias}.targets", f"`{target}`" if upstream != model else None)
        if "custom_llm_provider" in params:
            self._account.carried((*here, "custom_llm_provider"), f"providers.{name}.vendor")
        return Deployment(
            path=path,
            alias=str(alias),
            target=target,
            shares={key: share for key in ("weight", "rpm", "tpm") if (share := number(params.get(key))) is not None},
            order=number(params.get("order")),
            settings=dict(self._settings(path, here, params, mapping(entry, "model_info"), f"models.{alias}")),
        )

    def _unfit(self, alias: Any, model: str | None, mode: Any) -> str | None:
        if (
            not isinstance(alias, str)
            or not alias
            or len(alias) > 256
            or not alias.isprintable()
            or alias != alias.strip()
        ):
            return "its `model_name` is no name of 1 to 256 printable characters"
        if model is None:
            return "its `litellm_params.model` is no name, or a variable that is not set here"
        if mode is not None and mode not in _MODES:
            return "only chats and embeddings are served"
        if alias != "*" and "*" in alias:
            return _NO_PATTERNS
        return None

    def _provider(
        self, path: KeyPath, here: KeyPath, params: dict[str, Any], provider: str | None, *, has_base: bool
    ) -> str | None:
        """The name of the provider, made where there is none like it."""
        vendor = VENDORS.get(provider or "")
        base_key = "api_base" if "api_base" in params else "base_url"
        if provider in COMPATIBLE and has_base and (vendor is None or vendor == "openai"):
            vendor = None
        elif vendor is None or vendor not in self._vendors:
            self._account.left(
                path, f"no way to {provider!r} in this version" if provider else "its provider cannot be told"
            )
            return None
        base = self._base(path, params.get(base_key), vendor)
        if base is False:
            return None
        row: dict[str, Any] = {"vendor": vendor} if vendor is not None else {"dialect": "openai"}
        known = None if vendor is None else self._vendors[vendor]
        if isinstance(base, str) and (known is None or base != known.base_url):
            if known is None and base == self._vendors["openai"].base_url:
                row, vendor, known = {"vendor": "openai"}, "openai", self._vendors["openai"]
            else:
                row["base_url"] = base
                if is_private(base) and not (known is not None and known.local):
                    row["allow_private"] = True
        limits = {ours: found for theirs, ours in _LIMITS.items() if (found := whole(params.get(theirs))) is not None}
        stem = vendor or named(str(base))
        key, outcome, note = self._key(params, stem, known)
        row |= key | ({"limits": limits} if limits else {})
        name = self._named(stem, row)
        if "api_key" in params:
            tell = self._account.changed if outcome == "changed" else self._account.carried
            tell((*here, "api_key"), f"providers.{name}.api_key" if key else f"providers.{name}", note)
        self._tell(here, params, name, base_key, row)
        return name

    def _base(self, path: KeyPath, value: Any, vendor: str | None) -> str | bool | None:
        """A base URL, `None` for the vendor's own, `False` where the deployment had to be left out."""
        needs = vendor is None or self._vendors[vendor].base_url is None
        if value is None and not needs:
            return None
        found = looked_up(value if value is not None else "os.environ/AZURE_API_BASE", self._environ)
        if found is None:
            variable = referred(value) or "AZURE_API_BASE"
            self._account.left(path, f"its base URL is not here; set `{variable}` and translate again")
            return False
        base, fault = base_of(vendor, found)
        if base is None:
            self._account.left(path, f"its base URL cannot be used: {fault}")
            return False
        return base

    def _key(self, params: dict[str, Any], stem: str, known: Vendor | None) -> tuple[dict[str, str], str, str]:
        """The reference to a key, what becomes of the one of the file, and the note on it."""
        value, keyless = params.get("api_key"), known is None or known.keyless
        usual = KEYS.get(stem) or (known.env if known is not None else None)
        variable = referred(value)
        if variable is not None:
            return {"api_key": f"env:{variable}"}, "carried", f"as `env:{variable}`"
        if value is None:
            return {} if keyless or usual is None else {"api_key": f"env:{usual}"}, "carried", EMPTY
        if keyless and str(value).strip().lower() in _PLACEHOLDERS:
            return {}, "carried", "a word that stands for no key"
        variable = self._variable(str(value), usual or f"{stem.upper().replace('-', '_')}_API_KEY")
        note = f"a key is never written into a file: put it into the variable `{variable}`, which stands there instead"
        return {"api_key": f"env:{variable}"}, "changed", note

    def _variable(self, secret: str, base: str) -> str:
        if secret not in self._secrets:
            used = list(self._secrets.values())
            names = [base, *(f"{base}_{number}" for number in range(2, len(used) + 3))]
            self._secrets[secret] = next(name for name in names if name not in used)
        return self._secrets[secret]

    def _named(self, stem: str, row: dict[str, Any]) -> str:
        key = msgspec.json.encode(row).decode()
        if key not in self._names:
            number = 1
            name = stem
            while name in self.providers or name == "sim":
                number += 1
                name = f"{stem}-{number}"
            self.providers[name] = row
            self._names[key] = name
        return self._names[key]

    def _tell(self, here: KeyPath, params: dict[str, Any], name: str, base_key: str, row: dict[str, Any]) -> None:
        told = f"providers.{name}"
        if params.get(base_key) is not None:
            private = "and `allow_private`, as it is an address of one's own" if "allow_private" in row else None
            if row.get("base_url", params[base_key]) == str(params[base_key]).rstrip("/"):
                self._account.carried((*here, base_key), f"{told}.base_url", private)
            else:
                self._account.changed(
                    (*here, base_key), f"{told}.base_url", private or "as the API's own path wants it"
                )
        for theirs, ours in _LIMITS.items():
            if whole(params.get(theirs)) is not None:
                self._account.carried((*here, theirs), f"{told}.limits.{ours}")
            elif params.get(theirs) is not None:
                self._account.left((*here, theirs), NO_NUMBER)
        if "api_version" in params:
            self._account.changed((*here, "api_version"), told, "Azure's v1 API takes none")

    def _settings(
        self, path: KeyPath, here: KeyPath, params: dict[str, Any], info: dict[str, Any], into: str
    ) -> Iterator[tuple[str, Any]]:
        """What goes into the entry under `[models]`, each said."""
        for theirs, (table, ours, read) in _CLOCKS.items():
            value = read(params.get(theirs))
            if value is not None:
                note = "tries, the first one included" if ours == "attempts" else None
                self._account.carried((*here, theirs), f"{into}.{table}.{ours}", note)
                yield ours, value + 1 if ours == "attempts" else value
            elif params.get(theirs) is not None:
                self._account.left((*here, theirs), NO_NUMBER)
        yield from self._price(path, here, params, info, into)
        most = whole(info.get("max_output_tokens"))
        if most is not None:
            yield "max_output_tokens", most
            self._account.carried((*path, "model_info", "max_output_tokens"), f"{into}.max_output_tokens")
        for name in ("temperature", "top_p", "max_tokens", "seed", "stop"):
            if name in params:
                self._account.left((*here, name), _NO_PROFILE)
        for name in info:
            if name not in ("max_output_tokens", "input_cost_per_token", "output_cost_per_token"):
                self._account.left((*path, "model_info", name), _ABOUT)

    def _price(
        self, path: KeyPath, here: KeyPath, params: dict[str, Any], info: dict[str, Any], into: str
    ) -> Iterator[tuple[str, Any]]:
        for place, table in (((*path, "model_info"), info), (here, params)):
            both = [table.get(f"{kind}_cost_per_token") for kind in ("input", "output")]
            prices = [usd_per_million(each) for each in both]
            told = [f"{kind}_cost_per_token" for kind in ("input", "output") if f"{kind}_cost_per_token" in table]
            if None not in prices:
                yield "price", dict(zip(("input", "output"), prices, strict=True))
            for name in told:
                if None not in prices:
                    self._account.carried((*place, name), f"{into}.price", "in USD per million tokens")
                else:
                    self._account.left(
                        (*place, name), "a price names input and output, each in whole micro-USD per million"
                    )


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
