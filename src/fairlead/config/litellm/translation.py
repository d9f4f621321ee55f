"""The whole of it: a tree of settings in, the text of `fairlead.toml` and an account out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from fairlead.config.lines import KeyPath
from fairlead.config.litellm.account import Account, Row
from fairlead.config.litellm.deployments import Deployment, Deployments
from fairlead.config.litellm.document import document
from fairlead.config.litellm.providers import Providers
from fairlead.config.litellm.routing import Routing
from fairlead.config.litellm.source import read
from fairlead.config.litellm.unpriced import tell_unpriced
from fairlead.config.litellm.values import entries, mapping
from fairlead.config.load import load_text
from fairlead.errors import ConfigError
from fairlead.providers import facts, prices

_NOWHERE: Final = "nothing is sent elsewhere; `fairlead logs`, `fairlead usage` and `/metrics` are built in"
_SHARED: Final = "set `[state] url` where machines are to share limits and budgets"
_DROPPED: Final = "always so where a call is translated, and named in `x-fairlead-left-out`"
_KEYS: Final = "make keys with `fairlead keys create`; those of its database do not come along"
LEFT: Final[Mapping[KeyPath, str]] = {
    ("credential_list",): "name the key in each deployment, as `api_key: os.environ/NAME`, and translate again",
    ("environment_variables",): "set them where `fairlead serve` starts; values are not copied, as they may be secrets",
    ("guardrails",): "screening is not in this version",
    ("include",): "translate each of these files, or all of them merged into one",
    ("general_settings", "database_url"): "Fairlead keeps keys, records and spend in its own `[store]`",
    ("general_settings", "store_model_in_db"): "models stand in the file alone",
    ("general_settings", "alerting"): "alerts are not in this version",
    ("general_settings", "max_budget"): _KEYS,
    ("litellm_settings", "cache"): "the response cache is not in this version",
    ("litellm_settings", "cache_params"): "the response cache is not in this version",
    ("litellm_settings", "callbacks"): _NOWHERE,
    ("litellm_settings", "success_callback"): _NOWHERE,
    ("litellm_settings", "failure_callback"): _NOWHERE,
    ("litellm_settings", "max_budget"): _KEYS,
    ("litellm_settings", "default_internal_user_params"): _KEYS,
    ("router_settings", "redis_host"): _SHARED,
    ("router_settings", "redis_port"): _SHARED,
    ("router_settings", "redis_password"): _SHARED,
    ("router_settings", "redis_url"): _SHARED,
    ("router_settings", "retry_policy"): "which errors are tried again is not configured: those that may pass",
    (
        "router_settings",
        "enable_pre_call_checks",
    ): "where a prompt does not fit, a target with a larger window is asked",
}
"""Settings that are known and have no counterpart, and what to do instead."""


class Translated(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a `fairlead.toml` that can be used, and what became of each setting."""

    text: str
    rows: list[Row]

    def count(self, outcome: str) -> int:
        """How many settings came to this."""
        return sum(row.outcome == outcome for row in self.rows)


def translate(text: str, name: str, environ: Mapping[str, str]) -> Translated:
    """Translate the text of a LiteLLM proxy's configuration; `name` is what messages call it.

    Args:
        environ: where base URLs and names of models are looked up that the file refers to; never secrets.

    Raises:
        ConfigError: it is no such configuration.
    """
    tree = read(text, name)
    if not isinstance(tree.get("model_list"), list):
        raise ConfigError(f"{name}: has no list `model_list`; name the `config.yaml` of a LiteLLM proxy")
    vendors, listed = facts.load().vendors, entries(tree["model_list"], ("model_list",))
    # Read once before: a key of the file gets a variable that no deployment, be it a later one, has for another key.
    account = Account()
    first = Providers(account, vendors, environ)
    _read(account, first, environ, listed)
    account = Account()
    providers = Providers(account, vendors, environ, taken=frozenset(first.referred))
    deployments = _read(account, providers, environ, listed)
    models = Routing(account, tree, deployments).models()
    config = {"gateway": _gateway(account, tree), "providers": providers.tables, "models": models}
    tell_unpriced(account, deployments, config, vendors, prices.load())
    _others(account, tree)
    result = document(config)
    load_text(result, "fairlead.toml")
    return Translated(text=result, rows=account.rows(tree))


def _read(
    account: Account, providers: Providers, environ: Mapping[str, str], listed: Sequence[tuple[KeyPath, Any]]
) -> list[Deployment]:
    reader = Deployments(account, providers, environ)
    found = [reader.read(path, entry) for path, entry in listed]
    return [each for each in found if each is not None]


def _gateway(account: Account, tree: Mapping[str, Any]) -> dict[str, Any]:
    """Open to this machine, unless the proxy had a master key."""
    path: KeyPath = ("general_settings", "master_key")
    if mapping(tree, "general_settings").get("master_key") is None:
        return {"auth": "open"}
    account.changed(path, "gateway.auth", f"callers need keys: {_KEYS}; the admin key is `FAIRLEAD_ADMIN_KEY`")
    return {"auth": "keys"}


def _others(account: Account, tree: Mapping[str, Any]) -> None:
    for path, note in LEFT.items():
        if path[-1] in mapping(tree, *map(str, path[:-1])):
            account.left(path, note)
    if mapping(tree, "litellm_settings").get("drop_params") is True:
        account.changed(("litellm_settings", "drop_params"), None, _DROPPED)
