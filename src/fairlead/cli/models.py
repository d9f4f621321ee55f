"""`fairlead models`: what callers may ask for, what answers, what that can do and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from fairlead.cli.settings import ConfigOption, JsonOption, find_settings
from fairlead.cli.terminal import cell, console, emit, fitted, room, show_table
from fairlead.types import DialectName

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from fairlead.call import Candidate
    from fairlead.config.build import Catalogue
    from fairlead.config.schema import Config, Provider
    from fairlead.core.pricing import ModelPrices

_LONGEST: Final = "longest answer"
_BY_SCHEMA: Final = "by schema"
_MOST_CELLS: Final = 48
_SPARE: Final = ("where", "dialects", "refuses", _BY_SCHEMA, "reads", _LONGEST, "window")
"""What a narrow terminal has no room for, the first first."""


def models(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the models that callers may name, and what answers."""
    rows = catalogue(find_settings(config).config)
    if json:
        emit(rows)
    else:
        show_table(models_table(rows, room())) if rows else console().print("No models; add one under [models].")


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
                {"target": each.target, "weight": each.weight, "price": None}
                | _place(known, each.provider, config.providers[each.provider])
                for each in model.resolved_targets
            ]
        else:
            # A target stands once for each of its credentials; here once is enough.
            by_name = {f"{each.provider}/{each.model}": each for each in known.aliases[name]}
            targets = [
                _target(target, candidate, known)
                | _place(known, candidate.provider, config.providers[candidate.provider])
                for target, candidate in by_name.items()
            ]
        rows.append({"model": name, "targets": targets})
    return rows


def _target(target: str, candidate: Candidate, known: Catalogue) -> dict[str, Any]:
    reads = known.family(candidate.model).input
    return {
        "target": target,
        "weight": candidate.weight,
        "price": None if candidate.price is None else _price(candidate.price),
        "window": candidate.window,
        "max_output_tokens": candidate.max_output_tokens,
        "input": None if reads is None else list(reads),
        "structured": candidate.structured,
        "refuses": sorted(candidate.refuses),
        "one_of": list(candidate.one_of),
    }


def _place(known: Catalogue, name: str, provider: Provider) -> dict[str, Any]:
    """Where it answers, and in which dialects; a base URL of `None` is this process."""
    vendor = known.vendor(provider)
    return {"provider": name, "dialects": list(vendor.speaks), "base_url": provider.base_url or vendor.base_url}


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


def models_table(rows: list[dict[str, Any]], width: int | None = None) -> Table:
    """The same for people, in so many cells."""
    from rich.table import Column

    names = [Column(name, overflow="fold") for name in ("model", "targets")]
    numbers = [Column(name, justify="right", no_wrap=True) for name in ("in $/M", "out $/M", "window", _LONGEST)]
    facts = [
        Column(name, max_width=_MOST_CELLS, overflow="fold")
        for name in ("reads", _BY_SCHEMA, "refuses", "dialects", "where")
    ]
    cells = [
        _row(target, row["model"] if number == 0 else "", by_name=row["model"] == "*")
        for row in rows
        for number, target in enumerate(row["targets"])
    ]
    return fitted([*names, *numbers, *facts], cells, spare=_SPARE, width=width)


def _row(target: dict[str, Any], name: str, *, by_name: bool) -> list[Text]:
    share = "" if target["weight"] is None else f" (weight {target['weight']})"
    return [
        cell(name),
        cell(target["target"] + share),
        *_prices(target["price"], by_name=by_name),
        cell(target.get("window")),
        cell(target.get("max_output_tokens")),
        cell(", ".join(target.get("input") or ())),
        cell(target.get("structured")),
        cell(_refused(target)),
        cell(_spoken(target["dialects"])),
        cell(target["base_url"] or "in process"),
    ]


def _prices(price: dict[str, str] | None, *, by_name: bool) -> tuple[Text, Text]:
    if price is None:
        return cell("by name" if by_name else "unpriced", "" if by_name else "yellow"), cell("")
    return cell(_padded(price["input"])), cell(_padded(price["output"]))


def _spoken(dialects: list[str]) -> str:
    """One word for all that there are, which no terminal has room for."""
    return "all" if set(get_args(DialectName)) <= set(dialects) else ", ".join(dialects)


def _refused(target: dict[str, Any]) -> str:
    """What a translated call leaves out, and of what only one goes."""
    either = " or ".join(target.get("one_of", ()))
    return ", ".join([*target.get("refuses", ()), *([f"either {either}"] if either else [])])
