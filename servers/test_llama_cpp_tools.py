"""Functions and forms of answers through llama.cpp's own server, whose grammars keep a model to them that knows nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from servers.fixtures import Front

pytestmark = pytest.mark.timeout(60)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Lima"]}, "sure": {"type": "boolean"}},
    "required": ["city", "sure"],
    "additionalProperties": False,
}
ASKED = [{"role": "user", "content": "What is the weather?"}]
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
TOOL = {"name": "weather", "input_schema": SCHEMA}
ROOM = 4_000
both_ways = pytest.mark.parametrize("way", ["", "-native"], ids=["openai", "anthropic"])
"""The server is asked in OpenAI's dialect, and in Anthropic's, which it takes too."""


def fits(value: Any) -> bool:
    """Whether it is as the schema says."""
    return set(value) == {"city", "sure"} and value["city"] in {"Oslo", "Lima"} and isinstance(value["sure"], bool)


def test_a_call_and_its_result(front: Front) -> None:
    """The model's call arrives as the server read it, and the server takes the result."""
    with front.openai() as client:
        asked: dict[str, Any] = {"model": "caller", "max_tokens": ROOM, "tools": [FUNCTION]}
        first = client.chat.completions.create(
            messages=ASKED, tool_choice="required", parallel_tool_calls=False, **asked
        ).choices[0]
        [call] = first.message.tool_calls or []
        result = {"role": "tool", "tool_call_id": call.id, "content": "17 degrees"}
        second = client.chat.completions.create(
            messages=[*ASKED, first.message.model_dump(exclude_none=True), result], tool_choice="none", **asked
        )

    assert first.finish_reason == "tool_calls"
    assert call.function.name == "weather"
    assert fits(json.loads(call.function.arguments))
    assert second.choices[0].finish_reason == "stop"


def test_streamed_calls(front: Front) -> None:
    """The pieces of each make up its arguments, however many there are."""
    with (
        front.openai() as client,
        client.chat.completions.stream(
            model="caller", messages=ASKED, max_tokens=ROOM, tools=[FUNCTION], tool_choice="required"
        ) as stream,
    ):
        answer = stream.get_final_completion().choices[0]

    calls = answer.message.tool_calls or []
    assert answer.finish_reason == "tool_calls"
    assert len(calls) == len({call.id for call in calls}) > 0
    assert all(fits(json.loads(call.function.arguments)) for call in calls)


@both_ways
def test_a_message_with_calls_and_their_results(way: str, front: Front) -> None:
    """The same with Anthropic's client; the wish for one call at a time is OpenAI's too, and obeyed in that dialect."""
    with front.anthropic() as client:
        asked: dict[str, Any] = {"model": f"caller{way}", "max_tokens": ROOM, "tools": [TOOL]}
        one = {"type": "any", "disable_parallel_tool_use": True}
        first = client.messages.create(messages=ASKED, tool_choice=one, **asked)
        uses = [block for block in first.content if block.type == "tool_use"]
        said = {"role": "assistant", "content": [use.model_dump(exclude_none=True) for use in uses]}
        results = [{"type": "tool_result", "tool_use_id": use.id, "content": "17 degrees"} for use in uses]
        second = client.messages.create(
            messages=[*ASKED, said, {"role": "user", "content": results}], tool_choice={"type": "none"}, **asked
        )

    assert first.stop_reason == "tool_use"
    assert len(uses) == 1 or (way and uses)
    assert all(use.name == "weather" and fits(use.input) for use in uses)
    assert second.stop_reason == "end_turn"


@both_ways
def test_streamed_calls_of_a_message(way: str, front: Front) -> None:
    """The client puts the input of each together."""
    with (
        front.anthropic() as client,
        client.messages.stream(
            model=f"caller{way}", messages=ASKED, max_tokens=ROOM, tools=[TOOL], tool_choice={"type": "any"}
        ) as stream,
    ):
        answer = stream.get_final_message()

    uses = [block for block in answer.content if block.type == "tool_use"]
    assert answer.stop_reason == "tool_use"
    assert len(uses) == len({use.id for use in uses}) > 0
    assert all(fits(use.input) for use in uses)


def test_an_answer_of_a_schema(front: Front) -> None:
    """The schema reaches the server, which keeps its model to it."""
    form = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
    with front.openai() as client:
        answer = client.chat.completions.create(
            model="tiny", messages=ASKED, max_tokens=ROOM, response_format=form  # type: ignore[arg-type]
        )  # fmt: skip

    assert fits(json.loads(answer.choices[0].message.content or ""))


def test_a_message_of_a_schema(front: Front) -> None:
    """Anthropic's way to ask for it becomes OpenAI's."""
    with front.anthropic() as client:
        answer = client.messages.create(
            model="tiny", messages=ASKED, max_tokens=ROOM,
            extra_body={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        )  # fmt: skip

    assert answer.content[0].type == "text"
    assert fits(json.loads(answer.content[0].text))


@both_ways
def test_an_answer_of_nothing(way: str, front: Front) -> None:
    """A model that ends at once is no error: the whole answer is empty, with its count."""
    with front.openai() as client:
        answer = client.chat.completions.create(model=f"caller{way}", messages=ASKED, max_tokens=5)

    assert not answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 1


@both_ways
def test_a_stream_of_nothing(way: str, front: Front) -> None:
    """A model that ends at once is no error: the stream has its end and its count, and no text."""
    with front.openai() as client:
        chunks = list(
            client.chat.completions.create(
                model=f"caller{way}", messages=ASKED, max_tokens=5, stream=True, stream_options={"include_usage": True}
            )
        )

    assert [
        chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content
    ] == []
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
