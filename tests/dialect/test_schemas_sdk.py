"""Official SDKs get typed values from models whose provider knows nothing of schemas: they are asked in words, or by a
tool, and what they write is read, moved towards the schema and asked for again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import time
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from pydantic import BaseModel

from fairlead.fields import Time24
from fairlead.testing import FakeUpstream
from loose_writer import ENVIRON, FENCED, MODELS, NAMELESS, SHORT, SPOKEN, loose_writer

# What the SDK does with the HTTP client that it chooses is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
Begin = Callable[..., Awaitable[Any]]
held = pytest.mark.parametrize("model", ["prompted", "called"])
written = pytest.mark.parametrize("text", [FENCED, SHORT], ids=["2:30pm", "14:30"])


class Booking(BaseModel):
    """A table in a restaurant, with pydantic's own time."""

    name: str
    guests: int
    time: time


class Reservation(BaseModel):
    """The same with a text in a form that is said."""

    name: str
    guests: int
    time: Time24


BOOKED = Booking(name="Ada", guests=2, time=time(14, 30))
RESERVED = Reservation(name="Ada", guests=2, time="14:30:00")


def asked(text: str) -> Any:
    return [{"role": "user", "content": f"a table for Ada\nwrite: {text}"}]


@pytest.fixture
async def gateway(begin: Begin) -> AsyncIterator[Any]:
    """A gateway before it."""
    async with FakeUpstream(default=loose_writer) as upstream:
        found = await begin('[gateway]\nauth = "open"\n' + MODELS.format(url=upstream.base_url), ENVIRON)
        found.upstream = upstream
        yield found


# --- OpenAI ---


@held
@written
@pytest.mark.parametrize("expected", [BOOKED, RESERVED], ids=["time", "Time24"])
async def test_openai_parses_chat(gateway: Any, model: str, text: str, expected: BaseModel) -> None:
    """`parse` gives its own type, whichever way the time was written."""
    answer = await gateway.sdk().chat.completions.parse(
        model=model, messages=asked(text), response_format=type(expected)
    )

    assert answer.choices[0].message.parsed == expected
    assert json.loads(answer.choices[0].message.content or "")["time"] == "14:30:00"
    assert answer.choices[0].finish_reason == "stop"


@held
@written
async def test_openai_parses_responses(gateway: Any, model: str, text: str) -> None:
    """`responses.parse` too, of a provider that has no Responses."""
    answer = await gateway.sdk().responses.parse(model=model, input=asked(text), text_format=Booking)

    assert answer.output_parsed == BOOKED


@held
async def test_openai_streams_a_parsed_value(gateway: Any, model: str) -> None:
    """The helpers of both APIs end with it."""
    sdk = gateway.sdk()
    async with sdk.chat.completions.stream(model=model, messages=asked(FENCED), response_format=Booking) as chat:
        answer = await chat.get_final_completion()
    async with sdk.responses.stream(model=model, input=asked(FENCED), text_format=Booking) as stream:
        response = await stream.get_final_response()

    assert answer.choices[0].message.parsed == response.output_parsed == BOOKED


async def test_openai_parses_the_arguments_of_tools(gateway: Any) -> None:
    """`pydantic_function_tool` gives what a call says as its own type."""
    answer = await gateway.sdk().chat.completions.parse(
        model="prompted",
        messages=asked(FENCED),
        tools=[openai.pydantic_function_tool(Booking)],
        tool_choice="required",
    )

    (call,) = answer.choices[0].message.tool_calls or ()
    assert call.function.parsed_arguments == BOOKED


@held
async def test_a_field_that_is_missing_is_asked_for(gateway: Any, model: str) -> None:
    """The second answer is the one that is parsed, and both are paid for."""
    answer = await gateway.sdk().chat.completions.parse(
        model=model, messages=asked(f"{NAMELESS}\nthen: {SHORT}"), response_format=Booking
    )

    assert answer.choices[0].message.parsed == BOOKED
    assert len(gateway.upstream.requests) == 2


@held
async def test_what_never_fits_is_an_error_that_names_the_field(gateway: Any, model: str) -> None:
    """422, which the SDK does not send again, in place of a value that is not one."""
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        await gateway.sdk(max_retries=2).chat.completions.parse(
            model=model, messages=asked(f"{NAMELESS}\nthen: {NAMELESS}"), response_format=Booking
        )

    body: Any = caught.value.body
    assert (body["code"], [error["path"] for error in body["errors"]]) == ("output_invalid", ["/name"])
    assert len(gateway.upstream.requests) == 2


async def test_without_validation_the_provider_refuses_the_schema(gateway: Any) -> None:
    """What the other models of this file do is the gateway's work."""
    with pytest.raises(openai.BadRequestError):
        await gateway.sdk().chat.completions.parse(model="unheld", messages=asked(FENCED), response_format=Booking)


# --- Anthropic ---


@held
@written
async def test_anthropic_parses(gateway: Any, model: str, text: str) -> None:
    """`output_format` of `parse`, which goes out as `output_config`."""
    async with anthropic.AsyncAnthropic(base_url=gateway.origin, api_key="any", max_retries=0) as sdk:
        answer = await sdk.messages.parse(model=model, max_tokens=500, messages=asked(text), output_format=Booking)

    assert answer.parsed_output == BOOKED


@held
async def test_anthropic_streams_a_parsed_value(gateway: Any, model: str) -> None:
    """The final message has it."""
    async with (
        anthropic.AsyncAnthropic(base_url=gateway.origin, api_key="any", max_retries=0) as sdk,
        sdk.messages.stream(model=model, max_tokens=500, messages=asked(FENCED), output_format=Booking) as stream,
    ):
        answer = await stream.get_final_message()

    assert answer.parsed_output == BOOKED


@pytest.mark.parametrize("streamed", [False, True])
async def test_anthropic_gets_the_input_of_a_tool(gateway: Any, streamed: bool) -> None:
    """What a tool is called with fits its schema."""
    told: Any = {
        "model": "prompted",
        "max_tokens": 500,
        "messages": asked(SPOKEN),
        "tools": [{"name": "book", "input_schema": Booking.model_json_schema()}],
        "tool_choice": {"type": "tool", "name": "book"},
    }
    async with anthropic.AsyncAnthropic(base_url=gateway.origin, api_key="any", max_retries=0) as sdk:
        if streamed:
            async with sdk.messages.stream(**told) as stream:
                answer = await stream.get_final_message()
        else:
            answer = await sdk.messages.create(**told)

    (call,) = (block for block in answer.content if block.type == "tool_use")
    assert call.input == {"name": "Ada", "guests": 2, "time": "14:30:00"}


# --- Google ---


@held
@written
async def test_google_parses_by_its_own_schema(gateway: Any, model: str, text: str) -> None:
    """`response_schema`, whose format `time` is that of JSON Schema."""
    answer = await _generated(gateway, model, text, response_schema=Booking)

    assert answer.parsed == BOOKED


@held
@written
async def test_google_parses_by_json_schema(gateway: Any, model: str, text: str) -> None:
    """`response_json_schema`, times included."""
    answer = await _generated(gateway, model, text, response_json_schema=Booking.model_json_schema())

    assert json.loads(answer.text) == {"name": "Ada", "guests": 2, "time": "14:30:00"}


async def _generated(gateway: Any, model: str, text: str, **schema: Any) -> Any:
    config = types.GenerateContentConfig(response_mime_type="application/json", **schema)
    options = types.HttpOptions(base_url=gateway.origin)
    async with genai.Client(api_key="any", http_options=options).aio as sdk:
        return await sdk.models.generate_content(model=model, contents=asked(text)[0]["content"], config=config)
