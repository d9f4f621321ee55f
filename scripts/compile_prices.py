"""Compile the data of the installed `genai-prices` into `src/fairlead/providers/prices.json`.

    python scripts/compile_prices.py [--date YYYY-MM-DD] [--output FILE]

One line a model, so that a new release shows as a readable diff.  Prices are integers of pico-USD a token (or a request).
A model is matched as `genai-prices` matches it: entries in order, the first that fits wins.  What it keeps and what not:

* the prices of one date: of those that start on a date, the newest that is not in the future;
* of prices by time of day, the dearest, for each kind of token: the table knows no clock, and rather says too much;
* variants `batch`, `flex` and `priority` (`fast` where a vendor renamed it);
* prices by pages, characters or audio hours are left out; a model that has only such prices is in the table *unpriced*,
  so that no wider pattern further down catches it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from genai_prices import data, types

VENDORS = (
    "openai", "anthropic", "google", "mistral", "groq", "together", "fireworks", "deepseek",
    "x-ai", "cohere", "perplexity", "openrouter", "cerebras", "azure", "aws",
)  # fmt: skip
OUTPUT = Path(__file__).parent.parent / "src" / "fairlead" / "providers" / "prices.json"

KEYS = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
    "web_searches_kcount": "tool_request",
    "requests_kcount": "request",
}
VARIANTS = {
    "batch": ({"processing": "batch"},),
    "flex": ({"service_tier": "flex"},),
    "priority": ({"service_tier": "priority"}, {"service_tier": "fast"}),
}
SIM = {
    "sim-small": ("0.15", "0.075", "0.60"),
    "sim-large": ("2.50", "1.25", "10.00"),
    "sim-reasoner": ("1.10", "0.55", "4.40"),
    "sim-long": ("1.25", "0.125", "10.00"),
    "sim-embed": ("0.02", "0.02", "0"),
}
SIM_LONG = (200_000, ("2.50", "0.25", "15.00"))
SIM_WINDOWS = {
    "sim-small": 128_000,
    "sim-large": 128_000,
    "sim-reasoner": 200_000,
    "sim-long": 1_000_000,
    "sim-embed": 8_192,
}

Prices = dict[str, Decimal | types.TieredPrices]
Rows = list[tuple[int, dict[str, int]]]


def picousd(key: str, usd: Decimal) -> int:
    """Pico-USD a token or request.  The few prices that have no end in decimals are rounded up."""
    per = 1_000 if key.endswith("_kcount") else 1_000_000
    return int((usd * 10**12 / per).to_integral_value(ROUND_CEILING))


def active(constraint: Any, on: dt.date) -> bool:
    """Whether prices under this constraint count on that day."""
    return not isinstance(constraint, types.StartDateConstraint) or constraint.start_date <= on


def known(prices: types.ModelPrice) -> Prices:
    """The prices that have a bucket here."""
    return {key: value for key, value in vars(prices).items() if key in KEYS and value is not None}


def standard(model: types.ModelInfo, on: dt.date) -> Prices:
    """The standard prices of a model on a day."""
    if isinstance(model.prices, types.ModelPrice):
        return known(model.prices)
    chosen: Prices = known(model.prices[0].prices)
    for conditional in model.prices:
        if not active(conditional.constraint, on):
            continue
        prices = known(conditional.prices)
        by_time_of_day = isinstance(conditional.constraint, types.TimeOfDateConstraint)
        chosen = dearer(chosen, prices) if by_time_of_day else prices
    return chosen


def dearer(left: Prices, right: Prices) -> Prices:
    """For each key the higher of two flat prices."""
    merged = dict(left)
    for key, value in right.items():
        other = merged.get(key, value)
        if isinstance(value, types.TieredPrices) or isinstance(other, types.TieredPrices):
            message = f"prices by time of day and by length at once: {key}"
            raise TypeError(message)
        merged[key] = max(other, value)
    return merged


def variant(model: types.ModelInfo, whens: Iterable[dict[str, str]], on: dt.date) -> Prices:
    """What a variant changes of the standard prices; the first that applies wins, for each key."""
    changes: Prices = {}
    for when in whens:
        for candidate in model.price_variants or ():
            if candidate.when == when and active(candidate.constraint, on):
                for key, value in known(candidate.prices).items():
                    changes.setdefault(key, value)
        if changes:
            break
    return changes


def rows(prices: Prices) -> Rows:
    """Threshold and pico-USD of each tier; thresholds that only some keys have are spread over all of them."""
    starts = {-1}
    for value in prices.values():
        if isinstance(value, types.TieredPrices):
            starts.update(tier.start for tier in value.tiers)
    return [
        (start, {KEYS[key]: picousd(key, at(value, start)) for key, value in prices.items()})
        for start in sorted(starts)
    ]


def at(price: Decimal | types.TieredPrices, start: int) -> Decimal:
    """The price once the input is over `start`."""
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= start]
    return reached[-1] if reached else price.base


def pattern(clause: Any) -> str:
    """A clause as a regular expression, for those that are no plain word."""
    if isinstance(clause, types.ClauseRegex):
        return clause.regex
    if isinstance(clause, types.ClauseAnd):
        return "^" + "".join(f"(?=.*(?:{pattern(part)}))" for part in clause.and_)
    if isinstance(clause, types.ClauseOr):
        return "|".join(f"(?:{pattern(part)})" for part in clause.or_)
    start = "^" if isinstance(clause, types.ClauseStartsWith | types.ClauseEquals) else ""
    end = "$" if isinstance(clause, types.ClauseEndsWith | types.ClauseEquals) else ""
    return start + re.escape(next(iter(vars(clause).values())).lower()) + end


def match(clause: Any) -> dict[str, list[str]]:
    """A match rule as lists of words by kind; any of them is enough."""
    kinds = {
        types.ClauseEquals: "exact",
        types.ClauseStartsWith: "prefixes",
        types.ClauseEndsWith: "suffixes",
        types.ClauseContains: "contains",
    }
    found: dict[str, list[str]] = {}
    for part in clause.or_ if isinstance(clause, types.ClauseOr) else [clause]:
        kind = kinds.get(type(part))
        word = pattern(part) if kind is None else next(iter(vars(part).values())).lower()
        found.setdefault(kind or "patterns", []).append(word)
    return found


def entry(model: types.ModelInfo, on: dt.date) -> dict[str, Any]:
    """One model, as it stands in the table."""
    prices = standard(model, on)
    compiled: dict[str, Any] = {"match": match(model.match)}
    if model.context_window is not None:
        compiled["window"] = model.context_window
    free = not prices and (model.id.endswith(":free") or "Free of charge" in (model.price_comments or ""))
    if free:
        compiled["rates"] = [(-1, {"input": 0, "output": 0})]
    elif "input_mtok" in prices or "output_mtok" in prices:
        compiled["rates"] = rows(prices)
        changes = {name: variant(model, whens, on) for name, whens in VARIANTS.items()}
        variants = {name: rows({**prices, **changed}) for name, changed in changes.items() if changed}
        if variants:
            compiled["variants"] = variants
    return compiled


def sim_rows(name: str, divisor: int = 1) -> Rows:
    """The simulator's tiers."""
    tiers = [(-1, SIM[name])] + ([SIM_LONG] if name == "sim-long" else [])
    keys = ("input_mtok", "cache_read_mtok", "output_mtok")
    return [
        (over, {KEYS[key]: picousd(key, Decimal(usd) / divisor) for key, usd in zip(keys, prices, strict=True)})
        for over, prices in tiers
    ]


def sim() -> dict[str, Any]:
    """The simulator's prices: those of real models of each kind, fixed, so that examples stay true."""
    return {
        name: {
            "match": {"exact": [name]},
            "window": SIM_WINDOWS[name],
            "rates": sim_rows(name),
            "variants": {"batch": sim_rows(name, 2), "flex": sim_rows(name, 2)},
        }
        for name in SIM
    }


def compile_table(on: dt.date) -> dict[str, Any]:
    """The whole table."""
    by_id = {provider.id: provider for provider in data.providers}
    vendors: dict[str, Any] = {}
    for vendor in VENDORS:
        provider = by_id[vendor]
        fallback = [name for name in provider.fallback_model_providers or () if name in VENDORS]
        vendors[vendor] = {"fallback": fallback, "models": {model.id: entry(model, on) for model in provider.models}}
    vendors["sim"] = {"fallback": [], "models": sim()}
    return {
        "date": on.isoformat(),
        "source": f"genai-prices {importlib.metadata.version('genai-prices')}",
        "vendors": vendors,
    }


def dump(table: dict[str, Any]) -> str:
    """JSON with one line a model."""
    compact = json.JSONEncoder(separators=(",", ":"))
    lines = ["{", f'"date":{compact.encode(table["date"])},', f'"source":{compact.encode(table["source"])},']
    lines.append('"vendors":{')
    for number, (vendor, content) in enumerate(table["vendors"].items(), start=1):
        lines.append(f'"{vendor}":{{"fallback":{compact.encode(content["fallback"])},"models":{{')
        models = [f"{compact.encode(name)}:{compact.encode(model)}" for name, model in content["models"].items()]
        lines.append(",\n".join(models))
        lines.append("}}" + ("," if number < len(table["vendors"]) else ""))
    lines.append("}}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description="Compile the price table of the package.")
    today = dt.datetime.now(tz=dt.UTC).date()
    parser.add_argument("--date", type=dt.date.fromisoformat, default=today, help="prices as of this day")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    table = compile_table(arguments.date)
    arguments.output.write_text(dump(table))
    models = sum(len(vendor["models"]) for vendor in table["vendors"].values())
    print(
        f"{arguments.output.name}: {models} models of {len(table['vendors'])} vendors, {table['source']}, {table['date']}"
    )


if __name__ == "__main__":
    main()
