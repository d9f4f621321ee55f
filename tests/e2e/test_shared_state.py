"""Four processes that use the library, as under gunicorn, on one state: one limit and one budget for all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from processes import CLEAN_ENVIRONMENT, FAIRLEAD, Process

CONFIG = """
[gateway]
auth = "keys"
[providers.sim]
vendor = "sim"
base_url = "http://127.0.0.1:{port}/v1"
[models.chat]
targets = ["sim/sim-small"]
price = {{ input = 1.0, output = 1.0 }}
[state]
url = "sqlite:///shared.state.db"
"""
PROCESSES = 4
CALLER = """
import asyncio, json, sys
import fairlead
from fairlead.errors import BudgetExceeded, RateLimited

async def main(key, number):
    counts = {"ok": 0, "limited": 0, "spent": 0, "cost_nanousd": 0}
    async with fairlead.Client.from_file("fairlead.toml", key=key) as llm:
        async def one():
            try:
                done = await llm.complete([{"role": "user", "content": "hello"}], model="chat", max_tokens=20)
            except BudgetExceeded:
                counts["spent"] += 1
            except RateLimited:
                counts["limited"] += 1
            else:
                counts["ok"] += 1
                counts["cost_nanousd"] += done.cost_nanousd
        for _ in range(number // 10):
            await asyncio.gather(*(one() for _ in range(10)))
    print(json.dumps(counts))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def together(folder: Path, key: str, number: int) -> dict[str, int]:
    """What four processes met that called `number` times each, at the same time."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CALLER, key, str(number)],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN_ENVIRONMENT,
        )
        for _ in range(PROCESSES)
    ]  # fmt: skip
    ended = [(*each.communicate(timeout=60), each.returncode) for each in running]
    assert [err for _, err, code in ended if code] == []
    total: dict[str, int] = {}
    for out, _, _ in ended:
        for name, count in json.loads(out).items():
            total[name] = total.get(name, 0) + count
    return total


@pytest.fixture
def folder(tmp_path: Path, sim: Callable[..., Process]) -> Path:
    """A folder with a configuration whose state all processes share."""
    (tmp_path / "fairlead.toml").write_text(CONFIG.format(port=sim().port))
    return tmp_path


def fairlead(folder: Path, *arguments: str) -> Any:
    """What a command answers in JSON."""
    done = subprocess.run(
        [FAIRLEAD, *arguments, "--json"], cwd=folder, capture_output=True, text=True, check=True, env=CLEAN_ENVIRONMENT
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_four_processes_of_the_library_share_one_limit(folder: Path) -> None:
    """Of 240 calls on a limit of 60 a minute 60 pass, and those that the time lets in."""
    key = fairlead(folder, "keys", "create", "--name", "shared", "--rpm", "60")["key"]
    began = time.monotonic()
    met = together(folder, key, 60)
    leaked = int(time.monotonic() - began) + 1

    assert met["ok"] + met["limited"] == 240
    assert 60 <= met["ok"] <= 60 + leaked


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_four_processes_of_the_library_spend_one_budget(folder: Path) -> None:
    """What all of them spent is within it, what was refused would not have fitted, and the ledger says the same."""
    budget_nanousd = 1_000_000
    key = fairlead(folder, "keys", "create", "--name", "shared", "--budget", "0.001usd")["key"]
    met = together(folder, key, 60)

    assert met["ok"] + met["spent"] == 240
    assert met["spent"] > 0
    assert budget_nanousd * 0.8 < met["cost_nanousd"] <= budget_nanousd
    spent_usd = Decimal(fairlead(folder, "usage", "--by", "key")["total"]["cost_usd"])
    assert spent_usd * 10**9 == met["cost_nanousd"]
