"""`fairlead models`: what callers may ask for, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead.cli.settings import ConfigOption, JsonOption, find_settings
from fairlead.cli.terminal import cell, console, emit, show_table

if TYPE_CHECKING:
    from fairlead.call import Candidate
    from fairlead.config.schema import Config
    from fairlead.core.pricing import ModelPrices


def models(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the models that callers may name, with prices."""
    rows = catalogue(find_settings(config).config)
    if json:
        emit(rows)
    else:
        show_table(models_table(rows)) if rows else console().print("No models; add one under [models].")


def catalogue(config: Config) -> list[dict[str, Any]]:
    """One mapping a model, its targets in the order of the configuration.

    Raises:
        ConfigError: a provider's vendor is not known.
    """
    from fairlead.config.build import Catalogue
    from fairlead.core.lane import Lanes

    known = Catalogue(config, Lanes())
    rows: list[dict[str, Any]] = []
    for name, model in config.models.items():
        if name == "*":
            targets = [
                {"target": each.target, "provider": each.provider, "weight": each.weight, "price": None}
                for each in model.resolved_targets
            ]
        else:
            # A target stands once for each of its credentials; here once is enough.
            by_name = {f"{each.provider}/{each.model}": each for each in known.aliases[name]}
            targets = [_target(target, candidate) for target, candidate in by_name.items()]
        rows.append({"model": name, "targets": targets})
    return rows


def _target(target: str, candidate: Candidate) -> dict[str, Any]:
    return {
        "target": target,
        "provider": candidate.provider,
        "weight": candidate.weight,
        "price": None if candidate.price is None else _price(candidate.price),
        "max_output_tokens": candidate.max_output_tokens,
    }


def _price(price: ModelPrices) -> dict[str, str]:
    """USD as decimal strings: per million tokens in the base tier, and per hour where time costs."""
    from fairlead.core.money import format_usd

    # Pico-USD a token is micro-USD per million tokens, which is a thousand nano-USD.
    rates = price.tiers[0].rates
    found = {
        "input": format_usd(rates.input * 1_000),
        "cache_read": format_usd(rates.cache_read * 1_000),
        "output": format_usd(rates.output * 1_000),
    }
    if price.picousd_per_hour:
        found["usd_per_hour"] = format_usd(price.picousd_per_hour // 1_000)
    return found


def _padded(usd: str) -> str:
    """With at least two decimals, so that columns line up."""
    dollars, _, rest = usd.partition(".")
    return f"{dollars}.{rest:0<2}"


def models_table(rows: list[dict[str, Any]]) -> Any:
    """The same for people."""
    from rich.table import Table

    table = Table("model", "targets", box=None, header_style="bold", pad_edge=False)
    for name in ("in $/M", "out $/M", "longest answer"):
        table.add_column(name, justify="right")
    for row in rows:
        for number, target in enumerate(row["targets"]):
            share = "" if target["weight"] is None else f" (weight {target['weight']})"
            price = target["price"]
            known = "by name" if row["model"] == "*" else "unpriced"
            table.add_row(
                cell(row["model"] if number == 0 else ""),
                cell(target["target"] + share),
                cell(
                    known if price is None else _padded(price["input"]),
                    "yellow" if known == "unpriced" and not price else "",
                ),
                cell("" if price is None else _padded(price["output"])),
                cell(target.get("max_output_tokens")),
            )
    return table
