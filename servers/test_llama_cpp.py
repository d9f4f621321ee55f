"""Fairlead in front of llama.cpp's own server, called by the official clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from loads import until
from servers.fixtures import Front, Serve, Server

pytestmark = pytest.mark.timeout(60)
SAID = re.compile("( [a-z])+ ?")
"""What the tiny model writes: letters, each after a space."""
HELLO = [{"role": "user", "content": "hello"}]
END = 2
"""Number of the token that ends an answer; it comes only where it is asked for."""
NATIVE = 'dialect = "anthropic"'
"""The server takes Anthropic's dialect too."""

Open = Callable[..., Front]


@pytest.fixture
def chat(front: Open, tiny: Server) -> Iterator[tuple[Front, openai.OpenAI]]:
    """A gateway in front of the shared server, and OpenAI's client."""
    ours = front(tiny)
    with openai.OpenAI(base_url=ours.process.base_url, api_key="any", max_retries=0) as client:
        yield ours, client


@pytest.fixture(params=["translated", "native"])
def messages(request: pytest.FixtureRequest, front: Open, tiny: Server) -> Iterator[tuple[Front, anthropic.Anthropic]]:
    """The same with Anthropic's client: the server is asked in OpenAI's dialect, or in Anthropic's own."""
    ours = front(tiny, NATIVE) if request.param == "native" else front(tiny)
    with anthropic.Anthropic(base_url=ours.process.origin, api_key="any", max_retries=0) as client:
        yield ours, client


def money(usage: dict[str, Any]) -> int:
    """What it costs in nano-USD, at a dollar a million tokens of input and two of output."""
    given = usage.get("input_tokens", 0) + usage.get("cache_read_tokens", 0)
    return 1_000 * int(given) + 2_000 * int(usage["output_tokens"])


def test_a_whole_answer(chat: tuple[Front, openai.OpenAI]) -> None:
    """Text, the reason of its end and the server's own count arrive, and the record has the same count and its price."""
    ours, client = chat
    raw = client.chat.completions.with_raw_response.create(model="tiny", messages=HELLO, max_tokens=12)
    answer = raw.parse()

    assert SAID.fullmatch(answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12
    record = ours.record(raw.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["usage_source"]) == ("ok", "final")
    assert record["usage"]["output_tokens"] == 12
    counted = record["usage"].get("input_tokens", 0) + record["usage"].get("cache_read_tokens", 0)
    assert counted == answer.usage.prompt_tokens
    assert record["cost_nanousd"] == money(record["usage"])


def test_a_stream(chat: tuple[Front, openai.OpenAI]) -> None:
    """It comes in pieces, ends as it should, and counts where that was asked for."""
    _, client = chat
    chunks = list(
        client.chat.completions.create(
            model="tiny", messages=HELLO, max_tokens=40, stream=True, stream_options={"include_usage": True}
        )
    )

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 10
    assert SAID.fullmatch("".join(pieces))
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 40


def test_a_stream_that_does_not_ask_for_usage(chat: tuple[Front, openai.OpenAI]) -> None:
    """The caller gets none, and the record has the server's count all the same."""
    ours, client = chat
    with client.chat.completions.with_streaming_response.create(
        model="tiny", messages=HELLO, max_tokens=10, stream=True
    ) as raw:
        chunks = list(raw.parse())

    assert [chunk.usage for chunk in chunks if chunk.usage] == []
    record = ours.record(raw.headers["x-fairlead-call-id"])
    assert (record["usage_source"], record["usage"]["output_tokens"]) == ("final", 10)


def test_a_stop_word(chat: tuple[Front, openai.OpenAI]) -> None:
    """The answer ends before it."""
    _, client = chat
    answer = client.chat.completions.create(model="tiny", messages=HELLO, stop=["e"], max_tokens=5_000)

    assert answer.choices[0].finish_reason == "stop"
    assert "e" not in (answer.choices[0].message.content or "")


def test_an_end_of_the_model_s_own(chat: tuple[Front, openai.OpenAI]) -> None:
    """A parameter that Fairlead has no name for reaches the server: the token that ends an answer becomes likely."""
    _, client = chat
    answer = client.chat.completions.create(
        model="tiny", messages=HELLO, max_tokens=5_000, extra_body={"logit_bias": {str(END): 60}}
    )

    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 1


def test_a_prompt_that_is_too_long(chat: tuple[Front, openai.OpenAI]) -> None:
    """The server's refusal is one that the client knows, and costs nothing."""
    ours, client = chat
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "1" * 40_000}])

    record = ours.record(caught.value.response.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["status"], record["cost_nanousd"]) == ("error", 400, 0)


def test_a_message(messages: tuple[Front, anthropic.Anthropic]) -> None:
    """Anthropic's client gets text, the reason of its end and a count, however the server is asked."""
    ours, client = messages
    raw = client.messages.with_raw_response.create(model="tiny", messages=HELLO, max_tokens=12, system="Be brief.")
    answer = raw.parse()

    assert answer.content[0].type == "text"
    assert SAID.fullmatch(answer.content[0].text)
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 12
    record = ours.record(raw.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["dialect"], record["usage_source"]) == ("ok", "anthropic", "final")
    assert record["cost_nanousd"] == money(record["usage"])


def test_a_streamed_message(messages: tuple[Front, anthropic.Anthropic]) -> None:
    """The client puts it together from its events, with the count at its end."""
    _, client = messages
    with client.messages.stream(model="tiny", messages=HELLO, max_tokens=40) as stream:
        pieces = list(stream.text_stream)
        answer = stream.get_final_message()

    assert len(pieces) > 10
    assert SAID.fullmatch("".join(pieces))
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 40


def test_a_message_with_a_stop_word(messages: tuple[Front, anthropic.Anthropic]) -> None:
    """The answer ends before it."""
    _, client = messages
    answer = client.messages.create(model="tiny", messages=HELLO, max_tokens=5_000, stop_sequences=["e"])

    assert answer.content[0].type == "text"
    assert "e" not in answer.content[0].text
    assert answer.stop_reason in {"end_turn", "stop_sequence"}


def test_tokens_of_a_message(messages: tuple[Front, anthropic.Anthropic]) -> None:
    """They are counted by the server where it can, else guessed."""
    _, client = messages

    assert client.messages.count_tokens(model="tiny", messages=HELLO).input_tokens > 0


def test_openai_s_client_in_front_of_anthropic_s_dialect(front: Open, tiny: Server) -> None:
    """Asked in the other dialect, the server's answers and streams still arrive whole."""
    ours = front(tiny, NATIVE)
    with openai.OpenAI(base_url=ours.process.base_url, api_key="any", max_retries=0) as client:
        answer = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=12)
        chunks = list(client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=12, stream=True))

    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.choices[0].finish_reason == "length"
    assert SAID.fullmatch("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))


def test_a_client_that_leaves_mid_stream(front: Open, llama_cpp: Serve) -> None:
    """The server stops writing what nobody reads, and what it wrote is estimated and priced."""
    server = llama_cpp()
    ours = front(server)
    with openai.OpenAI(base_url=ours.process.base_url, api_key="any", max_retries=0) as client:
        with client.chat.completions.with_streaming_response.create(model="tiny", messages=HELLO, stream=True) as raw:
            chunks = raw.parse()
            for _ in range(5):
                next(chunks)
            assert server.busy()
        until(lambda: not server.busy(), 2.0, "an idle server")

    record = ours.record(raw.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["usage_source"]) == ("cancelled", "estimated")
    assert record["cost_nanousd"] == money(record["usage"]) > 0


def test_a_server_that_is_killed_mid_stream(front: Open, llama_cpp: Serve) -> None:
    """The client learns that its stream broke; the next call is refused, and answered once the server is back."""
    server = llama_cpp()
    ours = front(server)
    with openai.OpenAI(base_url=ours.process.base_url, api_key="any", max_retries=0) as client:
        with client.chat.completions.with_streaming_response.create(model="tiny", messages=HELLO, stream=True) as raw:
            chunks = raw.parse()
            next(chunks)
            server.kill()
            with pytest.raises(openai.APIError):
                list(chunks)
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=5)
        llama_cpp(server.port)
        answer = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=5)

    record = ours.record(raw.headers["x-fairlead-call-id"])
    assert (record["outcome"], record["usage_source"]) == ("truncated", "estimated")
    assert caught.value.code == "upstream_unreachable"
    assert answer.choices[0].finish_reason == "length"
