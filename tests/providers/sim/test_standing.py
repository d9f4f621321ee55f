"""How providers tell where a caller stands with its limits."""

from __future__ import annotations

import pytest

from fairlead.core.ratelimits import told
from fairlead.providers.sim.allowance import Allowance, Rates
from fairlead.providers.sim.standing import anthropic_headers, no_headers

AT_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def used(prompt=100, output=50, **rates):
    allowance = Allowance(Rates(**rates), 0.0)
    return allowance, allowance.take(0.0, prompt=prompt, output=output, most=200)


def test_anthropic_tells_each_limit_with_the_time_of_its_reset():
    """In RFC 3339 and whole seconds; `tokens` is the sum where nothing limits both together."""
    allowance, _ = used(rpm=60, input_tpm=6_000, output_tpm=600)
    assert allowance.headers(at_s=AT_S, form=anthropic_headers) == {
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "59",
        "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:01Z",
        "anthropic-ratelimit-input-tokens-limit": "6000",
        "anthropic-ratelimit-input-tokens-remaining": "5900",
        "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:01Z",
        "anthropic-ratelimit-output-tokens-limit": "600",
        "anthropic-ratelimit-output-tokens-remaining": "550",
        "anthropic-ratelimit-output-tokens-reset": "2026-01-01T00:00:05Z",
        "anthropic-ratelimit-tokens-limit": "6600",
        "anthropic-ratelimit-tokens-remaining": "6450",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:05Z",
    }


def test_anthropics_headers_are_read_as_what_they_mean():
    """The limit a minute, and what is left of it."""
    allowance, _ = used(rpm=600, tpm=60_000)
    headers = allowance.headers(at_s=AT_S, form=anthropic_headers)
    requests, tokens = (told(headers, kind, AT_S) for kind in ("requests", "tokens"))
    assert (requests.a_minute, requests.remaining) == (600, 599)
    assert (tokens.a_minute, tokens.remaining) == (60_000, 59_850)


@pytest.mark.parametrize(("counts", "left"), [("used", "150"), ("maximum", "0")])
def test_output_is_limited_apart_from_input(counts, left):
    """What it becomes, or what it may become."""
    allowance, wait_s = used(output_tpm=200, input_tpm=1_000, counts=counts)
    assert wait_s == 0.0
    assert allowance.headers(form=anthropic_headers)["anthropic-ratelimit-output-tokens-remaining"] == left


def test_a_caller_who_wrote_too_much_waits_until_it_is_made_up():
    """The limit on output may be overdrawn by an answer, and then nothing is let in."""
    allowance, _ = used(output=200, output_tpm=60)
    assert allowance.take(0.0, prompt=1, output=1, most=1) == pytest.approx(140.0)
    headers = allowance.headers(140.0, AT_S, anthropic_headers)
    assert headers["retry-after"] == "140"
    assert allowance.take(140.0, prompt=1, output=1, most=1) == 0.0


def test_google_tells_nothing_in_headers():
    """Not even in a refusal."""
    allowance, _ = used(rpm=60)
    assert allowance.headers(1.0, form=no_headers) == {}
