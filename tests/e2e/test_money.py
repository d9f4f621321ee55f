"""The four books agree: the provider's bill, the ledger, `fairlead usage` and `/metrics`."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openai
import pytest

CALLS = 2_000
PARALLEL = 16
SEED = 20_261_123
MODELS = ("sim-small", "sim-large", "sim-reasoner", "sim-long")
FAULTS = """
[[faults]]
kind = "status"
rate = 0.04
status = 503
[[faults]]
kind = "rate_limit"
rate = 0.03
retry_after = "0"
[[faults]]
kind = "cut"
rate = 0.03
after_chunks = 5
[[faults]]
kind = "error_event"
rate = 0.02
[[faults]]
kind = "late_error_event"
rate = 0.02
[[faults]]
kind = "reset"
rate = 0.02
"""
CONFIG = """
[gateway]
auth = "open"
[providers.sim]
vendor = "sim"
base_url = "http://127.0.0.1:{port}/v1"
[models."*"]
targets = ["sim/*"]
"""


async def one_call(client: openai.AsyncOpenAI, dice: random.Random) -> str:
    """One call of a kind that the dice choose; which kind, and how it ended."""
    kind = dice.choice(["plain", "streamed", "cut", "left", "late", "retried"])
    messages: Any = [{"role": "user", "content": "word " * dice.randint(1, 2_500)}]
    options: Any = {"model": dice.choice(MODELS), "messages": messages, "max_tokens": dice.randint(1, 200)}
    if dice.random() < 0.2:
        options["service_tier"] = dice.choice(["flex", "priority", "default"])
    if kind == "late":
        options["extra_headers"] = {"x-fairlead-timeout": f"{0.0005 + dice.random() * 0.004:.4f}"}
    if kind == "retried":
        client = client.with_options(max_retries=3)
    try:
        if kind in {"plain", "retried"} or (kind == "late" and dice.random() < 0.5):
            await client.chat.completions.create(**options)
        elif kind == "left":
            async with asyncio.timeout(dice.random() * 0.004):
                await client.chat.completions.create(**options)
        else:
            asked = {"include_usage": True} if dice.random() < 0.5 else openai.omit
            async with await client.chat.completions.create(stream=True, stream_options=asked, **options) as stream:
                left = dice.randint(1, 10)
                async for _ in stream:
                    left -= 1
                    if kind == "cut" and left == 0:
                        break
    except (openai.APIError, TimeoutError) as error:
        return f"{kind} failed: {type(error).__name__}"
    return f"{kind} done"


async def traffic(base_url: str) -> Counter[str]:
    dice = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    gate = asyncio.Semaphore(PARALLEL)
    async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:

        async def gated(seed: int) -> str:
            async with gate:
                return await one_call(client, random.Random(seed))  # noqa: S311

        return Counter(await asyncio.gather(*(gated(dice.getrandbits(64)) for _ in range(CALLS))))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_bill_ledger_usage_and_metrics_agree_to_the_nano_dollar(
    sim: Callable[..., Any], gateway: Callable[..., Any]
) -> None:
    """After 2,000 mixed calls (plain, streamed, cut, left, late, failed, retried by the SDK) all four sums are equal."""
    provider = sim("--seed", str(SEED), faults=FAULTS)
    ours = gateway(CONFIG.format(port=provider.port))

    kinds = asyncio.run(traffic(ours.base_url))

    assert {kind.split()[0] for kind in kinds} == {"plain", "streamed", "cut", "left", "late", "retried"}
    assert any("failed" in kind for kind in kinds)
    deadline = time.monotonic() + 10
    while ours.in_flight() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1.0)
    bill = provider.get("/sim/bill")
    usage = ours.cli("usage", "--by", "model", "--since", "1h")
    samples = ours.metrics()
    with sqlite3.connect(ours.folder / "fairlead.db") as db:
        booked = db.execute(
            "SELECT value ->> 'upstream_id', value ->> 'cost_nanousd', value ->> 'usage_source' FROM calls, json_each(attempts)"
        ).fetchall()
    ledger = sum(cost for _, cost, _ in booked)
    metered = sum(round(value * 1e9) for name, value in samples.items() if name.startswith("fairlead_cost_usd_total"))
    spent = int(Decimal(usage["total"]["cost_usd"]) * 10**9)
    assert bill["total_nanousd"] > 0
    assert (ledger, spent, metered) == (bill["total_nanousd"],) * 3, differences(bill["calls"], booked)


def differences(billed: list[dict[str, Any]], booked: list[tuple[str | None, int, str]]) -> str:
    """Where bill and ledger disagree, call by call; both know a call by the number at the end of its id."""
    asked = {call["id"].rpartition("-")[2]: call for call in billed}
    ours = {(upstream or "-").rpartition("-")[2]: (cost, source) for upstream, cost, source in booked}
    rows = [
        f"{number}: billed {asked.get(number)}, booked {ours.get(number)}"
        for number in sorted(asked.keys() | ours.keys())
        if asked.get(number, {"cost_nanousd": 0})["cost_nanousd"] != ours.get(number, (0, ""))[0]
    ]
    return "\n".join(rows)
