"""What becomes of a broken stream for a user of `openai`; prints one JSON document."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import ends
import openai

ORIGIN, KEY = sys.argv[1:]
HI: Any = [{"role": "user", "content": "hi"}]
SETTINGS: Any = {"base_url": f"{ORIGIN}/v1", "api_key": KEY, "max_retries": 0}


def created(model: str) -> Iterator[str]:
    with openai.OpenAI(**SETTINGS) as client:
        for chunk in client.chat.completions.create(model=model, messages=HI, stream=True):
            yield chunk.choices[0].delta.content or ""


def helped(model: str) -> Iterator[str]:
    with openai.OpenAI(**SETTINGS) as client, client.chat.completions.stream(model=model, messages=HI) as stream:
        for event in stream:
            yield event.delta if event.type == "content.delta" else ""


async def created_async(model: str) -> AsyncIterator[str]:
    async with openai.AsyncOpenAI(**SETTINGS) as client:
        async for chunk in await client.chat.completions.create(model=model, messages=HI, stream=True):
            yield chunk.choices[0].delta.content or ""


broken = {
    "`create(stream=True)`": ends.of_broken(created),
    "`stream`": ends.of_broken(helped),
    "`create(stream=True)`, asynchronous": asyncio.run(ends.of_broken_async(created_async)),
}
print(json.dumps({"version": openai.__version__, "broken": {"OpenAI": broken}}))
