"""What `fairlead serve` says once it is ready: where it is, what it does, and a first call to paste."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead import __version__
from fairlead.cli.settings import Settings
from fairlead.cli.terminal import console, one_line

if TYPE_CHECKING:
    from fairlead.config.schema import Config, Model

_QUESTION = "Say hello"
_AUTH = {
    "open": "open: no key needed, on this machine only",
    "keys": "keys: every caller needs a Fairlead key",
    "passthrough": "passthrough: callers send a provider key of their own",
}
_SHOWN_MODELS = 6
_SOME_MODEL = "MODEL"


def welcome(settings: Settings, data_port: int, admin_port: int) -> None:
    """Print the banner."""
    from rich.text import Text

    out = console()
    data, admin = (base_url(settings.config, port) for port in (data_port, admin_port))
    out.print()
    out.print(Text.assemble(("Fairlead ", "bold"), (__version__, "dim"), " is ready"))
    out.print()
    for name, value in facts(settings, data, admin):
        out.print(Text.assemble((f"  {name:<11}", "cyan"), value))
    for title, snippet in first_steps(settings, data, admin):
        out.print()
        out.print(Text(title, style="bold"))
        out.print(Text(snippet))
    out.print()


def base_url(config: Config, port: int) -> str:
    """Where somebody on this machine reaches a port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.gateway.host, config.gateway.host)  # noqa: S104 - shown, not bound
    host = host.strip("[]")
    return f"{'https' if config.gateway.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def facts(settings: Settings, data: str, admin: str) -> list[tuple[str, str]]:
    """Where everything is, a line each."""
    from fairlead.config.build import store_path

    config = settings.config
    content = {"full": "requests and answers included", "hash": "contents hashed", "off": "without contents"}
    source = "the environment (no fairlead.toml here)" if settings.file is None else str(settings.file)
    return [
        ("gateway", f"{data}/v1"),
        ("access", _AUTH[config.gateway.auth]),
        ("providers", providers(settings)),
        ("models", models(config)),
        ("records", f"{store_path(config, settings.root)}, {content[config.store.content_mode]}"),
        ("control", f"{admin}: metrics, admin API"),
        ("settings", source),
    ]


def providers(settings: Settings) -> str:
    """Who answers."""
    names = [name for name in settings.config.providers if name != "sim"]
    if names:
        return ", ".join([*names, "sim (simulated)"])
    why = "no provider key found in the environment" if settings.file is None else "the configuration names no other"
    return f"simulated provider only: {why}"


def models(config: Config) -> str:
    """The first few names that callers may use."""
    names = [one_line(name) for name in config.models if name != "*"]
    shown = names[:_SHOWN_MODELS]
    if len(names) > len(shown):
        shown.append(f"{len(names) - len(shown)} more")
    relay = config.models.get("*")
    if relay is not None and not _is_simulated(config, relay):
        shown.append(f"any other name (goes to {relay.resolved_targets[0].provider})")
    return ", ".join(shown) or "none; add one under [models]"


def first_steps(settings: Settings, data: str, admin: str) -> list[tuple[str, str]]:
    """Titles, each with text that works when it is pasted as it is."""
    config = settings.config
    if not config.models:
        return [("No model is configured, so no call can be answered. Add one and start again:", _add_model(settings))]
    model = example_model(config)
    steps = []
    if config.gateway.auth == "keys":
        steps.append(("Make a key (shown once):", _make_key(settings)))
    call = "Call it:" if model != _SOME_MODEL else f"Call it, with the name of a model for {_SOME_MODEL}:"
    steps.append((call, _curl(config, data, model)))
    steps.append(("Or from Python, with the OpenAI SDK (pip install openai):", _python(config, data, model)))
    steps.append(("Read the metrics:", _metrics(settings, admin)))
    return steps


def example_model(config: Config) -> str:
    """A name that a first call can use: one of the configuration, else one that its `"*"` is known to reach."""
    from fairlead.cli.init import MODEL_OF
    from fairlead.config.rules import SIM_MODELS

    named = next((name for name in config.models if name != "*"), None)
    if named is not None:
        return named
    relay = config.models["*"]
    if _is_simulated(config, relay):
        return SIM_MODELS[0]
    vendor = config.providers[relay.resolved_targets[0].provider].vendor
    return MODEL_OF.get(vendor or "", _SOME_MODEL)


def command() -> str:
    """How a shell on this machine starts this program."""
    if shutil.which("fairlead") is not None:
        return "fairlead"
    own = Path(sys.argv[0])
    if own.name == "fairlead" and own.exists():
        return shlex.quote(str(own.absolute()))
    return f"{shlex.quote(sys.executable)} -m fairlead"


def key_variable(config: Config) -> str | None:
    """The environment variable in which the snippets look for the caller's key; `None` in open mode."""
    if config.gateway.auth == "open":
        return None
    if config.gateway.auth == "keys":
        return "FAIRLEAD_KEY"
    references = [ref for provider in config.providers.values() for ref in provider.secret_refs.values()]
    return next((ref.removeprefix("env:") for ref in references if ref.startswith("env:")), "OPENAI_API_KEY")


def _make_key(settings: Settings) -> str:
    file = "" if settings.file is None else f" --config {shlex.quote(str(settings.file.resolve()))}"
    return f'export FAIRLEAD_KEY="$({command()} keys create --name first{file})"'


def _add_model(settings: Settings) -> str:
    file = "fairlead.toml" if settings.file is None else str(settings.file.resolve())
    return f'cat >> {shlex.quote(file)} <<END\n\n[models.sim-small]\ntargets = ["sim/sim-small"]\nEND'


def _is_simulated(config: Config, relay: Model) -> bool:
    """Whether names go to the simulator in this process, which refuses those that it does not have."""
    target = relay.resolved_targets[0]
    provider = config.providers[target.provider]
    return target.model == "*" and provider.vendor == "sim" and provider.base_url is None


def _curl(config: Config, data: str, model: str) -> str:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": _QUESTION}]})
    variable = key_variable(config)
    key = "" if variable is None else f' -H "Authorization: Bearer ${variable}"'
    return f"curl {data}/v1/chat/completions{key} -H 'Content-Type: application/json' -d {shlex.quote(body)}"


def _python(config: Config, data: str, model: str) -> str:
    variable = key_variable(config)
    key = '"any"' if variable is None else f'os.environ["{variable}"]'
    return "\n".join(
        [
            *(["import os"] if variable else []),
            "from openai import OpenAI",
            f'llm = OpenAI(base_url="{data}/v1", api_key={key})',
            f'messages = [{{"role": "user", "content": "{_QUESTION}"}}]',
            f"print(llm.chat.completions.create(model={json.dumps(model)}, messages=messages).choices[0].message.content)",
        ]
    )


def _metrics(settings: Settings, admin: str) -> str:
    from fairlead.config.build import spool_folder

    if "FAIRLEAD_ADMIN_KEY" in os.environ:
        key = "$FAIRLEAD_ADMIN_KEY"
    else:
        file = spool_folder(settings.config, settings.root).resolve() / "admin.key"
        key = f"$(cat {shlex.quote(str(file))})"
    return f'curl -H "Authorization: Bearer {key}" {admin}/metrics'
