"""The counts of the Responses dialect."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from fairlead.dialects.openai_responses import reply
from fairlead.dialects.openai_responses.usage import decode_usage, encode_tool_usage, encode_usage
from fairlead.types import Usage
from responses_generated import USAGES


def counts(read=None, written=None, **top):
    return {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_tokens_details": {"cached_tokens": 0, **(read or {})},
        "output_tokens_details": {"reasoning_tokens": 0, **(written or {})},
        **top,
    }


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        (counts(), Usage(input_tokens=100, output_tokens=50)),
        (counts({"cached_tokens": 64}), Usage(input_tokens=36, cache_read_tokens=64, output_tokens=50)),
        (
            counts({"cached_tokens": 64, "cache_write_tokens": 30}),
            Usage(input_tokens=6, cache_read_tokens=64, cache_write_5m_tokens=30, output_tokens=50),
        ),
        (counts(written={"reasoning_tokens": 40}), Usage(input_tokens=100, output_tokens=10, reasoning_tokens=40)),
        (
            counts(
                {"cache_write_tokens": 10, "cache_write_tokens_details": {"ttl_12h_tokens": 10, "ttl_30m_tokens": 0}}
            ),
            Usage(input_tokens=90, cache_write_5m_tokens=10, output_tokens=50),
        ),
        (counts({"cached_tokens": 500}), Usage(cache_read_tokens=100, output_tokens=50)),
        ({"input_tokens": 0, "output_tokens": 0}, Usage()),
        ({"input_tokens": 3}, Usage(input_tokens=3)),
        ({"input_tokens": -1}, None),
        ({}, None),
        (None, None),
        ("x", None),
    ],
)
def test_buckets_are_disjoint(value, usage):
    """What was cached and what was thought is counted once; details never add up to more than the whole."""
    assert decode_usage(value) == usage


@pytest.mark.parametrize(
    ("tools", "requests"),
    [
        ({"web_search": {"num_requests": 3}}, 3),
        ({"web_search": {"num_requests": 0}}, 0),
        ({"web_search": {"num_requests": -1}}, 0),
        ({"web_search": None}, 0),
        (None, 0),
    ],
)
def test_searches_are_counted_beside_the_tokens(tools, requests):
    """They are billed by the request."""
    assert decode_usage(counts(), "default", tools) == Usage(
        input_tokens=100, output_tokens=50, tool_requests=requests, service_tier="default"
    )
    assert decode_usage(None, None, tools) is None


@given(USAGES)
def test_what_is_written_is_read_again(usage):
    """Every bucket that the dialect has."""
    body = {"output": [], "usage": encode_usage(usage), **encode_tool_usage(usage)}
    assert decode_usage(body["usage"], None, body.get("tool_usage")) == usage
    assert reply.usage(json.dumps(body).encode()) == usage


def test_buckets_that_the_dialect_has_not_are_part_of_the_whole():
    """So that the sum stays right."""
    usage = Usage(
        input_tokens=1, cache_write_1h_tokens=2, audio_input_tokens=4, image_output_tokens=8, output_tokens=16
    )
    written = encode_usage(usage)
    assert (written["input_tokens"], written["output_tokens"], written["total_tokens"]) == (7, 24, 31)
    assert written["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 2}
    assert encode_usage(None) is None
