"""Deployments whose calls have no known cost, which matters where keys have budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.config.litellm.account import Account
from fairlead.config.litellm.deployments import Deployment
from fairlead.providers.facts import Vendor
from fairlead.providers.prices import PriceTable


def tell_unpriced(
    account: Account,
    deployments: Sequence[Deployment],
    config: Mapping[str, Mapping[str, Any]],
    vendors: Mapping[str, Vendor],
    prices: PriceTable,
) -> None:
    """Say of each deployment that has no price what that means, and the remedy.

    Args:
        config: what was made of the source.
    """
    for each in deployments:
        model = config["models"][each.alias]
        provider, _, name = each.target.partition("/")
        vendor = vendors.get(config["providers"][provider].get("vendor", ""))
        table = None if vendor is None else vendor.prices
        if name == "*" or "price" in model or (table is not None and prices.find(table, name) is not None):
            continue
        scope = ", for all of its targets" if len(model["targets"]) > 1 else ""
        note = f"it has no price, and a key with a budget may not call it; set `models.{each.alias}.price`{scope}"
        account.remark((*each.path, "litellm_params", "model"), note)
