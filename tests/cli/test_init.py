from __future__ import annotations

import re

from fairlead.cli.init import starter
from fairlead.config.env import from_environment
from fairlead.config.load import load, load_text
from fairlead.config.rules import SIM_MODELS


def test_the_starter_is_a_valid_configuration(run, folder):
    """What `init` writes, `load` takes, and the simulator answers without any key."""
    run("init")
    config = load(folder / "fairlead.toml")
    assert config.gateway.auth == "open"
    assert tuple(config.models) == SIM_MODELS


def test_its_examples_are_valid_too():
    """Every setting that stands there as a comment works when the mark is taken away."""
    setting = re.compile(r"^# (?=\[\w|\w+ = )", re.MULTILINE)
    config = load_text(setting.sub("", starter({})))
    assert set(config.models) == {"gpt-4o-mini", *SIM_MODELS, "assistant", "*"}
    assert set(config.providers) == {"sim", "openai", "local"}


def test_it_never_overwrites(run, folder):
    """A file that is there stays as it is."""
    (folder / "fairlead.toml").write_text("# mine")
    assert "--force" in run("init", code=1).stderr
    assert (folder / "fairlead.toml").read_text() == "# mine"


def test_force_overwrites(run, folder):
    """Unless it is asked to."""
    (folder / "fairlead.toml").write_text("# mine")
    run("init", "--force")
    assert "[gateway]" in (folder / "fairlead.toml").read_text()


def test_providers_come_from_the_environment(run, folder, monkeypatch):
    """A key that is there switches its provider on, by reference."""
    monkeypatch.setenv("MISTRAL_API_KEY", "k" * 20)
    run("init")
    config = load(folder / "fairlead.toml")
    assert config.providers["mistral"].api_key == "env:MISTRAL_API_KEY"
    assert config.models["mistral-small-latest"].targets == ("mistral/mistral-small-latest",)
    assert config.models["*"].targets == ("mistral/*",)
    assert set(from_environment({"MISTRAL_API_KEY": "k"}).models) <= set(config.models)
    assert "kkkk" not in (folder / "fairlead.toml").read_text()


def test_translating_is_not_there_yet(run, folder):
    """It says so and writes nothing."""
    assert "not yet in this version" in run("init", "--from", "litellm.yaml", code=1).stderr
    assert list(folder.iterdir()) == []


def test_json(answer, folder):
    """The file and the providers that were found."""
    assert answer("init") == {"file": str(folder / "fairlead.toml"), "providers": []}
