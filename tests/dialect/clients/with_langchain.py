"""What a user of `langchain-openai` does; prints one JSON document."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import Any

import ends
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

ORIGIN, KEY = sys.argv[1:]


class Booking(BaseModel):
    """A table in a restaurant."""

    guests: int
    name: str


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def model(name: str = "m") -> Any:
    return ChatOpenAI(model=name, base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0)


def pieces(name: str) -> Iterator[str]:
    for chunk in model(name).stream("hi"):
        yield chunk.text


async def pieces_async(name: str) -> AsyncIterator[str]:
    async for chunk in model(name).astream("hi"):
        yield chunk.text


async def without_waiting() -> dict[str, Any]:
    return {
        "whole": (await model().ainvoke("hi")).text,
        "streamed": "".join([piece async for piece in pieces_async("m")]),
        "broken": await ends.of_broken_async(pieces_async),
    }


def with_tools() -> dict[str, Any]:
    bound = model().bind_tools([get_weather])
    asked: list[Any] = [("user", "use get_weather")]
    answer = bound.invoke(asked)
    streamed = None
    for chunk in bound.stream(asked):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed is not None
    result = get_weather.invoke(answer.tool_calls[0])
    return {
        "name": answer.tool_calls[0]["name"],
        "same": [call["args"] for call in streamed.tool_calls] == [call["args"] for call in answer.tool_calls],
        "then": bound.invoke([*asked, answer, result]).text,
    }


asynchronous = asyncio.run(without_waiting())
whole = model().invoke("hi")
told = {
    "version": version("langchain-openai"),
    "whole": whole.text,
    "usage": whole.usage_metadata["total_tokens"],
    "streamed": "".join(pieces("m")),
    "asynchronous": asynchronous,
    "tools": with_tools(),
    "structured": [
        model().with_structured_output(Booking, method=method).invoke("a table").model_dump()
        for method in ("json_schema", "function_calling")
    ],
    "unknown": ends.of_call(lambda: model("unknown").invoke("hi")),
    "limited": ends.of_call(lambda: model("limited").invoke("hi")),
    "broken": {"OpenAI": {"`stream`": ends.of_broken(pieces), "`astream`": asynchronous.pop("broken")}},
}
print(json.dumps(told))
