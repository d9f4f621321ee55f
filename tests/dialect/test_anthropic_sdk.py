"""The official Anthropic SDK, pointed at the gateway by its base URL alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from pydantic import BaseModel

from fairlead.testing import Answer, FakeUpstream, answers, openai_reply

SIM = """
[gateway]
auth = "{auth}"
[providers.sim]
vendor = "sim"
dialect = "openai"
{faults}
[models.m]
targets = ["sim/sim-small"]
retry = {{ attempts = 1 }}
"""
UPSTREAM = """
[gateway]
auth = "open"
[providers.up]
dialect = "{dialect}"
base_url = "{url}"
api_key = "env:UPSTREAM_KEY"
allow_private = true
[models.m]
targets = ["up/model-1"]
"""
ENVIRON = {"UPSTREAM_KEY": "sk-upstream"}
PIXEL = base64.b64encode(b"GIF89a not quite").decode()
USED = {"input_tokens": 7, "output_tokens": 5}
Begin = Callable[..., Awaitable[Any]]


class Booking(BaseModel):
    """A table in a restaurant."""

    guests: int
    name: str


@anthropic.beta_async_tool
async def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


TOOLS: Any = [
    {
        "name": name,
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    for name in ("get_weather", "get_time")
]


def sdk(gateway: Any, key: str = "any", **rest: Any) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=gateway.origin, api_key=key, **{"max_retries": 0, **rest})


def asked(text: str = "Say hello", **rest: Any) -> Any:
    return {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": text}], **rest}


async def simulated(begin: Begin, tmp_path: Path | None = None, faults: str = "", auth: str = "open") -> Any:
    """A gateway before the simulator, which shows these faults."""
    if tmp_path is None:
        return await begin(SIM.format(auth=auth, faults=""))
    (tmp_path / "faults.toml").write_text(f"[[faults]]\n{faults}\n")
    return await begin(SIM.format(auth=auth, faults=f'faults = "{tmp_path}/faults.toml"'))


def named(*events: Mapping[str, Any]) -> Answer:
    """A stream of Anthropic's own."""
    return answers.sse([f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events], done=False)


async def test_a_whole_answer(begin: Begin) -> None:
    """`create` returns the answer with its usage and end, and our headers say what it cost."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client:
        raw = await client.messages.with_raw_response.create(**asked())

    answer = await raw.parse()
    assert "simulat" in answer.content[0].text
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert min(answer.usage.input_tokens, answer.usage.output_tokens) > 0
    (record,) = await gateway.records()
    assert raw.headers["x-fairlead-call-id"] == record["call_id"]
    assert raw.headers["x-fairlead-cost-usd"] == record["cost_usd"]


async def test_the_limit_is_why_it_ends(begin: Begin) -> None:
    """An answer that is cut by `max_tokens` says so."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client:
        answer = await client.messages.create(**asked(max_tokens=3))

    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 3)


async def test_a_streamed_answer_equals_the_whole_one(begin: Begin) -> None:
    """Raw events, `text_stream` and `get_final_message` give the text, the usage and the end of the whole answer."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client:
        whole = await client.messages.create(**asked())
        events = [event async for event in await client.messages.create(**asked(), stream=True)]
        async with client.messages.stream(**asked()) as stream:
            texts = [text async for text in stream.text_stream]
            final = await stream.get_final_message()

    assert "".join(texts) == final.content[0].text == whole.content[0].text
    assert (final.usage, final.stop_reason) == (whole.usage, whole.stop_reason)
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


async def test_the_events_of_the_stream_helper(begin: Begin) -> None:
    """It makes its own of ours: each piece with a snapshot, and the message at the end."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client, client.messages.stream(**asked()) as stream:
        events = [event async for event in stream]

    snapshots = [event.snapshot for event in events if event.type == "text"]
    assert snapshots == sorted(snapshots, key=len)
    assert events[-1].type == "message_stop"
    assert events[-1].message.content[0].text == snapshots[-1]


async def test_two_tools_called_in_parallel(begin: Begin) -> None:
    """Both come whole, streamed or not, with ids and arguments that fit their schema."""
    gateway = await simulated(begin)
    ask = asked("use get_weather and get_time", tools=TOOLS)

    async with sdk(gateway) as client:
        whole = await client.messages.create(**ask)
        async with client.messages.stream(**ask) as stream:
            streamed = await stream.get_final_message()

    assert streamed.content == whole.content
    assert [(block.name, list(block.input)) for block in whole.content] == [
        ("get_weather", ["city"]),
        ("get_time", ["city"]),
    ]
    assert len({block.id for block in whole.content}) == 2
    assert whole.stop_reason == streamed.stop_reason == "tool_use"


async def test_a_tool_that_is_forced(begin: Begin) -> None:
    """`tool_choice` reaches the provider."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client:
        answer = await client.messages.create(**asked(tools=TOOLS, tool_choice={"type": "tool", "name": "get_time"}))

    assert [block.name for block in answer.content] == ["get_time"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_tool_runner(begin: Begin, *, stream: bool) -> None:
    """It calls the tool and gives its result back, and the model answers with text."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client:
        runner = client.beta.messages.tool_runner(**asked("use get_weather"), tools=[get_weather], stream=stream)
        last = await runner.until_done()

    assert "simulat" in last.content[0].text
    assert len(await gateway.records()) == 2


async def test_structured_output_is_parsed(begin: Begin) -> None:
    """`parse` with a pydantic model gets JSON that fits, streamed or not."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client:
        parsed = await client.messages.parse(**asked("a table"), output_format=Booking)
        async with client.messages.stream(**asked("a table"), output_format=Booking) as stream:
            streamed = await stream.get_final_message()

    assert isinstance(parsed.parsed_output, Booking)
    assert streamed.parsed_output == parsed.parsed_output


async def test_an_image_reaches_a_provider_of_another_dialect(begin: Begin) -> None:
    """By its data or its address, in the provider's form."""
    sources: Any = [
        {"type": "base64", "media_type": "image/gif", "data": PIXEL},
        {"type": "url", "url": "https://example.com/a.png"},
    ]
    content = [*({"type": "image", "source": source} for source in sources), {"type": "text", "text": "what?"}]

    async with FakeUpstream(openai_reply("a cat")) as upstream:
        gateway = await begin(UPSTREAM.format(dialect="openai_chat", url=upstream.base_url), ENVIRON)
        async with sdk(gateway) as client:
            answer = await client.messages.create(**asked(messages=[{"role": "user", "content": content}]))
        parts = upstream.requests[0].json["messages"][0]["content"]

    assert answer.content[0].text == "a cat"
    assert [part["image_url"]["url"] for part in parts[:2]] == [
        f"data:image/gif;base64,{PIXEL}",
        "https://example.com/a.png",
    ]


THOUGHT: Any = [
    {"type": "thinking", "thinking": "They want a greeting.", "signature": "c2ln"},
    {"type": "text", "text": "Hello."},
]
MESSAGE: Any = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "model-1",
    "content": THOUGHT,
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USED,
}
EVENTS: Any = [
    {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "They want a greeting."},
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello."}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USED},
    {"type": "message_stop"},
]


async def test_thinking_comes_with_its_signature(begin: Begin) -> None:
    """Streamed or not, what the model thought is given out as it is given in, and goes back on the next turn."""
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    reply = [answers.json(MESSAGE), named(*EVENTS), answers.json(MESSAGE)]

    async with FakeUpstream(reply) as upstream:
        gateway = await begin(UPSTREAM.format(dialect="anthropic", url=upstream.base_url), ENVIRON)
        async with sdk(gateway) as client:
            whole = await client.messages.create(**asked(max_tokens=2000, thinking=thinking))
            async with client.messages.stream(**asked(max_tokens=2000, thinking=thinking)) as stream:
                streamed = await stream.get_final_message()
            turns = [*asked()["messages"], {"role": "assistant", "content": whole.content}, *asked("more")["messages"]]
            await client.messages.create(**asked(max_tokens=2000, thinking=thinking, messages=turns))
        sent = [request.json for request in upstream.requests]

    for answer in (whole, streamed):
        assert [block.model_dump(exclude_none=True) for block in answer.content] == THOUGHT
    assert [each["thinking"] for each in sent] == [thinking] * 3
    assert sent[2]["messages"][1]["content"] == THOUGHT


async def test_tokens_are_counted(begin: Begin) -> None:
    """By the provider where it can, else by a guess that says so."""
    guessing = await begin(UPSTREAM.format(dialect="openai_chat", url="http://127.0.0.1:9/v1"), ENVIRON)
    async with sdk(guessing) as client:
        guessed = await client.messages.with_raw_response.count_tokens(model="m", messages=asked()["messages"])
    async with FakeUpstream(answers.json({"input_tokens": 42})) as upstream:
        counting = await begin(UPSTREAM.format(dialect="anthropic", url=upstream.base_url), ENVIRON)
        async with sdk(counting) as client:
            counted = await client.messages.count_tokens(model="m", messages=asked()["messages"])

    assert (await guessed.parse()).input_tokens > 0
    assert guessed.headers["x-fairlead-count"] == "estimated"
    assert counted.input_tokens == 42


async def test_models_are_listed_and_found(begin: Begin) -> None:
    """In the form that this SDK reads."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client:
        listed = [model.id async for model in client.models.list()]
        found = await client.models.retrieve("m")
        with pytest.raises(anthropic.NotFoundError):
            await client.models.retrieve("nope")

    assert listed == ["m"]
    assert (found.id, found.type) == ("m", "model")


async def test_the_version_may_be_left_out(begin: Begin) -> None:
    """A client that does not send `anthropic-version` is answered, and a provider of the dialect is told one."""
    async with FakeUpstream(answers.json(MESSAGE)) as upstream:
        gateway = await begin(UPSTREAM.format(dialect="anthropic", url=upstream.base_url), ENVIRON)
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{gateway.base_url}/messages", json=asked())
        told = upstream.requests[0].headers["anthropic-version"]

    assert answer.json()["content"] == THOUGHT
    assert told == "2023-06-01"


async def test_answers_and_errors_have_the_id_that_the_sdk_shows(begin: Begin) -> None:
    """The provider's own where it gives one in this header, else that of the call."""
    async with FakeUpstream(
        [answers.json(MESSAGE, headers={"request-id": "req_1"}), answers.json(MESSAGE)]
    ) as upstream:
        gateway = await begin(UPSTREAM.format(dialect="anthropic", url=upstream.base_url), ENVIRON)
        async with sdk(gateway) as client:
            theirs = await client.messages.create(**asked())
            ours = await client.messages.create(**asked())
            with pytest.raises(anthropic.NotFoundError) as caught:
                await client.messages.create(**asked(model="nope"))

    calls = [record["call_id"] for record in await gateway.records()]
    assert theirs._request_id == "req_1"
    assert [caught.value.request_id, ours._request_id] == calls[:2]


async def test_a_wrong_key(begin: Begin) -> None:
    """It is refused before anything is asked, whichever header it comes in."""
    gateway = await simulated(begin, auth="keys")

    async with sdk(gateway, "fl-none.none") as client, anthropic.AsyncAnthropic(
        base_url=gateway.origin, auth_token="fl-none.none", api_key=None, max_retries=0
    ) as bearer:  # fmt: skip
        for each in (client, bearer):
            with pytest.raises(anthropic.AuthenticationError) as caught:
                await each.messages.create(**asked())
            assert caught.value.body["error"]["type"] == "authentication_error"


async def test_an_unknown_model(begin: Begin) -> None:
    """The error names those that there are."""
    gateway = await simulated(begin)

    async with sdk(gateway) as client:
        with pytest.raises(anthropic.NotFoundError, match="this gateway has 'm'") as caught:
            await client.messages.create(**asked(model="nope"))

    assert caught.value.body["error"]["type"] == "not_found_error"


async def test_a_provider_that_limits_the_rate(begin: Begin, tmp_path: Path) -> None:
    """It is raised as what it is, with the wait that the provider names."""
    gateway = await simulated(begin, tmp_path, 'kind = "rate_limit"\nretry_after = "7"')

    async with sdk(gateway) as client:
        with pytest.raises(anthropic.RateLimitError) as caught:
            await client.messages.create(**asked())

    assert caught.value.body["error"]["type"] == "rate_limit_error"
    assert (caught.value.response.headers["retry-after"], caught.value.response.headers["x-should-retry"]) == (
        "7",
        "true",
    )


async def test_a_provider_that_is_overloaded(begin: Begin, tmp_path: Path) -> None:
    """It is an error of the server, and of the type that says so."""
    gateway = await simulated(begin, tmp_path, 'kind = "status"\nstatus = 529')

    async with sdk(gateway) as client:
        with pytest.raises(anthropic.InternalServerError) as caught:
            await client.messages.create(**asked())

    assert caught.value.body["error"]["type"] == "overloaded_error"


async def test_the_sdk_does_not_try_again_what_we_have(begin: Begin, tmp_path: Path) -> None:
    """Our own tries are over when it hears of a failure, and it obeys `x-should-retry`."""
    gateway = await simulated(begin, tmp_path, 'kind = "status"\nstatus = 500')

    async with sdk(gateway, max_retries=2) as client:
        with pytest.raises(anthropic.InternalServerError):
            await client.messages.create(**asked())

    assert len(await gateway.records()) == 1


@pytest.mark.parametrize("fault", ["cut", "late_error_event"])
async def test_a_stream_that_breaks_off_is_raised(begin: Begin, tmp_path: Path, fault: str) -> None:
    """What came before has been read; the call is recorded as truncated."""
    gateway = await simulated(begin, tmp_path, f'kind = "{fault}"\nafter_chunks = 3')
    texts: list[str] = []

    async def read(client: anthropic.AsyncAnthropic) -> None:
        async with client.messages.stream(**asked()) as stream:
            async for text in stream.text_stream:
                texts.append(text)  # noqa: PERF401 - what came before the error counts

    async with sdk(gateway) as client:
        with pytest.raises(anthropic.APIStatusError, match="broke off"):
            await read(client)

    assert len(texts) == 3
    (record,) = await gateway.records()
    assert record["outcome"] == "truncated"
