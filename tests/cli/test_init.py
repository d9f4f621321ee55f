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


LITELLM = """
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-4o-mini, api_key: sk-in-the-file, temperature: 0.1}
  - model_name: local
    litellm_params: {model: hosted_vllm/llama, api_base: "http://127.0.0.1:8000/v1"}
litellm_settings: {num_retries: 2}
"""


def test_a_configuration_of_litellm_is_translated(run, folder, monkeypatch):
    """What comes of it passes `check` once the variables that it names are there."""
    (folder / "litellm.yaml").write_text(LITELLM)
    shown = run("init", "--from", "litellm.yaml").stdout
    assert "sk-in-the-file" not in shown + (folder / "fairlead.toml").read_text()
    assert "4 carried over, 3 changed, 1 left out" in shown
    assert "OPENAI_API_KEY" in run("check", code=1).stderr
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert "openai/gpt-4o-mini" in run("check").stdout


def test_the_report_of_a_translation_as_json(answer, folder):
    """A row for each setting, by its path in the source."""
    (folder / "litellm.yaml").write_text(LITELLM)
    report = answer("init", "--from", "litellm.yaml")
    assert report["file"] == str(folder / "fairlead.toml")
    assert report["counts"] == {"carried": 4, "changed": 3, "left out": 1}
    (left,) = [row for row in report["rows"] if row["outcome"] == "left out"]
    assert left["path"] == "model_list[0].litellm_params.temperature"
    assert left["note"]


def test_a_translation_never_overwrites(run, folder):
    """Nor does it write where the source cannot be read."""
    assert "no such file" in run("init", "--from", "litellm.yaml", code=1).stderr
    (folder / "litellm.yaml").write_text("model_list: [")
    assert "not YAML" in run("init", "--from", "litellm.yaml", code=1).stderr
    assert not (folder / "fairlead.toml").exists()
    (folder / "litellm.yaml").write_text(LITELLM)
    (folder / "fairlead.toml").write_text("# mine")
    assert "--force" in run("init", "--from", "litellm.yaml", code=1).stderr
    assert (folder / "fairlead.toml").read_text() == "# mine"


def test_json(answer, folder):
    """The file and the providers that were found."""
    assert answer("init") == {"file": str(folder / "fairlead.toml"), "providers": []}
