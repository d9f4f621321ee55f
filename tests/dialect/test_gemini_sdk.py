"""Google's official SDK against a gateway with the simulator behind it."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager

import anyio
import pytest
from google import genai
from google.genai import errors, types

from in_process import Begin, begin

__all__ = ["begin"]

# What the SDK does with the HTTP client that it chooses is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

SIM = '[providers.sim]\nvendor = "sim"\ndialect = "openai"\n[models.m]\ntargets = ["sim/sim-small"]\n[models."a/b:c"]\ntargets = ["sim/sim-small"]\n'
OPEN = '[gateway]\nauth = "open"\n' + SIM
KEYS = '[gateway]\nauth = "keys"\n' + SIM


@asynccontextmanager
async def client(gateway, key="any"):
    options = types.HttpOptions(base_url=gateway.origin)
    async with genai.Client(api_key=key, http_options=options).aio as sdk:
        yield sdk


def weather(city: str) -> str:
    """The weather in a city."""
    return city


DECLARED = types.FunctionDeclaration.from_callable_with_api_option(callable=weather, api_option="GEMINI_API")
ONE_TOOL = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[DECLARED])],
    tool_config=types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(
            mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["weather"]
        )
    ),
)


async def test_an_answer_and_its_usage(begin: Begin):
    """Text, reason, model, and counts that add up."""
    gateway = await begin(OPEN)
    async with client(gateway) as sdk:
        reply = await sdk.models.generate_content(model="m", contents="Say hello.")
    assert reply.text
    assert reply.candidates[0].finish_reason == types.FinishReason.STOP
    counts = reply.usage_metadata
    assert counts.total_token_count == counts.prompt_token_count + counts.candidates_token_count > 0
    assert reply.sdk_http_response.headers["x-fairlead-model"] == "sim/sim-small"


async def test_the_client_without_async(begin: Begin):
    """Whole, streamed and counted, from a thread of its own."""
    gateway = await begin(OPEN)

    def blocking():
        options = types.HttpOptions(base_url=gateway.origin)
        with genai.Client(api_key="any", http_options=options) as sdk:
            whole = sdk.models.generate_content(model="m", contents="Say hello.").text
            stream = sdk.models.generate_content_stream(model="m", contents="Say hello.")
            pieces = "".join(chunk.text or "" for chunk in stream)
            return whole, pieces, sdk.models.count_tokens(model="m", contents="x" * 400).total_tokens

    whole, pieces, tokens = await anyio.to_thread.run_sync(blocking)
    assert whole == pieces != ""
    assert tokens == 100


async def test_a_stream_says_the_same(begin: Begin):
    """In several pieces, the last with the reason and the usage."""
    gateway = await begin(OPEN)
    async with client(gateway) as sdk:
        whole = await sdk.models.generate_content(model="m", contents="Say hello.")
        chunks = [each async for each in await sdk.models.generate_content_stream(model="m", contents="Say hello.")]
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert len(chunks) > 2
    assert [chunk.candidates[0].finish_reason for chunk in chunks[-2:]] == [None, types.FinishReason.STOP]
    assert chunks[-1].usage_metadata == whole.usage_metadata


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_function_is_called_and_its_result_goes_back(begin: Begin, streamed):
    """Without an id, as the SDK's own helper makes results."""
    gateway = await begin(OPEN)
    async with client(gateway) as sdk:
        if streamed:
            stream = await sdk.models.generate_content_stream(model="m", contents="Weather?", config=ONE_TOOL)
            chunks = [chunk async for chunk in stream]
            said = next(chunk.candidates[0].content for chunk in chunks if chunk.function_calls)
        else:
            said = (await sdk.models.generate_content(model="m", contents="Weather?", config=ONE_TOOL)).candidates[0].content  # fmt: skip
        call = next(part.function_call for part in said.parts if part.function_call)
        assert (call.name, set(call.args)) == ("weather", {"city"})
        result = types.Part.from_function_response(name="weather", response={"result": "rain"})
        turns = [types.UserContent("Weather?"), said, types.Content(role="user", parts=[result])]
        reply = await sdk.models.generate_content(model="m", contents=turns)
    assert reply.text
    assert "x-fairlead-left-out" not in reply.sdk_http_response.headers


async def test_what_a_request_can_hold(begin: Begin):
    """A system prompt, images, limits and a schema."""
    gateway = await begin(OPEN)
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        max_output_tokens=5,
        temperature=0.1,
        stop_sequences=["END"],
        candidate_count=2,
        safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="OFF")],
    )
    image = types.Part.from_bytes(data=base64.b64decode("iVBORw0KGgo="), mime_type="image/png")
    async with client(gateway) as sdk:
        reply = await sdk.models.generate_content(model="m", contents=["What is it?", image], config=config)
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
        form = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
        formed = await sdk.models.generate_content(model="m", contents="A number.", config=form)
    assert [each.finish_reason for each in reply.candidates] == [types.FinishReason.MAX_TOKENS] * 2
    assert reply.sdk_http_response.headers["x-fairlead-left-out"] == "safetySettings"
    assert isinstance(formed.parsed["a"], int)


async def test_tokens_are_counted(begin: Begin):
    """By a guess, where the provider has no way to count."""
    gateway = await begin(OPEN)
    async with client(gateway) as sdk:
        counted = await sdk.models.count_tokens(model="m", contents="x" * 400)
    assert counted.total_tokens == 100


async def test_models_are_listed(begin: Begin):
    """In Google's form, also one with a slash and a colon in its name."""
    gateway = await begin(OPEN)
    async with client(gateway) as sdk:
        listed = [each async for each in await sdk.models.list()]
        one = await sdk.models.get(model="a/b:c")
        answered = await sdk.models.generate_content(model="models/a/b:c", contents="Hi")
        with pytest.raises(errors.ClientError) as raised:
            await sdk.models.get(model="nobody")
    assert [each.name for each in listed] == ["models/m", "models/a/b:c"]
    assert (one.name, one.supported_actions) == ("models/a/b:c", ["generateContent", "countTokens"])
    assert answered.text
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


async def test_a_key_is_asked_for(begin: Begin):
    """The SDK sends it as `x-goog-api-key`, and raises its own error for a wrong one."""
    gateway = await begin(KEYS)
    key = await gateway.key("k1")
    async with client(gateway, key) as sdk:
        assert (await sdk.models.generate_content(model="m", contents="Hi")).text
    async with client(gateway, "fl-k1.wrong") as sdk:
        with pytest.raises(errors.ClientError) as raised:
            await sdk.models.generate_content(model="m", contents="Hi")
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")


async def test_a_refusal_is_the_sdks_own_error(begin: Begin):
    """With Google's name for it, our words, and our code as the reason."""
    gateway = await begin(OPEN)
    async with client(gateway) as sdk:
        with pytest.raises(errors.ClientError) as raised:
            await sdk.models.generate_content(model="nobody", contents="Hi")
        with pytest.raises(errors.ClientError) as unknown:
            await sdk.models.embed_content(model="m", contents="Hi")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
    assert raised.value.details["error"]["details"][0]["reason"] == "MODEL_NOT_FOUND"
    assert "`generateContent`" in unknown.value.message


@pytest.mark.parametrize("kind", ["late_error_event", "cut"])
async def test_a_stream_that_breaks_raises(begin: Begin, kind, tmp_path):
    """By the provider's error or by a cut: the SDK would take a stream that only ends for a whole one."""
    faults = tmp_path / "faults.toml"
    faults.write_text(f'[[faults]]\nkind = "{kind}"\n')
    gateway = await begin(OPEN.replace('vendor = "sim"\n', f'vendor = "sim"\nfaults = "{faults}"\n', 1))
    said = []

    async def listen(sdk):
        async for chunk in await sdk.models.generate_content_stream(model="m", contents="Say hello."):
            said.append(chunk.text)  # noqa: PERF401 - what came before the error counts

    async with client(gateway) as sdk:
        with pytest.raises(errors.ServerError) as raised:
            await listen(sdk)
    assert any(said)
    assert raised.value.code in {502, 503}
