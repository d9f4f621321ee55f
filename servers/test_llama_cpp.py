"""Fairlead in front of llama.cpp's own server, called by the official clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from anthropic.resources.messages import Messages
from openai.resources.chat.completions import Completions

from loads import until
from servers.fixtures import Front, Serve, Server

pytestmark = pytest.mark.timeout(60)
SAID = re.compile("( [a-z])+ ?")
"""What the tiny model writes: letters, each after a space."""
HELLO = [{"role": "user", "content": "hello"}]
END = 2
"""Number of the token that ends an answer; it comes only where it is asked for."""
InFront = Callable[[Server], Front]


@pytest.fixture
def chat(front: Front) -> Iterator[Completions]:
    """OpenAI's client."""
    with front.openai() as client:
        yield client.chat.completions


@pytest.fixture
def messages(front: Front) -> Iterator[Messages]:
    """Anthropic's client."""
    with front.anthropic() as client:
        yield client.messages


both_ways = pytest.mark.parametrize("model", ["tiny", "tiny-native"])
"""The server is asked in OpenAI's dialect, and in Anthropic's, which it takes too."""


def money(usage: dict[str, Any]) -> int:
    """What it costs in nano-USD, at a dollar a million tokens of input and two of output."""
    given = usage.get("input_tokens", 0) + usage.get("cache_read_tokens", 0)
    return 1_000 * int(given) + 2_000 * int(usage["output_tokens"])


def test_a_whole_answer(chat: Completions, front: Front) -> None:
    """Text, the reason of its end and the server's own count arrive, and the record has the same count and its price."""
    raw = chat.with_raw_response.create(model="tiny", messages=HELLO, max_tokens=12)
    answer = raw.parse()

    assert SAID.fullmatch(answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12
    record = front.record(raw.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["usage_source"]) == ("ok", "final")
    assert record["usage"]["output_tokens"] == 12
    counted = record["usage"].get("input_tokens", 0) + record["usage"].get("cache_read_tokens", 0)
    assert counted == answer.usage.prompt_tokens
    assert record["cost_nanousd"] == money(record["usage"])


def test_a_stream(chat: Completions) -> None:
    """It comes in pieces, ends as it should, and counts where that was asked for."""
    chunks = list(
        chat.create(model="tiny", messages=HELLO, max_tokens=40, stream=True, stream_options={"include_usage": True})
    )

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 10
    assert SAID.fullmatch("".join(pieces))
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 40


def test_a_stream_that_does_not_ask_for_usage(chat: Completions, front: Front) -> None:
    """The caller gets none, and the record has the server's count all the same."""
    with chat.with_streaming_response.create(model="tiny", messages=HELLO, max_tokens=10, stream=True) as raw:
        chunks = list(raw.parse())

    assert [chunk.usage for chunk in chunks if chunk.usage] == []
    record = front.record(raw.headers["x-fairlead-call-id"])
    assert (record["usage_source"], record["usage"]["output_tokens"]) == ("final", 10)


def test_a_stop_word(chat: Completions) -> None:
    """The answer ends before it."""
    answer = chat.create(model="tiny", messages=HELLO, stop=["e"], max_tokens=5_000)

    assert answer.choices[0].finish_reason == "stop"
    assert "e" not in (answer.choices[0].message.content or "")


def test_an_end_of_the_model_s_own(chat: Completions) -> None:
    """A parameter that Fairlead has no name for reaches the server: the token that ends an answer becomes likely."""
    answer = chat.create(model="tiny", messages=HELLO, max_tokens=5_000, extra_body={"logit_bias": {str(END): 60}})

    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 1


def test_a_prompt_that_is_too_long(chat: Completions, front: Front) -> None:
    """The server's refusal is one that the client knows, and costs nothing."""
    with pytest.raises(openai.BadRequestError) as caught:
        chat.create(model="tiny", messages=[{"role": "user", "content": "1" * 40_000}])

    record = front.record(caught.value.response.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["status"], record["cost_nanousd"]) == ("error", 400, 0)


@both_ways
def test_a_message(model: str, messages: Messages, front: Front) -> None:
    """Anthropic's client gets text, the reason of its end and a count, however the server is asked."""
    raw = messages.with_raw_response.create(model=model, messages=HELLO, max_tokens=12, system="Be brief.")
    answer = raw.parse()

    assert answer.content[0].type == "text"
    assert SAID.fullmatch(answer.content[0].text)
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 12
    record = front.record(raw.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["dialect"], record["usage_source"]) == ("ok", "anthropic", "final")
    assert record["cost_nanousd"] == money(record["usage"])


@both_ways
def test_a_streamed_message(model: str, messages: Messages) -> None:
    """The client puts it together from its events, with the count at its end."""
    with messages.stream(model=model, messages=HELLO, max_tokens=40) as stream:
        pieces = list(stream.text_stream)
        answer = stream.get_final_message()

    assert len(pieces) > 10
    assert SAID.fullmatch("".join(pieces))
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 40


@both_ways
def test_a_message_with_a_stop_word(model: str, messages: Messages) -> None:
    """The answer ends before it."""
    answer = messages.create(model=model, messages=HELLO, max_tokens=5_000, stop_sequences=["e"])

    assert answer.content[0].type == "text"
    assert "e" not in answer.content[0].text
    assert answer.stop_reason in {"end_turn", "stop_sequence"}


@both_ways
def test_tokens_of_a_message(model: str, messages: Messages) -> None:
    """The server counts them where it can, and then as many as it reads; a guess says that it is one."""
    raw = messages.with_raw_response.count_tokens(model=model, messages=HELLO)
    used = messages.create(model=model, messages=HELLO, max_tokens=1).usage

    exact = used.input_tokens + (used.cache_read_input_tokens or 0)
    counted, is_guess = raw.parse().input_tokens, raw.headers.get("x-fairlead-count") == "estimated"
    assert counted > 0
    assert is_guess or counted == exact


def test_openai_s_client_in_front_of_anthropic_s_dialect(chat: Completions) -> None:
    """Asked in the other dialect, the server's answers and streams still arrive whole."""
    answer = chat.create(model="tiny-native", messages=HELLO, max_tokens=12)
    chunks = list(chat.create(model="tiny-native", messages=HELLO, max_tokens=12, stream=True))

    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.choices[0].finish_reason == "length"
    assert SAID.fullmatch("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))


def test_a_client_that_leaves_mid_stream(in_front: InFront, llama_cpp: Serve) -> None:
    """The server stops writing what nobody reads, and what it wrote is estimated and priced."""
    server = llama_cpp()
    ours = in_front(server)
    with ours.openai() as client:
        with client.chat.completions.with_streaming_response.create(model="tiny", messages=HELLO, stream=True) as raw:
            chunks = raw.parse()
            for _ in range(5):
                next(chunks)
            assert server.busy()
        until(lambda: not server.busy(), 2.0, "an idle server")

    record = ours.record(raw.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["usage_source"]) == ("cancelled", "estimated")
    assert record["cost_nanousd"] == money(record["usage"]) > 0


def test_a_server_that_is_killed_mid_stream(in_front: InFront, llama_cpp: Serve) -> None:
    """The client learns that its stream broke; the next call is refused, and answered once the server is back."""
    server = llama_cpp()
    ours = in_front(server)
    with ours.openai() as client:
        chat = client.chat.completions
        with chat.with_streaming_response.create(model="tiny", messages=HELLO, stream=True) as raw:
            chunks = raw.parse()
            next(chunks)
            server.kill()
            with pytest.raises(openai.APIError):
                list(chunks)
        with pytest.raises(openai.InternalServerError) as caught:
            chat.create(model="tiny", messages=HELLO, max_tokens=5)
        llama_cpp(server.port)
        answer = chat.create(model="tiny", messages=HELLO, max_tokens=5)

    record = ours.record(raw.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["usage_source"]) == ("truncated", "estimated")
    assert caught.value.code == "upstream_unreachable"
    assert answer.choices[0].finish_reason == "length"
