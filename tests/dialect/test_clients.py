"""Clients that are not Python: curl, and packages from npm, by the base URL alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
AI_PROVIDERS = ["@ai-sdk/openai", "@ai-sdk/anthropic", "@ai-sdk/openai-compatible"]
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_openai_from_npm(clients: Any) -> None:
    """It completes, streams, calls tools, lists models and reads our errors, with a virtual key."""
    told = clients.node("openai")

    assert told["text"] == told["whole"] != ""
    assert told["usage"]["total_tokens"] > 0
    assert (told["tool"], told["models"][0]) == ("get_weather", "m")
    assert told["refused"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found"}


def test_anthropic_from_npm_reads_answers(clients: Any) -> None:
    """A whole answer, a raw stream and the stream's helper give one text, one usage and an end."""
    told = clients.node("anthropic")

    assert told["whole"] == told["created"] == told["heard"] == told["message"]["text"] != ""
    assert told["usage"] == told["message"]["usage"]
    assert told["usage"]["output_tokens"] > 0
    assert told["message"]["reason"] == "end_turn"


def test_anthropic_from_npm_uses_tools(clients: Any) -> None:
    """A call of a tool is the same streamed or not, and the runner comes to an answer in text."""
    told = clients.node("anthropic")

    assert told["called"] == told["streamed"]
    assert (told["called"]["name"], list(told["called"]["input"])) == ("get_weather", ["city"])
    assert "simulat" in told["ran"]


def test_anthropic_from_npm_parses_counts_and_lists(clients: Any) -> None:
    """Structured output fits its schema, tokens are counted, and models are listed and found."""
    told = clients.node("anthropic")

    assert {name: type(value) for name, value in told["parsed"].items()} == {"guests": int, "name": str}
    assert told["count"] > 0
    assert (told["models"][0], told["model"]) == ("m", "m")


def test_anthropic_from_npm_knows_our_errors(clients: Any) -> None:
    """Each is raised as the class that the package has for it."""
    refused = clients.node("anthropic")["refused"]

    assert {name: (end["raised"], end["status"]) for name, end in refused.items()} == {
        "stranger": ("AuthenticationError", 401),
        "unknown": ("NotFoundError", 404),
        "limited": ("RateLimitError", 429),
        "overloaded": ("ServiceUnavailableError", 503),
    }


@pytest.mark.parametrize("provider", AI_PROVIDERS)
def test_the_ai_sdk_writes_text(clients: Any, provider: str) -> None:
    """`generateText` and `streamText` give one text and one usage."""
    told = clients.node("ai")[provider]

    assert told["streamed"] == {"text": told["whole"], "usage": told["usage"], "reason": "stop"}
    assert "simulat" in told["whole"]
    assert told["usage"] > 0


@pytest.mark.parametrize("provider", AI_PROVIDERS)
def test_the_ai_sdk_uses_tools(clients: Any, provider: str) -> None:
    """A loop of two steps, streamed or not: a call, then an answer in text."""
    told = clients.node("ai")[provider]

    assert told["calls"] == told["streamedCalls"] == [["get_weather"], []]
    assert "simulat" in told["then"]


@pytest.mark.parametrize("provider", AI_PROVIDERS)
def test_the_ai_sdk_makes_objects(clients: Any, provider: str) -> None:
    """`generateObject`, `Output.object` and `streamObject` agree on an object that fits the schema."""
    told = clients.node("ai")[provider]

    assert told["object"] == told["output"] == told["partial"]["last"]
    assert {name: type(value) for name, value in told["object"].items()} == {"guests": int, "name": str}
    assert told["partial"]["parts"] > 1


@pytest.mark.parametrize("provider", AI_PROVIDERS)
def test_the_ai_sdk_knows_our_errors(clients: Any, provider: str) -> None:
    """They keep their status, and what broke a stream off is told to `onError` in our words."""
    told = clients.node("ai")[provider]

    assert [told[name] for name in ("unknown", "limited")] == [
        {"raised": "AI_APICallError", "status": 404},
        {"raised": "AI_APICallError", "status": 429},
    ]
    assert [message.partition(" broke off")[0] for message in told["messages"]] == [
        "the stream of provider 'cut'",
        "the stream of provider 'told'",
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_curl(clients: Any) -> None:
    """The command gets a whole answer and a stream, over one kept connection."""
    url = f"{clients.gateway.base_url}/chat/completions"
    arguments = ["-sS", "--fail-with-body", "-H", "Content-Type: application/json", "-H", f"x-api-key: {clients.key}"]

    done = subprocess.run(
        ["curl", *arguments, "-d", json.dumps(BODY), url, "--next", *arguments, "-N", "-d",
         json.dumps(BODY | {"stream": True}), url],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    whole, rest = json.JSONDecoder().raw_decode(done.stdout)
    assert whole["choices"][0]["message"]["content"]
    assert done.stdout[rest:].strip().endswith("data: [DONE]")
