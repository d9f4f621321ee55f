"""A caller of one dialect and a provider of another: what goes over, what is left out, what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from fairlead.call import OK, Call, Candidate, Secret, Wanted
from fairlead.dialects import dialect
from fairlead.errors import StreamTruncated, Untranslatable, UpstreamProtocol, UpstreamUnavailable
from fairlead.pipeline import Reply
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.providers.translate import TranslatedStream
from fairlead.testing import answers
from fairlead.testing.clock import VirtualClock
from fairlead.testing.openai_chat import openai_reply, openai_stream
from fairlead.testing.transport import FakeTransport
from fairlead.types import Started, TextDelta, Usage

ASKED = {"model": "alias", "max_tokens": 9, "messages": [{"role": "user", "content": "Say hello."}]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 2},
}
START = {
    "type": "message_start",
    "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 5, "output_tokens": 1}},
}
OPENED = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
CLOSED = {"type": "content_block_stop", "index": 0}
ENDED = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"input_tokens": 5, "output_tokens": 4},
}
STOPPED = {"type": "message_stop"}


def piece(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def named(*events: Mapping[str, Any]) -> answers.Answer:
    """A stream of Anthropic's, each event in a piece of its own."""
    pieces = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    return answers.sse(pieces, done=False)


class There:
    """A provider with one answer."""

    def __init__(self, speaks: str, answer: answers.Answer, **vendor: Any) -> None:
        self.time = VirtualClock()
        self.transport = FakeTransport(default=answer, clock=self.time)
        self.provider = HttpProvider(
            name="p",
            speaks=(dialect(speaks),),
            vendor=msgspec.structs.replace(facts.load().stand_ins[speaks], **vendor),
            transport=self.transport,
            host="h",
            base_path="/v1",
            credentials={"default": Secret("sk-own")},
            clock=self.time,
        )

    @property
    def sent(self) -> Any:
        return json.loads(self.transport.requests[-1].body)

    @property
    def head(self) -> Any:
        return self.transport.requests[-1]


def asking(speaks: str, path: str = "", *, refuses: frozenset[str] = frozenset(), **fields: Any) -> Call:
    """A call with its first attempt open."""
    raw = msgspec.json.encode(ASKED | fields)
    read = dialect(speaks).request.read(raw, path)
    call = Call("id", read.dialect, read, started_ns=0, started_at_ns=0, body=raw)
    call.open_attempt(Candidate(provider="p", model="theirs", refuses=refuses), 0)
    return call


async def pieces(reply: Reply) -> list[bytes]:
    assert not isinstance(reply.source, bytes)
    return [chunk async for chunk in reply.source]  # type: ignore[misc]


def data_of(raw: bytes) -> list[Any]:
    lines = (line.removeprefix(b"data: ") for line in raw.split(b"\n") if line.startswith(b"data: {"))
    return [json.loads(line) for line in lines]


async def test_a_whole_answer_comes_in_the_callers_dialect():
    """The request went out in the provider's, with the provider's headers and name of the model."""
    there, call = There("anthropic", answers.json(MESSAGE)), asking("openai_chat")
    reply = await there.provider.send(call)
    answer = json.loads(reply.source)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "Hello."
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 7
    assert (there.sent["model"], there.sent["max_tokens"]) == ("theirs", 9)
    assert there.head.path == "/v1/messages"
    assert there.head.headers["x-api-key"] == "sk-own"
    assert there.head.headers["anthropic-version"] == "2023-06-01"
    assert call.attempt.usage == Usage(input_tokens=5, output_tokens=2)


async def test_an_answer_that_has_no_date_is_of_now():
    """Callers of OpenAI's dialect sort by it."""
    there = There("anthropic", answers.json(MESSAGE))
    reply = await there.provider.send(asking("openai_chat"))
    assert json.loads(reply.source)["created"] == there.time.now_ns() // 1_000_000_000 > 0


async def test_nothing_is_kept_for_a_caller_who_cannot_ask_for_it():
    """Providers of Responses keep every answer where nobody says otherwise."""
    answer = {"id": "resp_1", "object": "response", "status": "completed", "output": [], "model": "m"}
    there = There("openai_responses", answers.json(answer))
    await there.provider.send(asking("openai_chat"))
    assert there.sent["store"] is False


async def test_an_answer_that_does_not_name_its_model_is_of_the_one_that_was_asked():
    """Gemini's need not say it; streamed or not."""
    said = {"candidates": [{"content": {"parts": [{"text": "Hello."}]}, "finishReason": "STOP"}]}
    there = There("gemini", answers.json(said))
    whole = json.loads((await there.provider.send(asking("openai_chat"))).source)
    there = There("gemini", answers.sse([b"data: " + json.dumps(said).encode() + b"\n\n"], done=False))
    raw = b"".join(await pieces(await there.provider.send(asking("openai_chat", stream=True))))
    assert [each["model"] for each in (whole, *data_of(raw))] == ["theirs"] * 4


async def test_the_other_way_round_it_is_a_message():
    """Named events, with the usage that the caller did not have to ask for."""
    there = There("openai_chat", openai_stream(["Hel", "lo."], usage={"prompt_tokens": 3, "completion_tokens": 2}))
    call = asking("anthropic", stream=True)
    raw = b"".join(await pieces(await there.provider.send(call)))
    kinds = [event["type"] for event in data_of(raw)]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert data_of(raw)[-2]["usage"]["output_tokens"] == 2
    assert there.sent["stream_options"] == {"include_usage": True}
    assert there.sent["max_tokens"] == 9


async def test_a_stream_ends_as_the_callers_dialect_ends_one():
    """Each event goes out when it comes, and the usage chunk only where it was asked for."""
    there = There("anthropic", named(START, OPENED, piece("Hel"), piece("lo."), CLOSED, ENDED, STOPPED))
    call = asking("openai_chat", stream=True)
    reply = await there.provider.send(call)
    raw = b"".join(await pieces(reply))
    reply.end(OK)
    assert raw.endswith(b"data: [DONE]\n\n")
    assert [each["choices"][0]["delta"].get("content") for each in data_of(raw)] == ["", "Hel", "lo.", None]
    assert not any("usage" in each for each in data_of(raw))
    assert call.attempt.usage == Usage(input_tokens=5, output_tokens=4)
    assert call.attempt.usage_source == "final"
    assert reply.source.raw() == raw


async def test_a_stream_that_breaks_has_its_prompt_counted_exactly():
    """What Anthropic counted at the beginning stands; what was written is estimated."""
    there = There("anthropic", named(START, OPENED, piece("Hel"), piece("lo.")))
    call = asking("openai_chat", stream=True)
    reply = await there.provider.send(call)
    with pytest.raises(StreamTruncated):
        await pieces(reply)
    reply.end(OK)
    assert call.attempt.usage == Usage(input_tokens=5, output_tokens=2)
    assert call.attempt.usage_source == "estimated"


async def test_an_error_in_the_middle_is_one_of_ours():
    """The caller's dialect then says it in its own words."""
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    there = There("anthropic", named(START, OPENED, piece("Hel"), overloaded))
    reply = await there.provider.send(asking("openai_chat", stream=True))
    with pytest.raises((UpstreamUnavailable, StreamTruncated)):
        await pieces(reply)


@pytest.mark.parametrize("speaks", ["anthropic", "gemini", "openai_responses"])
async def test_an_error_in_the_very_last_bytes_is_no_clean_end(speaks):
    """What came before it goes out, and then the stream breaks: a piece of the answer is missing."""
    text = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    there = There("openai_chat", answers.sse([text, text + b"data: {torn\n\ndata: [DONE]\n\n"], done=False))
    path = "/v1beta/models/m:streamGenerateContent" if speaks == "gemini" else ""
    said = {"contents": [{"parts": [{"text": "x"}]}], "input": "x", "stream": True}
    reply = await there.provider.send(asking(speaks, path, **said))
    with pytest.raises(StreamTruncated):
        await pieces(reply)


async def test_a_call_that_is_not_whole_at_the_end_breaks_the_stream():
    """Gemini's dialect has no form for it, and a stream without it would look like a whole one."""
    call = b'{"index":0,"id":"c","function":{"name":"f","arguments":"{\\"a\\":"}}'
    piece = b'data: {"choices":[{"index":0,"delta":{"tool_calls":[' + call + b"]}}]}\n\n"
    there = There("openai_chat", answers.sse([piece, b"data: [DONE]\n\n"], done=False))
    said = {"contents": [{"parts": [{"text": "x"}]}]}
    reply = await there.provider.send(asking("gemini", "/v1beta/models/m:streamGenerateContent", **said))
    with pytest.raises(StreamTruncated):
        await pieces(reply)


async def test_an_event_that_is_none_breaks_the_stream():
    """A reader of the other dialect could not be told anything that is true."""
    there = There("anthropic", answers.sse([b"event: message_start\ndata: [1]\n\n"], done=False))
    with pytest.raises(UpstreamProtocol):
        await there.provider.send(asking("openai_chat", stream=True))


async def test_what_the_other_dialect_cannot_say_is_refused_by_name():
    """With the field, and who it is that cannot."""
    there = There("anthropic", answers.json(MESSAGE))
    with pytest.raises(Untranslatable, match=r"'p/theirs' speaks 'anthropic'") as caught:
        await there.provider.send(asking("openai_chat", n=2))
    assert caught.value.param == "n"
    assert not there.transport.requests


async def test_what_has_no_meaning_there_is_left_out_and_named():
    """Fields that only the caller's dialect knows, in a header of the answer."""
    there = There("anthropic", answers.json(MESSAGE))
    reply = await there.provider.send(asking("openai_chat", logit_bias={"1": 2}, store=True))
    assert set(reply.headers["x-fairlead-left-out"].split(", ")) == {"logit_bias", "store"}
    assert not {"logit_bias", "store"} & there.sent.keys()


async def test_names_that_a_caller_made_up_cannot_break_a_header():
    """They are percent-encoded, and there is an end to them."""
    there = There("anthropic", answers.json(MESSAGE))
    made_up = {"a\r\nx: y": 1, "ü": 2, **{f"f{number}": number for number in range(50)}}
    reply = await there.provider.send(asking("openai_chat", **made_up))
    told = reply.headers["x-fairlead-left-out"]
    assert told.isascii()
    assert told.isprintable()
    assert told.endswith(", ...")


async def test_a_parameter_that_the_model_refuses_is_left_out():
    """By the facts about its family; a relay would pass it on."""
    call = asking("anthropic", refuses=frozenset({"temperature", "top_p"}), temperature=0.5)
    there = There("openai_chat", openai_reply("Hello."))
    reply = await there.provider.send(call)
    assert reply.headers["x-fairlead-left-out"] == "temperature"
    assert "temperature" not in there.sent


@pytest.mark.parametrize(
    ("speaks", "asked", "fields"),
    [
        ("anthropic", "openai_chat", {"seed": 7}),
        ("openai_chat", "anthropic", {"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2_000}}),
    ],
)
async def test_what_only_tunes_is_left_out_where_a_dialect_has_no_form_for_it(speaks: str, asked: str, fields: Any):
    """And is named, like all that stays behind."""
    there = There(speaks, answers.json(MESSAGE) if speaks == "anthropic" else openai_reply("Hello."))
    reply = await there.provider.send(asking(asked, **fields))
    assert set(reply.headers["x-fairlead-left-out"].split(", ")) == fields.keys()
    assert not fields.keys() & there.sent.keys()


@pytest.mark.parametrize(
    ("quirks", "limit", "role"),
    [({"max_tokens", "no_developer"}, "max_tokens", "system"), (set(), "max_completion_tokens", "developer")],
)
async def test_quirks_of_a_vendor_are_kept_to(quirks: set[str], limit: str, role: str):
    """Whether it knows the newer name of the limit, and the role `developer`."""
    there = There("openai_chat", openai_reply("Hello."), quirks=frozenset(quirks))
    spoken = dialect("openai_chat").request
    chat = spoken.decode(
        spoken.read(
            b'{"model":"m","max_completion_tokens":9,"messages":[{"role":"developer","content":"Be kind."}]}'
        ).fields
    )
    call = asking("anthropic")
    call.request.chat = chat
    await there.provider.send(call)
    assert there.sent[limit] == 9
    assert there.sent["messages"][0]["role"] == role


async def test_headers_of_the_callers_dialect_do_not_cross():
    """The provider's own version of its API is another one."""
    there, call = There("openai_chat", openai_reply("Hello.")), asking("anthropic")
    call.request.headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "x"}
    await there.provider.send(call)
    assert not {"anthropic-version", "anthropic-beta"} & there.head.headers.keys()


async def test_a_header_that_the_caller_sends_replaces_the_vendors_own():
    """It comes once."""
    there, call = There("anthropic", answers.json(MESSAGE)), asking("anthropic")
    call.request.headers = {"anthropic-version": "2099-01-01"}
    await there.provider.send(call)
    assert there.head.headers["anthropic-version"] == "2099-01-01"


async def test_a_count_of_tokens_is_the_providers_where_it_counts():
    """It costs nothing, and goes to the path for it."""
    there = There("anthropic", answers.json({"input_tokens": 14}))
    call = asking("anthropic", "/v1/messages/count_tokens")
    reply = await there.provider.send(call)
    assert json.loads(reply.source) == {"input_tokens": 14}
    assert there.head.path == "/v1/messages/count_tokens"
    assert call.attempt.usage is None


async def test_a_count_of_tokens_is_a_guess_that_says_so_where_it_does_not():
    """Nobody is asked."""
    there = There("openai_chat", openai_reply("no"))
    reply = await there.provider.send(asking("anthropic", "/v1/messages/count_tokens"))
    assert json.loads(reply.source) == {"input_tokens": 3}
    assert reply.headers["x-fairlead-count"] == "estimated"
    assert not there.transport.requests


class Relayed:
    """A relay of ready chunks that offers each to its outlet first, as bytes that arrive while somebody waits are."""

    progressed_ns = 0

    def __init__(self, *chunks: bytes) -> None:
        self.outlet: Any = None
        self._chunks = list(chunks)

    async def __anext__(self) -> bytes:
        while self._chunks:
            chunk = self._chunks.pop(0)
            if self.outlet is None or not self.outlet(chunk):
                if self._chunks:  # what has come in the meantime comes with it
                    chunk += self._chunks.pop(0)
                return chunk
        raise StopAsyncIteration


@pytest.mark.parametrize("taken", [0, 1, 2, 3, 4, 5, 6, 7])
async def test_a_chunk_that_is_offered_is_translated_once(taken: int):
    """Whether it leaves at once or waits for its reader: the caller sees every event once, in order."""
    answer = named(START, OPENED, piece("Hel"), piece("lo."), CLOSED, ENDED, STOPPED)
    stream = TranslatedStream(
        Relayed(*answer.pieces),
        dialect("anthropic"),
        dialect("openai_chat"),
        include_usage=True,
        untold=Started(id="", model="", created=1),
        keep=True,
    )
    out: list[bytes] = []

    def outlet(chunk: bytes) -> bool:
        if len(out) == taken:
            return False
        out.append(chunk)
        return True

    stream.outlet = outlet
    out.extend([chunk async for chunk in stream])
    raw = b"".join(out)
    told = [choice["delta"].get("content") for each in data_of(raw) for choice in each["choices"]]
    assert told == ["", "Hel", "lo.", None]
    assert data_of(raw)[-1]["usage"]["completion_tokens"] == 4
    assert stream.raw() == raw


NO_JSON = "Here it is: {'a': 1}"
TOOL_CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "Booking", "arguments": NO_JSON}}


@pytest.mark.parametrize("speaks", ["anthropic", "gemini", "openai_responses"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_that_stands_for_the_answer_becomes_text(speaks: str, stream: bool):
    """Its arguments may be no JSON yet, for which the caller's dialect has no form; whoever judges them reads the text."""
    body = json.loads(openai_reply("").body)
    choice = {"index": 0, "finish_reason": "tool_calls"}
    body["choices"] = [{**choice, "message": {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}}]
    chunk = {**body, "object": "chat.completion.chunk", "choices": [{**choice, "delta": {"tool_calls": [TOOL_CALL]}}]}
    answer = answers.sse([chunk]) if stream else answers.json(body)
    there = There("openai_chat", answer)
    operation = "streamGenerateContent" if stream else "generateContent"
    call = asking(speaks, f"/v1beta/models/m:{operation}", **_fields(speaks, stream))
    call.request.wanted = Wanted(name="Booking", schema=b'{"type":"object"}')
    call.attempt.candidate = msgspec.structs.replace(call.attempt.candidate, structured="tool")

    reply = await there.provider.send(call)
    raw = b"".join(await pieces(reply)) if stream else reply.source

    assert there.sent["tools"][0]["function"]["name"] == "Booking"
    decoded = dialect(speaks)
    if stream:
        events = decoded.streams.decoder().feed(raw)
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
    else:
        text = decoded.reply.decode(raw).choices[0].message.text
    assert text == NO_JSON


def _fields(speaks: str, stream: bool) -> dict[str, Any]:
    if speaks == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
    return ({"input": "Say hello."} if speaks == "openai_responses" else {}) | ({"stream": True} if stream else {})
