from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.cli.banner import base_url, command, example_model, facts, first_steps
from fairlead.cli.serve import overridden
from fairlead.cli.settings import Settings
from fairlead.config.env import from_environment
from fairlead.config.load import load, load_text
from fairlead.errors import ConfigError
from processes import FAIRLEAD

OPEN = from_environment({})


def test_options_go_before_the_file():
    """Only those that are given."""
    config = overridden(OPEN, {"port": 9000})
    assert (config.gateway.port, config.gateway.admin_port, config.gateway.auth) == (9000, 8401, "open")


@pytest.mark.parametrize(
    ("gateway", "reason"),
    [
        ({"host": "192.0.2.1"}, "on loopback addresses only"),
        ({"port": 8401}, "must differ"),
    ],
)
def test_options_are_held_to_the_rules_of_a_file(gateway, reason):
    """An option opens no door that a file may not open."""
    with pytest.raises(ConfigError, match=reason):
        overridden(OPEN, gateway)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - nothing is bound
        ("gate.example", "http://gate.example:80"),
    ],
)
def test_the_banner_names_an_address_that_can_be_called(host, url):
    """Also where it listens on all of them."""
    config = load_text(f'[gateway]\nhost = "{host}"\n[store]\ncontent = "off"\n')
    assert base_url(config, 80) == url


def test_the_banner_says_that_only_the_simulator_answers():
    """So that nobody takes its answers for a model's."""
    told = dict(facts(Settings(config=OPEN, root=Path(), file=None), "http://d", "http://a"))
    assert told["providers"] == "simulated provider only: no provider key found in the environment"
    assert told["access"].startswith("open")


def test_the_banner_names_providers_and_models():
    """Those of the configuration, the first few of many."""
    text = "".join(f'[models.m{n}]\ntargets = ["o/x"]\n' for n in range(9))
    config = load_text(f'[providers.o]\nvendor = "openai"\napi_key = "env:K"\n{text}')
    told = dict(facts(Settings(config=config, root=Path(), file=Path("f")), "http://d", "http://a"))
    assert told["providers"] == "o, sim (simulated)"
    assert told["models"] == "m0, m1, m2, m3, m4, m5, 3 more"


def test_the_banner_promises_no_name_that_the_simulator_refuses():
    """In process it has its own models and no other."""
    told = dict(facts(Settings(config=OPEN, root=Path(), file=None), "http://d", "http://a"))
    assert told["models"] == "sim-small, sim-large, sim-reasoner, sim-long, sim-embed"
    config = load_text('[models."*"]\ntargets = ["sim/*"]\n[models.a]\ntargets = ["sim/sim-small"]\n')
    assert dict(facts(Settings(config=config, root=Path(), file=None), "http://d", "http://a"))["models"] == "a"


def test_the_banner_of_an_empty_file_says_what_to_add(tmp_path):
    """No call can be answered, so none is shown; what is shown makes the file work."""
    file = tmp_path / "fairlead.toml"
    file.write_text("# empty")
    settings = Settings(config=load_text(""), root=tmp_path, file=file)
    ((title, snippet),) = first_steps(settings, "http://d", "http://a")
    assert title.startswith("No model is configured")
    _pasted(snippet, tmp_path)
    assert list(load(file).models) == ["sim-small"]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ('[models."*"]\ntargets = ["sim/*"]', "sim-small"),
        (
            '[providers.g]\nvendor = "groq"\napi_key = "env:K"\n[models."*"]\ntargets = ["g/*"]',
            "llama-3.3-70b-versatile",
        ),
        ('[providers.v]\nvendor = "vllm"\n[models."*"]\ntargets = ["v/*"]', "MODEL"),
        ('[models."*"]\ntargets = ["sim/*"]\n[models.a]\ntargets = ["sim/sim-small"]', "a"),
    ],
)
def test_the_first_call_names_a_model_that_answers(text, model):
    """One of the configuration's, else one that the relay is known to reach, else a word to replace."""
    assert example_model(load_text(text)) == model


def test_snippets_start_this_program_wherever_it_stands(monkeypatch, tmp_path):
    """By its bare name where the shell finds it, else by a command that works in any folder."""
    monkeypatch.setenv("PATH", str(Path(FAIRLEAD).parent))
    assert command() == "fairlead"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(FAIRLEAD)])
    assert command() == shlex.quote(str(FAIRLEAD))
    monkeypatch.setattr(sys, "argv", ["somewhere/__main__.py"])
    assert command() == f"{shlex.quote(sys.executable)} -m fairlead"


def test_passthrough_uses_the_callers_own_variable():
    """The snippets send the provider key that the caller has already."""
    config = load_text(
        '[gateway]\nauth = "passthrough"\n[providers.g]\nvendor = "groq"\napi_key = "env:GROQ_API_KEY"\n[models."*"]\ntargets = ["g/*"]\n'
    )
    steps = dict(first_steps(Settings(config=config, root=Path(), file=None), "http://d", "http://a"))
    assert "Bearer $GROQ_API_KEY" in steps["Call it:"]


def _pasted(snippet, folder, **env):
    """What a shell makes of a snippet."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", snippet],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=15,
        env={**os.environ, **env, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_snippets_of_the_banner_work_when_pasted(gateway):
    """With keys: making one, calling with it from curl and from Python, and reading the metrics."""
    config = '[gateway]\nauth = "keys"\n[models.sim-small]\ntargets = ["sim/sim-small"]\n'
    running = gateway(config)
    file = running.folder / "fairlead.toml"
    settings = Settings(config=load_text(config), root=running.folder, file=file)
    steps = dict(first_steps(settings, running.origin, f"http://127.0.0.1:{running.ready['admin_port']}"))
    make = steps["Make a key (shown once):"]
    python = f"python - <<'END'\n{steps['Or from Python, with the OpenAI SDK (pip install openai):']}\nEND"
    shown = _pasted(f"set -e\n{make}\n{steps['Call it:']} -sS\necho\n{python}", running.folder).splitlines()
    assert '"object":"chat.completion"' in shown[0]
    assert shown[1].startswith("This is a simulated answer")
    assert "fairlead_calls_total" in _pasted(f"{steps['Read the metrics:']} -sS", running.folder)
    assert running.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(("option", "other"), [("--port", "--admin-port"), ("--admin-port", "--port")])
def test_a_port_in_use_is_one_line(folder, option, other):
    """It names the address and the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [FAIRLEAD, "serve", option, str(port), other, "0"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=15)
    setting = option.removeprefix("--").replace("-", "_")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert f"`[gateway] {setting}`" in done.stderr
