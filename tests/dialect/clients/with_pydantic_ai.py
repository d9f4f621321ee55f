"""What a user of `pydantic-ai` does; prints one JSON document."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import ends
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

ORIGIN, KEY = sys.argv[1:]


class Booking(BaseModel):
    """A table in a restaurant."""

    guests: int
    name: str


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def model(dialect: str, name: str) -> Any:
    if dialect == "Anthropic":
        anthropic = AsyncAnthropic(base_url=ORIGIN, api_key=KEY, max_retries=0)
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=anthropic))
    openai = AsyncOpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0)
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=openai))


async def pieces(dialect: str, name: str) -> AsyncIterator[str]:
    async with Agent(model(dialect, name)).run_stream("hi") as stream:
        async for piece in stream.stream_text(delta=True, debounce_by=None):
            yield piece


async def tell(dialect: str) -> dict[str, Any]:
    whole = await Agent(model(dialect, "m")).run("hi")
    used = await Agent(model(dialect, "m"), tools=[get_weather]).run("use get_weather")
    booked = await Agent(model(dialect, "m"), output_type=Booking).run("a table")
    calls = [
        part.tool_name for message in used.all_messages() for part in message.parts if part.part_kind == "tool-call"
    ]
    return {
        "whole": whole.output,
        "usage": whole.usage.total_tokens,
        "streamed": "".join([piece async for piece in pieces(dialect, "m")]),
        "calls": calls,
        "then": used.output,
        "structured": booked.output.model_dump(),
        "unknown": await ends.of_async_stream(pieces(dialect, "unknown")),
        "limited": await ends.of_async_stream(pieces(dialect, "limited")),
        "broken": await ends.of_broken_async(lambda name: pieces(dialect, name)),
    }


async def tell_all() -> dict[str, Any]:
    return {dialect: await tell(dialect) for dialect in ("OpenAI", "Anthropic")}


told = asyncio.run(tell_all())
told["version"] = version("pydantic-ai-slim")
told["sync"] = Agent(model("OpenAI", "m")).run_sync("hi").output
told["broken"] = {dialect: {"`run_stream`": told[dialect].pop("broken")} for dialect in ("OpenAI", "Anthropic")}
print(json.dumps(told))
