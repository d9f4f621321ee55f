"""The dated price table of the package, and prices that an operator sets.

`prices.json` is compiled by `scripts/compile_prices.py`.  Looking a model up takes well under a millisecond but is not
free: do it where routes are built, and keep the `ModelPrices`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Final

import msgspec

from fairlead.core.money import scaled
from fairlead.core.pricing import ModelPrices, Tier, flat, rates

_PICO: Final = 1_000_000_000_000
_PICO_OF_MILLION: Final = 1_000_000
"""USD per million tokens to pico-USD a token."""
PER_MILLION_TOKENS: Final = frozenset(
    {
        "input",
        "output",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "reasoning",
        "audio_input",
        "audio_output",
        "image_input",
        "image_output",
    }
)
"""The prices that configuration may set, in USD per million tokens; `usd_per_hour` stands beside them."""
_COMPACT_DATE: Final = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")

_Row = tuple[int, dict[str, int]]


class _Match(msgspec.Struct, frozen=True):
    """Any of these words is enough; all are lower case."""

    exact: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def fits(self, name: str) -> bool:
        return (
            name in self.exact
            or name.startswith(self.prefixes)
            or name.endswith(self.suffixes)
            or any(word in name for word in self.contains)
            or any(re.search(pattern, name) is not None for pattern in self.patterns)
        )


class _Model(msgspec.Struct, frozen=True):
    match: _Match
    window: int | None = None
    rates: tuple[_Row, ...] = ()
    """Empty where the model is known to have prices that cannot be told in tokens."""
    variants: dict[str, tuple[_Row, ...]] = {}


class _Vendor(msgspec.Struct, frozen=True):
    models: dict[str, _Model]
    fallback: tuple[str, ...] = ()


class PriceTable(msgspec.Struct, frozen=True):
    """Prices by vendor and model, as of `date`."""

    date: date
    source: str
    """Which data it was compiled from, with its version."""
    vendors: dict[str, _Vendor]

    def find(self, vendor: str, model: str) -> ModelPrices | None:
        """The prices of a vendor's model by any of the names it goes by; `None` is unpriced.

        Vendors that resell others' models fall back to those others' prices, one step.
        """
        found = self._entry(vendor, model.lower())
        if found is None or not found[1].rates:
            return None
        entry = found[1]
        return ModelPrices(
            tiers=_tiers(entry.rates),
            variants={name: _tiers(rows) for name, rows in entry.variants.items()},
            context_window=entry.window,
        )

    def name(self, vendor: str, model: str) -> str | None:
        """The table's own name of the model: a word fit for a metric label."""
        found = self._entry(vendor, model.lower())
        return None if found is None else found[0]

    def models(self, vendor: str) -> list[str]:
        """The table's own names of a vendor's models."""
        return list(self.vendors[vendor].models) if vendor in self.vendors else []

    def _entry(self, vendor: str, name: str) -> tuple[str, _Model] | None:
        if vendor not in self.vendors:
            return None
        for spelling in dict.fromkeys((name, _COMPACT_DATE.sub(r"-\1-\2-\3", name))):
            for each in (vendor, *self.vendors[vendor].fallback):
                for model_id, entry in self.vendors[each].models.items():
                    if entry.match.fits(spelling):
                        return model_id, entry
        return None


def load() -> PriceTable:
    """Read the table of the package; a few milliseconds, so once is enough."""
    text = files("fairlead.providers").joinpath("prices.json").read_bytes()
    return msgspec.json.decode(text, type=PriceTable)


def overlay(
    price: Mapping[str, float | Decimal | None], base: ModelPrices | None = None, *, context_window: int | None = None
) -> ModelPrices:
    """The prices that an operator set, instead of those of the table; only the context window is kept from there.

    Args:
        price: `PER_MILLION_TOKENS` in USD per million tokens, or `usd_per_hour`; `None` is absent.  `input` and `output` must both be
            named where time is not what is paid for; the others cost what `rates` says where they are absent.

    Raises:
        ValueError: an unknown or a missing name, a negative price, or one finer than a pico-USD a token.
    """
    given = {name: value for name, value in price.items() if value is not None}
    _check(given)
    if base is not None and context_window is None:
        context_window = base.context_window
    picousd = {name: scaled(value, _PICO_OF_MILLION) for name, value in given.items() if name != "usd_per_hour"}
    return flat(picousd, picousd_per_hour=scaled(given.get("usd_per_hour", 0), _PICO), context_window=context_window)


def _check(price: Mapping[str, float | Decimal]) -> None:
    for name, value in price.items():
        if name not in PER_MILLION_TOKENS and name != "usd_per_hour":
            msg = f"{name!r} is no price; known are {', '.join(sorted(PER_MILLION_TOKENS))} and usd_per_hour"
            raise ValueError(msg)
        if value < 0:
            msg = f"the price {name!r} is negative"
            raise ValueError(msg)
    if "usd_per_hour" not in price and not {"input", "output"} <= price.keys():
        msg = "a price names both `input` and `output` (0 is allowed), or `usd_per_hour`"
        raise ValueError(msg)


def _tiers(rows: tuple[_Row, ...]) -> tuple[Tier, ...]:
    return tuple(Tier(over_input_tokens=over, rates=rates(given)) for over, given in rows)
