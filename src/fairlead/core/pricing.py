"""What usage costs: integer prices in pico-USD (1e-12 USD) a token, one rounding to nano-USD per attempt.

Prices depend on how long the prompt is.  As the providers do it (and `genai-prices` models it), a tier applies to *all*
tokens of a request, output too, once the whole input is *over* its threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter

import msgspec

from fairlead.types import Usage

_PICO_IN_NANO = 1_000
_NS = 1_000_000_000
_HOUR_NS = 3_600 * _NS
_RARER = attrgetter(
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "tool_requests",
)


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Pico-USD a token in each bucket of `Usage`, every fallback already applied."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    tool_request: int = 0
    """Pico-USD for one server-side tool request, such as a web search."""
    request: int = 0
    """Pico-USD for the attempt itself, whatever it used."""

    dearest_input: int = 0
    """The most that any token on the input side can cost; follows from the others."""
    dearest_output: int = 0
    """The most that any token on the output side can cost; follows from the others."""

    def __post_init__(self) -> None:
        inputs = (self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h)
        outputs = (self.output, self.reasoning, self.audio_output, self.image_output)
        msgspec.structs.force_setattr(self, "dearest_input", max(*inputs, self.audio_input, self.image_input))
        msgspec.structs.force_setattr(self, "dearest_output", max(outputs))


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Rates for requests whose whole input is over a threshold."""

    over_input_tokens: int = -1
    """-1 on the base tier, which any request is over."""
    rates: Rates


class ModelPrices(msgspec.Struct, frozen=True, kw_only=True):
    """All prices of one model."""

    tiers: tuple[Tier, ...]
    """Ascending by threshold; the first is the base tier."""
    variants: Mapping[str, tuple[Tier, ...]] = msgspec.field(default_factory=dict)
    """Other tiers for `batch`, `flex` and `priority` processing; a variant without an entry costs the standard."""
    picousd_per_hour: int = 0
    """For a model on one's own server: what its time costs, beside its tokens."""
    context_window: int | None = None
    """Input tokens that the model takes at most."""


def rates(given: Mapping[str, int]) -> Rates:
    """Rates from the prices that are known, in pico-USD.

    `cache_read`, `cache_write`, `audio_input` and `image_input` cost as `input` where they are absent,
    `cache_write_1h` as `cache_write`; `reasoning`, `audio_output` and `image_output` as `output`.  Absent `input`,
    `output`, `tool_request` and `request` cost nothing: whoever has neither of the first two has no prices.
    """
    text_in = given.get("input", 0)
    text_out = given.get("output", 0)
    cache_write = given.get("cache_write", text_in)
    return Rates(
        input=text_in,
        cache_read=given.get("cache_read", text_in),
        cache_write_5m=cache_write,
        cache_write_1h=given.get("cache_write_1h", cache_write),
        output=text_out,
        reasoning=given.get("reasoning", text_out),
        audio_input=given.get("audio_input", text_in),
        audio_output=given.get("audio_output", text_out),
        image_input=given.get("image_input", text_in),
        image_output=given.get("image_output", text_out),
        tool_request=given.get("tool_request", 0),
        request=given.get("request", 0),
    )


def flat(given: Mapping[str, int], *, picousd_per_hour: int = 0, context_window: int | None = None) -> ModelPrices:
    """Prices of one tier, without variants."""
    return ModelPrices(
        tiers=(Tier(rates=rates(given)),), picousd_per_hour=picousd_per_hour, context_window=context_window
    )


def cost(prices: ModelPrices, usage: Usage, variant: str | None = None, *, seconds: float = 0.0) -> int:
    """Nano-USD of one attempt, rounded half up once.

    Args:
        variant: the service tier that the provider reports, such as `flex`; an unknown one costs the standard.
        seconds: how long the attempt took, for models priced by time.
    """
    tiers = _tiers(prices, variant)
    rate = tiers[0].rates
    if len(tiers) > 1:
        all_input_tokens = usage.all_input_tokens
        for tier in tiers[1:]:
            if all_input_tokens > tier.over_input_tokens:
                rate = tier.rates
    picousd = rate.request + _time(prices, seconds)
    picousd += usage.input_tokens * rate.input + usage.output_tokens * rate.output
    if any(_RARER(usage)):
        picousd += _rarer(rate, usage)
    return (picousd + _PICO_IN_NANO // 2) // _PICO_IN_NANO


def _rarer(rate: Rates, usage: Usage) -> int:
    """Pico-USD of all but plain input and output tokens."""
    picousd = usage.cache_read_tokens * rate.cache_read + usage.reasoning_tokens * rate.reasoning
    picousd += usage.cache_write_5m_tokens * rate.cache_write_5m + usage.cache_write_1h_tokens * rate.cache_write_1h
    picousd += usage.audio_input_tokens * rate.audio_input + usage.audio_output_tokens * rate.audio_output
    picousd += usage.image_input_tokens * rate.image_input + usage.image_output_tokens * rate.image_output
    return picousd + usage.tool_requests * rate.tool_request


def worst_case(
    prices: ModelPrices,
    input_tokens: int,
    output_tokens: int,
    *,
    seconds: float = 0.0,
    variant: str | None = None,
) -> int:
    """The most nano-USD that an attempt within these bounds can cost, rounded up.

    Every token counts at the dearest price of its side, in the dearest tier that the input can reach, at the standard
    or at the variant's prices: providers may serve a request that asks for another tier at the standard one.
    Server-side tool requests are not among it: nobody knows beforehand how many there will be.

    Args:
        input_tokens: at most so many on the input side, images included.
        output_tokens: at most so many on the output side, reasoning included.
        seconds: at most so long, for models priced by time.
        variant: the service tier that is asked for.
    """
    if variant is None and len(prices.tiers) == 1:
        rate = prices.tiers[0].rates
        picousd = rate.request + input_tokens * rate.dearest_input + output_tokens * rate.dearest_output
        return -(-(picousd + _time(prices, seconds)) // _PICO_IN_NANO)
    reachable = [tier.rates for tier in prices.tiers if input_tokens > tier.over_input_tokens]
    if variant is not None:
        tiers = _tiers(prices, variant)
        reachable += [tier.rates for tier in tiers if input_tokens > tier.over_input_tokens]
    dearest = max(
        rate.request + input_tokens * rate.dearest_input + output_tokens * rate.dearest_output for rate in reachable
    )
    picousd = dearest + _time(prices, seconds)
    return -(-picousd // _PICO_IN_NANO)


def _tiers(prices: ModelPrices, variant: str | None) -> tuple[Tier, ...]:
    return prices.tiers if variant is None else prices.variants.get(variant, prices.tiers)


def _time(prices: ModelPrices, seconds: float) -> int:
    """Pico-USD of the time alone."""
    if not prices.picousd_per_hour:
        return 0
    return prices.picousd_per_hour * round(seconds * _NS) // _HOUR_NS
