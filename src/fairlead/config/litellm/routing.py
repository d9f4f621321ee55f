"""How deployments of one name become the targets of a model: shares, order, fallbacks, clocks, retries, breakers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fairlead.config.lines import KeyPath
from fairlead.config.litellm.account import Account
from fairlead.config.litellm.deployments import Deployment
from fairlead.config.litellm.values import NO_NUMBER, count, entries, is_name, mapping, positive
from fairlead.config.schema import Breaker

SECTIONS: Final = ("router_settings", "litellm_settings")
"""Where settings of all models may stand; the first goes before the second."""
_STRATEGIES: Final = {
    "simple-shuffle": (None, None),
    "least-busy": ("least-load", None),
    "latency-based-routing": ("latency", None),
    "usage-based-routing": ("least-load", "by calls under way, not by tokens of the last minute"),
    "usage-based-routing-v2": ("least-load", "by calls under way, not by tokens of the last minute"),
}
_MAX_OPEN_S: Final = Breaker().max_open_s
_SCALE: Final = 1_000
_LARGEST_WEIGHT: Final = 1_000_000


class Routing:
    """Builds `[models]` from the deployments that were carried over."""

    def __init__(self, account: Account, tree: Mapping[str, Any], deployments: Sequence[Deployment]) -> None:
        self._account = account
        self._tree = tree
        self._groups: dict[str, list[Deployment]] = {}
        for each in deployments:
            self._groups.setdefault(each.alias, []).append(each)

    def models(self) -> dict[str, dict[str, Any]]:
        """`[models]`, each of its settings accounted for."""
        strategy = self._strategy()
        further = self._fallbacks("fallbacks")
        shared = self._shared()
        special = {kind: self._fallbacks(f"{kind}_fallbacks") for kind in ("context_window", "content_policy")}
        models: dict[str, dict[str, Any]] = {}
        for alias, group in self._groups.items():
            last = [target for name in further.get(alias, ()) for target in self._targets(name)]
            row = self._row(group, strategy, last)
            only = {kind: self._without_star(found[alias]) for kind, found in special.items() if alias in found}
            if any(only.values()):
                row["fallbacks"] = {kind: targets for kind, targets in only.items() if targets}
            models[alias] = _merged(row, self._own(group), shared)
        return models | self._other_names(models)

    def _targets(self, alias: str) -> list[str]:
        return list(dict.fromkeys(each.target for each in self._groups[alias]))

    def _without_star(self, names: Sequence[str]) -> list[str]:
        return [target for name in names for target in self._targets(name) if not target.endswith("/*")]

    def _strategy(self) -> str | None:
        path: KeyPath = ("router_settings", "routing_strategy")
        name = mapping(self._tree, "router_settings").get("routing_strategy")
        if name is None:
            return None
        if name not in _STRATEGIES:
            self._account.left(
                path, "no such way to choose; targets stand in the order of the file, so put the best first"
            )
            return "order"
        ours, note = _STRATEGIES[name]
        into = "models.*.targets, by weight" if ours is None else "models.*.routing"
        if note is None:
            self._account.carried(path, into)
        else:
            self._account.changed(path, into, note)
        return ours

    def _row(self, group: Sequence[Deployment], strategy: str | None, last: Sequence[str]) -> dict[str, Any]:
        """Targets of a name, and how they are chosen."""
        kept: dict[str, Deployment] = {}
        for each in group:
            if each.target in kept:
                self._account.left(each.path, "the same model with the same key stands there already")
            kept.setdefault(each.target, each)
        own = list(kept.values())
        ordered = any(each.order is not None for each in own)
        if ordered:
            own.sort(key=lambda each: math.inf if each.order is None else each.order)
            self._tell(own, "order", "in this order")
        extra = [target for target in dict.fromkeys(last) if target not in kept]
        plain: dict[str, Any] = {"targets": [*(each.target for each in own), *extra]}
        if len(own) == 1 or ordered or extra or strategy is not None:
            why = "a share has no meaning for one target, nor beside an order, fallbacks or another way to choose"
            for each in own:
                if "weight" in each.shares:
                    self._account.left((*each.path, "litellm_params", "weight"), why)
            choose = strategy if strategy != "order" and not extra and not ordered and len(own) > 1 else None
            return plain | ({"routing": choose} if choose is not None else {})
        shares = self._shares(own)
        return {"targets": [{"target": each.target, "weight": share} for each, share in zip(own, shares, strict=True)]}

    def _shares(self, own: Sequence[Deployment]) -> list[int]:
        """Whole numbers in proportion to what the first deployment's share goes by; equal without any."""
        key = next((each for each in ("weight", "rpm", "tpm") if each in own[0].shares), None)
        values = [each.shares.get(key, 0.0) if key is not None else 1.0 for each in own]
        if key == "weight":
            self._tell(own, "weight", "in whole numbers; the smallest is 1")
        if all(value >= 1 and value == int(value) for value in values):
            whole_ones = [int(value) for value in values]
        else:
            whole_ones = [max(1, round(value * _SCALE)) for value in values]
        common = math.gcd(*whole_ones)
        return [min(_LARGEST_WEIGHT, value // common) for value in whole_ones]

    def _tell(self, own: Sequence[Deployment], setting: str, note: str) -> None:
        for each in own:
            params = mapping(self._tree["model_list"][each.path[-1]], "litellm_params")
            if setting in params:
                self._account.carried((*each.path, "litellm_params", setting), f"models.{each.alias}.targets", note)

    def _fallbacks(self, setting: str) -> dict[str, list[str]]:
        """By name, the names asked afterwards that there are."""
        found: dict[str, list[str]] = {}
        for section in SECTIONS:
            table = mapping(self._tree, section)
            for path, each in entries(table.get(setting), (section, setting)):
                for name, others in mapping(each).items():
                    affected = list(self._groups) if name == "*" else [name]
                    for alias in affected:
                        found.setdefault(alias, []).extend(self._there((*path, name), alias, others, setting))
            if setting == "fallbacks":
                path = (section, "default_fallbacks")
                for alias in self._groups:
                    if path[1] in table:
                        found.setdefault(alias, []).extend(self._there(path, alias, table[path[1]], setting))
        return found

    def _there(self, path: KeyPath, alias: str, others: Any, setting: str) -> Iterator[str]:
        if alias not in self._groups:
            self._account.left(path, "no model of that name was carried over")
            return
        kind = setting.removesuffix("_fallbacks")
        into = f"models.{alias}.targets" if kind == "fallbacks" else f"models.{alias}.fallbacks.{kind}"
        for place, name in entries(others, path):
            if not isinstance(name, str) or name not in self._groups:
                self._account.left(place, "no model of that name was carried over")
            else:
                if kind == "fallbacks" and len(self._groups[alias]) > 1:
                    self._account.changed(
                        place, into, "behind the others, which are asked in order; shares do not stand beside"
                    )
                else:
                    self._account.carried(place, into)
                if name != alias:
                    yield name

    def _shared(self) -> dict[str, Any]:
        """Clocks, retries and breaker of all models, from the first section that has them."""
        shared: dict[str, Any] = {}
        rows = (
            (
                "num_retries",
                "attempts",
                count,
                "models.*.retry.attempts",
                "tries at one target, the first one included",
            ),
            ("timeout", "total", positive, "models.*.timeouts.total", None),
            ("request_timeout", "total", positive, "models.*.timeouts.total", None),
            ("stream_timeout", "first_token", positive, "models.*.timeouts.first_token", "until the first content"),
            ("allowed_fails", "consecutive", count, "models.*.breaker.consecutive", "in a row, not within a minute"),
            ("cooldown_time", "open_s", positive, "models.*.breaker.open_s", "longer with each time in a row"),
        )
        for section in SECTIONS:
            for theirs, ours, read, into, note in rows:
                value = mapping(self._tree, section).get(theirs)
                if value is None:
                    continue
                found = read(value)
                path: KeyPath = (section, theirs)
                if found is None:
                    self._account.left(path, NO_NUMBER)
                elif ours in shared:
                    self._account.left(path, "another setting of the file goes before it")
                else:
                    shared[ours] = found + 1 if ours in ("attempts", "consecutive") else found
                    tell = self._account.carried if note is None else self._account.changed
                    tell(path, into, note)  # type: ignore[arg-type]
        return shared

    def _own(self, group: Sequence[Deployment]) -> dict[str, Any]:
        """What the deployments of one name say themselves: the longest clock, the most tries, one price if it is one."""
        own: dict[str, Any] = {}
        for key in ("total", "first_token", "attempts", "max_output_tokens"):
            values = [each.settings[key] for each in group if key in each.settings]
            if values:
                own[key] = max(values)
        prices = [each.settings.get("price") for each in group]
        if prices[0] is not None and all(price == prices[0] for price in prices):
            own["price"] = prices[0]
        elif any(price is not None for price in prices):
            for each in group:
                self._unpriced(each)
        return own

    def _unpriced(self, each: Deployment) -> None:
        entry = self._tree["model_list"][each.path[-1]]
        for place in ("litellm_params", "model_info"):
            for name in ("input_cost_per_token", "output_cost_per_token"):
                if name in mapping(entry, place):
                    self._account.left(
                        (*each.path, place, name), "the targets of a name have one price; give each a name of its own"
                    )

    def _other_names(self, models: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        path: KeyPath = ("router_settings", "model_group_alias")
        found: dict[str, dict[str, Any]] = {}
        for name, value in mapping(self._tree, *map(str, path)).items():
            meant = mapping(value).get("model") if isinstance(value, dict) else value
            usable = is_name(name) and "*" not in name and name not in models
            if not isinstance(meant, str) or meant not in models or meant == "*" or not usable:
                self._account.left((*path, name), "no model of that name was carried over, or the name is taken")
                continue
            found[name] = models[meant]
            self._account.carried((*path, name), f"models.{name}")
        return found


def _merged(row: dict[str, Any], own: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A model's table: its targets, then what its deployments say, else what is said for all."""
    said = {**shared, **own}
    tables = {
        "timeouts": ("total", "first_token"),
        "retry": ("attempts",),
        "breaker": ("consecutive", "open_s", "max_open_s"),
    }
    if said.get("open_s", 0.0) > _MAX_OPEN_S:
        said["max_open_s"] = said["open_s"]
    merged = dict(row)
    for table, keys in tables.items():
        inner = {key: said[key] for key in keys if key in said}
        if inner:
            merged[table] = inner
    return merged | {key: said[key] for key in ("price", "max_output_tokens") if key in said}
