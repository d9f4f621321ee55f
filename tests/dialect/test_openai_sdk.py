"""The official OpenAI SDK, pointed at the gateway by its base URL alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest
from pydantic import BaseModel

OPEN = """
[gateway]
auth = "open"
[models.m]
targets = ["sim/sim-small"]
"""
FAULTY = """
[gateway]
auth = "open"
[providers.sim]
vendor = "sim"
faults = "faults.toml"
[models.m]
targets = ["sim/sim-small"]
"""
HELLO: Any = [{"role": "user", "content": "Say hello"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("get_weather", "get_time")
]
Begin = Callable[..., Awaitable[Any]]


async def test_a_whole_answer(begin: Begin) -> None:
    """`create` returns the answer with its usage, and our headers say what it cost."""
    gateway = await begin(OPEN)

    raw = await gateway.sdk().chat.completions.with_raw_response.create(model="m", messages=HELLO)

    answer = raw.parse()
    assert "simulat" in answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    (record,) = await gateway.records()
    assert raw.headers["x-fairlead-call-id"] == record["call_id"]
    assert raw.headers["x-fairlead-cost-usd"] == record["cost_usd"]
    assert raw.headers["cache-control"] == "no-store, private"


async def test_a_streamed_answer_equals_the_whole_one(begin: Begin) -> None:
    """The pieces of a stream, joined, are the text of the whole answer."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()

    whole = await sdk.chat.completions.create(model="m", messages=HELLO)
    stream = await sdk.chat.completions.create(model="m", messages=HELLO, stream=True)
    pieces = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in pieces) == whole.choices[0].message.content
    assert all(chunk.choices for chunk in pieces), "the usage chunk that nobody asked for (S13)"


async def test_usage_that_was_asked_for_comes_once_at_the_end(begin: Begin) -> None:
    """With `include_usage` there is exactly one trailing chunk with `choices: []` (S13)."""
    gateway = await begin(OPEN)

    stream = await gateway.sdk().chat.completions.create(
        model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert [chunk for chunk in chunks if not chunk.choices] == chunks[-1:]
    assert chunks[-1].usage.completion_tokens > 0
    (record,) = await gateway.records()
    assert record["usage"]["output_tokens"] == chunks[-1].usage.completion_tokens


async def test_two_tools_called_in_parallel(begin: Begin) -> None:
    """Tool calls arrive whole, streamed or not, with arguments that fit their schema."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()
    messages: Any = [{"role": "user", "content": "use get_weather and get_time"}]

    whole = await sdk.chat.completions.create(model="m", messages=messages, tools=TOOLS)
    async with sdk.chat.completions.stream(model="m", messages=messages, tools=TOOLS) as stream:
        streamed = await stream.get_final_completion()

    for answer in (whole, streamed):
        calls = answer.choices[0].message.tool_calls
        assert [call.function.name for call in calls] == ["get_weather", "get_time"]
        assert all("city" in json.loads(call.function.arguments) for call in calls)
        assert answer.choices[0].finish_reason == "tool_calls"


async def test_a_tool_result_is_answered_with_text(begin: Begin) -> None:
    """A conversation with tool results goes through."""
    gateway = await begin(OPEN)
    messages: Any = [
        {"role": "user", "content": "use get_weather"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]  # fmt: skip

    answer = await gateway.sdk().chat.completions.create(model="m", messages=messages, tools=TOOLS)

    assert answer.choices[0].message.content


async def test_structured_output_is_parsed_by_the_sdk(begin: Begin) -> None:
    """`parse` with a pydantic model gets JSON that fits."""

    class Booking(BaseModel):
        name: str
        seats: int

    gateway = await begin(OPEN)

    answer = await gateway.sdk().chat.completions.parse(model="m", messages=HELLO, response_format=Booking)

    assert isinstance(answer.choices[0].message.parsed, Booking)


async def test_several_choices_log_probabilities_and_images(begin: Begin) -> None:
    """`n`, `logprobs` and image parts pass through."""
    gateway = await begin(OPEN)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, picture]}]

    answer = await gateway.sdk().chat.completions.create(
        model="m", messages=messages, n=3, logprobs=True, top_logprobs=2
    )

    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2


async def test_models_are_listed(begin: Begin) -> None:
    """`/v1/models` has the aliases, and each can be asked for."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()

    assert [model.id async for model in await sdk.models.list()] == ["m"]
    assert (await sdk.models.retrieve("m")).id == "m"
    with pytest.raises(openai.NotFoundError):
        await sdk.models.retrieve("other")


async def test_errors_have_the_types_that_the_sdk_knows(begin: Begin) -> None:
    """Each of our errors is raised as the SDK's own class for it, with our code."""
    gateway = await begin(OPEN.replace("open", "keys"))
    key = await gateway.key("k1", rpm=2, models=frozenset({"m"}))
    bare = await gateway.key("k2", budget_nanousd=1, budget_window="day")

    with pytest.raises(openai.AuthenticationError) as unknown:
        await gateway.sdk("sk-nonsense").chat.completions.create(model="m", messages=HELLO)
    with pytest.raises(openai.PermissionDeniedError):
        await gateway.sdk(key).chat.completions.create(model="x", messages=HELLO)
    with pytest.raises(openai.BadRequestError) as bad:
        await gateway.sdk(key).chat.completions.create(model="m", messages=HELLO, max_tokens=-1)
    with pytest.raises(openai.RateLimitError) as poor:
        await gateway.sdk(bare).chat.completions.create(model="m", messages=HELLO)

    assert unknown.value.code == "invalid_api_key"
    assert bad.value.param == "max_tokens"
    assert poor.value.code == "budget_exceeded"
    assert poor.value.response.headers["x-should-retry"] == "false"


async def test_a_rate_limit_says_how_long_to_wait(begin: Begin) -> None:
    """A 429 of ours carries `Retry-After` and the limits; the SDK may retry it (L14)."""
    gateway = await begin(OPEN.replace("open", "keys"))
    sdk = gateway.sdk(await gateway.key("k1", rpm=1))
    await sdk.chat.completions.create(model="m", messages=HELLO)

    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.chat.completions.create(model="m", messages=HELLO)

    headers = caught.value.response.headers
    assert 0 < int(headers["retry-after"]) <= 60
    assert headers["x-should-retry"] == "true"
    assert headers["x-ratelimit-limit-requests"] == "1"


async def test_a_stream_that_breaks_off_is_raised_by_the_sdk(begin: Begin, tmp_path: Any) -> None:
    """A broken stream reaches the SDK as an error, never as a clean end (S1)."""
    faults = tmp_path / "faults.toml"
    faults.write_text('[[faults]]\nkind = "cut"\nafter_chunks = 3\n')
    gateway = await begin(FAULTY.replace("faults.toml", str(faults)))

    stream = await gateway.sdk().chat.completions.create(model="m", messages=HELLO, stream=True)
    pieces = []

    async def read() -> None:
        async for chunk in stream:
            pieces.append(chunk)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(openai.APIError):
        await read()

    assert len(pieces) >= 3
    (record,) = await gateway.records()
    assert record["outcome"] == "truncated"


async def test_the_sdk_retries_what_is_worth_it_and_nothing_else(begin: Begin, tmp_path: Any) -> None:
    """A transient fault is retried by the SDK, each try one call of ours; a final one is not."""
    faults = tmp_path / "faults.toml"
    faults.write_text('[[faults]]\nkind = "status"\nstatus = 503\ntimes = 1\n')
    gateway = await begin(FAULTY.replace("faults.toml", str(faults)))

    sdk = gateway.sdk(max_retries=2)
    await sdk.chat.completions.create(model="m", messages=HELLO)
    with pytest.raises(openai.NotFoundError):
        await sdk.chat.completions.create(model="nope", messages=HELLO)

    outcomes = [record["status"] for record in await gateway.records()]
    assert outcomes == [404, 200, 503]


async def test_a_caller_who_leaves_is_recorded_and_charged_as_the_provider_charges(begin: Begin) -> None:
    """Leaving a stream early ends the call as cancelled; the simulator bills the whole, so the whole is booked."""
    gateway = await begin(OPEN)
    stream = await gateway.sdk().chat.completions.create(model="m", messages=HELLO, stream=True)
    async for _ in stream:
        break
    await stream.close()

    for _ in range(100):
        await asyncio.sleep(0.01)
        if records := await gateway.records():
            break

    (record,) = records
    assert record["outcome"] in {"cancelled", "ok"}
    assert record["cost_usd"] not in {None, "0"}


async def test_a_call_can_be_looked_up_by_its_caller_alone(begin: Begin) -> None:
    """`/v1/fairlead/calls/{id}` shows a caller its own call without content, and nobody else any of it."""
    gateway = await begin(OPEN.replace("open", "keys"))
    mine, other = await gateway.key("k1"), await gateway.key("k2")
    raw = await gateway.sdk(mine).chat.completions.with_raw_response.create(model="m", messages=HELLO)
    await gateway.records()
    path = f"/fairlead/calls/{raw.headers['x-fairlead-call-id']}"

    shown = await gateway.sdk(mine).get(path, cast_to=object)

    assert shown["cost_usd"] == raw.headers["x-fairlead-cost-usd"]
    assert "request" not in shown
    with pytest.raises(openai.NotFoundError):
        await gateway.sdk(other).get(path, cast_to=object)


async def test_a_caller_sees_its_verdict_and_not_the_refused_output(begin: Begin) -> None:
    """`/v1/fairlead/calls/{id}` says what did not fit; contents are for those who keep the store."""
    gateway = await begin(f'{OPEN}validation = {{ up_to = "coerce" }}\n')
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    form = {"type": "json_schema", "json_schema": {"name": "Person", "schema": schema}}
    with pytest.raises(openai.APIStatusError) as refused:
        await gateway.sdk().chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": 'sim:say {"age": "about twenty"}'}],
            response_format=form,  # type: ignore[arg-type]
        )
    (stored,) = await gateway.records()

    call_id = refused.value.response.headers["x-fairlead-call-id"]
    shown = await gateway.sdk().get(f"/fairlead/calls/{call_id}", cast_to=object)

    assert stored["refused"] == '{"age": "about twenty"}'
    assert "refused" not in shown
    assert shown["error_class"] == "validation"
    assert (shown["validated"]["schema"], shown["validated"]["fits"]) == ("Person", False)
    assert [error["path"] for error in shown["validated"]["errors"]] == ["/age"]


async def test_the_synchronous_sdk(begin: Begin) -> None:
    """The SDK's synchronous client works as well, whole and streamed."""
    gateway = await begin(OPEN)

    def use() -> list[str]:
        with openai.OpenAI(base_url=gateway.base_url, api_key="any") as sdk:
            whole = sdk.chat.completions.create(model="m", messages=HELLO)
            with sdk.chat.completions.create(model="m", messages=HELLO, stream=True) as stream:
                streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            return [whole.choices[0].message.content or "", streamed]

    whole, streamed = await asyncio.to_thread(use)

    assert whole == streamed != ""


async def test_a_hundred_parallel_calls_on_a_budget_for_ten(begin: Begin) -> None:
    """Through the front door at most ten of a hundred simultaneous calls are let through (L1)."""
    slow = OPEN.replace("open", "keys") + '[providers.sim]\nvendor = "sim"\nlatency_s = 0.3\n'
    gateway = await begin(slow)
    probe = await gateway.sdk(await gateway.key("probe")).chat.completions.create(
        model="m", messages=HELLO, max_tokens=9
    )
    assert probe.usage is not None
    (record,) = await gateway.records()
    worst = record["attempts"][0]["reserved_nanousd"]
    sdk = gateway.sdk(await gateway.key("k1", budget_nanousd=10 * worst, budget_window="day"))
    await sdk.models.list()  # the key is known: a busy machine may not look a hundred times for a new one in time

    async def one() -> bool:
        try:
            await sdk.chat.completions.create(model="m", messages=HELLO, max_tokens=9)
        except openai.RateLimitError as error:
            assert error.code == "budget_exceeded"  # noqa: PT017 - the others' answers matter as well
            return False
        return True

    admitted = sum(await asyncio.gather(*(one() for _ in range(100))))

    assert 1 <= admitted <= 10
