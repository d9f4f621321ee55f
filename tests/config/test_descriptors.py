"""How many streams fit, and who is told."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from fairlead.config.descriptors import (
    connections_within,
    few_streams,
    lift_open_files_limit,
    open_files_limit,
    streams_within,
)


@pytest.fixture
def limit() -> Iterator[int]:
    """The hard limit of this process, whose soft limit is put back afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("limit", "streams"),
    [(20_000, 9_750), (20_500, 10_000), (1_000_000, 10_000), (None, 10_000), (1_024, 262), (64, 16)],
)
def test_s21_half_of_what_is_left_of_the_descriptors_is_streams(limit: int | None, streams: int) -> None:
    """Each takes two, 500 are kept back, and more than 10,000 are not aimed for."""
    assert streams_within(limit) == streams


@pytest.mark.parametrize("limit", [1_024, 4_096, 20_000, 65_536])
def test_callers_are_let_in_as_far_as_their_upstreams_fit_too(limit: int) -> None:
    """Both connections of every stream, those that idle and a reserve stay under the limit."""
    assert connections_within(limit) + streams_within(limit) <= limit - 200


def test_s21_a_low_limit_is_told_with_its_remedy() -> None:
    """How many calls fit, and where to raise it."""
    told = few_streams(1_024)

    assert told is not None
    assert "1024 files" in told
    assert "262 calls" in told
    assert "ulimit -n" in told


@pytest.mark.parametrize("limit", [2_500, 20_000, None])
def test_a_limit_that_does_is_not_told(limit: int | None) -> None:
    """A thousand streams and more are enough for silence."""
    assert few_streams(limit) is None


def test_the_soft_limit_is_lifted_to_what_the_hard_one_allows(limit: int) -> None:
    """But no further than Fairlead can use."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limit))

    lift_open_files_limit()

    assert open_files_limit() == (20_500 if limit == resource.RLIM_INFINITY else min(limit, 20_500))


def test_a_limit_that_is_high_already_stays(limit: int) -> None:
    """Lifting never lowers."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    lift_open_files_limit()

    assert (open_files_limit() or limit) >= soft
