from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.pricing import ModelPrices, Tier, cost, flat, rates, worst_case
from fairlead.types import BUCKETS, Usage

FIELDS = BUCKETS
INPUT = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "audio_input_tokens")
NAMES = (
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning",
    "audio_input", "audio_output", "image_input", "image_output", "tool_request", "request",
)  # fmt: skip

some_rates = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 50_000_000)).map(rates)


@st.composite
def some_tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    thresholds = sorted(draw(st.sets(st.integers(0, 3_000), max_size=2)))
    return tuple(Tier(over_input_tokens=over, rates=draw(some_rates)) for over in (-1, *thresholds))


some_prices = st.builds(
    ModelPrices,
    tiers=some_tiers(),
    variants=st.dictionaries(st.sampled_from(["batch", "flex", "priority"]), some_tiers()),
    picousd_per_hour=st.integers(0, 10**13),
)
usages = st.builds(Usage, **dict.fromkeys(FIELDS, st.integers(0, 1_000)))
variants = st.sampled_from([None, "batch", "flex", "priority", "unheard-of"])
seconds = st.floats(0, 1_000)


@given(some_prices, usages, variants, seconds, st.integers(0, 500), st.integers(0, 500))
def test_worst_case_is_never_exceeded(
    prices: ModelPrices, usage: Usage, variant: str | None, duration: float, more_in: int, more_out: int
) -> None:
    """Whatever the usage within the bounds, standard or in the variant asked for, it costs at most the worst case."""
    usage = msgspec.structs.replace(usage, tool_requests=0)
    bound = worst_case(
        prices,
        usage.all_input_tokens + more_in,
        usage.all_output_tokens + more_out,
        seconds=duration,
        variant=variant,
    )
    assert bound >= cost(prices, usage, variant, seconds=duration)
    assert bound >= cost(prices, usage, seconds=duration)


@given(some_prices, st.integers(0, 4_000), st.integers(0, 4_000), st.integers(0, 4_000), variants)
def test_worst_case_is_monotone(prices: ModelPrices, tokens_in: int, tokens_out: int, more: int, variant: str) -> None:
    """A larger bound is never cheaper, not even where a long prompt has lower prices."""
    base = worst_case(prices, tokens_in, tokens_out, variant=variant)
    assert worst_case(prices, tokens_in + more, tokens_out, variant=variant) >= base
    assert worst_case(prices, tokens_in, tokens_out + more, variant=variant) >= base


@given(some_rates, usages)
def test_cost_is_the_exact_sum_rounded_once(rate: object, usage: Usage) -> None:
    """The cost is what exact arithmetic says, rounded half up at the very end."""
    prices = ModelPrices(tiers=(Tier(rates=rate),))  # type: ignore[arg-type]
    named = {"cache_write_5m_tokens": "cache_write_5m", "cache_write_1h_tokens": "cache_write_1h"}
    picousd = getattr(rate, "request")  # noqa: B009
    for field in FIELDS:
        name = named.get(field) or field.removesuffix("_tokens").removesuffix("s")
        picousd += getattr(usage, field) * getattr(rate, name)
    exact = (Decimal(picousd) / 1_000).to_integral_value(ROUND_HALF_UP)
    assert cost(prices, usage) == exact


def test_absent_prices_fall_back() -> None:
    """Input kinds cost as input, the hour's cache as the short one, output kinds as output."""
    found = rates({"input": 5, "cache_write": 7, "output": 9})
    assert (found.cache_read, found.audio_input, found.image_input) == (5, 5, 5)
    assert (found.cache_write_5m, found.cache_write_1h) == (7, 7)
    assert (found.reasoning, found.audio_output, found.image_output) == (9, 9, 9)


def test_tier_applies_to_all_tokens_once_over_its_threshold() -> None:
    """At the threshold the base price still holds; one token more and every token costs the tier's."""
    prices = ModelPrices(
        tiers=(
            Tier(rates=rates({"input": 1_000, "output": 2_000})),
            Tier(over_input_tokens=100, rates=rates({"input": 10_000, "output": 20_000})),
        )
    )
    assert cost(prices, Usage(input_tokens=60, cache_read_tokens=40, output_tokens=1)) == 102
    assert cost(prices, Usage(input_tokens=60, cache_read_tokens=41, output_tokens=1)) == 1_030


def test_variant_has_its_own_prices() -> None:
    """A variant costs what it says, and the standard where the model has none of that name."""
    prices = ModelPrices(
        tiers=(Tier(rates=rates({"input": 2_000})),), variants={"batch": (Tier(rates=rates({"input": 1_000})),)}
    )
    usage = Usage(input_tokens=10)
    assert [cost(prices, usage, variant) for variant in (None, "batch", "flex")] == [20, 10, 20]


def test_rounds_half_up_once() -> None:
    """Half a nano-dollar is rounded up, less than half down, and only the sum is rounded."""
    prices = flat({"input": 250})
    assert [cost(prices, Usage(input_tokens=tokens)) for tokens in (1, 2, 3, 6)] == [0, 1, 1, 2]


def test_own_servers_cost_time() -> None:
    """A server at 3.60 USD an hour costs a milli-dollar a second."""
    prices = flat({}, picousd_per_hour=3_600_000_000_000)
    assert cost(prices, Usage(input_tokens=1_000_000), seconds=2.5) == 2_500_000
    assert worst_case(prices, 1, 1, seconds=600) == 600_000_000


def test_worst_case_counts_the_dearest_kind_of_token() -> None:
    """Writing to a cache may cost more than plain input, and is reserved for."""
    assert worst_case(flat({"input": 1_000, "cache_write": 3_000, "output": 0}), 10, 0) == 30
