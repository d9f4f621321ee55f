"""Settings that are known and not yet there."""

from __future__ import annotations

import pytest

from fairlead.config.load import load_text
from fairlead.config.not_yet import NOT_YET
from fairlead.config.schema import Config
from fairlead.errors import ConfigError

MODEL = "[models.a]\ntargets = ['sim/sim-small']\n"
PROVIDER = "[providers.a]\nvendor = 'sim'\n"
EXAMPLES = {
    "gateway.workers": "[gateway]\nworkers = 4",
    "models.*.profile": MODEL + "profile = 'extraction'",
    "models.*.context": MODEL
    + "context = { max_input_tokens = 8, keep_exchanges = 4, summary_model = 'm', knowledge = 'h', top_k = 3 }",
    "models.*.validation": MODEL
    + "validation = { up_to = 'reask', attempts = 2, max_tokens = 4000, escalate = 'gpt-4o' }",
    "models.*.degraded": MODEL + "degraded = ['stale-cache', { static = 'We are busy.' }]",
    "profiles": "[profiles.extraction]\ntemperature = 0.1\ntop_p = 0.9\nmax_tokens = 1000",
    "knowledge": "[knowledge.handbook]\npaths = ['docs/**/*.md']",
    "prompts": "[prompts]\nfolder = 'prompts'",
    "store.url": "[store]\nurl = 'postgresql://db/fairlead'",
    "cache": "[cache]\nttl_s = 3600\nsemantic = { mode = 'off', max_error = 0.02 }",
    "screen": "[screen]\nmask = ['email', 'phone', 'card', 'iban']",
    "alerts": "[alerts]\ncost_per_request_usd = 0.05\np95_latency_s = 10\nvalidation_failure_rate = 0.05\n"
    "cache_hit_rate_min = 0.30\nwebhook = 'env:ALERT_WEBHOOK'",
}


@pytest.mark.parametrize("row", NOT_YET, ids=lambda row: row.path)
def test_a_setting_of_a_later_version_is_named_and_refused(row):
    """Nothing that is configured is silently ignored."""
    with pytest.raises(ConfigError) as caught:
        load_text(EXAMPLES[row.path])
    assert row.feature in caught.value.message
    assert f"is not yet in this version; {row.remedy}" in caught.value.message
    assert caught.value.message.startswith("fairlead.toml:")


def test_several_are_reported_together():
    """Somebody with a later version's file sees all that is missing at once."""
    with pytest.raises(ConfigError) as caught:
        load_text(EXAMPLES["models.*.profile"] + "\n" + EXAMPLES["cache"])
    assert [line.split(":")[1] for line in caught.value.message.split("\n")] == ["3", "4"]


@pytest.mark.parametrize(
    "text",
    [
        "[gateway]\nworkers = 1",
        "[state]\nurl = 'memory:'",
        "[state]\nurl = 'redis://localhost'",
        "[store]\nurl = 'sqlite:///a.db'",
        PROVIDER + "limits = { rpm = 500, tpm = 200_000, concurrency = 64, learn = true }",
        MODEL + "retry = { attempts = 5, base_delay = 1, max_delay = 60 }",
        MODEL + "breaker = { failure_rate = 0.5, min_calls = 10, consecutive = 5, open_s = 15 }",
        MODEL + "degraded = [{ static = 'We are busy.' }]",
    ],
)
def test_values_of_this_version_pass(text: str):
    """Only the values that are missing are refused."""
    assert isinstance(load_text(text), Config)
