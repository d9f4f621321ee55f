"""What a configuration must keep beyond types."""

from __future__ import annotations

import pytest

from fairlead.config.load import load_text
from fairlead.config.rules import is_loopback
from fairlead.errors import ConfigError

SIM = "[models.a]\ntargets = ['sim/sim-small']\n"
OPENAI = "[providers.openai]\nvendor = 'openai'\napi_key = 'env:K'\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[gateway]\nport = 70000", 2, "`gateway.port`: expected an integer <= 65535"),
        ("[gateway]\nport = 1\nadmin_port = 1", 3, "must differ from `gateway.port`"),
        ("[gateway]\nhost = '0.0.0.0'\nauth = 'open'\n[store]\ncontent = 'off'", 3, "loopback addresses only"),
        ("[gateway]\nhost = '0.0.0.0'", 2, "`[store] content`"),
        ("[gateway]\ntls = { cert = '/a', key = 'file:b' }", 2, "`gateway.tls.cert` must be `file:PATH`"),
        ("[store]\nurl = 'fairlead.db'", 2, "`sqlite:///PATH`"),
        ("[store]\nurl = 'sqlite:///'", 2, "`sqlite:///PATH`"),
        ("[state]\nurl = 'disk'", 2, "`memory:`"),
        ("[gateway]\ntenant_weights = { search = 3 }", 2, "`team:NAME`"),
        ("[gateway.tenant_weights]\n'team:a' = 2\n'team:' = 3", 3, "`team:NAME`"),
        ("[state]\nurl = 'redis:///0'", 2, "must name a server"),
        ("[state]\nurl = 'redis://a/b'", 2, "must name a server"),
        ("[state]\nurl = 'valkey://a:99999'", 2, "is not a URL"),
        ("[state]\nurl = 'rediss://u:p@a'", 2, "carries a password"),
        ("[providers.'a/b']\nvendor = 'sim'", 1, "a provider's name"),
        ("[providers.a]\nvendor = 'opnai'", 2, "did you mean `openai`?"),
        ("[providers.a]\nvendor = 'default'", 2, "is not known"),
        ("[providers.a]\nvendor = 'openai_chat'", 2, "is not known"),
        ("[providers.a]\nbase_url = 'https://a'", 1, "needs `vendor`, or `dialect` and `base_url`"),
        ("[providers.a]\ndialect = 'openai'", 1, "needs `vendor`, or `dialect` and `base_url`"),
        ("[providers.a]\nvendor = 'fairlead'\napi_key = 'env:K'", 1, "needs `base_url`"),
        (OPENAI + "dialect = 'anthropic'", 4, "nothing that this vendor speaks; known are `openai`"),
        (OPENAI + "seed = 1", 4, 'works with `vendor = "sim"` only'),
        (OPENAI + "credentials = ['env:B']", 4, "both `api_key` and `credentials`"),
        ("[providers.a]\nvendor = 'openai'\napi_key = 'sk-123'", 3, "must be a reference"),
        ("[providers.a]\nvendor = 'openai'\ncredentials = ['env:A',\n'sk-123']", 4, "must be a reference"),
        ("[providers.a]\nvendor = 'openai'", 1, 'add `api_key = "env:OPENAI_API_KEY"`'),
        (OPENAI + "base_url = 'ftp://a'", 4, "must be a URL such as"),
        (OPENAI + "base_url = 'https://u:p@a/v1'", 4, "must not carry a user"),
        (OPENAI + "base_url = 'https://a/v1?key=x'", 4, "query or a fragment"),
        (OPENAI + "base_url = 'https://a:99999/v1'", 4, "is not a URL"),
        (OPENAI + "base_url = 'http://a/v1'", 4, "plain HTTP"),
        ("[models.a]\ntargets = []", 2, "is empty"),
        ("[models.a]\ntargets = ['gpt-4o']", 2, "write `provider/model`"),
        ("[models.a]\ntargets = ['openai/']", 2, "write `provider/model`"),
        (OPENAI + "[models.a]\ntargets = ['opnai/gpt-4o']", 5, "did you mean `openai`?"),
        ("[models.a]\ntargets = ['sim/*']", 2, '`[models."*"]` only'),
        ("[models.a]\ntargets = ['sim/sim-small', 'sim/sim-small']", 2, "stands twice"),
        (
            "[models.a]\ntargets = ['sim/sim-small', { target = 'sim/sim-large', weight = 1 }]",
            2,
            "every target a weight, or none",
        ),
        ("[models.a]\ntargets = [{ target = 'sim/sim-large', weight = 0 }]", 2, "expected an integer >= 1"),
        ("[models.a]\ntargets = ['sim/sim-smal']", 2, "did you mean `sim-small`?"),
        ("[models.a]\ntargets = ['sim/gpt']", 2, "`sim-embed`, `sim-large`, `sim-long`, `sim-reasoner`, `sim-small`"),
        (
            "[gateway]\nauth = 'passthrough'\n" + OPENAI + "[models.a]\ntargets = ['openai/a', 'sim/sim-small']",
            7,
            "keep the targets of one provider",
        ),
        (SIM + "fallbacks = { content_policy = ['sim-large'] }", 3, "write `provider/model`"),
        (SIM + "fallbacks = { context_window = ['sin/sim-large'] }", 3, "did you mean `sim`?"),
        (
            "[gateway]\nauth = 'passthrough'\n" + OPENAI + "[models.a]\ntargets = ['openai/a']\n"
            "fallbacks = { context_window = ['openai/b'], content_policy = ['sim/sim-small'] }",
            8,
            "`models.a.fallbacks.content_policy[0]`: with `auth",
        ),
        ("[models.' a']\ntargets = ['sim/sim-large']", 1, "printable"),
        ("[models.a]\ntargets = ['sim/sim-small']\nprice = { input = 1 }", 3, "needs `input` and `output`"),
        ("[models.a]\ntargets = ['sim/sim-small']\nprice = { usd_per_hour = 1, input = 1 }", 3, "keep one"),
        ("[models.a]\ntargets = ['sim/sim-small']\nprice = { input = 1e-9, output = 1 }", 3, "smallest step"),
        ("[models.a]\ntargets = ['sim/sim-small']\nprice = { input = -1, output = 1 }", 3, ">= 0"),
        ("[models.a]\ntargets = ['sim/sim-small']\ntimeouts = { total = 0 }", 3, "> 0"),
    ],
)
def test_a_broken_rule_is_refused_with_its_line_and_the_remedy(text: str, line: int, words: str):
    """Each rule says where and what to do."""
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    message = caught.value.message
    assert message.startswith(f"fairlead.toml:{line}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        "[gateway]\nauth = 'open'",
        "[gateway]\nport = 0\nadmin_port = 0",
        "[gateway]\ntenant_weights = { 'team:a' = 2, 'user:b' = 0.5, 'key:0123' = 3 }",
        "[gateway]\nhost = '0.0.0.0'\n[store]\ncontent = 'hash'",
        "[gateway]\nhost = '0.0.0.0'\nauth = 'passthrough'\n[store]\ncontent = 'off'\n[providers.a]\nvendor = 'openai'",
        "[providers.a]\nvendor = 'ollama'\nbase_url = 'http://10.0.0.7:11434/v1'",
        "[providers.a]\nvendor = 'sim'\nseed = 1\nlatency_s = 0\ntokens_per_s = 50\nerror_rate = 0.1\nfaults = 'f.toml'",
        "[providers.a]\nvendor = 'sim'\ndialect = 'anthropic'",
        OPENAI + "dialect = 'openai'",
        "[models.'*']\ntargets = ['sim/*']",
        # Vendors that are called like the dialect that they speak.
        "[providers.a]\nvendor = 'anthropic'\napi_key = 'env:K'\n[providers.g]\nvendor = 'gemini'\napi_key = 'env:K'",
        "[providers.sim]\nvendor = 'sim'\nbase_url = 'http://127.0.0.1:8500/v1'\n[models.a]\ntargets = ['sim/any']",
        "[gateway]\nauth = 'passthrough'\n" + OPENAI + "[models.a]\ntargets = ['openai/a', 'openai/b']",
        "[gateway]\nauth = 'passthrough'\n" + OPENAI + "[models.a]\ntargets = ['openai/a']\n"
        "fallbacks = { context_window = ['openai/b'], content_policy = ['openai/c'] }",
        SIM + "fallbacks = { context_window = ['sim/sim-long'] }",
        "[models.a]\ntargets = ['sim/sim-small']\nprice = { input = 0, output = 0 }",
        "[models.a]\ntargets = ['sim/sim-small']\nprice = { usd_per_hour = 2.5 }",
    ],
)
def test_what_keeps_the_rules_is_accepted(text: str):
    """The rules refuse no configuration that works."""
    load_text(text)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_loopback_addresses_are_known(host: str):
    """Only this machine reaches them."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", ""])  # noqa: S104
def test_every_other_address_counts_as_reachable(host: str):
    """Where it is not sure, others can reach it."""
    assert not is_loopback(host)
