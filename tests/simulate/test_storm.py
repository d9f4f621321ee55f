"""The storm of 429: what is asked of the pipeline, and what others make of the same hour."""

from __future__ import annotations

import sys

import openai
import pytest
from openai._base_client import FinalRequestOptions  # type: ignore[attr-defined]
from tests.simulate import report, storm
from tests.simulate.storm import Figures

from fairlead.core.pacing import Pacing

KNOWN = Pacing(rpm=storm.RPM, tpm=storm.TPM)


def holds(row: Figures, slack: float = 0.0) -> None:
    """The promises; printed, so that a run shows by how much."""
    print(report.storm_table([row]))
    assert row.goodput >= 0.97 - slack
    assert row.refused_share <= 0.005 + slack
    assert row.least_share >= 0.90 - slack
    assert row.interactive_p95_s <= 2.0


def test_five_minutes_of_the_storm():
    """Nearly all of the capacity is used, next to nothing refused, nobody starves, and interactive calls hardly wait."""
    holds(storm.figures("Fairlead", storm.hour(lambda scene: storm.fairlead(scene, KNOWN), minutes=5, seed=7)))


@pytest.fixture(scope="module")
def rows() -> list[Figures]:
    """The hour in each way."""
    return report.storm_rows()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_hour_of_the_storm(rows):
    """The same over an hour; the others have the same provider and the same workers."""
    holds(rows[0])
    for other in rows[1:]:
        print(report.storm_table([other]))
        assert other.refused_share > 100 * rows[0].refused_share
        assert other.interactive_p95_s > rows[0].interactive_p95_s


@pytest.fixture(scope="module")
def learnt() -> list[Figures]:
    """Without configured limits."""
    return report.learnt_rows()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", [0, 1], ids=["headers", "refusals"])
def test_unknown_limits_are_learnt_within_two_minutes(learnt, variant):
    """From the third minute on it is the same within five points."""
    holds(learnt[variant], slack=0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="another version may run tasks in another order")
def test_the_page_shows_these_figures(rows, learnt):
    """`python -m tests.simulate.report` would change nothing."""
    page = report.PAGE.read_text(encoding="utf-8")
    tables = {"storm": rows, "learnt": learnt}
    made = {name: report.storm_table(each) for name, each in tables.items()} | {"trouble": report.trouble_table()}
    assert report.with_tables(page, made) == page, "run `python -m tests.simulate.report`"
    assert report.PLOT.read_text(encoding="utf-8") == report.plot(rows)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "1"},
        {"retry-after": "90"},
        {"retry-after": "121"},
        {"retry-after": "0"},
        {"retry-after": "7", "retry-after-ms": "250"},
    ],
)
@pytest.mark.parametrize("tried", [1, 2, 3])
def test_the_policy_beside_ours_is_that_of_the_installed_sdk(headers, tried, monkeypatch):
    """Waits and the last try are as OpenAI's SDK computes them."""
    monkeypatch.setattr(openai._base_client, "random", lambda: 0.5)
    client = openai.OpenAI(api_key="none")
    httpx = openai._base_client.httpx2
    response = httpx.Response(429, headers=headers)
    left = storm.SDK_RETRIES - (tried - 1)
    expected = None
    if left > 0 and client._should_retry(response):
        options = FinalRequestOptions(method="post", url="/")
        expected = client._calculate_retry_timeout(left, options, response.headers)
    assert client.max_retries == storm.SDK_RETRIES
    assert storm.sdk_wait_s(tried, headers, 0.5) == expected


def test_a_bucket_smaller_than_ours_is_learnt_by_a_few_refusals():
    """A provider that counts by the second refuses a little at first; what it refused stays counted, as a margin."""
    rates = storm.Rates(rpm=storm.RPM, tpm=storm.TPM, bucket_s=2.0)
    seen = storm.hour(lambda scene: storm.fairlead(scene, KNOWN), minutes=5, rates=rates, skip=1)
    holds(storm.figures("by the second", seen), slack=0.02)


def test_the_same_seed_gives_the_same_hour():
    """Nothing but the seed decides."""

    def once() -> Figures:
        return storm.figures("", storm.hour(lambda scene: storm.fairlead(scene, KNOWN), minutes=1, seed=3))

    assert once() == once()
