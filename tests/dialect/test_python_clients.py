"""Python packages that people build on, each in its own environment, by the base URL alone."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
BOOKING = {"guests": int, "name": str}
DIALECTS = ["OpenAI", "Anthropic"]


def kinds(value: dict[str, Any]) -> dict[str, type]:
    return {name: type(field) for name, field in value.items()}


def test_anthropic_without_await(clients: Any) -> None:
    """Whole answers, streams and the stream's helpers give one text; tools run, objects are parsed, tokens counted."""
    told = clients.python("anthropic")

    assert told["whole"] == told["created"] == told["texts"] == told["final"] != ""
    assert told["ran"] == ["tool_use", "text"]
    assert kinds(told["parsed"]) == BOOKING
    assert told["count"] > 0
    assert told["models"][0] == "m"


def test_langchain_reads_answers(clients: Any) -> None:
    """`invoke` and `stream`, with and without `await`, give one text; the usage comes along."""
    told = clients.python("langchain")

    assert told["asynchronous"] == {"whole": told["whole"], "streamed": told["whole"]}
    assert told["streamed"] == told["whole"] != ""
    assert told["usage"] > 0


def test_langchain_uses_tools(clients: Any) -> None:
    """A bound tool is called alike streamed or not, and its result is answered with text."""
    tools = clients.python("langchain")["tools"]

    assert (tools["name"], tools["same"]) == ("get_weather", True)
    assert "simulat" in tools["then"]


def test_langchain_gets_structured_output(clients: Any) -> None:
    """By a JSON schema and by a call of a function."""
    assert [kinds(each) for each in clients.python("langchain")["structured"]] == [BOOKING] * 2


def test_langchain_knows_our_errors(clients: Any) -> None:
    """An unknown model and a provider's limit are raised as what they are."""
    told = clients.python("langchain")

    assert told["unknown"] == {"raised": "langchain_openai.OpenAIModelNotFoundError", "status": 404}
    assert told["limited"] == {"raised": "langchain_openai.OpenAIRateLimitError", "status": 429}


def test_instructor_gets_objects(clients: Any) -> None:
    """By OpenAI's tools, OpenAI's schema and Anthropic's tools."""
    assert [kinds(each) for each in clients.python("instructor")["created"]] == [BOOKING] * 3


def test_instructor_gets_objects_piece_by_piece(clients: Any) -> None:
    """They grow in a stream of either dialect, to one end."""
    ours, theirs = clients.python("instructor")["partly"]

    assert ours[-1] == theirs[-1]
    assert min(len(set(ours)), len(set(theirs))) > 2


def test_instructor_fails_as_we_do(clients: Any) -> None:
    """An answer that is an error ends its tries."""
    told = clients.python("instructor")

    assert told["unknown"]["raised"] == told["limited"]["raised"] == "instructor.InstructorRetryException"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pydantic_ai(clients: Any, dialect: str) -> None:
    """An agent answers, streams, calls a tool and answers with its result, and gives an object of a type."""
    told = clients.python("pydantic-ai")

    one = told[dialect]
    assert one["whole"] == one["streamed"] == told["sync"] != ""
    assert one["usage"] > 0
    assert one["calls"] == ["get_weather"]
    assert "simulat" in one["then"]
    assert kinds(one["structured"]) == BOOKING


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pydantic_ai_knows_our_errors(clients: Any, dialect: str) -> None:
    """An unknown model and a provider's limit are raised as what they are."""
    told = clients.python("pydantic-ai")[dialect]

    assert told["unknown"] == {"text": "", "raised": "pydantic_ai.ModelNotFoundError", "status": 404}
    assert told["limited"] == {"text": "", "raised": "pydantic_ai.ModelRateLimitError", "status": 429}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_litellm_reads_answers(clients: Any, dialect: str) -> None:
    """`completion` and `acompletion`, streamed or not, give one text; the usage comes along."""
    told = clients.python("litellm")[dialect]

    assert told["asynchronous"] == {"whole": told["whole"], "streamed": told["whole"]}
    assert told["streamed"] == told["whole"] != ""
    assert told["usage"] > 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_litellm_uses_tools_and_schemas(clients: Any, dialect: str) -> None:
    """A call is the same streamed or not, and `response_format` gets an object of its type."""
    told = clients.python("litellm")[dialect]

    assert told["tools"] == {"name": "get_weather", "same": True}
    assert kinds(told["structured"]) == BOOKING


@pytest.mark.parametrize("dialect", DIALECTS)
def test_litellm_knows_our_errors(clients: Any, dialect: str) -> None:
    """An unknown model and a provider's limit are raised as what they are."""
    told = clients.python("litellm")[dialect]

    assert told["unknown"] == {"raised": "litellm.NotFoundError", "status": 404}
    assert told["limited"] == {"raised": "litellm.RateLimitError", "status": 429}
