"""What a user of `instructor` does; prints one JSON document."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import Any

import ends
import instructor
from anthropic import Anthropic, AsyncAnthropic
from instructor import Mode
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

ORIGIN, KEY = sys.argv[1:]
ASKED: Any = {"messages": [{"role": "user", "content": "a table for two"}], "max_retries": 1}


class Booking(BaseModel):
    """A table in a restaurant."""

    guests: int
    name: str


def openai(mode: Mode = Mode.TOOLS, kind: Any = OpenAI) -> Any:
    return instructor.from_openai(kind(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0), mode=mode)


def anthropic(kind: Any = Anthropic) -> Any:
    return instructor.from_anthropic(kind(base_url=ORIGIN, api_key=KEY, max_retries=0), max_tokens=500)


def create(client: Any, model: str = "m") -> Any:
    return client.chat.completions.create(model=model, response_model=Booking, **ASKED).model_dump()


def partly(client: Any, model: str = "m") -> Iterator[str]:
    for booking in client.chat.completions.create_partial(model=model, response_model=Booking, **ASKED):
        yield booking.model_dump_json() + "\n"


async def partly_async(client: Any, model: str = "m") -> AsyncIterator[str]:
    async for booking in client.chat.completions.create_partial(model=model, response_model=Booking, **ASKED):
        yield booking.model_dump_json() + "\n"


logging.disable()  # it writes down each failure that is asked for here
READING = "`create_partial`"
broken = {
    "OpenAI": {
        READING: ends.of_broken(lambda model: partly(openai(), model)),
        f"{READING}, asynchronous": asyncio.run(
            ends.of_broken_async(lambda model: partly_async(openai(kind=AsyncOpenAI), model))
        ),
    },
    "Anthropic": {
        READING: ends.of_broken(lambda model: partly(anthropic(), model)),
        f"{READING}, asynchronous": asyncio.run(
            ends.of_broken_async(lambda model: partly_async(anthropic(AsyncAnthropic), model))
        ),
    },
}
told = {
    "version": version("instructor"),
    "created": [create(openai(Mode.TOOLS)), create(openai(Mode.JSON_SCHEMA)), create(anthropic())],
    "partly": [list(partly(client)) for client in (openai(), anthropic())],
    "unknown": ends.of_call(lambda: create(openai(), "unknown")),
    "limited": ends.of_call(lambda: create(anthropic(), "limited")),
    "broken": broken,
}
print(json.dumps(told))
