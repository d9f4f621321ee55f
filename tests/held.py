"""A pipeline that holds answers to a schema, over a scripted provider."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.call import Call, Candidate
from fairlead.dialects import static_reply
from fairlead.pipeline import Reply
from fairlead.stages.validate import Validate
from fairlead.testing import Answer, FakeTransport, answers, openai_reply
from fairlead.testing.pipeline import Bench, candidate
from fairlead.validation.rules import Ladder

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "seats": {"type": "integer"}},
    "required": ["name", "seats"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "Booking", "schema": SCHEMA}}
GOOD = '{"name":"Ada","seats":2}'
FENCED = f"Here it is:\n```json\n{GOOD}\n```"
BAD = '{"name":"Ada"}'
TOOL = {"type": "function", "function": {"name": "book", "parameters": SCHEMA}}


def bench(
    *script: Answer,
    ladder: Ladder | None = None,
    aliases: Mapping[str, Sequence[Candidate]] | None = None,
    transports: Mapping[str, FakeTransport] | None = None,
    **facts: Any,
) -> Bench:
    """A pipeline whose provider holds no model to a schema, and answers so."""
    facts = {"structured": "native"} | facts
    routes = aliases or {"gpt-4o-mini": [candidate(**facts)]}
    rules = {"gpt-4o-mini": ladder or Ladder()}

    def named(name: str) -> tuple[Candidate, ...]:
        return tuple(routes.get(name, ()))

    class Late:
        """The stage, once the bench that has its clock is there."""

        async def __call__(self, call: Call, following: Any) -> Reply:
            return await stages[0](call, following)

    found = Bench(transports=transports or {"fake": FakeTransport(script)}, aliases=routes, stages={"validate": Late()})
    stages = [Validate(found.clock, found.rng, rules, named, static_reply)]
    return found


def text_of(body: bytes) -> str:
    content: str = json.loads(body)["choices"][0]["message"]["content"]
    return content


def streamed(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


def sent(found: Bench, number: int, provider: str = "fake") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(found.transports[provider].requests[number].body)
    return body


def called(arguments: str, name: str = "book") -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def answered(message: Mapping[str, Any], reason: str) -> Answer:
    body = json.loads(openai_reply("").body)
    body["choices"][0] |= {"message": message, "finish_reason": reason}
    return answers.json(body)
