"""Google's counts and our disjoint buckets.

`promptTokenCount` contains what a cache served, but not what the provider's own tools put in; `candidatesTokenCount`
does not contain the thoughts.  Of a prompt and of an answer the details count the tokens of each kind of content;
video and documents cost what text does.  A count of zero is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.types import Usage

_MOST_TOKENS = 10_000_000_000
"""A larger count is no count."""
_TIERS = {"ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}
_TRAFFIC = {tier: traffic for traffic, tier in _TIERS.items()}


def decode_usage(value: Any) -> Usage | None:
    """Disjoint buckets of a `usageMetadata` object; `None` where it counts nothing.

    Some servers of this dialect count thoughts as part of the candidates, which the total shows.
    """
    if not isinstance(value, dict):
        return None
    prompt, written = _count(value, "promptTokenCount"), _count(value, "candidatesTokenCount")
    if prompt is None and written is None:
        return None
    prompt, written = prompt or 0, written or 0
    tools, thoughts = _count(value, "toolUsePromptTokenCount") or 0, _count(value, "thoughtsTokenCount") or 0
    if 0 < thoughts <= written and _count(value, "totalTokenCount") == prompt + tools + written:
        written -= thoughts
    cached, plain_in = _take(_count(value, "cachedContentTokenCount"), prompt)
    read, from_cache = _by_kind(value, "promptTokensDetails"), _by_kind(value, "cacheTokensDetails")
    audio_in, plain_in = _take(max(0, read.get("AUDIO", 0) - from_cache.get("AUDIO", 0)), plain_in)
    image_in, plain_in = _take(max(0, read.get("IMAGE", 0) - from_cache.get("IMAGE", 0)), plain_in)
    said = _by_kind(value, "candidatesTokensDetails")
    audio_out, plain_out = _take(said.get("AUDIO"), written)
    image_out, plain_out = _take(said.get("IMAGE"), plain_out)
    return Usage(
        input_tokens=plain_in + tools,
        cache_read_tokens=cached,
        output_tokens=plain_out,
        reasoning_tokens=thoughts,
        audio_input_tokens=audio_in,
        audio_output_tokens=audio_out,
        image_input_tokens=image_in,
        image_output_tokens=image_out,
        service_tier=_tier(value),
    )


def updated(counts: Mapping[str, Any], later: Any) -> dict[str, Any]:
    """The counts of a stream so far: what an event counts replaces what stood before, what it leaves out stays."""
    told = later if isinstance(later, dict) else {}
    return {**counts, **{name: value for name, value in told.items() if value is not None}}


def counts_output(counts: Mapping[str, Any]) -> bool:
    """Whether any output is counted yet; a stream may begin with the prompt's count alone."""
    return _count(counts, "candidatesTokenCount") is not None or _count(counts, "thoughtsTokenCount") is not None


def prompt_alone(counts: Mapping[str, Any]) -> Usage | None:
    """What the prompt costs, whatever becomes of the answer."""
    if _count(counts, "promptTokenCount") is None:
        return None
    output = ("candidatesTokenCount", "candidatesTokensDetails", "thoughtsTokenCount")
    return decode_usage({name: value for name, value in counts.items() if name not in output})


def encode_usage(usage: Usage) -> dict[str, Any]:
    """A whole `usageMetadata` object."""
    written = usage.output_tokens + usage.audio_output_tokens + usage.image_output_tokens
    body: dict[str, Any] = {
        "promptTokenCount": usage.all_input_tokens,
        "candidatesTokenCount": written,
        "totalTokenCount": usage.all_input_tokens + usage.all_output_tokens,
    }
    if usage.cache_read_tokens:
        body["cachedContentTokenCount"] = usage.cache_read_tokens
    if usage.reasoning_tokens:
        body["thoughtsTokenCount"] = usage.reasoning_tokens
    text_in = usage.all_input_tokens - usage.audio_input_tokens - usage.image_input_tokens
    body |= _details("promptTokensDetails", text_in, usage.audio_input_tokens, usage.image_input_tokens)
    body |= _details(
        "candidatesTokensDetails", usage.output_tokens, usage.audio_output_tokens, usage.image_output_tokens
    )
    traffic = _TRAFFIC.get(usage.service_tier or "")
    return body if traffic is None else {**body, "trafficType": traffic}


def _details(name: str, text: int, audio: int, image: int) -> dict[str, Any]:
    """By kind of content, where there is more than text."""
    if not audio and not image:
        return {}
    kinds = {"TEXT": text, "AUDIO": audio, "IMAGE": image}
    return {name: [{"modality": kind, "tokenCount": count} for kind, count in kinds.items() if count]}


def _by_kind(value: dict[str, Any], name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    rows = value.get(name)
    for row in rows if isinstance(rows, list) else ():
        kind = row.get("modality") if isinstance(row, dict) else None
        if isinstance(kind, str):
            found[kind] = found.get(kind, 0) + (_count(row, "tokenCount") or 0)
    return found


def _tier(value: dict[str, Any]) -> str | None:
    tier = value.get("serviceTier")
    if isinstance(tier, str):
        return tier.lower()
    traffic = value.get("trafficType")
    return _TIERS.get(traffic) if isinstance(traffic, str) else None


def _count(counts: Mapping[str, Any], name: str) -> int | None:
    """A count; explicit zero is one, anything negative or absurdly large is none."""
    value = counts.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
        return value
    return None


def _take(part: int | None, whole: int) -> tuple[int, int]:
    """As much of `part` as `whole` has, and what is left."""
    taken = min(part or 0, whole)
    return taken, whole - taken
