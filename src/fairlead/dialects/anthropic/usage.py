"""Anthropic's counts and our disjoint buckets.

`input_tokens` is what no cache served, so that it, the cache's reads and its writes are disjoint as they come;
`output_tokens` contains the thinking.  Of the tools that Anthropic runs only searches are billed a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.types import Usage

_MOST_TOKENS = 10_000_000_000
"""A larger count is no count."""
_TIERS = {"standard": "standard", "default": "standard", "priority": "priority", "batch": "batch"}
"""The tiers of other dialects by Anthropic's names; one that it does not have is left out."""
_COUNTED = frozenset(
    {
        "cache_creation",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "input_tokens",
        "output_tokens",
        "output_tokens_details",
        "service_tier",
    }
)


def decode_usage(value: Any) -> Usage | None:
    """Disjoint buckets of a `usage` object; `None` where it counts nothing.

    Where writes to the cache are not told apart by how long they last, they last five minutes.
    """
    if not isinstance(value, dict):
        return None
    plain, output = _count(value, "input_tokens"), _count(value, "output_tokens")
    if plain is None and output is None:
        return None
    hour, minutes = _cache_writes(value)
    reasoning = min(_count(_inner(value, "output_tokens_details"), "thinking_tokens") or 0, output or 0)
    tier = value.get("service_tier")
    return Usage(
        input_tokens=plain or 0,
        cache_read_tokens=_count(value, "cache_read_input_tokens") or 0,
        cache_write_5m_tokens=minutes,
        cache_write_1h_tokens=hour,
        output_tokens=(output or 0) - reasoning,
        reasoning_tokens=reasoning,
        tool_requests=_count(_inner(value, "server_tool_use"), "web_search_requests") or 0,
        service_tier=tier if isinstance(tier, str) else None,
    )


def updated(counts: Mapping[str, Any], later: Any) -> dict[str, Any]:
    """The counts of a stream so far: what an event counts replaces what stood before, what it leaves out stays."""
    told = later if isinstance(later, dict) else {}
    return {**counts, **{name: value for name, value in told.items() if value is not None}}


def uncounted(value: Any) -> dict[str, Any]:
    """What a `usage` object says that no bucket holds, such as where and how fast the model ran."""
    if not isinstance(value, dict):
        return {}
    rest = {name: told for name, told in value.items() if name not in _COUNTED and told is not None}
    tools = rest.get("server_tool_use")
    if isinstance(tools, dict) and not any(told for name, told in tools.items() if name != "web_search_requests"):
        del rest["server_tool_use"]
    return rest


def encode_usage(usage: Usage | None) -> dict[str, Any]:
    """A whole `usage` object; the dialect has no word for unknown, so that it becomes zero."""
    usage = usage or Usage()
    return {
        **encode_delta_usage(usage),
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "service_tier": _TIERS.get(usage.service_tier or ""),
    }


def encode_delta_usage(usage: Usage | None) -> dict[str, Any]:
    """The `usage` of an event at the end of a stream, all of it cumulative."""
    usage = usage or Usage()
    body: dict[str, Any] = {
        "input_tokens": usage.input_tokens + usage.audio_input_tokens + usage.image_input_tokens,
        "cache_creation_input_tokens": usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.all_output_tokens,
    }
    if usage.reasoning_tokens:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.tool_requests:
        body["server_tool_use"] = {"web_search_requests": usage.tool_requests, "web_fetch_requests": 0}
    return body


def _cache_writes(value: dict[str, Any]) -> tuple[int, int]:
    """For an hour, and for five minutes; the total, where it is told, is the whole of both."""
    split = _inner(value, "cache_creation")
    hour = _count(split, "ephemeral_1h_input_tokens") or 0
    minutes = _count(split, "ephemeral_5m_input_tokens") or 0
    total = _count(value, "cache_creation_input_tokens")
    if total is None:
        return hour, minutes
    hour = min(hour, total)
    return hour, total - hour


def _count(counts: dict[str, Any], name: str) -> int | None:
    """A count; explicit zero is one, anything negative or absurdly large is none."""
    value = counts.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
        return value
    return None


def _inner(value: dict[str, Any], name: str) -> dict[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}
