"""A provider's own limits, and what it says about them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from fairlead.core.ratelimits import told
from fairlead.errors import ConfigError
from fairlead.providers.sim import Fault, Rates, read
from fairlead.providers.sim.allowance import Allowance

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "faults.md"


def take(allowance, at_s, prompt=10, output=10, most=100):
    return allowance.take(at_s, prompt=prompt, output=output, most=most)


def test_a_bucket_gives_its_worth_at_once_and_then_the_rate():
    """60 a minute in a bucket of ten seconds: ten, and then one a second."""
    allowance = Allowance(Rates(rpm=60, bucket_s=10), 0.0)
    assert [take(allowance, 0.0) for _ in range(10)] == [0.0] * 10
    assert take(allowance, 0.0) == pytest.approx(1.0)
    assert take(allowance, 1.0) == 0.0
    assert take(allowance, 1.5) == pytest.approx(0.5)


def test_waiting_as_long_as_it_says_is_enough():
    """A refusal names the moment from which on it would not be one."""
    rng = random.Random(1)  # noqa: S311 - repeatable on purpose
    allowance, at_s = Allowance(Rates(rpm=30, tpm=1_000, bucket_s=5), 0.0), 0.0
    refused = 0
    for _ in range(500):
        prompt, output = rng.randrange(1, 60), rng.randrange(1, 60)
        wait_s = take(allowance, at_s, prompt, output)
        if wait_s:
            refused += 1
            at_s += wait_s
            assert take(allowance, at_s, prompt, output) == 0.0
        at_s += rng.random()
    assert refused > 100


@pytest.mark.parametrize(("counts", "left"), [("used", 980), ("maximum", 890)])
def test_tokens_are_counted_as_used_or_as_they_may_become(counts, left):
    """Ten in, ten out, a hundred at most."""
    allowance = Allowance(Rates(tpm=1_000, counts=counts), 0.0)
    take(allowance, 0.0)
    assert allowance.headers()["x-ratelimit-remaining-tokens"] == str(left)


def test_its_headers_are_read_as_what_they_mean():
    """In OpenAI's form; the pipeline reads the limit a minute out of them, whatever the size of the bucket."""
    for bucket_s in (2.0, 10.0, 60.0):
        allowance = Allowance(Rates(rpm=600, tpm=60_000, bucket_s=bucket_s), 0.0)
        for _ in range(15):
            take(allowance, 0.0)
        headers = allowance.headers()
        assert told(headers, "requests", 0.0).a_minute == 600
        assert told(headers, "tokens", 0.0).a_minute == 60_000


def test_a_refusal_says_when_to_come_again_in_both_units():
    """Whole seconds are rounded up."""
    allowance = Allowance(Rates(rpm=60, bucket_s=1), 0.0)
    take(allowance, 0.0)
    headers = allowance.headers(take(allowance, 0.75))
    assert (headers["retry-after-ms"], headers["retry-after"]) == ("250", "1")
    assert headers["x-ratelimit-reset-requests"] == "250ms"


def test_a_long_reset_is_written_in_minutes():
    """As OpenAI writes durations."""
    allowance = Allowance(Rates(tpm=60, bucket_s=90), 0.0)
    take(allowance, 0.0, prompt=80, output=10)
    assert allowance.headers()["x-ratelimit-reset-tokens"] == "1m30s"


def test_a_provider_may_say_nothing():
    """Neither limits nor waits."""
    allowance = Allowance(Rates(rpm=60, bucket_s=1, headers=False), 0.0)
    take(allowance, 0.0)
    assert allowance.headers(take(allowance, 0.0)) == {}


def test_the_file_of_the_documentation_is_read():
    """Every `toml faults` block of the page."""
    block = re.search(r"```toml faults\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found = read(block[1])
    assert found.limits == Rates(rpm=600, tpm=60_000, bucket_s=10)
    assert found.faults[0] == Fault(kind="status", status=503, from_s=60, until_s=90)
    assert found.faults[1].kind == "slow_start"


@pytest.mark.parametrize("text", ["[limits]\nrpm = 0", "[limits]\nbucket_s = 0", "[limits]\nrps = 1"])
def test_limits_that_make_no_sense_are_refused(text):
    """As mistakes in faults are."""
    with pytest.raises(ConfigError):
        read(text)
