"""What a model's `validation` must keep beyond types."""

from __future__ import annotations

import pytest

from fairlead.config.load import load_text
from fairlead.errors import ConfigError

STRONGER = "[models.b]\ntargets = ['sim/sim-large']\n[models.'*']\ntargets = ['sim/*']\n"
PASSTHROUGH = (
    "[gateway]\nauth = 'passthrough'\n[providers.openai]\nvendor = 'openai'\n[providers.anthropic]\nvendor = 'anthropic'\n"
    "[models.b]\ntargets = ['openai/b']\n[models.c]\ntargets = ['anthropic/c']\n"
    "[models.a]\ntargets = ['openai/a']\n"
)


def held(validation: str) -> str:
    return STRONGER + f"[models.a]\ntargets = ['sim/sim-small']\nvalidation = {{ {validation} }}"


@pytest.mark.parametrize(
    ("validation", "words"),
    [
        ("up_to = 'escalate'", 'escalate"` needs `escalate`'),
        ("up_to = 'fallback'", 'fallback"` needs `fallback`'),
        ("up_to = 'escalate', escalate = 'c'", "escalate`: no model 'c'; known are `b`"),
        ("up_to = 'escalate', escalate = '*'", "is `*`, which is every name and no model; name one of `[models]`"),
        ("up_to = 'escalate', escalate = 'a'", "is the model itself, which `attempts` asks again; name a stronger one"),
        ("escalate = 'b'", 'escalate` is never reached with `up_to = "reask"`; set `up_to = "escalate"`'),
        (
            "up_to = 'coerce', fallback = 1",
            'fallback` is never reached with `up_to = "coerce"`; set `up_to = "fallback"`',
        ),
        ("up_to = 'escalate', escalate = 'b', fallback = 1", 'fallback` is never reached with `up_to = "escalate"`'),
        ("up_to = 'fallback', fallback = 2026-05-04", "what JSON has no form for; write dates and times as strings"),
        ("up_to = 'fallback', fallback = [{ day = 2026-05-04 }]", "what JSON has no form for"),
        ("locale = 'english'", "'english' is no locale that is known; write a language and a region, as in `en-US`"),
        ("locale = 'xx'", "'xx' is no locale that is known"),
    ],
)
def test_a_broken_rule_is_refused_with_its_line_and_the_remedy(validation: str, words: str):
    """What is configured and can never work is a mistake that somebody wants to hear of at once."""
    with pytest.raises(ConfigError) as caught:
        load_text(held(validation))
    message = caught.value.message
    assert message.startswith("fairlead.toml:7: `models.a.validation.")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "validation",
    [
        "up_to = 'coerce'",
        "up_to = 'escalate', escalate = 'b'",
        "up_to = 'fallback', escalate = 'b', fallback = { a = [1, 'x', true] }",
        "locale = 'en-US'",
        "locale = 'de_CH'",
        "locale = 'ja'",
    ],
)
def test_what_keeps_the_rules_is_accepted(validation: str):
    """The rules refuse no configuration that works."""
    load_text(held(validation))


def test_a_callers_own_key_does_not_go_to_the_provider_of_a_stronger_model():
    """It was given for one provider, and another one has no right to see it."""
    with pytest.raises(ConfigError) as caught:
        load_text(PASSTHROUGH + "validation = { up_to = 'escalate', escalate = 'c' }")
    assert '`models.a.validation.escalate`: with `auth = "passthrough"` the caller\'s key must not go' in str(
        caught.value
    )
    assert "name a model of the same provider" in str(caught.value)


def test_a_callers_own_key_may_go_to_a_stronger_model_of_the_same_provider():
    """Nobody sees it who has not seen it before."""
    load_text(PASSTHROUGH + "validation = { up_to = 'escalate', escalate = 'b' }")
