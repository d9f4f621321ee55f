"""The counts of the Responses dialect and our disjoint buckets.

`input_tokens` contains the cached tokens and those written to the cache, and `output_tokens` the reasoning; see
*ResponseUsage* in OpenAI's API reference.  Searches are counted beside it, in `tool_usage`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.openai_chat import usage as openai
from fairlead.types import Usage

_NO_TOKENS = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
_NO_IMAGES = {**_NO_TOKENS, "input_tokens_details": {"image_tokens": 0, "text_tokens": 0}}


def decode_usage(value: Any, service_tier: Any = None, tool_usage: Any = None) -> Usage | None:
    """Disjoint buckets of a `usage`; `None` where it counts nothing.  The others stand beside it in a body."""
    usage = openai.decode_usage(value, service_tier)
    searches = _searches(tool_usage)
    return usage if usage is None or not searches else msgspec.structs.replace(usage, tool_requests=searches)


def encode_usage(usage: Usage | None) -> dict[str, Any] | None:
    """The nested form."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.all_input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.all_output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.all_input_tokens + usage.all_output_tokens,
    }


def encode_tool_usage(usage: Usage | None) -> dict[str, Any]:
    """The field for tools that were billed by the request, where there were any."""
    if usage is None or not usage.tool_requests:
        return {}
    return {"tool_usage": {"image_gen": _NO_IMAGES, "web_search": {"num_requests": usage.tool_requests}}}


def _searches(tool_usage: Any) -> int:
    match tool_usage:
        case {"web_search": {"num_requests": int(count)}} if 0 < count <= openai.MOST_TOKENS:
            return count
    return 0
