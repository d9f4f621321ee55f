"""Answers that a provider keeps, through the front door: each tenant goes on from its own, where it lies."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

from fairlead.testing import Answer, FakeUpstream, Received, answers

CONFIG = """
[gateway]
auth = "{auth}"
[providers.up]
dialect = "openai_responses"
base_url = "{base_url}"
{keys}
allow_private = true
[models.m]
targets = [{{ target = "up/gpt-x", weight = 1 }}]
price = {{ input = 1.0, output = 2.0 }}
"""
TWO_KEYS = 'credentials = ["env:KEY_1", "env:KEY_2"]'
SECRETS = {"KEY_1": "sk-first", "KEY_2": "sk-second"}
Begin = Callable[..., Awaitable[Any]]


def keeper() -> Callable[[Received], Answer]:
    """A provider that keeps what it answers, by credential."""
    numbers = itertools.count(1)
    kept: dict[str, str] = {}

    bodies: dict[str, dict[str, Any]] = {}

    def stored(request: Received, credential: str) -> Answer:
        name, _, what = request.path.partition("?")[0].removeprefix("/v1/responses/").partition("/")
        if kept.get(name) != credential:
            return answers.json({"error": {"message": "not found", "type": "invalid_request_error"}}, 404)
        if request.method == "DELETE":
            del kept[name]
            return answers.json({"id": name, "object": "response", "deleted": True})
        item = {"type": "message", "id": "msg_in", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
        page = {"object": "list", "data": [item], "first_id": "msg_in", "last_id": "msg_in", "has_more": False}
        return answers.json(page if what == "input_items" else bodies[name])

    def answer(request: Received) -> Answer:
        credential = request.headers["authorization"]
        if request.path != "/v1/responses":
            return stored(request, credential)
        asked = json.loads(request.body)
        previous = asked.get("previous_response_id")
        if previous is not None and kept.get(previous) != credential:
            return answers.json({"error": {"message": "not found", "type": "invalid_request_error"}}, 404)
        name = f"resp_{next(numbers)}"
        kept[name] = credential
        content = [{"type": "output_text", "text": credential, "annotations": []}]
        message = {"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": content}
        body = {
            "id": name, "object": "response", "created_at": 1, "model": "gpt-x", "status": "completed",
            "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        }  # fmt: skip
        bodies[name] = body
        if not asked.get("stream"):
            return answers.json(body)
        events = [{"type": "response.created", "sequence_number": 0, "response": {**body, "output": []}}, {"type": "response.completed", "sequence_number": 1, "response": body}]  # fmt: skip
        return answers.sse([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events], done=False)

    return answer


def config(upstream: FakeUpstream, auth: str = "keys", keys: str = TWO_KEYS) -> str:
    return CONFIG.format(auth=auth, base_url=f"{upstream.origin}/v1", keys=keys)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_goes_on_at_the_credential_that_keeps_it(begin: Begin, stream: bool) -> None:
    """Turn after turn, although calls are spread over two."""
    async with FakeUpstream(default=keeper()) as upstream:
        gateway = await begin(config(upstream), environ=SECRETS)
        sdk = gateway.sdk(await gateway.key("k1"))

        async def turn(previous: str | None) -> Any:
            asked: Any = {"model": "m", "input": "hi"} | (
                {} if previous is None else {"previous_response_id": previous}
            )
            if not stream:
                return await sdk.responses.create(**asked)
            async with sdk.responses.stream(**asked) as events:
                return await events.get_final_response()

        for _ in range(4):
            answer = await turn(None)
            went_to = answer.output_text
            for _ in range(3):
                answer = await turn(answer.id)
                assert answer.output_text == went_to


async def test_nobody_goes_on_from_what_is_anothers(begin: Begin) -> None:
    """It is as if it were not there, and the provider is not asked."""
    async with FakeUpstream(default=keeper()) as upstream:
        gateway = await begin(config(upstream), environ=SECRETS)
        mine, other = gateway.sdk(await gateway.key("k1")), gateway.sdk(await gateway.key("k2"))
        answer = await mine.responses.create(model="m", input="hi")
        forgotten = await mine.responses.create(model="m", input="hi", store=False)

        for sdk, previous in ((other, answer.id), (mine, "resp_made_up"), (mine, forgotten.id)):
            with pytest.raises(openai.NotFoundError) as caught:
                await sdk.responses.create(model="m", input="and?", previous_response_id=previous)
            assert caught.value.param == "previous_response_id"

        assert len(upstream.requests) == 2
        assert (await mine.responses.create(model="m", input="and?", previous_response_id=answer.id)).id


async def test_a_stored_answer_can_be_read_and_deleted_by_its_tenant_alone(begin: Begin) -> None:
    """At the credential that keeps it, with what went into it; each time one call on record that cost nothing."""
    async with FakeUpstream(default=keeper()) as upstream:
        gateway = await begin(config(upstream), environ=SECRETS)
        mine, other = gateway.sdk(await gateway.key("k1")), gateway.sdk(await gateway.key("k2"))
        answer = await mine.responses.create(model="m", input="hi")

        assert (await mine.responses.retrieve(answer.id)).output_text == answer.output_text
        assert [item.id async for item in mine.responses.input_items.list(answer.id, limit=5)] == ["msg_in"]
        await mine.responses.cancel(answer.id)
        before = len(upstream.requests)
        for ask in (other.responses.retrieve, other.responses.delete, other.responses.cancel):
            with pytest.raises(openai.NotFoundError) as caught:
                await ask(answer.id)
            assert caught.value.param == "response_id"
        assert len(upstream.requests) == before
        await mine.responses.delete(answer.id)
        with pytest.raises(openai.NotFoundError):
            await mine.responses.retrieve(answer.id)

        assert [(request.method, request.path) for request in upstream.requests[1:5]] == [
            ("GET", f"/v1/responses/{answer.id}"),
            ("GET", f"/v1/responses/{answer.id}/input_items?limit=5"),
            ("POST", f"/v1/responses/{answer.id}/cancel"),
            ("DELETE", f"/v1/responses/{answer.id}"),
        ]
        asked = [record for record in await gateway.records() if record["alias"] != "m"]
        assert [record["status"] for record in asked] == [404, 200, 404, 404, 404, 200, 200, 200]
        assert {record["cost_usd"] for record in asked} == {"0"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/responses/a%2fb", 404),
        ("GET", "/responses/../models", 404),
        ("GET", "/responses/resp_1/other", 404),
        ("POST", "/responses/resp_1", 405),
        ("DELETE", "/responses/resp_1/input_items", 405),
        ("GET", "/responses/resp_1?stream=true", 400),
        ("GET", "/responses/resp_1?include=a&limit=1", 404),
    ],
)
async def test_nothing_else_can_be_asked_for_below_that_path(begin: Begin, method: str, path: str, status: int) -> None:
    """What goes on to a provider is made here, out of an id and a few parameters."""
    async with FakeUpstream(default=keeper()) as upstream:
        gateway = await begin(config(upstream), environ=SECRETS)
        sdk = gateway.sdk(await gateway.key("k1"))

        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port)
        writer.write(f"{method} /v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {sdk.api_key}\r\ncontent-length: 0\r\n\r\n".encode())  # fmt: skip
        line = await reader.readline()
        writer.close()

        assert int(line.split()[1]) == status
        assert not upstream.requests


async def test_without_a_provider_that_keeps_answers_there_is_none(begin: Begin) -> None:
    """The path says so."""
    gateway = await begin('[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\n')
    with pytest.raises(openai.NotFoundError, match="keeps"):
        await gateway.sdk().responses.retrieve("resp_1")


async def test_whose_an_answer_is_outlives_the_gateway_that_noted_it(begin: Begin) -> None:
    """It stands in the store before the answer leaves."""
    async with FakeUpstream(default=keeper()) as upstream:
        gateway = await begin(config(upstream, "open", 'api_key = "env:KEY_1"'), environ=SECRETS)
        answer = await gateway.sdk().responses.create(model="m", input="hi")

        kept = await gateway.foundation.store.owners.find("local", answer.id)

        assert (kept.provider, kept.credential, kept.model) == ("up", "default", "gpt-x")


async def test_with_a_key_of_the_callers_own_the_provider_tells(begin: Begin) -> None:
    """Nothing is noted, and its own answer comes back."""
    async with FakeUpstream(default=keeper()) as upstream:
        gateway = await begin(config(upstream, "passthrough", ""))
        mine, other = gateway.sdk("sk-mine"), gateway.sdk("sk-other")
        answer = await mine.responses.create(model="m", input="hi")

        assert (await mine.responses.create(model="m", input="and?", previous_response_id=answer.id)).id
        assert (await mine.responses.retrieve(answer.id)).id == answer.id
        with pytest.raises(openai.NotFoundError):
            await other.responses.create(model="m", input="and?", previous_response_id=answer.id)
        with pytest.raises(openai.NotFoundError):
            await other.responses.retrieve(answer.id)
        assert len(upstream.requests) == 5
