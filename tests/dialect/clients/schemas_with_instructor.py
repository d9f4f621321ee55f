"""What a user of `instructor` gets from models that know nothing of schemas; prints one JSON document."""

from __future__ import annotations

import json
import sys
from datetime import time
from typing import Any

import instructor
from anthropic import Anthropic
from instructor import Mode
from openai import OpenAI
from pydantic import BaseModel

ORIGIN, KEY, TEXTS = sys.argv[1:]
WRITES: dict[str, str] = json.loads(TEXTS)


class Booking(BaseModel):
    """A table in a restaurant."""

    name: str
    guests: int
    time: time


def openai(mode: Mode) -> Any:
    return instructor.from_openai(OpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0), mode=mode)


def anthropic() -> Any:
    return instructor.from_anthropic(Anthropic(base_url=ORIGIN, api_key=KEY, max_retries=0), max_tokens=500)


def booked(client: Any, model: str, text: str) -> Any:
    messages = [{"role": "user", "content": f"a table for Ada\nwrite: {WRITES[text]}"}]
    asked = client.chat.completions.create(model=model, response_model=Booking, messages=messages, max_retries=1)
    return asked.model_dump(mode="json")


told = {
    "TOOLS": [booked(openai(Mode.TOOLS), "prompted", text) for text in ("fenced", "short")],
    "JSON_SCHEMA": [
        booked(openai(Mode.JSON_SCHEMA), model, text)
        for model in ("prompted", "called")
        for text in ("fenced", "short")
    ],
    "MD_JSON": [booked(openai(Mode.MD_JSON), "prompted", "good")],
    "ANTHROPIC_TOOLS": [booked(anthropic(), "prompted", text) for text in ("spoken", "short")],
}
print(json.dumps(told))
