"""What a user of `anthropic` without `await` does; prints one JSON document."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import ends
from pydantic import BaseModel

ORIGIN, KEY = sys.argv[1:]
SETTINGS: Any = {"base_url": ORIGIN, "api_key": KEY, "max_retries": 0}
client = anthropic.Anthropic(**SETTINGS)


class Booking(BaseModel):
    """A table in a restaurant."""

    guests: int
    name: str


@anthropic.beta_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def asked(model: str = "m", text: str = "hi") -> Any:
    return {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": text}]}


def created(model: str) -> Iterator[str]:
    for event in client.messages.create(**asked(model), stream=True):
        yield event.delta.text if event.type == "content_block_delta" and event.delta.type == "text_delta" else ""


def texts(model: str) -> Iterator[str]:
    with client.messages.stream(**asked(model)) as stream:
        yield from stream.text_stream


def final(model: str) -> Iterator[str]:
    with client.messages.stream(**asked(model)) as stream:
        yield from (block.text for block in stream.get_final_message().content if block.type == "text")


async def texts_async(model: str) -> AsyncIterator[str]:
    async with anthropic.AsyncAnthropic(**SETTINGS) as later, later.messages.stream(**asked(model)) as stream:
        async for text in stream.text_stream:
            yield text


def ran() -> list[str]:
    runner = client.beta.messages.tool_runner(**asked(text="use get_weather"), tools=[get_weather])
    return [block.type for message in runner for block in message.content]


whole = client.messages.create(**asked())
told = {
    "version": anthropic.__version__,
    "whole": "".join(block.text for block in whole.content if block.type == "text"),
    "created": "".join(created("m")),
    "texts": "".join(texts("m")),
    "final": "".join(final("m")),
    "ran": ran(),
    "parsed": client.messages.parse(**asked(text="a table"), output_format=Booking).parsed_output.model_dump(),
    "count": client.messages.count_tokens(model="m", messages=asked()["messages"]).input_tokens,
    "models": [model.id for model in client.models.list()],
    "broken": {
        "Anthropic": {
            "`create(stream=True)`": ends.of_broken(created),
            "`stream`, `text_stream`": ends.of_broken(texts),
            "`stream`, `get_final_message`": ends.of_broken(final),
            "`stream`, asynchronous": asyncio.run(ends.of_broken_async(texts_async)),
        }
    },
}
print(json.dumps(told))
