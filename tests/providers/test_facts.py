"""What is known of vendors and model families."""

from __future__ import annotations

import pytest

from fairlead.dialects import DIALECTS
from fairlead.providers import facts, prices
from fairlead.types import Chat

FACTS = facts.load()


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-5", "gpt-5"),
        ("GPT-5-mini", "gpt-5"),
        ("openai/gpt-5", "gpt-5"),
        ("gpt-5-chat-latest", "gpt-5-chat"),
        ("ft:gpt-4o-mini:org::id", "gpt-4o-mini"),
        ("openai/ft:gpt-4o-mini:org::id", "gpt-4o-mini"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4.1-nano", "gpt-4.1"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-turbo-2024-04-09", "gpt-4-turbo"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("o3-mini", "o3-mini"),
        ("o1-2024-12-17", "o1"),
        ("anthropic/claude-sonnet-4", "claude-sonnet-4"),
        ("anthropic/claude-3.5-sonnet", "claude-3.5"),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude-3-7"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5", "claude-haiku-4"),
        ("models/gemini-2.5-pro", "gemini-2.5"),
        ("accounts/fireworks/models/llama-v3p1-8b-instruct", "llama"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3"),
        ("Qwen/Qwen3-32B", "qwen3"),
        ("deepseek/deepseek-r1:free", "deepseek-r1"),
        ("sim-small", "sim-"),
        ("sim-embed", "sim-embed"),
        ("openai/text-embedding-3-small", "text-embedding-"),
        ("models/gemini-embedding-001", "gemini-embedding-001"),
        ("embed-english-v3.0", "embed-english-"),
        ("voyage-3.5-lite", "voyage-3"),
        ("amazon.titan-embed-text-v2:0", "titan-embed"),
    ],
)
def test_a_model_is_known_under_every_name_that_vendors_give_it(model, family):
    """The longest family name at the start of the model's own name counts."""
    assert FACTS.family(model) is FACTS.families[family]


@pytest.mark.parametrize("model", ["", "/", "ft:", "mine", "a.b.c.gpt-5", "my-gpt-5", "." * 100_000, "ft:ft:o1"])
def test_an_unknown_model_has_the_stated_defaults(model):
    """A family's name in the middle says nothing, however long the name is."""
    assert FACTS.family(model) is FACTS.default_family


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-3.5-turbo", 4_096),
        ("gpt-4", 8_192),
        ("gpt-4o", 16_384),
        ("gpt-4.1-mini", 32_768),
        ("gpt-4.5-preview", 16_384),
        ("gpt-5.1", 128_000),
        ("o1-mini", 65_536),
        ("o4-mini", 100_000),
        ("claude-3-opus-20240229", 4_096),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-sonnet-4-20250514", 64_000),
        ("claude-opus-4-1-20250805", 32_000),
        ("claude-haiku-4-5", 64_000),
        ("claude-opus-4-7", 128_000),
        ("gemini-1.5-flash", 8_192),
        ("gemini-2.5-flash", 65_535),
    ],
)
def test_a_reservation_is_bounded_by_what_the_vendor_publishes(model, tokens):
    """At least the published maximum, and not a multiple of it."""
    assert tokens <= FACTS.family(model).max_output_tokens < 2 * tokens


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "google", "deepseek", "x-ai"])
def test_chat_models_of_the_price_table_have_a_family(vendor):
    """What the large vendors price is bounded by facts, not by a guess."""
    strangers = {name for name in prices.load().models(vendor) if FACTS.family(name) is FACTS.default_family}
    other = ("embed", "davinci", "babbage", "curie", "ada", "moderation", "tts", "whisper", "image", "computer-use")
    assert {name for name in strangers if not any(word in name for word in other)} == set()


def test_family_names_are_in_lower_case():
    """They are compared with names in lower case."""
    assert [name for name in FACTS.families if name != name.lower()] == []


@pytest.mark.parametrize("vendor", ["openai", "google", "mistral", "cohere"])
def test_embedding_models_of_the_price_table_write_nothing(vendor):
    """A reservation for them has no output in it."""
    embedding = [name for name in prices.load().models(vendor) if "embed" in name]
    assert embedding
    assert [name for name in embedding if FACTS.family(name).max_output_tokens] == []


def test_the_simulator_speaks_every_dialect():
    """Whatever this version has."""
    assert FACTS.vendors["sim"].speaks == tuple(DIALECTS)


def test_a_vendor_can_be_taken_as_one_that_speaks_only_one_of_its_dialects():
    """With what is usual in that one: how the key is sent, and what is told with every request."""
    narrowed = FACTS.narrowed["sim", "anthropic"]
    assert (narrowed.speaks, narrowed.auth_header, narrowed.auth_prefix) == (("anthropic",), "x-api-key", "")
    assert (narrowed.headers, narrowed.quirks) == ({"anthropic-version": "2023-06-01"}, frozenset())
    assert narrowed.keyless
    assert FACTS.narrowed["openai", "openai_chat"].quirks == FACTS.vendors["openai"].quirks


def test_what_models_refuse_are_fields_of_a_chat():
    """A name that is none would be left out of nothing."""
    families = FACTS.families.values()
    named = {name for family in families for name in (*family.refuses, *family.one_of)}
    assert named - {*Chat.__struct_fields__} == set()
    assert "temperature" in named


@pytest.mark.parametrize(
    ("model", "refused"),
    [
        ("gpt-4o", False),
        ("gpt-4.1-mini", False),
        ("gpt-5-chat-latest", False),
        ("gpt-5.3-chat-latest", False),
        ("gpt-5-mini", True),
        ("gpt-6-sol", True),
        ("o1", True),
        ("o3-mini", True),
        ("azure/o4-mini", True),
        ("claude-sonnet-4-5", False),
        ("claude-opus-4-6", False),
        ("claude-opus-4-7", True),
        ("claude-sonnet-5-5", True),
        ("claude-haiku-5-5", True),
        ("deepseek-chat", False),
        ("deepseek-reasoner", True),
        ("grok-4", False),
    ],
)
def test_whose_temperature_is_not_the_callers_to_set(model, refused):
    """Reasoning models of OpenAI and DeepSeek, and Claude from Opus 4.7 on."""
    assert ("temperature" in FACTS.family(model).refuses) == refused


@pytest.mark.parametrize(
    ("model", "refused"),
    [("grok-3", set()), ("grok-3-mini", {"stop"}), ("grok-4.5", {"stop"}), ("grok-4-fast-reasoning", {"stop", "reasoning_effort"}),
     ("grok-4-fast-non-reasoning", {"reasoning_effort"})],
)  # fmt: skip
def test_what_grok_refuses_depends_on_whether_it_reasons(model, refused):
    """Penalties and stop sequences where it does; an effort where it cannot be chosen."""
    assert {"stop", "reasoning_effort"} & set(FACTS.family(model).refuses) == refused


@pytest.mark.parametrize(
    "model", ["claude-opus-4-1-20250805", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4.6"]
)
def test_some_take_one_way_to_sample_at_a_time(model):
    """Temperature goes before nucleus sampling."""
    assert FACTS.family(model).one_of == ("temperature", "top_p")


@pytest.mark.parametrize(
    ("model", "reads"),
    [
        ("gpt-4o-audio-preview", {"text", "audio"}),
        ("gpt-5.6-luna", {"text", "image", "file"}),
        ("o3-mini", {"text"}),
        ("claude-fable-5-2", {"text", "image", "file"}),
        ("gemini-2.5-pro", {"text", "image", "audio", "file"}),
        ("mistral-small-latest", {"text", "image"}),
        ("meta-llama/llama-4-scout-17b-16e-instruct", {"text", "image"}),
        ("qwen3-vl-235b-a22b", {"text", "image"}),
    ],
)
def test_what_a_model_reads(model, reads):
    """By its family."""
    assert set(FACTS.family(model).input) == reads


def test_nothing_is_claimed_of_what_an_unknown_model_reads():
    """Unknown is not text alone."""
    assert FACTS.default_family.input is None


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "x-ai"])
def test_a_window_is_no_larger_than_the_price_table_has_it_by_a_twentieth(vendor):
    """Two sources that were gathered apart agree, but for rounding."""
    table = prices.load()
    both = [
        (name, FACTS.family(name).window, found.context_window)
        for name in table.models(vendor)
        if "realtime" not in name and "transcribe" not in name and (found := table.find(vendor, name)) is not None
    ]
    apart = {
        name: (ours, theirs)
        for name, ours, theirs in both
        if ours is not None and theirs is not None and ours > theirs * 1.06
    }
    assert apart == {}
