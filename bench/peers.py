"""The gateways that others make, installed on demand below `bench/.peers` and run as their own guides say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.processes import ROOT, CannotStart, Running
from bench.subjects import MODEL, Subject, free_port

LITELLM = "1.106.2"
PORTKEY = "1.15.2"
_FOLDER = ROOT / "bench" / ".peers"
_LITELLM_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: http://127.0.0.1:{port}/v1
      api_key: sk-bench
general_settings:
  master_key: sk-bench
litellm_settings:
  telemetry: false
"""


def litellm(folder: Path, upstream_port: int) -> Subject:
    """LiteLLM's proxy with a master key and one worker: no database, so neither virtual keys nor budgets nor logs.

    Raises:
        CannotStart: it cannot be installed, or does not start.
    """
    command = _litellm_command()
    folder.mkdir(parents=True)
    port = free_port()
    (folder / "litellm.yaml").write_text(_LITELLM_CONFIG.format(model=MODEL, port=upstream_port))
    arguments = ["--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    # It would fetch its table of prices at start, and write a line a request.
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    process = Running([str(command), *arguments], folder, quiet, quiet=True)
    process.until_it_answers(f"http://127.0.0.1:{port}/health/liveliness")
    headers = {"authorization": "Bearer sk-bench"}
    return Subject(name="litellm", port=port, process=process, worker=process.family(), headers=headers)


def portkey(folder: Path, upstream_port: int) -> Subject:
    """Portkey's gateway, headless: it routes by headers and keeps nothing.

    Raises:
        CannotStart: it cannot be installed, or does not start.
    """
    command = _portkey_command()
    port = free_port()
    process = Running([*command, f"--port={port}", "--headless"], folder, quiet=True)
    process.until_it_answers(f"http://127.0.0.1:{port}/")
    headers = {
        "authorization": "Bearer sk-bench",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}/v1",
    }
    return Subject(name="portkey", port=port, process=process, worker=process.family(), headers=headers)


def _litellm_command() -> Path:
    folder = _FOLDER / f"litellm-{LITELLM}"
    command = folder / "bin" / "litellm"
    if not command.exists():
        uv = str(Path(sys.executable).with_name("uv"))
        _install([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        python = str(folder / "bin" / "python")
        _install([uv, "pip", "install", "--quiet", "--python", python, f"litellm[proxy]=={LITELLM}"])
    return command


def _portkey_command() -> list[str]:
    folder = _FOLDER / f"portkey-{PORTKEY}"
    script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise CannotStart("Node is not installed")
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _install([npm, "install", *options, f"@portkey-ai/gateway@{PORTKEY}"], folder)
    return [node, str(script)]


def _install(command: list[str], folder: Path = ROOT) -> None:
    print("  installing:", command[-1], flush=True)
    try:
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except (OSError, subprocess.CalledProcessError) as error:
        words = getattr(error, "stderr", None) or str(error).encode()
        raise CannotStart(f"cannot be installed: {words.decode(errors='replace').strip()[-300:]}") from error
