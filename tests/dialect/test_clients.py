"""Clients that are not Python: curl, and the official npm package, by the base URL alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NODE = Path(__file__).parent / "node"
CONFIG = """
[gateway]
auth = "{auth}"
[models.m]
targets = ["sim/sim-small"]
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_npm_package(gateway: Callable[..., Any]) -> None:
    """`openai` from npm completes, streams, calls tools, lists models and reads our errors, with a virtual key."""
    ours = gateway(CONFIG.format(auth="keys"))
    key = ours.cli("keys", "create", "--name", "web", "--budget", "1usd/day")["key"]

    done = subprocess.run(
        ["node", "openai.mjs", ours.base_url, key], cwd=NODE, capture_output=True, text=True, timeout=50, check=False
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["text"] == told["whole"] != ""
    assert told["usage"]["total_tokens"] > 0
    assert (told["tool"], told["models"]) == ("get_weather", ["m"])
    assert told["refused"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_curl(gateway: Callable[..., Any]) -> None:
    """The command gets a whole answer and a stream, over one kept connection."""
    ours = gateway(CONFIG.format(auth="open"))
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    url = f"{ours.base_url}/chat/completions"
    arguments = ["-sS", "--fail-with-body", "-H", "Content-Type: application/json"]

    done = subprocess.run(
        ["curl", *arguments, "-d", json.dumps(body), url, "--next", *arguments, "-N", "-d",
         json.dumps(body | {"stream": True}), url],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    whole, rest = json.JSONDecoder().raw_decode(done.stdout)
    assert whole["choices"][0]["message"]["content"]
    assert done.stdout[rest:].strip().endswith("data: [DONE]")
