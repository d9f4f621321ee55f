"""Where deployments answer: each place, with its key and its limits, becomes a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from fairlead.config.lines import KeyPath
from fairlead.config.litellm.account import EMPTY, Account
from fairlead.config.litellm.places import COMPATIBLE, KEYS, VENDORS, base_of, is_private, named
from fairlead.config.litellm.values import NO_NUMBER, looked_up, referred, whole
from fairlead.dialects import DIALECTS
from fairlead.providers.facts import Vendor

LIMITS: Final = {"rpm": "rpm", "tpm": "tpm", "max_parallel_requests": "concurrency"}
"""LiteLLM's names of limits to ours."""
_PLACEHOLDERS: Final = frozenset(
    {"", "none", "null", "empty", "dummy", "fake", "fake-key", "anything", "na", "not-needed", "no-key"}
)
"""Words that stand for no key, where a server wants none."""
_AZURE_BASE: Final = "os.environ/AZURE_API_BASE"
"""Where LiteLLM looks for a base that a deployment does not name."""
_PRIVATE: Final = "with `allow_private`, as it is an address of one's own"
_WRITTEN_OUT: Final = "as it is in this environment: a base URL stands in the file itself"
_API_PATH: Final = "with the path that the API has there"


class Providers:
    """Finds or makes the provider of a deployment.

    Args:
        vendors: those that Fairlead knows.
        environ: where base URLs are looked up; a key is not.
        taken: variables that hold other keys than those that stand in the file itself.
    """

    def __init__(
        self,
        account: Account,
        vendors: Mapping[str, Vendor],
        environ: Mapping[str, str],
        taken: frozenset[str] = frozenset(),
    ) -> None:
        self._account = account
        self._vendors = vendors
        self._environ = environ
        self.tables: dict[str, dict[str, Any]] = {}
        """`[providers]`."""
        self._names: dict[str, str] = {}
        """What tells a provider from others to its name."""
        self.referred: set[str] = set()
        """The variables that hold keys already, by name or by what LiteLLM looks for."""
        self._taken = taken
        self._secrets: dict[str, str] = {}
        """A key that stood in the file to the variable that is to hold it."""

    def of(self, path: KeyPath, params: dict[str, Any], provider: str | None, mode: str) -> str | None:
        """The provider's name; `None` where the deployment has to be left out, which is said."""
        base_key = "api_base" if params.get("api_base") else "base_url"
        found = self._place(params.get(base_key) or None, provider, mode)
        if isinstance(found, str):
            self._account.left(path, found)
            return None
        row, known = found
        here = (*path, "litellm_params")
        stem = row.get("vendor") or named(row["base_url"])
        key, outcome, note = self._key(params, stem, known)
        limits = {ours: limit for theirs, ours in LIMITS.items() if (limit := whole(params.get(theirs))) is not None}
        row |= key | ({"limits": limits} if limits else {})
        name = self._named(stem, row)
        if "api_key" in params:
            tell = self._account.changed if outcome == "changed" else self._account.carried
            tell((*here, "api_key"), f"providers.{name}.api_key" if key else f"providers.{name}", note)
        if params.get(base_key):
            self._tell_base((*here, base_key), params[base_key], name, row)
        self._tell_rest(here, params, name)
        return name

    def _place(self, base: Any, provider: str | None, mode: str) -> tuple[dict[str, Any], Vendor | None] | str:
        """The table of a provider so far, and its vendor where one is known; or why there is none."""
        vendor = VENDORS.get(provider or "")
        if provider in COMPATIBLE and base is not None and vendor in (None, "openai"):
            vendor = None
        elif vendor is None or vendor not in self._vendors:
            return f"no way to {provider!r} in this version" if provider else "its provider cannot be told"
        elif mode != "embedding" and not self._chats(vendor):
            return f"{provider!r} has no chats in this version"
        if base is None and vendor is not None and self._vendors[vendor].base_url is not None:
            return {"vendor": vendor}, self._vendors[vendor]
        url = looked_up(base or _AZURE_BASE, self._environ)
        if url is None:
            return f"its base URL is not here; set `{referred(base or _AZURE_BASE)}` and translate again"
        url, fault = base_of(vendor, url)
        if url is None:
            return f"its base URL cannot be used: {fault}"
        return self._at(url, vendor)

    def _at(self, url: str, vendor: str | None) -> tuple[dict[str, Any], Vendor | None]:
        if vendor is None and url == self._vendors["openai"].base_url:
            vendor = "openai"
        if vendor is None:
            return {"dialect": "openai", "base_url": url} | _allowed(url), None
        known = self._vendors[vendor]
        if url == known.base_url:
            return {"vendor": vendor}, known
        return {"vendor": vendor, "base_url": url} | ({} if known.local else _allowed(url)), known

    def _chats(self, vendor: str) -> bool:
        return any(name in DIALECTS and DIALECTS[name].kind == "chat" for name in self._vendors[vendor].speaks)

    def _key(self, params: dict[str, Any], stem: str, known: Vendor | None) -> tuple[dict[str, str], str, str]:
        """The reference to a key, what becomes of the one of the file, and the note on it."""
        value, keyless = params.get("api_key"), known is None or known.keyless
        usual = KEYS.get(stem) or (known.env if known is not None else None)
        variable = referred(value)
        if variable is not None:
            self.referred.add(variable)
            return {"api_key": f"env:{variable}"}, "carried", f"as `env:{variable}`"
        if value is None:
            if keyless or usual is None:
                return {}, "carried", EMPTY
            self.referred.add(usual)
            return {"api_key": f"env:{usual}"}, "carried", EMPTY
        if keyless and str(value).strip().lower() in _PLACEHOLDERS:
            return {}, "carried", "a word that stands for no key"
        variable = self._variable(str(value), usual or f"{stem.upper().replace('-', '_')}_API_KEY")
        note = f"a key is never written into a file: put it into the variable `{variable}`, which stands there instead"
        return {"api_key": f"env:{variable}"}, "changed", note

    def _variable(self, secret: str, base: str) -> str:
        if secret not in self._secrets:
            used = {*self._taken, *self._secrets.values()}
            names = [base, *(f"{base}_{number}" for number in range(2, len(used) + 3))]
            self._secrets[secret] = next(name for name in names if name not in used)
        return self._secrets[secret]

    def _named(self, stem: str, row: dict[str, Any]) -> str:
        told = msgspec.json.encode(row).decode()
        if told not in self._names:
            name, number = stem, 1
            while name in self.tables or name == "sim":
                number += 1
                name = f"{stem}-{number}"
            self.tables[name] = row
            self._names[told] = name
        return self._names[told]

    def _tell_base(self, path: KeyPath, base: Any, name: str, row: dict[str, Any]) -> None:
        into = f"providers.{name}.base_url" if "base_url" in row else f"providers.{name}.vendor"
        private = _PRIVATE if "allow_private" in row else None
        if referred(base) is not None:
            self._account.changed(path, into, _WRITTEN_OUT)
        elif row.get("base_url", base) == str(base).rstrip("/"):
            self._account.carried(path, into, private)
        else:
            self._account.changed(path, into, private or _API_PATH)

    def _tell_rest(self, here: KeyPath, params: dict[str, Any], name: str) -> None:
        for theirs, ours in LIMITS.items():
            if whole(params.get(theirs)) is not None:
                self._account.carried((*here, theirs), f"providers.{name}.limits.{ours}")
            elif params.get(theirs) is not None:
                self._account.left((*here, theirs), NO_NUMBER)
        if "api_version" in params:
            self._account.changed((*here, "api_version"), f"providers.{name}", "Azure's v1 API takes none")
        if "custom_llm_provider" in params:
            self._account.carried((*here, "custom_llm_provider"), f"providers.{name}")


def _allowed(url: str) -> dict[str, bool]:
    return {"allow_private": True} if is_private(url) else {}
