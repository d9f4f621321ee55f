"""Whole configurations of a LiteLLM proxy."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.config.litellm import translate
from fairlead.config.litellm.account import Account, leaves
from fairlead.config.litellm.providers import Providers
from fairlead.config.litellm.source import read
from fairlead.config.load import load_text
from fairlead.config.problem import written
from fairlead.config.schema import Config, Target
from fairlead.errors import ConfigError
from fairlead.providers import facts

SECRET = "sk-live-0123456789abcdef"
SMALL = """
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: os.environ/OPENAI_API_KEY
  - model_name: claude
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_key: os.environ/ANTHROPIC_API_KEY
"""
BALANCED = """
model_list:
  - model_name: gpt-4o
    litellm_params: &eu
      model: azure/gpt-4o-eu
      api_base: https://eu.openai.azure.com/
      api_version: "2024-10-21"
      api_key: os.environ/AZURE_EU
      rpm: 60
  - model_name: gpt-4o
    litellm_params:
      <<: *eu
      model: azure/gpt-4o-us
      api_base: https://us.openai.azure.com/
      api_key: os.environ/AZURE_US
      rpm: 600
      tpm: 100000
  - model_name: gpt-4o
    litellm_params:
      model: gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      rpm: 300
      max_parallel_requests: 8
    model_info: {mode: chat, base_model: gpt-4o}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 3
  timeout: 30
  allowed_fails: 3
  cooldown_time: 600
  model_group_alias: {gpt-4: gpt-4o, hidden: {model: gpt-4o, hidden: true}, lost: nobody}
"""
RESILIENT = """
model_list:
  - {model_name: fast, litellm_params: {model: groq/llama-3.3-70b-versatile, order: 2}}
  - {model_name: fast, litellm_params: {model: cerebras/llama-3.3-70b, order: 1, weight: 3}}
  - {model_name: big, litellm_params: {model: claude-opus-4-6, timeout: 300, stream_timeout: 20}}
  - {model_name: cheap, litellm_params: {model: deepseek/deepseek-chat}}
litellm_settings:
  num_retries: 2
  request_timeout: 120
  drop_params: true
  fallbacks: [{fast: [cheap, big]}]
  context_window_fallbacks: [{fast: [big]}, {gone: [big]}]
  content_policy_fallbacks: [{big: [cheap]}]
  default_fallbacks: [cheap]
router_settings:
  num_retries: 4
"""
OWN_SERVERS = """
model_list:
  - {model_name: llama, litellm_params: {model: ollama_chat/llama3.1, api_base: "http://localhost:11434"}}
  - {model_name: qwen, litellm_params: {model: hosted_vllm/Qwen/Qwen3-32B, api_base: "http://gpu-1:8000/v1", api_key: none}}
  - model_name: mistral
    litellm_params: {model: openai/mistral-7b, api_base: "http://10.0.0.7:9000/v1/", api_key: fake-key}
  - model_name: acme
    litellm_params: {model: openai/acme-1, api_base: "https://llm.acme.example/v1", api_key: os.environ/ACME}
  - {model_name: embed, litellm_params: {model: openai/text-embedding-3-small}, model_info: {mode: embedding}}
"""
LARGE = f"""
model_list:
  - {{model_name: sonnet, litellm_params: {{model: bedrock/anthropic.claude-3-5-sonnet, aws_region_name: us-east-1}}}}
  - {{model_name: draw, litellm_params: {{model: openai/dall-e-3}}, model_info: {{mode: image_generation}}}}
  - {{model_name: "anthropic/*", litellm_params: {{model: "anthropic/*"}}}}
  - {{model_name: "*", litellm_params: {{model: "openai/*", api_key: {SECRET}}}}}
  - model_name: priced
    litellm_params: {{model: openai/ours, api_key: {SECRET}, temperature: 0.2, input_cost_per_token: 0.000002, output_cost_per_token: 8e-6}}
    model_info: {{max_output_tokens: 4096, supports_vision: true}}
litellm_settings:
  cache: true
  cache_params: {{type: redis, host: h, password: {SECRET}}}
  success_callback: [langfuse, prometheus]
  set_verbose: false
general_settings:
  master_key: {SECRET}
  database_url: postgresql://u:{SECRET}@db/litellm
  made_up: {{deep: [1, {{x: null}}]}}
environment_variables: {{LANGFUSE_SECRET_KEY: {SECRET}}}
"""


def loaded(text: str, environ: dict[str, str] | None = None) -> Config:
    """The configuration that comes of it."""
    return load_text(translate(text, "c.yaml", environ or {}).text)


def told(text: str) -> dict[str, tuple[str, str | None]]:
    """By path, the outcome and the note."""
    return {row.path: (row.outcome, row.note) for row in translate(text, "c.yaml", {}).rows}


def test_names_providers_and_keys_come_along():
    """Keys as references, and nothing to do."""
    config = loaded(SMALL)
    assert config.models["gpt-4o-mini"].targets == ("openai/gpt-4o-mini",)
    assert config.models["claude"].targets == ("anthropic/claude-sonnet-4-5",)
    assert config.providers["anthropic"].api_key == "env:ANTHROPIC_API_KEY"
    assert {outcome for outcome, _ in told(SMALL).values()} == {"carried"}


def test_deployments_of_one_name_share_its_traffic():
    """By rpm, as the proxy does it without weights; each limit is one of its provider."""
    config = loaded(BALANCED)
    assert config.models["gpt-4o"].targets == (
        Target(target="azure/gpt-4o-eu", weight=1),
        Target(target="azure-2/gpt-4o-us", weight=10),
        Target(target="openai/gpt-4o", weight=5),
    )
    assert config.providers["azure"].base_url == "https://eu.openai.azure.com/openai/v1"
    assert (config.providers["azure-2"].limits.rpm, config.providers["azure-2"].limits.tpm) == (600, 100_000)
    assert config.providers["openai"].limits.concurrency == 8


def test_retries_clocks_and_cooldowns_hold_for_all_names():
    """Tries count the first one, and failures count in a row, which is said."""
    model = loaded(BALANCED).models["gpt-4o"]
    assert (model.retry.attempts, model.timeouts.total) == (4, 30)
    assert (model.breaker.consecutive, model.breaker.open_s, model.breaker.max_open_s) == (4, 600, 600)
    assert told(BALANCED)["router_settings.allowed_fails"] == ("changed", "in a row, not within a minute")


def test_other_names_of_a_group_become_names():
    """One that leads nowhere is left out."""
    config = loaded(BALANCED)
    assert config.models["gpt-4"] == config.models["hidden"] == config.models["gpt-4o"]
    assert told(BALANCED)["router_settings.model_group_alias.lost"][0] == "left out"


def test_order_goes_before_weights_and_fallbacks_stand_behind():
    """The weight is left out, and said to be."""
    config = loaded(RESILIENT)
    assert config.models["fast"].targets == (
        "cerebras/llama-3.3-70b",
        "groq/llama-3.3-70b-versatile",
        "deepseek/deepseek-chat",
        "anthropic/claude-opus-4-6",
    )
    assert told(RESILIENT)["model_list[1].litellm_params.weight"][0] == "left out"


def test_fallbacks_of_one_kind_are_asked_in_that_case_only():
    """A larger window, another policy."""
    config = loaded(RESILIENT)
    assert config.models["fast"].fallbacks.context_window == ("anthropic/claude-opus-4-6",)
    assert config.models["big"].fallbacks.content_policy == ("deepseek/deepseek-chat",)
    assert told(RESILIENT)["litellm_settings.context_window_fallbacks[1].gone"][0] == "left out"


def test_the_routers_settings_go_before_the_librarys_and_a_deployments_before_both():
    """What loses is said to."""
    config, rows = loaded(RESILIENT), told(RESILIENT)
    assert config.models["fast"].retry.attempts == 5
    assert rows["litellm_settings.num_retries"][0] == "left out"
    assert (config.models["big"].timeouts.total, config.models["big"].timeouts.first_token) == (300, 20)
    assert config.models["cheap"].timeouts.total == 120


def deployments(*params: str, rest: str = "") -> str:
    """A file with one name and these parameters of its deployments."""
    rows = "".join(f"  - {{model_name: m, litellm_params: {{{each}}}}}\n" for each in params)
    return f"model_list:\n{rows}{rest}"


@pytest.mark.parametrize(
    ("shares", "weights"),
    [((3, 1), (3, 1)), ((0.9, 0.1), (9, 1)), ((60, 40), (3, 2)), ((1, 0), (1000, 1)), (("'2'", 4), (1, 2))],
)
def test_weights_become_whole_numbers_in_proportion(shares, weights):
    """One of nought keeps the smallest share there is."""
    text = deployments(f"model: openai/a, weight: {shares[0]}", f"model: openai/b, weight: {shares[1]}")
    assert tuple(each.weight for each in loaded(text).models["m"].targets) == weights
    assert told(text)["model_list[0].litellm_params.weight"][0] == "carried"


def test_the_same_target_stands_once():
    """A second entry of the same model and key adds nothing; with another key it is another provider."""
    text = deployments("model: openai/a", "model: openai/a", "model: openai/a, api_key: os.environ/SECOND")
    assert [each.target for each in loaded(text).models["m"].targets] == ["openai/a", "openai-2/a"]
    assert told(text)["model_list[1]"][0] == "left out"


def test_prices_that_differ_within_a_name_are_left_out():
    """A name has one price here."""
    price = "input_cost_per_token: 0.000001, output_cost_per_token: 0.000002"
    text = deployments(f"model: openai/a, {price}", "model: openai/b")
    assert loaded(text).models["m"].price is None
    outcome, note = told(text)["model_list[0].litellm_params.input_cost_per_token"]
    assert (outcome, "a name of its own" in note) == ("left out", True)


def test_a_deployment_without_a_price_is_told():
    """Under its own name Azure's model is not in the table; with a price, or in the table, there is nothing to do."""
    price = "input_cost_per_token: 0.000001, output_cost_per_token: 0.000002"
    azure = "api_base: https://eu.openai.azure.com/, api_key: os.environ/A"
    path = "model_list[0].litellm_params.model"
    assert told(deployments(f"model: azure/ours, {azure}"))[path] == (
        "changed",
        "`azure/ours`; it has no price, and a key with a budget may not call it; set `models.m.price`",
    )
    assert told(deployments(f"model: azure/ours, {azure}, {price}"))[path][0] == "carried"
    assert told(deployments(f"model: azure/gpt-4o, {azure}"))[path][0] == "carried"


def test_a_price_is_said_to_be_for_all_targets_of_a_name():
    """Those that the table knows too."""
    text = deployments("model: openai/gpt-4o", "model: openai/ours")
    assert told(text)["model_list[0].litellm_params.model"][0] == "carried"
    assert told(text)["model_list[1].litellm_params.model"][1].endswith("set `models.m.price`, for all of its targets")


@pytest.mark.parametrize("cost", ["0.0000000000001", "-1", "x", "true", "null"])
def test_a_price_that_is_none_is_left_out(cost):
    """Finer than a price may be, negative, or no number."""
    text = deployments(f"model: openai/a, input_cost_per_token: {cost}, output_cost_per_token: 0.000002")
    assert loaded(text).models["m"].price is None
    assert told(text)["model_list[0].litellm_params.output_cost_per_token"][0] == "left out"


@pytest.mark.parametrize("value", ["-1", "x", "true", ".inf", "1e400", "[1]"])
def test_a_number_that_cannot_be_used_is_left_out(value):
    """Everywhere."""
    text = deployments(
        f"model: openai/a, rpm: {value}, timeout: {value}, num_retries: {value}",
        rest=f"router_settings: {{num_retries: {value}, timeout: {value}, allowed_fails: {value}, cooldown_time: {value}}}\n",
    )
    outcomes = {path: outcome for path, (outcome, _) in told(text).items() if "model" not in path.rpartition(".")[2]}
    assert set(outcomes.values()) == {"left out"}
    assert load_text(translate(text, "c.yaml", {}).text).models["m"].retry is None


def test_no_retries_and_no_failures_allowed_are_numbers_too():
    """Nought tries more is one; nought failures is the first."""
    model = loaded(deployments("model: openai/a", rest="router_settings: {num_retries: 0, allowed_fails: 0}\n")).models[
        "m"
    ]
    assert (model.retry.attempts, model.breaker.consecutive) == (1, 1)


def test_fallbacks_of_every_name():
    """Under `*`, and behind several deployments that then stand in order."""
    text = deployments(
        "model: openai/a, weight: 2",
        "model: openai/b, weight: 1",
        rest="  - {model_name: z, litellm_params: {model: openai/z}}\nlitellm_settings: {fallbacks: [{'*': [z]}]}\n",
    )
    assert loaded(text).models["m"].targets == ("openai/a", "openai/b", "openai/z")
    assert loaded(text).models["z"].targets == ("openai/z",)
    assert told(text)["model_list[0].litellm_params.weight"][0] == "left out"


@pytest.mark.parametrize(
    ("strategy", "routing", "outcome"),
    [("least-busy", "least-load", "carried"), ("latency-based-routing", "latency", "carried"),
     ("usage-based-routing-v2", "least-load", "changed"), ("cost-based-routing", "order", "left out")],
)  # fmt: skip
def test_ways_to_choose(strategy, routing, outcome):
    """The nearest there is, or the order of the file."""
    text = BALANCED.replace("simple-shuffle", strategy)
    assert loaded(text).models["gpt-4o"].routing == routing
    assert told(text)["router_settings.routing_strategy"][0] == outcome


def test_own_servers_are_reached_where_they_are():
    """With the API's own path; private addresses are allowed by name, and a word that is no key is none."""
    config = loaded(OWN_SERVERS)
    where = {name: (each.vendor or each.dialect, each.base_url) for name, each in config.providers.items()}
    assert where["ollama"] == ("ollama", "http://localhost:11434/v1")
    assert where["vllm"] == ("vllm", "http://gpu-1:8000/v1")
    assert where["server"] == ("openai", "http://10.0.0.7:9000/v1")
    assert where["acme"] == ("openai", "https://llm.acme.example/v1")
    assert config.models["qwen"].targets == ("vllm/Qwen/Qwen3-32B",)
    assert (config.providers["server"].allow_private, config.providers["acme"].allow_private) == (True, False)
    assert config.providers["server"].api_key is None
    assert config.models["embed"].targets == ("openai/text-embedding-3-small",)


def test_a_base_that_the_environment_holds_is_looked_up():
    """Fairlead's file has URLs in plain text; without it the deployment is left out with a remedy."""
    text = SMALL.replace("openai/gpt-4o-mini", "azure/mini\n      api_base: os.environ/BASE")
    assert loaded(text, {"BASE": "https://x.openai.azure.com"}).providers["azure"].base_url.startswith("https://x.")
    assert told(text)["model_list[0]"] == ("left out", "its base URL is not here; set `BASE` and translate again")


def test_an_empty_base_is_none():
    """The vendor's own counts."""
    text = SMALL.replace("openai/gpt-4o-mini", 'openai/gpt-4o-mini\n      api_base: ""')
    assert loaded(text).providers["openai"].base_url is None


def test_the_vendors_own_base_makes_no_other_server():
    """It is the vendor, with all that is known of it."""
    text = SMALL.replace("openai/gpt-4o-mini", "openai/gpt-4o-mini\n      api_base: https://api.openai.com/v1")
    assert (loaded(text).providers["openai"].vendor, loaded(text).providers["openai"].base_url) == ("openai", None)


@pytest.mark.parametrize(
    ("params", "target"),
    [
        ("model: claude-opus-4-6", "anthropic/claude-opus-4-6"),
        ("model: o3", "openai/o3"),
        ("model: together_ai/meta-llama/Llama-3-70b", "together/meta-llama/Llama-3-70b"),
        ("model: ours, custom_llm_provider: mistral", "mistral/ours"),
        ("model: ours, api_base: 'https://api.acme.example/v1'", "acme/ours"),
        ("model: lm_studio/qwen", "lmstudio/qwen"),
        ("model: os.environ/X", "openai/from-there"),
    ],
)
def test_whose_model_it_is(params, target):
    """By its prefix, the parameter beside it, or its own name."""
    text = f"model_list: [{{model_name: m, litellm_params: {{{params}}}}}]"
    assert loaded(text, {"X": "openai/from-there"}).models["m"].targets == (target,)


def test_a_vendor_without_chats_answers_none():
    """Its embeddings are another matter."""
    account = Account()
    only = msgspec.structs.replace(facts.load().vendors["openai"], speaks=("voyage_embeddings",))
    providers = Providers(account, {"openai": only}, {})
    assert providers.of(("model_list", 0), {"model": "x"}, "openai", "chat") is None
    assert providers.of(("model_list", 1), {"model": "x"}, "openai", "embedding") == "openai"


def test_a_key_in_the_file_is_written_nowhere():
    """A variable stands in its place, one for each key, and the report says which."""
    translated = translate(LARGE, "c.yaml", {})
    assert SECRET not in translated.text
    assert SECRET not in str(translated.rows)
    assert load_text(translated.text).providers["openai"].api_key == "env:OPENAI_API_KEY"
    outcome, note = told(LARGE)["model_list[3].litellm_params.api_key"]
    assert outcome == "changed"
    assert "`OPENAI_API_KEY`" in note


@pytest.mark.parametrize("other", ["model: openai/o3, api_key: os.environ/OPENAI_API_KEY", "model: openai/o3"])
@pytest.mark.parametrize("first", [True, False])
def test_a_key_in_the_file_gets_a_variable_of_its_own(other, first):
    """Not the one in which another deployment has its key, by name or by what LiteLLM looks for."""
    mine = "model: openai/gpt-4o, api_key: sk-mine"
    providers = loaded(deployments(*((mine, other) if first else (other, mine)))).providers
    assert {each.api_key for each in providers.values()} == {None, "env:OPENAI_API_KEY", "env:OPENAI_API_KEY_2"}


def test_two_keys_in_the_file_become_two_variables():
    """They are not to be mixed up."""
    keys = [each.api_key for each in loaded(SMALL.replace("anthropic/claude-sonnet-4-5", "openai/o3").replace(
        "os.environ/OPENAI_API_KEY", "sk-one").replace("os.environ/ANTHROPIC_API_KEY", "sk-two")).providers.values()]  # fmt: skip
    assert keys == [None, "env:OPENAI_API_KEY", "env:OPENAI_API_KEY_2"]


def test_what_has_no_counterpart_is_left_out_with_a_reason():
    """Providers, kinds of calls, patterns, parameters, caches, callbacks, databases, and what nobody knows."""
    rows = told(LARGE)
    left = {path for path, (outcome, note) in rows.items() if outcome == "left out" and note}
    assert left == {
        "model_list[0]",
        "model_list[1]",
        "model_list[2]",
        "model_list[4].litellm_params.temperature",
        "model_list[4].model_info.supports_vision",
        "litellm_settings.cache",
        "litellm_settings.cache_params",
        "litellm_settings.success_callback",
        "litellm_settings.set_verbose",
        "general_settings.database_url",
        "general_settings.made_up.deep[0]",
        "general_settings.made_up.deep[1].x",
        "environment_variables",
    }


def test_prices_are_per_million_tokens():
    """And bound to the name, as is the longest answer."""
    model = loaded(LARGE).models["priced"]
    assert (model.price.input, model.price.output, model.max_output_tokens) == (2, 8, 4096)


def test_a_master_key_asks_callers_for_keys():
    """Without one the gateway is open to this machine alone, as the proxy was to all."""
    assert loaded(LARGE).gateway.auth == "keys"
    assert loaded(SMALL).gateway.auth == "open"


@pytest.mark.parametrize("text", ["a: 1", "model_list: {}", "model_list: x", "model_list:"])
def test_another_file_is_refused(text):
    """It has no list of models."""
    with pytest.raises(ConfigError, match=r"c\.yaml: has no list `model_list`"):
        translate(text, "c.yaml", {})


@pytest.mark.parametrize(
    "entry",
    ["x", "[]", "{}", "{model_name: m}", "{model_name: m, litellm_params: x}", "{litellm_params: {model: openai/x}}",
     "{model_name: 3, litellm_params: {model: openai/x}}", "{model_name: m, litellm_params: {model: 3}}",
     "{model_name: m, litellm_params: {model: openai/}}", "{model_name: m, litellm_params: {model: openai/x, api_base: ftp://h}}"],
)  # fmt: skip
def test_an_entry_of_a_wrong_form_is_left_out_whole(entry):
    """The others are carried over."""
    rows = told(f"{SMALL}  - {entry}\n")
    assert rows["model_list[2]"][0] == "left out"
    assert rows["model_list[0].model_name"][0] == "carried"


WORDS = st.sampled_from(["m", "n", "*", "a b", "gpt-4o", "os.environ/X", "", "\u00e9\x7f", SECRET])
SCALARS = st.one_of(WORDS, st.none(), st.booleans(), st.integers(-2, 10**6), st.floats(allow_nan=False, width=32))
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2), max_leaves=4
)
MODELS = st.sampled_from(
    ["openai/x", "gpt-4o", "azure/d", "anthropic/c", "ollama/l", "bedrock/b", "openai/*", "*", "hosted_vllm/a/b", "z"]
)
PARAMS = st.fixed_dictionaries(
    {"model": MODELS | ANY},
    optional={
        "api_key": st.sampled_from(["os.environ/K", SECRET, "none"]) | ANY,
        "api_base": st.sampled_from(["https://r.openai.azure.com", "http://h:1/v1", "https://a.example/v1"]) | ANY,
        **dict.fromkeys(("rpm", "tpm", "weight", "order", "timeout", "num_retries", "max_parallel_requests"), SCALARS),
        "input_cost_per_token": SCALARS,
        "output_cost_per_token": SCALARS,
        "other": ANY,
    },
)
NAMES = st.lists(WORDS, max_size=3)
ROUTER = st.dictionaries(
    st.sampled_from(["num_retries", "timeout", "allowed_fails", "cooldown_time", "routing_strategy", "stream_timeout"]),
    SCALARS,
).flatmap(
    lambda plain: st.fixed_dictionaries(
        {},
        optional={
            **{key: st.just(value) for key, value in plain.items()},
            "fallbacks": st.lists(st.dictionaries(WORDS, NAMES, max_size=2), max_size=2) | ANY,
            "context_window_fallbacks": st.lists(st.dictionaries(WORDS, NAMES, max_size=2), max_size=2),
            "default_fallbacks": NAMES | ANY,
            "model_group_alias": st.dictionaries(WORDS, WORDS, max_size=2) | ANY,
        },
    )
)
TREES = st.fixed_dictionaries(
    {
        "model_list": st.lists(
            st.fixed_dictionaries({"model_name": WORDS, "litellm_params": PARAMS | ANY}, optional={"model_info": ANY})
            | ANY,
            max_size=4,
        )
    },
    optional={"router_settings": ROUTER | ANY, "litellm_settings": ROUTER | ANY, "general_settings": ANY, "more": ANY},
)


def _model(params: object) -> object:
    return params.get("model") if isinstance(params, dict) else None


@settings(max_examples=60, deadline=None)
@given(tree=TREES)
def test_whatever_stands_there_is_carried_over_or_reported(tree):
    """Each value is spoken for by one row; what comes of it can be used, and holds no key."""
    text = json.dumps(tree)
    translated = translate(text, "c.yaml", {"X": "https://x.example/v1"})
    load_text(translated.text)
    paths = [row.path for row in translated.rows]
    for leaf, _ in leaves(read(text, "c.yaml")):
        above = {written(leaf[:end]) for end in range(1, len(leaf) + 1)}
        assert len([path for path in paths if path in above]) == 1, leaf
    assert len(set(paths)) == len(paths)
    outside = {part for leaf, _ in leaves(tree) for part in leaf if part == SECRET}
    entries = [entry for entry in tree["model_list"] if isinstance(entry, dict)]
    names = [each for entry in entries for each in (entry.get("model_name"), _model(entry.get("litellm_params")))]
    if not outside and SECRET not in names:
        assert SECRET not in translated.text
        assert SECRET not in str(translated.rows)
