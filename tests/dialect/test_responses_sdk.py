"""The official OpenAI SDK's Responses, pointed at the gateway by its base URL alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from openai_official import check_response

OPEN = """
[gateway]
auth = "open"
[providers.sim]
vendor = "sim"
dialect = "openai"
[models.m]
targets = ["sim/sim-small"]
"""
FAULTY = """
[gateway]
auth = "open"
[providers.sim]
vendor = "sim"
dialect = "openai"
faults = "faults.toml"
[models.m]
targets = ["sim/sim-small"]
"""
TOOLS: Any = [
    {
        "type": "function",
        "name": name,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": False,
    }
    for name in ("get_weather", "get_time")
]
Begin = Callable[..., Awaitable[Any]]


class Booking(BaseModel):
    """What a caller wants to have parsed."""

    name: str
    seats: int


async def test_a_whole_answer(begin: Begin) -> None:
    """`create` returns the answer with its usage, and our headers say what it cost and what was left out."""
    gateway = await begin(OPEN)

    raw = await gateway.sdk().responses.with_raw_response.create(
        model="m", instructions="Be brief.", input="Say hello", metadata={"a": "b"}, store=False
    )

    check_response(raw.content)
    answer = raw.parse()
    assert "simulat" in answer.output_text
    assert answer.status == "completed"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0
    (record,) = await gateway.records()
    assert raw.headers["x-fairlead-cost-usd"] == record["cost_usd"]
    assert raw.headers["x-fairlead-left-out"] == "metadata, store"


async def test_a_streamed_answer_equals_the_whole_one(begin: Begin) -> None:
    """The pieces of a stream, joined, are the text of the whole answer; it ends with the usage that is on record."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()

    whole = await sdk.responses.create(model="m", input="Say hello")
    events = [event async for event in await sdk.responses.create(model="m", input="Say hello", stream=True)]

    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage == whole.usage
    assert (await gateway.records())[0]["usage"]["output_tokens"] == whole.usage.output_tokens


async def test_the_stream_helper_puts_the_answer_together(begin: Begin) -> None:
    """Its final response is the whole answer."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()

    async with sdk.responses.stream(model="m", input="Say hello") as stream:
        snapshots = [event.snapshot async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()

    assert final.output_text == snapshots[-1] != ""


async def test_two_tools_called_in_parallel(begin: Begin) -> None:
    """Calls arrive whole, streamed or not, with arguments that fit their schema and ids of their own."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()
    question = "use get_weather and get_time"

    whole = await sdk.responses.create(model="m", input=question, tools=TOOLS)
    async with sdk.responses.stream(model="m", input=question, tools=TOOLS) as stream:
        streamed = await stream.get_final_response()

    for answer in (whole, streamed):
        calls = [item for item in answer.output if item.type == "function_call"]
        assert [call.name for call in calls] == ["get_weather", "get_time"]
        assert all("city" in json.loads(call.arguments) for call in calls)
        assert len({name for call in calls for name in (call.id, call.call_id)}) == 4


async def test_a_conversation_goes_on_with_the_output_before_it(begin: Begin) -> None:
    """What the SDK was given is sent back as it is, with the results of the calls."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()
    asked: Any = [{"role": "user", "content": "use get_weather"}]
    first = await sdk.responses.create(model="m", input=asked, tools=TOOLS)
    call = next(item for item in first.output if item.type == "function_call")

    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    answer = await sdk.responses.create(model="m", input=[*asked, *first.output, result], tools=TOOLS)

    assert answer.output_text


async def test_structured_output_is_parsed_by_the_sdk(begin: Begin) -> None:
    """`parse` with a pydantic model gets JSON that fits, and so does the stream helper."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()

    answer = await sdk.responses.parse(model="m", input="Book", text_format=Booking)
    async with sdk.responses.stream(model="m", input="Book", text_format=Booking) as stream:
        streamed = await stream.get_final_response()

    assert isinstance(answer.output_parsed, Booking)
    assert streamed.output_parsed == answer.output_parsed


async def test_images_and_log_probabilities(begin: Begin) -> None:
    """Both go through, whole and streamed."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"}
    asked: Any = {
        "model": "m",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "what is this?"}, picture]}],
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
    }

    raw = await sdk.responses.with_raw_response.create(**asked)
    async with sdk.responses.stream(**asked) as stream:
        streamed = await stream.get_final_response()

    whole = check_response(raw.content)
    for answer in (whole, streamed):
        tokens = answer.output[0].content[0].logprobs
        assert len(tokens[0].top_logprobs) == 2
    (record, _) = await gateway.records()
    assert record["status"] == 200


async def test_an_answer_that_was_cut_is_incomplete(begin: Begin) -> None:
    """And says why."""
    gateway = await begin(OPEN)

    answer = await gateway.sdk().responses.create(model="m", input="Say hello", max_output_tokens=1)

    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("background", True),
        ("prompt", {"id": "pmpt_1"}),
        ("tools", [{"type": "web_search"}]),
    ],
)
async def test_what_only_this_dialects_providers_can_do_is_refused_by_name(begin: Begin, name: str, value: Any) -> None:
    """A provider of another dialect is never asked for half of it."""
    gateway = await begin(OPEN)

    with pytest.raises(openai.BadRequestError) as caught:
        await gateway.sdk().responses.create(model="m", input="Say hello", **{name: value})

    assert caught.value.param == name


@pytest.mark.parametrize("helper", [False, True])
async def test_a_stream_that_breaks_off_is_raised_by_the_sdk(begin: Begin, tmp_path: Any, helper: bool) -> None:
    """A broken stream reaches the SDK as an error, never as a clean end (S1)."""
    faults = tmp_path / "faults.toml"
    faults.write_text('[[faults]]\nkind = "cut"\nafter_chunks = 3\n')
    gateway = await begin(FAULTY.replace("faults.toml", str(faults)))
    sdk = gateway.sdk()
    seen = []

    async def read() -> None:
        if helper:
            async with sdk.responses.stream(model="m", input="Say hello") as stream:
                async for event in stream:
                    seen.append(event)  # noqa: PERF401 - what came before the error counts
        else:
            async for event in await sdk.responses.create(model="m", input="Say hello", stream=True):
                seen.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(openai.APIError):
        await read()

    assert "response.output_text.delta" in [event.type for event in seen]
    assert "response.completed" not in [event.type for event in seen]


async def test_the_synchronous_sdk(begin: Begin) -> None:
    """The SDK's synchronous client works as well: whole, streamed, and with the helper."""
    gateway = await begin(OPEN)

    def use() -> list[str]:
        with openai.OpenAI(base_url=gateway.base_url, api_key="any") as sdk:
            whole = sdk.responses.create(model="m", input="Say hello")
            with sdk.responses.create(model="m", input="Say hello", stream=True) as events:
                streamed = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            with sdk.responses.stream(model="m", input="Say hello") as stream:
                helped = stream.get_final_response().output_text
            return [whole.output_text, streamed, helped]

    whole, streamed, helped = await asyncio.to_thread(use)

    assert whole == streamed == helped != ""
