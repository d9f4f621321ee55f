"""Answers that a provider keeps, through the front door: each tenant goes on from its own, where it lies."""

from __future__ import annotations

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

    def answer(request: Received) -> Answer:
        asked, credential = json.loads(request.body), request.headers["authorization"]
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


async def test_a_stored_answer_cannot_yet_be_fetched(begin: Begin) -> None:
    """Nor deleted; the message says what can be done with it."""
    async with FakeUpstream(default=keeper()) as upstream:
        gateway = await begin(config(upstream), environ=SECRETS)
        sdk = gateway.sdk(await gateway.key("k1"))
        answer = await sdk.responses.create(model="m", input="hi")

        for ask in (sdk.responses.retrieve, sdk.responses.delete, sdk.responses.cancel):
            with pytest.raises(openai.NotFoundError, match="previous_response_id"):
                await ask(answer.id)


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
        with pytest.raises(openai.NotFoundError):
            await other.responses.create(model="m", input="and?", previous_response_id=answer.id)
        assert len(upstream.requests) == 3
