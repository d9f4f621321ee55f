"""From text to a configuration, or to an error with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.load import load, load_text
from fairlead.config.schema import Config, Provider, Target
from fairlead.errors import ConfigError
from fairlead.providers import facts

GOOD = """\
[gateway]
port = 8500
auth = "keys"
[providers.openai]
vendor = "openai"
api_key = "env:OPENAI_API_KEY"
[providers.local]
dialect = "openai"
base_url = "http://127.0.0.1:8000/v1"
allow_private = true
[models."gpt-4o-mini"]
targets = ["openai/gpt-4o-mini", "local/meta/llama-3-8b"]
price = { input = 0.15, output = 0.60 }
timeouts = { connect = 2, total = 30 }
[models."*"]
targets = ["openai/*"]
"""


def refusal(text: str) -> list[str]:
    """The lines of the error that a text gives."""
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    return caught.value.message.split("\n")


def test_a_whole_configuration_is_read():
    """Tables become structs, and what is not written has its default."""
    config = load_text(GOOD)
    assert config.gateway.port == 8500
    assert config.gateway.host == "127.0.0.1"
    assert config.providers["openai"].secret_refs == {"default": "env:OPENAI_API_KEY"}
    assert config.providers["local"].dialect_name == "openai_chat"
    model = config.models["gpt-4o-mini"]
    assert [(target.provider, target.model) for target in model.resolved_targets] == [
        ("openai", "gpt-4o-mini"),
        ("local", "meta/llama-3-8b"),
    ]
    assert model.clocks.connect_s == 2.0
    assert model.clocks.idle_s == 60.0


def test_an_empty_text_is_the_default_configuration():
    """Every table may be absent; the simulator is there all the same."""
    assert load_text("") == Config(providers={"sim": Provider(vendor="sim")})


def test_weighted_targets_are_read():
    """A target may be a table with a weight."""
    text = (
        '[models.a]\ntargets = [{ target = "sim/sim-small", weight = 90 }, { target = "sim/sim-large", weight = 10 }]'
    )
    assert load_text(text).models["a"].resolved_targets == (
        Target(target="sim/sim-small", weight=90),
        Target(target="sim/sim-large", weight=10),
    )


def test_several_credentials_are_numbered():
    """Labels of credentials carry nothing of the reference."""
    config = load_text('[providers.openai]\nvendor = "openai"\ncredentials = ["env:A", "file:/b"]')
    assert config.providers["openai"].secret_refs == {"1": "env:A", "2": "file:/b"}


def test_an_unknown_key_is_refused_with_its_line_and_a_near_miss():
    """A typing mistake is found, and the right spelling offered."""
    assert refusal('[providers.x]\nvendor = "openai"\nbase_ulr = "y"') == [
        "fairlead.toml:3: `providers.x.base_ulr` is not a setting; did you mean `base_url`?"
    ]


def test_an_unknown_key_far_from_any_lists_what_there_is():
    """Without a near miss the known settings are named."""
    assert refusal("[state]\nzzz = 1") == ["fairlead.toml:2: `state.zzz` is not a setting; known are `url`"]


def test_an_unknown_key_inside_a_later_feature_is_refused():
    """The schema knows the settings of features that are still to come."""
    assert refusal("[models.a]\ntargets = ['sim/sim-small']\nretry = { atempts = 1 }") == [
        "fairlead.toml:3: `models.a.retry.atempts` is not a setting; did you mean `attempts`?"
    ]


def test_all_problems_are_reported_in_the_order_of_the_file():
    """One run of `check` shows everything that is to be mended."""
    lines = refusal('[gateway]\nport = "x"\nauth = "key"\n[models.a]\nprice = { input = inf }\n')
    assert lines == [
        "fairlead.toml:2: `gateway.port`: expected an integer, got a string",
        "fairlead.toml:3: `gateway.auth` has an unknown value; did you mean `keys`?",
        "fairlead.toml:4: `models.a` needs `targets`",
        "fairlead.toml:5: `models.a.price.input` must be a finite number",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [("[gateway]\nport =\n", 2), ("\n\nport = [1,\n", 4), ("a = 1\na = 2", 2), ("x = 'never", 1)],
)
def test_broken_toml_names_its_line(text: str, line: int):
    """Syntax errors carry file and line like all others."""
    assert refusal(text)[0].startswith(f"fairlead.toml:{line}: this is not TOML: ")


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "[" * 400 + "]" * 400])
def test_deep_nesting_is_refused_and_not_followed(text: str):
    """Brackets without end are an error like any other."""
    assert refusal(text)[0].startswith("fairlead.toml:1: this is nested too deeply")


def test_a_wrong_element_of_a_list_is_named_by_its_place():
    """A list's element has its own line."""
    assert refusal("[models.a]\ntargets = [\n  'sim/a',\n  3,\n]") == [
        "fairlead.toml:4: `models.a.targets[1]`: expected a string or a table, got an integer"
    ]


def test_a_value_that_may_be_a_secret_is_not_repeated():
    """A key pasted into the wrong place does not reach the error's text."""
    assert "sk-canary" not in "".join(refusal('[providers.a]\nvendor = "openai"\napi_key = "sk-canary"'))
    assert "sk-canary" not in "".join(refusal('[gateway]\nauth = "sk-canary"'))


def test_a_file_is_read_and_named_by_its_path(tmp_path: Path):
    """Errors name the file as it was given."""
    path = tmp_path / "own.toml"
    path.write_text("[gateway]\nhost = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"own\.toml:2: `gateway.host`"):
        load(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path):
    """Some editors put one at the start of a file."""
    path = tmp_path / "fairlead.toml"
    path.write_text("[gateway]\nport = 1\n", encoding="utf-8-sig")
    assert load(path).gateway.port == 1


def test_a_missing_file_is_a_configuration_error(tmp_path: Path):
    """A path that does not exist is said so in one line."""
    with pytest.raises(ConfigError, match=r"none\.toml: no such file"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_not_text_is_a_configuration_error(tmp_path: Path):
    """Bytes that are not UTF-8 are refused."""
    path = tmp_path / "fairlead.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(path)


@given(st.data())
def test_any_text_is_read_or_refused_with_a_line(data: st.DataObject):
    """Whatever is written, the answer is a configuration or an error that says where."""
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, len(GOOD)))
    put = data.draw(st.one_of(st.text(max_size=20), st.text(alphabet="[]{}=.,\"'\\\n#a1*/:", max_size=20)))
    try:
        load_text(GOOD[:start] + put + GOOD[end:])
    except ConfigError as error:
        assert all(re.match(r"fairlead\.toml:[0-9]+: .", row) for row in error.message.split("\n"))  # noqa: PT017


@pytest.mark.parametrize("vendor", [name for name, each in facts.load().vendors.items() if each.base_url is not None])
def test_every_vendor_with_an_address_can_be_named(vendor):
    """Also one that has the name of a dialect."""
    text = f'[providers.p]\nvendor = "{vendor}"\napi_key = "env:KEY"\n[models.m]\ntargets = ["p/x"]\n'
    assert load_text(text).providers["p"].vendor == vendor


def test_a_dialect_is_no_vendor():
    """It is named by `dialect`."""
    with pytest.raises(ConfigError, match="is not known"):
        load_text('[providers.p]\nvendor = "openai_chat"\n')
