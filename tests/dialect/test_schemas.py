"""Packages that people build on get typed values from models whose provider knows nothing of schemas, by the base URL
alone."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
BOOKED = {"name": "Ada", "guests": 2, "time": "14:30:00"}
AI_PROVIDERS = ["@ai-sdk/openai", "@ai-sdk/openai-compatible"]


def all_booked(values: list[Any]) -> bool:
    return [value == BOOKED for value in values] == [True] * max(len(values), 1)


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_openai_from_npm_parses_with_zod(clients: Any, api: str) -> None:
    """`zodResponseFormat` and `zodTextFormat`; `z.iso.time()` takes `14:30:00` where `2:30pm` was written."""
    assert all_booked(clients.node("schemas")[api])


def test_openai_from_npm_is_told_what_never_fits(clients: Any) -> None:
    """422, by the package's own class."""
    assert clients.node("schemas")["invalid"] == {"raised": "UnprocessableEntityError", "status": 422}


@pytest.mark.parametrize("provider", AI_PROVIDERS)
@pytest.mark.parametrize("function", ["generateObject", "output", "streamObject"])
def test_the_ai_sdk_makes_objects_with_zod(clients: Any, provider: str, function: str) -> None:
    """Whole or streamed, asked in words or by a tool."""
    assert all_booked(clients.node("schemas")[provider][function])


@pytest.mark.parametrize("provider", AI_PROVIDERS)
def test_the_ai_sdk_is_told_what_never_fits(clients: Any, provider: str) -> None:
    """422, and it does not try again."""
    assert clients.node("schemas")[provider]["invalid"] == {"raised": "AI_APICallError", "status": 422}


@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA", "ANTHROPIC_TOOLS"])
def test_instructor_gets_typed_values(clients: Any, mode: str) -> None:
    """By tools and by a schema; pydantic's `time` is what `2:30pm` and `14:30` mean."""
    assert all_booked(clients.python("instructor", "schemas")[mode])


def test_instructor_may_ask_in_words_of_its_own(clients: Any) -> None:
    """`MD_JSON` names no schema in the request: its values pass as they came."""
    assert all_booked(clients.python("instructor", "schemas")["MD_JSON"])


@pytest.mark.parametrize("output", ["NativeOutput", "ToolOutput"])
@pytest.mark.parametrize("how", ["", ", streamed"])
def test_pydantic_ai_gets_typed_values(clients: Any, output: str, how: str) -> None:
    """Natively and by a tool, without a retry of its own."""
    assert all_booked(clients.python("pydantic-ai", "schemas")[output + how])


def test_pydantic_ai_may_ask_in_words_of_its_own(clients: Any) -> None:
    """`PromptedOutput` names no schema in the request: its values pass as they came."""
    assert all_booked(clients.python("pydantic-ai", "schemas")["PromptedOutput"])
