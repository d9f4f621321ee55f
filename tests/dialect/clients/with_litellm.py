"""What a user of `litellm` does; prints one JSON document."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "true"  # it would ask the network for prices

import ends
import litellm
from pydantic import BaseModel

ORIGIN, KEY = sys.argv[1:]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


class Booking(BaseModel):
    """A table in a restaurant."""

    guests: int
    name: str


def arguments(dialect: str, model: str, text: str = "hi") -> dict[str, Any]:
    return {
        "model": f"{dialect}/{model}",
        "api_base": f"{ORIGIN}/v1" if dialect == "openai" else ORIGIN,
        "api_key": KEY,
        "max_retries": 0,
        "max_tokens": 500,
        "messages": [{"role": "user", "content": text}],
    }


def pieces(dialect: str, model: str) -> Iterator[str]:
    for chunk in litellm.completion(**arguments(dialect, model), stream=True):
        yield chunk.choices[0].delta.content or ""


async def pieces_async(dialect: str, model: str) -> AsyncIterator[str]:
    async for chunk in await litellm.acompletion(**arguments(dialect, model), stream=True):
        yield chunk.choices[0].delta.content or ""


async def without_waiting(dialect: str) -> dict[str, Any]:
    return {
        "whole": (await litellm.acompletion(**arguments(dialect, "m"))).choices[0].message.content,
        "streamed": "".join([piece async for piece in pieces_async(dialect, "m")]),
        "broken": await ends.of_broken_async(lambda model: pieces_async(dialect, model)),
    }


def tell(dialect: str) -> dict[str, Any]:
    whole = litellm.completion(**arguments(dialect, "m"))
    called = litellm.completion(**arguments(dialect, "m", "use get_weather"), tools=TOOLS)
    chunks = list(litellm.completion(**arguments(dialect, "m", "use get_weather"), tools=TOOLS, stream=True))
    booked = litellm.completion(**arguments(dialect, "m", "a table"), response_format=Booking)
    call = called.choices[0].message.tool_calls[0].function
    rebuilt = litellm.stream_chunk_builder(chunks).choices[0].message.tool_calls[0].function
    return {
        "whole": whole.choices[0].message.content,
        "usage": whole.usage.total_tokens,
        "streamed": "".join(pieces(dialect, "m")),
        "tools": {"name": call.name, "same": rebuilt.arguments == call.arguments},
        "structured": Booking.model_validate_json(booked.choices[0].message.content).model_dump(),
        "unknown": ends.of_call(lambda: litellm.completion(**arguments(dialect, "unknown"))),
        "limited": ends.of_call(lambda: litellm.completion(**arguments(dialect, "limited"))),
        "broken": ends.of_broken(lambda model: pieces(dialect, model)),
        "asynchronous": asyncio.run(without_waiting(dialect)),
    }


litellm.suppress_debug_info = True
told = {name: tell(name.lower()) for name in ("OpenAI", "Anthropic")}
broken = {
    name: {"`completion`": each.pop("broken"), "`acompletion`": each["asynchronous"].pop("broken")}
    for name, each in told.items()
}
print(json.dumps({"version": version("litellm"), **told, "broken": broken}))
