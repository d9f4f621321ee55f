"""What a user of `pydantic-ai` gets from models that know nothing of schemas; prints one JSON document."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import time
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

ORIGIN, KEY, TEXTS = sys.argv[1:]
WRITES: dict[str, str] = json.loads(TEXTS)


class Booking(BaseModel):
    """A table in a restaurant."""

    name: str
    guests: int
    time: time


def agent(name: str, output: Any) -> Any:
    openai = AsyncOpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0)
    model = OpenAIChatModel(name, provider=OpenAIProvider(openai_client=openai))
    return Agent(model, output_type=output, retries=0)


def asked(text: str) -> str:
    return f"a table for Ada\nwrite: {WRITES[text]}"


async def booked(name: str, output: Any, text: str) -> Any:
    done = await agent(name, output).run(asked(text))
    return done.output.model_dump(mode="json")


async def streamed(name: str, output: Any, text: str) -> Any:
    async with agent(name, output).run_stream(asked(text)) as stream:
        return (await stream.get_output()).model_dump(mode="json")


async def main() -> None:
    texts = ("fenced", "short")
    native, tool = NativeOutput(Booking), ToolOutput(Booking)
    told = {
        "NativeOutput": [await booked(name, native, text) for name in ("prompted", "called") for text in texts],
        "NativeOutput, streamed": [await streamed(name, native, "fenced") for name in ("prompted", "called")],
        "ToolOutput": [await booked("prompted", tool, text) for text in texts],
        "ToolOutput, streamed": [await streamed("prompted", tool, "fenced")],
        "PromptedOutput": [await booked("prompted", PromptedOutput(Booking), "good")],
    }
    print(json.dumps(told))


asyncio.run(main())
