"""`fairlead init`: a configuration to start from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.settings import JsonOption
from fairlead.cli.terminal import cell, console, emit, show_table
from fairlead.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from fairlead.config.litellm import Row

MODEL_OF = {
    "openai": "gpt-4o-mini",
    "mistral": "mistral-small-latest",
    "groq": "llama-3.3-70b-versatile",
    "deepseek": "deepseek-chat",
    "xai": "grok-3-mini",
}
"""A model that many start with; vendors without one get none."""

_STARTER = """\
# Fairlead's configuration.  `fairlead check` says what it switches on; every setting is optional.

[gateway]
host = "127.0.0.1"
port = 8400          # callers: http://127.0.0.1:8400/v1
admin_port = 8401    # metrics and the admin API
# "open" serves anybody on this machine and works on loopback only.
# "keys" asks for a key: `fairlead keys create --name NAME --budget 10usd/day`.
# "passthrough" forwards the provider key that callers send.
auth = "open"

# --- where calls go; secrets are references (env:NAME, file:PATH, cmd:COMMAND), never values ---

{providers}
# An own server that speaks OpenAI's dialect: vLLM, llama.cpp, LM Studio, Ollama, ...
# [providers.local]
# vendor = "vllm"
# base_url = "http://127.0.0.1:8000/v1"
# limits = {{ concurrency = 8 }}  # calls wait in line for a place

# The simulated provider `sim` is always there and needs no key.
# [providers.sim]
# vendor = "sim"
# latency_s = 0.2
# tokens_per_s = 60

# --- the names that callers use, each with its targets in the order to try ---

{models}
{simulated}
# [models.assistant]
# targets = ["openai/gpt-4o-mini", "local/llama-3-8b"]       # fallback in this order
# price = {{ input = 0.15, output = 0.60 }}                    # USD per million tokens, where the table has none
# timeouts = {{ connect = 5, first_token = 60, idle = 60, total = 600 }}  # seconds
# retry = {{ attempts = 3 }}                                   # tries at one target, the first one included
# breaker = {{ consecutive = 5, open_s = 15 }}                 # leave a target alone that keeps failing
# degraded = [{{ static = "Please try again in a few minutes." }}]  # when no target answers

# Any other name, as the caller wrote it.
{relay}
# --- where records, costs and keys are kept ---

[store]
url = "sqlite:///fairlead.db"  # below the folder of this file
content = "full"               # what is stored of requests and answers: "full", "hash" or "off"
# fsync = "tick"               # records survive a power loss, too
"""

_PROVIDER = """\
[providers.{name}]
vendor = "{name}"
api_key = "env:{variable}"
"""
_MODEL = """\
[models."{model}"]
targets = ["{name}/{model}"]
"""


_RELAY = """\
[models."*"]
targets = ["{name}/*"]
"""


def init(
    force: Annotated[bool, typer.Option("--force", help="Overwrite a fairlead.toml that is there.")] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Translate the configuration of a LiteLLM proxy, and say what became of it."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a commented fairlead.toml into the working folder."""
    if source is not None:
        _translate(source, force=force, json=json)
        return
    from fairlead.config import env
    from fairlead.config.load import load_text

    path = Path(env.FILE_NAME)
    found = _found(os.environ)
    text = starter(found)
    load_text(text, str(path))
    _write(path, text, force=force)
    if json:
        emit({"file": str(path.resolve()), "providers": list(found)})
        return
    out = console()
    out.print(f"Wrote {path.resolve()}.", soft_wrap=True)
    out.print(f"Providers found in the environment: {', '.join(found) or 'none, so the simulated one answers'}.")
    out.print("Next: `fairlead check` shows what is on, `fairlead serve` starts the gateway.")


def _translate(source: Path, *, force: bool, json: bool) -> None:
    import msgspec

    from fairlead.cli.settings import readable
    from fairlead.config import env
    from fairlead.config.litellm import translate

    path = Path(env.FILE_NAME)
    translated = translate(readable(source), str(source), os.environ)
    _write(path, translated.text, force=force)
    counts = {outcome: translated.count(outcome) for outcome in ("carried", "changed", "left out")}
    if json:
        emit({"file": str(path.resolve()), "counts": counts, "rows": msgspec.to_builtins(translated.rows)})
        return
    out = console()
    out.print(f"Wrote {path.resolve()}.", soft_wrap=True)
    show_table(_report(translated.rows))
    out.print(f"{counts['carried']} carried over, {counts['changed']} changed, {counts['left out']} left out.")
    out.print("Next: `fairlead check` shows what is on and which variables are missing.")


def _report(rows: Sequence[Row]) -> Table:
    """What became of each setting; what wants attention is coloured."""
    from rich.table import Table

    table = Table("setting", "", "became", "note", box=None, header_style="bold", pad_edge=False)
    colours = {"changed": "yellow", "left out": "red"}
    for row in rows:
        outcome = cell(row.outcome, colours.get(row.outcome, "green"))
        table.add_row(cell(row.path), outcome, cell(row.into), cell(row.note))
    return table


def starter(found: Mapping[str, str]) -> str:
    """The text of the file.

    Args:
        found: vendors whose keys are there, with the environment variables that hold them.
    """
    from fairlead.config.rules import SIM, SIM_MODELS

    rows = found or {"openai": "OPENAI_API_KEY"}
    providers = "\n".join(_PROVIDER.format(name=name, variable=variable) for name, variable in rows.items())
    models = "\n".join(_MODEL.format(name=name, model=MODEL_OF[name]) for name in rows if name in MODEL_OF)
    relay = _RELAY.format(name=next(iter(rows)))
    if not found:
        providers, models, relay = _commented(providers), _commented(models), _commented(relay)
    simulated = "".join(_MODEL.format(name=SIM, model=name).replace('"', "", 2) for name in SIM_MODELS)
    return _STARTER.format(providers=providers, models=models, simulated=simulated, relay=relay)


def _found(environ: Mapping[str, str]) -> dict[str, str]:
    from fairlead.config.env import from_environment

    return {
        name: provider.api_key.removeprefix("env:")
        for name, provider in from_environment(environ).providers.items()
        if provider.api_key is not None
    }


def _commented(text: str) -> str:
    return "".join(f"# {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path.resolve()} is there already; `--force` overwrites it") from None
