"""The configuration without a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.config.env import find, from_environment
from fairlead.config.rules import SIM_MODELS, broken
from fairlead.providers import facts
from fairlead.providers.sim.bill import PRICES


def test_keys_in_the_environment_become_providers():
    """The names under which vendors' users keep their keys are known; the keys themselves are only referred to."""
    config = from_environment({"GROQ_API_KEY": "gsk-canary", "OPENAI_API_KEY": "sk-canary"})
    assert list(config.providers) == ["openai", "groq", "sim"]
    assert config.providers["groq"].api_key == "env:GROQ_API_KEY"
    assert "canary" not in repr(config)


def test_any_model_goes_to_the_first_provider():
    """`*` relays what the caller asked for."""
    config = from_environment({"GROQ_API_KEY": "x"})
    assert config.models["*"].targets == ("groq/*",)
    assert config.models["sim-small"].targets == ("sim/sim-small",)


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": " "}, {"NOBODYS_API_KEY": "x"}])
def test_without_a_usable_key_there_are_the_simulators_models_only(environ: dict[str, str]):
    """An empty variable is no key, nor is one that no vendor has; no other name is promised."""
    config = from_environment(environ)
    assert list(config.providers) == ["sim"]
    assert tuple(config.models) == SIM_MODELS


def test_a_vendor_whose_address_is_the_users_own_is_left_to_the_file():
    """A key alone does not say where its resource is."""
    assert set(from_environment({"AZURE_OPENAI_API_KEY": "k"}).providers) == {"sim"}


def test_the_simulators_models_are_those_that_it_has():
    """The list in the configuration's rules is the simulator's own."""
    assert tuple(PRICES) == SIM_MODELS


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": "x", "XAI_API_KEY": "y"}])
def test_it_is_open_to_this_machine_and_keeps_every_rule(environ: dict[str, str]):
    """What is made from the environment passes what a file must pass."""
    config = from_environment(environ)
    assert (config.gateway.auth, config.gateway.host) == ("open", "127.0.0.1")
    assert list(broken(config, facts.load().vendors)) == []


def test_the_file_is_looked_for_in_the_folder_itself(tmp_path: Path):
    """A file further up belongs to somebody else."""
    below = tmp_path / "below"
    below.mkdir()
    path = tmp_path / "fairlead.toml"
    path.touch()
    assert find(tmp_path) == path
    assert find(below) is None
