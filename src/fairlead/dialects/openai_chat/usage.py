"""OpenAI's nested counts and our disjoint buckets.

`prompt_tokens` contains the cached, audio and image tokens that its details name, and `completion_tokens` contains the
reasoning; see *CompletionUsage* in OpenAI's API reference.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from fairlead.types import Usage

MOST_TOKENS = 10_000_000_000
"""A larger count is no count: a thousand times the largest context there is, and money of it would not fit a store."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]


class _Read(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Count = 0
    audio_tokens: _Count = 0


class _Written(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: _Count = 0
    audio_tokens: _Count = 0
    accepted_prediction_tokens: _Count = 0
    rejected_prediction_tokens: _Count = 0


_NOTHING_READ = _Read()
_NOTHING_WRITTEN = _Written()


class PlainCounts(msgspec.Struct, forbid_unknown_fields=True):
    """A `usage` object exactly as OpenAI documents it: decoded in one step, where it fits at all."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count = 0
    prompt_tokens_details: _Read | None = None
    completion_tokens_details: _Written | None = None

    def plain(self, service_tier: str | None) -> Usage | None:
        """Its buckets where the details fit into the whole; `None` where there is more to it, see `decode_usage`."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        read, written = self.prompt_tokens_details, self.completion_tokens_details
        if read is None and written is None:
            return Usage(input_tokens=prompt, output_tokens=completion, service_tier=service_tier)
        read, written = read or _NOTHING_READ, written or _NOTHING_WRITTEN
        reasoning = written.reasoning_tokens
        plain_in = prompt - read.cached_tokens - read.audio_tokens
        plain_out = completion - reasoning - written.audio_tokens
        if plain_in < 0 or plain_out < 0 or (reasoning and self.total_tokens == prompt + completion + reasoning):
            return None
        return Usage(
            input_tokens=plain_in,
            cache_read_tokens=read.cached_tokens,
            audio_input_tokens=read.audio_tokens,
            output_tokens=plain_out,
            reasoning_tokens=reasoning,
            audio_output_tokens=written.audio_tokens,
            service_tier=service_tier,
        )


def decode_usage(value: Any, service_tier: Any = None) -> Usage | None:
    """Disjoint buckets of a `usage` object; `None` where it counts nothing.  `service_tier` stands beside it in a body.

    Also read are DeepSeek's `prompt_cache_hit_tokens`, `cache_read_input_tokens` and `cache_creation_input_tokens` as
    Anthropic models report them through compatible gateways, and xAI's way of counting reasoning outside
    `completion_tokens`, which shows in the total.  Details never add up to more than the whole.
    """
    if not isinstance(value, dict):
        return None
    try:
        plain = msgspec.convert(value, PlainCounts).plain(service_tier if isinstance(service_tier, str) else None)
    except msgspec.ValidationError:
        plain = None
    return plain if plain is not None else _careful_usage(value, service_tier)


def _careful_usage(value: dict[str, Any], service_tier: Any) -> Usage | None:
    prompt = _count(value, "prompt_tokens", "input_tokens")
    completion = _count(value, "completion_tokens", "output_tokens")
    if prompt is None and completion is None:
        return None
    written = _details(value, "completion_tokens_details", "output_tokens_details")
    reasoning = _count(written, "reasoning_tokens") or 0
    total = _count(value, "total_tokens")
    if reasoning and total == (prompt or 0) + (completion or 0) + reasoning:
        completion = (completion or 0) + reasoning
    return _buckets(value, prompt or 0, completion or 0, service_tier if isinstance(service_tier, str) else None)


def _buckets(value: dict[str, Any], prompt: int, completion: int, service_tier: str | None) -> Usage:
    read = _details(value, "prompt_tokens_details", "input_tokens_details")
    written = _details(value, "completion_tokens_details", "output_tokens_details")
    cached = _count(read, "cached_tokens")
    if cached is None:
        cached = _count(value, "prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens")
    cache_write = _count(read, "cache_write_tokens", "cache_creation_tokens")
    if cache_write is None:
        cache_write = _count(value, "cache_creation_input_tokens")
    cached, rest = _take(cached, prompt)
    cache_write, rest = _take(cache_write, rest)
    audio_in, rest = _take(_count(read, "audio_tokens"), rest)
    image_in, plain_in = _take(_count(read, "image_tokens"), rest)
    reasoning, rest = _take(_count(written, "reasoning_tokens"), completion)
    audio_out, rest = _take(_count(written, "audio_tokens"), rest)
    image_out, plain_out = _take(_count(written, "image_tokens"), rest)
    return Usage(
        input_tokens=plain_in,
        cache_read_tokens=cached,
        cache_write_5m_tokens=cache_write,
        audio_input_tokens=audio_in,
        image_input_tokens=image_in,
        output_tokens=plain_out,
        reasoning_tokens=reasoning,
        audio_output_tokens=audio_out,
        image_output_tokens=image_out,
        service_tier=service_tier,
    )


def encode_usage(usage: Usage) -> dict[str, Any]:
    """OpenAI's nested form."""
    read = {"cached_tokens": usage.cache_read_tokens, "audio_tokens": usage.audio_input_tokens}
    cache_write = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    if cache_write:
        read["cache_write_tokens"] = cache_write
    if usage.image_input_tokens:
        read["image_tokens"] = usage.image_input_tokens
    written = {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.audio_output_tokens}
    if usage.image_output_tokens:
        written["image_tokens"] = usage.image_output_tokens
    return {
        "prompt_tokens": usage.all_input_tokens,
        "completion_tokens": usage.all_output_tokens,
        "total_tokens": usage.all_input_tokens + usage.all_output_tokens,
        "prompt_tokens_details": read,
        "completion_tokens_details": written,
    }


def _count(counts: dict[str, Any], *names: str) -> int | None:
    """The first of these that is a count; explicit zero is one, anything negative or absurdly large is none."""
    for name in names:
        value = counts.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
            return value
    return None


def _details(value: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        details = value.get(name)
        if isinstance(details, dict):
            return details
    return {}


def _take(part: int | None, whole: int) -> tuple[int, int]:
    """As much of `part` as `whole` has, and what is left."""
    taken = min(part or 0, whole)
    return taken, whole - taken
