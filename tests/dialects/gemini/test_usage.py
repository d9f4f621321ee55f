"""Counts of the Gemini dialect."""

from __future__ import annotations

import pytest
from google.genai import types
from hypothesis import given

from fairlead.dialects.gemini.usage import decode_usage, encode_usage
from fairlead.types import Usage
from gemini_generated import USAGES


def kinds(**counts):
    return [{"modality": kind.upper(), "tokenCount": count} for kind, count in counts.items()]


CASES = [
    ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, Usage(input_tokens=10, output_tokens=5)),
    ({"promptTokenCount": 10, "totalTokenCount": 10}, Usage(input_tokens=10)),
    ({"candidatesTokenCount": 5}, Usage(output_tokens=5)),
    ({"promptTokenCount": 0, "candidatesTokenCount": 0}, Usage()),
    # The cache's part is within the prompt.
    (
        {"promptTokenCount": 100, "cachedContentTokenCount": 80, "candidatesTokenCount": 5},
        Usage(input_tokens=20, cache_read_tokens=80, output_tokens=5),
    ),
    ({"promptTokenCount": 5, "cachedContentTokenCount": 9}, Usage(cache_read_tokens=5)),
    # Thoughts stand beside the candidates: 10 + 5 + 7 = 22.
    (
        {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 22},
        Usage(input_tokens=10, output_tokens=5, reasoning_tokens=7),
    ),
    ({"promptTokenCount": 10, "thoughtsTokenCount": 7}, Usage(input_tokens=10, reasoning_tokens=7)),
    # Here they are within them: 10 + 12 = 22.
    (
        {"promptTokenCount": 10, "candidatesTokenCount": 12, "thoughtsTokenCount": 7, "totalTokenCount": 22},
        Usage(input_tokens=10, output_tokens=5, reasoning_tokens=7),
    ),
    # What the provider's tools put in is beside the prompt: 10 + 30 + 5 = 45.
    (
        {
            "promptTokenCount": 10,
            "toolUsePromptTokenCount": 30,
            "candidatesTokenCount": 5,
            "totalTokenCount": 45,
        },
        Usage(input_tokens=40, output_tokens=5),
    ),
    # 1000 of which 258 are an image and 100 sound; 642 are text.
    (
        {"promptTokenCount": 1000, "promptTokensDetails": kinds(text=642, image=258, audio=100)},
        Usage(input_tokens=642, image_input_tokens=258, audio_input_tokens=100),
    ),
    # Video and documents cost what text does.
    (
        {"promptTokenCount": 300, "promptTokensDetails": kinds(text=50, video=200, document=50)},
        Usage(input_tokens=300),
    ),
    # 100 of sound, of which 60 came from the cache, and 50 of text, of which 20 did.
    (
        {
            "promptTokenCount": 150,
            "cachedContentTokenCount": 80,
            "promptTokensDetails": kinds(text=50, audio=100),
            "cacheTokensDetails": kinds(text=20, audio=60),
        },
        Usage(input_tokens=30, audio_input_tokens=40, cache_read_tokens=80),
    ),
    (
        {
            "promptTokenCount": 10,
            "candidatesTokenCount": 1300,
            "candidatesTokensDetails": kinds(text=10, image=1290),
        },
        Usage(input_tokens=10, output_tokens=10, image_output_tokens=1290),
    ),
    (
        {"promptTokenCount": 1, "candidatesTokenCount": 9, "candidatesTokensDetails": kinds(audio=9)},
        Usage(input_tokens=1, audio_output_tokens=9),
    ),
    ({"promptTokenCount": 1, "trafficType": "ON_DEMAND_PRIORITY"}, Usage(input_tokens=1, service_tier="priority")),
    ({"promptTokenCount": 1, "serviceTier": "FLEX"}, Usage(input_tokens=1, service_tier="flex")),
    ({"promptTokenCount": 1, "trafficType": "ON_DEMAND"}, Usage(input_tokens=1)),
    # Numbers that are none, and details that do not fit, count for nothing.
    ({"promptTokenCount": 3.0, "candidatesTokenCount": -1}, Usage(input_tokens=3)),
    ({"promptTokenCount": 3, "promptTokensDetails": [3, {"modality": 1}, *kinds(audio=9)]}, Usage(audio_input_tokens=3)),
]  # fmt: skip


@pytest.mark.parametrize(("counts", "usage"), CASES)
def test_buckets_are_disjoint(counts, usage):
    """Nothing is counted twice, and nothing is lost."""
    assert decode_usage(counts) == usage


@pytest.mark.parametrize("value", [None, [], {}, {"totalTokenCount": 3}, {"promptTokenCount": True}, {"promptTokenCount": 10**11}])  # fmt: skip
def test_what_counts_nothing_is_unknown(value):
    """Which is not the same as zero."""
    assert decode_usage(value) is None


@given(USAGES)
def test_counts_survive_the_way_out_and_back(usage):
    """And the total is their sum, in the official model."""
    out = encode_usage(usage)
    assert decode_usage(out) == usage
    official = types.GenerateContentResponseUsageMetadata.model_validate(out)
    assert official.total_token_count == usage.all_input_tokens + usage.all_output_tokens


def test_writes_to_a_cache_are_part_of_the_prompt():
    """The dialect has no count for them."""
    out = encode_usage(Usage(input_tokens=1, cache_write_5m_tokens=2, cache_write_1h_tokens=4, service_tier="batch"))
    assert out == {"promptTokenCount": 7, "candidatesTokenCount": 0, "totalTokenCount": 7}
