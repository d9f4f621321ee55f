"""`model_list`: each deployment becomes a target, and where it answers a provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from fairlead.config.lines import KeyPath
from fairlead.config.litellm.account import Account
from fairlead.config.litellm.places import split_model
from fairlead.config.litellm.providers import Providers
from fairlead.config.litellm.values import (
    NO_NUMBER,
    count,
    is_name,
    looked_up,
    mapping,
    number,
    positive,
    usd_per_million,
    whole,
)

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
        environ: where names of models are looked up that the file refers to.
    """

    def __init__(self, account: Account, providers: Providers, environ: Mapping[str, str]) -> None:
        self._account = account
        self._providers = providers
        self._environ = environ

    def read(self, path: KeyPath, entry: Any) -> Deployment | None:
        """The deployment; `None` where it is left out, which is said."""
        params, alias = mapping(entry, "litellm_params"), mapping(entry).get("model_name")
        here = (*path, "litellm_params")
        model = looked_up(params.get("model"), self._environ)
        mode = mapping(entry, "model_info").get("mode")
        why = _unfit(alias, model, mode)
        if why is not None or model is None:
            self._account.left(path, why or "it names no model")
            return None
        has_base = bool(looked_up(params.get("api_base") or params.get("base_url"), self._environ))
        provider, upstream = split_model(model, _word(params.get("custom_llm_provider")), has_base=has_base)
        if not upstream or ("*" in upstream and upstream != alias) or not upstream.isprintable():
            self._account.left(path, _NO_PATTERNS)
            return None
        name = self._providers.of(path, params, provider, str(mode or "chat"))
        if name is None:
            return None
        target = f"{name}/{upstream}"
        self._account.carried((*path, "model_name"), f"models.{alias}")
        self._account.carried((*here, "model"), f"models.{alias}.targets", f"`{target}`" if upstream != model else None)
        return Deployment(
            path=path,
            alias=str(alias),
            target=target,
            shares={key: share for key in ("weight", "rpm", "tpm") if (share := number(params.get(key))) is not None},
            order=number(params.get("order")),
            settings=dict(self._settings(path, here, params, mapping(entry, "model_info"), f"models.{alias}")),
        )

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


def _unfit(alias: Any, model: str | None, mode: Any) -> str | None:
    """Why an entry cannot be carried over, whatever its provider is."""
    if not is_name(alias):
        return "its `model_name` is no name of 1 to 256 printable characters"
    if model is None:
        return "its `litellm_params.model` is no name, or a variable that is not set here"
    if mode is not None and mode not in _MODES:
        return "only chats and embeddings are served"
    return _NO_PATTERNS if alias != "*" and "*" in alias else None
