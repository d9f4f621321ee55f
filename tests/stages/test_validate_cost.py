"""What callers' schemas may cost everybody else: memory, and time in which no other call goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fairlead.call import Candidate
from fairlead.dialects import static_reply
from fairlead.errors import InvalidRequest
from fairlead.stages.validate import Validate
from fairlead.testing import Answer, FakeTransport, answers, openai_reply
from fairlead.testing.pipeline import Bench, candidate
from fairlead.validation.expected import MOST_NODES
from fairlead.validation.rules import Ladder

TOOLS = 60
ROUNDS = 3


def bench(reply: Answer) -> Bench:
    """`held` has validation, `free` has none."""
    routes = {name: [candidate(structured="native")] for name in ("held", "free")}

    def expand(name: str) -> tuple[Candidate, ...]:
        return tuple(routes.get(name, ()))

    found = Bench(transports={"fake": FakeTransport(default=reply)}, aliases=routes)
    stage = Validate(found.clock, found.rng, {"held": Ladder(up_to="coerce")}, expand, static_reply)
    return Bench(transports=found.transports, aliases=routes, stages={"validate": stage})


def tools(number: int) -> list[dict[str, Any]]:
    """Eight megabytes of them, never the same."""
    return [
        {
            "type": "function",
            "function": {
                "name": f"t{tool}",
                "parameters": {
                    "type": "object",
                    "properties": {
                        f"p{number}_{tool}_{each}": {"type": "string", "pattern": f"^[a-z]{{1,20}}{each}$"}
                        for each in range(2_300)
                    },
                },
            },
        }
        for tool in range(TOOLS)
    ]


def calling_all() -> Answer:
    body = json.loads(openai_reply("").body)
    calls = [
        {"id": f"c{tool}", "type": "function", "function": {"name": f"t{tool}", "arguments": "{}"}}
        for tool in range(TOOLS)
    ]
    body["choices"][0] |= {"message": {"role": "assistant", "content": None, "tool_calls": calls}}
    body["choices"][0]["finish_reason"] = "tool_calls"
    return answers.json(body)


def resident_mb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024


@pytest.mark.slow
@pytest.mark.parametrize("reply", [openai_reply("Hello"), calling_all()], ids=["called none", "called all"])
async def test_megabytes_of_tools_take_neither_the_memory_nor_the_loop(reply):
    """Beside what a call of that size takes without any validation; nothing of this is awaited, so the loop stands."""
    found = bench(reply)
    took = {"free": 0.0, "held": 0.0}
    await found.ask("held", tools=tools(0)[:1])
    before = resident_mb()
    for number in range(ROUNDS):
        for name in took:
            asked = tools(number + 1)
            started = time.process_time()
            await found.ask(name, tools=asked)
            took[name] += time.process_time() - started
    sent_mb = sum(len(each.body) for each in found.transports["fake"].requests) // 1_000_000
    assert resident_mb() - before - sent_mb < 150
    assert (took["held"] - took["free"]) / ROUNDS < 0.6


@pytest.mark.slow
async def test_a_response_format_is_compiled_in_a_moment_or_not_at_all():
    """The least of a few runs, of a schema that is nearly as large as it may be."""
    found = bench(openai_reply("{}"))
    least = dict.fromkeys(("free", "held"), 9.0)
    for number in range(5):
        schema = {
            "type": "object",
            "properties": {f"p{number}_{i}": {"type": "string"} for i in range(MOST_NODES - 150)},
        }
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        for name, known in tuple(least.items()):
            started = time.process_time()
            await found.ask(name, response_format=form)
            least[name] = min(known, time.process_time() - started)
    assert least["held"] - least["free"] < 0.1


async def test_a_response_format_that_is_too_large_is_the_callers_mistake():
    """It is told before anything is spent, and what to do."""
    found = bench(openai_reply("{}"))
    form = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"properties": {f"p{i}": {} for i in range(MOST_NODES)}}},
    }
    with pytest.raises(InvalidRequest, match="make it simpler"):
        await found.ask("held", response_format=form)
    assert found.transports["fake"].requests == []
    await found.ask("free", response_format=form)
