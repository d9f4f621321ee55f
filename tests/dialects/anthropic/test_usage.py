"""Counts of the Anthropic dialect."""

from __future__ import annotations

import pytest
from hypothesis import given

from anthropic_generated import USAGES
from fairlead.dialects.anthropic.usage import decode_usage, encode_delta_usage, encode_usage, uncounted, updated
from fairlead.types import Usage

# From Anthropic's documentation of prompt caching, extended thinking, web search and service tiers.
CASES = [
    ({"input_tokens": 12, "output_tokens": 6}, Usage(input_tokens=12, output_tokens=6)),
    (
        {
            "input_tokens": 2048,
            "cache_read_input_tokens": 1800,
            "cache_creation_input_tokens": 248,
            "output_tokens": 503,
            "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
        },
        Usage(
            input_tokens=2048,
            cache_read_tokens=1800,
            cache_write_5m_tokens=148,
            cache_write_1h_tokens=100,
            output_tokens=503,
        ),
    ),
    (
        {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 9},
        Usage(input_tokens=1, output_tokens=2, cache_write_5m_tokens=9),
    ),
    (
        {"input_tokens": 1, "output_tokens": 2, "cache_creation": {"ephemeral_1h_input_tokens": 9}},
        Usage(input_tokens=1, output_tokens=2, cache_write_1h_tokens=9),
    ),
    (
        {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 9},
        },
        Usage(input_tokens=1, output_tokens=2, cache_write_1h_tokens=5),
    ),
    (
        {"input_tokens": 0, "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}},
        Usage(output_tokens=20, reasoning_tokens=30),
    ),
    (
        {"input_tokens": 0, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 30}},
        Usage(reasoning_tokens=5),
    ),
    (
        {
            "input_tokens": 105,
            "output_tokens": 6039,
            "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2},
            "service_tier": "priority",
        },
        Usage(input_tokens=105, output_tokens=6039, tool_requests=3, service_tier="priority"),
    ),
    ({"input_tokens": 0, "output_tokens": 0}, Usage()),
    (
        {
            "input_tokens": 3,
            "output_tokens": 4.0,
            "cache_read_input_tokens": None,
            "cache_creation": None,
            "server_tool_use": None,
        },
        Usage(input_tokens=3, output_tokens=4),
    ),
    ({"input_tokens": -1, "output_tokens": True}, None),
    ({"input_tokens": 10**30}, None),
    ({}, None),
    (None, None),
    ("x", None),
]


@pytest.mark.parametrize(("counts", "usage"), CASES)
def test_counts_become_disjoint_buckets(counts, usage):
    """As documented, and nothing from what is no count; zero is known, absent is not."""
    assert decode_usage(counts) == usage


@given(USAGES)
def test_buckets_survive_the_way_out_and_back(usage):
    """All that this dialect counts; its stream tells the writes to the cache in one."""
    assert decode_usage(encode_usage(usage)) == usage
    merged = decode_usage(updated(encode_usage(usage), encode_delta_usage(usage)))
    assert merged == usage


def test_media_count_as_input():
    """This dialect has no buckets of their own for them."""
    assert encode_usage(Usage(input_tokens=1, image_input_tokens=2, audio_input_tokens=4))["input_tokens"] == 7


@pytest.mark.parametrize(("tier", "name"), [("default", "standard"), ("flex", None), (None, None), ("batch", "batch")])
def test_tiers_of_other_dialects(tier, name):
    """One that this dialect does not have is left out."""
    assert encode_usage(Usage(service_tier=tier))["service_tier"] == name


def test_later_counts_replace_earlier_ones():
    """What an event leaves out or calls null stays (FAULTS S11)."""
    start = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 3}
    assert updated(start, {"output_tokens": 9, "input_tokens": None}) == {**start, "output_tokens": 9}
    assert updated(start, None) == start


def test_what_no_bucket_holds_is_told_apart():
    """Where and how fast a model ran, and tools that are not billed a request."""
    counts = {"input_tokens": 1, "speed": "fast", "inference_geo": None, "server_tool_use": {"web_search_requests": 3}}
    assert uncounted(counts) == {"speed": "fast"}
    fetched = {"web_search_requests": 0, "web_fetch_requests": 1}
    assert uncounted({"server_tool_use": fetched}) == {"server_tool_use": fetched}
    assert uncounted(None) == {}
