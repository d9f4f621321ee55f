from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from genai_prices import data
from genai_prices.types import ModelInfo, ModelPrice, TimeOfDateConstraint
from genai_prices.types import Usage as TheirUsage

from fairlead.core.pricing import cost, worst_case
from fairlead.providers.prices import PriceTable, load, overlay
from fairlead.types import Usage

SHORT = Usage(input_tokens=70, cache_read_tokens=20, output_tokens=9)
LONG = Usage(input_tokens=700_000, cache_read_tokens=200_000, output_tokens=90_000)
COMPARABLE = {
    *("input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_mtok", "requests_kcount"),
    *("web_searches_kcount", "storage_searches_kcount", "output_reasoning_mtok"),
    *("input_audio_mtok", "output_audio_mtok", "input_image_mtok", "output_image_mtok"),
}
"""Prices that both sides can count, or that a plain text usage does not touch."""


@cache
def table() -> PriceTable:
    return load()


@cache
def compiler() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "compile_prices.py"
    spec = importlib.util.spec_from_file_location("compile_prices", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def vendors() -> list[str]:
    return [vendor for vendor in table().vendors if vendor != "sim"]


@pytest.mark.parametrize("vendor", vendors())
def test_costs_are_those_of_the_source(vendor: str) -> None:
    """For every model, long prompts included, the table gives what `genai-prices` calculates for that date."""
    on = datetime.combine(table().date, datetime.min.time(), tzinfo=UTC)
    theirs = next(provider for provider in data.providers if provider.id == vendor)
    compared = 0
    for model in theirs.models:
        name = _name_of(model.id, table().vendors[vendor].models[model.id].match)
        found = table().find(vendor, name)
        prices = model.get_prices(on)
        caught_earlier = table().name(vendor, name) != model.id
        if found is None or caught_earlier or _is_by_hour(model) or set(vars(prices)) - COMPARABLE:
            continue
        for usage in (SHORT, LONG):
            expected = prices.calc_price(_theirs(usage))["total_price"] * 10**9
            assert abs(cost(found, usage) - expected) <= Decimal("0.51"), model.id
            compared += 1
    assert compared > 0


def _is_by_hour(model: ModelInfo) -> bool:
    return not isinstance(model.prices, ModelPrice) and any(
        isinstance(price.constraint, TimeOfDateConstraint) for price in model.prices
    )


def _name_of(model_id: str, match: object) -> str:
    exact = sorted(getattr(match, "exact", ()))
    return exact[0] if exact else model_id


def _theirs(usage: Usage) -> TheirUsage:
    return TheirUsage(
        input_tokens=usage.all_input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        output_tokens=usage.all_output_tokens,
    )


@pytest.mark.parametrize("vendor", vendors())
def test_names_are_matched_as_the_source_matches_them(vendor: str) -> None:
    """Each model's own words find the entry that `genai-prices` finds."""
    theirs = next(provider for provider in data.providers if provider.id == vendor)
    for model_id, ours in table().vendors[vendor].models.items():
        match = ours.match
        for word in {model_id, *match.exact, *match.prefixes, *(each + "-20251211" for each in match.prefixes)}:
            found = theirs.find_model(word, all_providers=data.providers)
            mine = table().name(vendor, word)
            if found is not None and found in theirs.models:
                assert mine == found.id, word


def test_the_checked_in_table_is_what_the_source_compiles_to() -> None:
    """`prices.json` is never edited by hand."""
    module = compiler()
    assert module.dump(module.compile_table(table().date)) == module.OUTPUT.read_text()


@pytest.mark.parametrize(
    ("vendor", "model", "nanousd"),
    [
        ("openai", "text-embedding-3-small", 20_000_000),
        ("openai", "text-embedding-3-large", 130_000_000),
        ("openai", "text-embedding-ada-002", 100_000_000),
        ("google", "gemini-embedding-001", 150_000_000),
        ("cohere", "embed-v4.0", 120_000_000),
        ("sim", "sim-embed", 20_000_000),
    ],
)
def test_embeddings_cost_their_input(vendor: str, model: str, nanousd: int) -> None:
    """A million tokens, as the vendors publish it; nothing is written."""
    prices = table().find(vendor, model)
    assert prices is not None
    assert cost(prices, Usage(input_tokens=1_000_000)) == worst_case(prices, 1_000_000, 0) == nanousd


@pytest.mark.parametrize(
    ("model", "usage", "nanousd"),
    [
        ("sim-small", Usage(input_tokens=1_000_000), 150_000_000),
        ("sim-small", Usage(cache_read_tokens=1_000_000), 75_000_000),
        ("sim-small", Usage(output_tokens=1_000_000), 600_000_000),
        ("sim-large", Usage(input_tokens=1_000_000, output_tokens=1_000_000), 12_500_000_000),
        ("sim-reasoner", Usage(reasoning_tokens=1_000_000), 4_400_000_000),
        ("sim-embed", Usage(input_tokens=1_000_000), 20_000_000),
        ("sim-long", Usage(input_tokens=200_000, output_tokens=1_000), 260_000_000),
        ("sim-long", Usage(input_tokens=200_001, output_tokens=1_000), 515_002_500),
    ],
)
def test_simulated_prices(model: str, usage: Usage, nanousd: int) -> None:
    """The simulator's prices are fixed; a batch costs half."""
    prices = table().find("sim", model)
    assert prices is not None
    assert cost(prices, usage) == nanousd
    assert cost(prices, usage, "batch") == (nanousd + 1) // 2


def test_the_unknown_is_unpriced() -> None:
    """No vendor, no model, or no token price is `None`, never zero."""
    assert table().find("nobody", "gpt-4o") is None
    assert table().find("openai", "no-such-model-at-all") is None
    assert table().find("openai", "whisper-1") is None
    assert table().find("sim", "sim-smaller") is None


def test_names_are_found_in_any_case() -> None:
    """Case does not matter, and a compact date is as good as a dashed one."""
    assert table().find("openai", "GPT-4o-Mini") == table().find("openai", "gpt-4o-mini")
    assert table().name("openai", "gpt-4o-20240806") == table().name("openai", "gpt-4o-2024-08-06")


def test_resellers_fall_back() -> None:
    """Azure sells OpenAI's models at OpenAI's prices where it has none of its own."""
    assert table().find("azure", "gpt-4.1-nano") is not None


def test_free_is_a_known_zero() -> None:
    """A model that costs nothing has prices, and they are zero."""
    prices = table().find("openrouter", "openai/gpt-oss-20b:free")
    assert prices is not None
    assert cost(prices, LONG) == 0


def test_the_table_knows_windows() -> None:
    """The context window comes with the prices."""
    prices = table().find("openai", "gpt-4o-mini")
    assert prices is not None
    assert prices.context_window == 128_000


def test_configured_prices_replace_the_tables() -> None:
    """All of them; the context window stays."""
    base = table().find("openai", "gpt-4o-mini")
    prices = overlay({"input": 3.0, "output": 15, "cache_read": None}, base)
    assert cost(prices, Usage(input_tokens=1_000_000, cache_read_tokens=1_000_000)) == 6_000_000_000
    assert cost(prices, Usage(output_tokens=1_000_000), "batch") == 15_000_000_000
    assert prices.context_window == 128_000


def test_configured_prices_may_be_zero_or_by_the_hour() -> None:
    """An own server costs nothing, or its time."""
    assert cost(overlay({"input": 0, "output": 0}), LONG, seconds=3_600) == 0
    assert cost(overlay({"usd_per_hour": 1.1}), LONG, seconds=3_600) == 1_100_000_000


@pytest.mark.parametrize(
    "price",
    [
        {},
        {"input": 1.0},
        {"output": 1.0},
        {"input": None, "output": None},
        {"input": -1.0, "output": 1.0},
        {"input": 1.0, "output": 1.0, "tokens": 1.0},
        {"input": float("nan"), "output": 1.0},
        {"input": 1e-9, "output": 1.0},
        {"usd_per_hour": float("inf")},
    ],
)
def test_half_a_price_is_refused(price: dict[str, float | None]) -> None:
    """A forgotten side would be free of charge, a misspelt one ignored: both are errors."""
    with pytest.raises(ValueError, match=r"price|amount|finer"):
        overlay(price)
