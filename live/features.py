"""What is tried with each vendor, written once for all dialects.

A feature makes its calls and raises `Failed` where an answer is not what a working way there and back would give.  It
looks at form wherever it can; what a model says is looked at only where nothing else shows that something arrived, such
as a picture.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from fairlead.errors import CallerError, UpstreamError
from fairlead.types import (
    Chat,
    Embed,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)
from live.caller import Caller, Heard

ROOM_TOKENS = 400
"""Enough for a model that thinks a little before it says a word."""
_WEATHER = Tool(
    name="get_weather",
    description="The current weather in one city.",
    parameters=msgspec.Raw(
        b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}'
    ),
)
_PERSON = msgspec.Raw(
    b'{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},'
    b'"required":["name","age"],"additionalProperties":false}'
)


class Failed(Exception):
    """An answer is not what it should be."""


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to try."""

    name: str
    run: Callable[[Caller], Awaitable[None]]
    kind: Literal["chat", "embeddings"] = "chat"
    """The kind of dialect that has it."""
    counts: bool = False
    """Whether only dialects have it that count tokens."""


def _says(text: str, role: Literal["user", "system"] = "user") -> Message:
    return Message(role=role, parts=(TextPart(text=text),))


def _chat(*messages: Message, stream: bool = False) -> Chat:
    return Chat(
        model="", messages=messages, stream=stream, include_usage=stream, max_output_tokens=ROOM_TOKENS
    )  # fmt: skip


def _need(holds: object, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


def _has(heard: Heard, word: str) -> bool:
    return word in re.findall("[a-z]+", heard.text.lower())


async def _plain(caller: Caller) -> None:
    heard = await caller.ask(_chat(_says("Reply with the word pong and nothing else.")))
    _need(_has(heard, "pong"), f"asked for pong, it says {heard.text[:80]!r}")
    _need(heard.finish_reason == "stop", f"it ended with {heard.finish_reason!r}, not with 'stop'")


async def _stream(caller: Caller) -> None:
    heard = await caller.ask(_chat(_says("Count from 1 to 30, in digits."), stream=True))
    _need("30" in heard.text, f"counting to 30 ends with {heard.text[-40:]!r}")
    _need(heard.pieces > 1, "the stream came in one piece")
    _need(heard.complete, "the stream has no end")
    _need(heard.finish_reason == "stop", f"it ended with {heard.finish_reason!r}, not with 'stop'")


async def _system(caller: Caller) -> None:
    rule = _says("Whatever is said to you, reply with the word heron and nothing else.", "system")
    heard = await caller.ask(_chat(rule, _says("Good morning. What is your name?")))
    _need(_has(heard, "heron"), f"told to say heron, it says {heard.text[:80]!r}")


async def _stop(caller: Caller) -> None:
    chat = _chat(_says("Write the digits from 1 to 9 in order, with commas between them."))
    heard = await caller.ask(msgspec.structs.replace(chat, stop=("6",)))
    _need("5" in heard.text and "6" not in heard.text, f"to stop before 6, it says {heard.text[:80]!r}")


async def _limit(caller: Caller) -> None:
    chat = _chat(_says("Tell me a long story about a lighthouse."))
    heard = await caller.ask(msgspec.structs.replace(chat, max_output_tokens=16))
    _need(heard.finish_reason == "length", f"at its limit it ended with {heard.finish_reason!r}, not with 'length'")


async def _tool(caller: Caller) -> None:
    await _with_tools(caller, _asking("What is the weather in Oslo?", "required"), ("oslo",))


async def _tool_streamed(caller: Caller) -> None:
    chat = msgspec.structs.replace(_asking("What is the weather in Oslo?", "required"), stream=True, include_usage=True)
    await _with_tools(caller, chat, ("oslo",))


async def _parallel(caller: Caller) -> None:
    question = "What is the weather in Oslo and in Lima? Call the tool for both cities at once."
    await _with_tools(caller, _asking(question, "auto"), ("lima", "oslo"))


def _asking(question: str, mode: Literal["auto", "required"]) -> Chat:
    return msgspec.structs.replace(_chat(_says(question)), tools=(_WEATHER,), tool_choice=ToolChoice(mode=mode))


async def _with_tools(caller: Caller, chat: Chat, cities: tuple[str, ...]) -> None:
    """The calls, and an answer from their results."""
    heard = await caller.ask(chat)
    calls = heard.message.tool_calls
    _need(heard.finish_reason == "tool_calls", f"it ended with {heard.finish_reason!r}, not with 'tool_calls'")
    _need(tuple(sorted(map(_city, (call.arguments for call in calls)))) == cities, f"it calls {_shown(heard)}")
    _need(len({call.id for call in calls} - {""}) == len(calls), "calls have no ids of their own")
    results = tuple(
        Message(role="tool", tool_call_id=call.id, name=call.name, parts=(TextPart(text="17 degrees, light rain"),))
        for call in calls
    )
    further = msgspec.structs.replace(
        chat, messages=(*chat.messages, heard.message, *results), tool_choice=ToolChoice(mode="auto")
    )
    answered = await caller.ask(further)
    _need("17" in answered.text, f"told of 17 degrees, it says {answered.text[:80]!r}")


def _city(arguments: str) -> str:
    try:
        city = msgspec.json.decode(arguments, type=dict[str, str]).get("city", "")
    except msgspec.MsgspecError:
        return ""
    return city.partition(",")[0].strip().lower()


def _shown(heard: Heard) -> str:
    return ", ".join(f"{call.name}({call.arguments[:60]})" for call in heard.message.tool_calls) or "nothing"


async def _image(caller: Caller) -> None:
    picture = ImagePart(url=f"data:image/png;base64,{base64.b64encode(red_square()).decode()}")
    words = TextPart(text="Which colour has this picture? Reply with one word.")
    heard = await caller.ask(_chat(Message(role="user", parts=(picture, words))))
    _need(_has(heard, "red"), f"shown a red square, it says {heard.text[:80]!r}")


async def _structured(caller: Caller) -> None:
    form = ResponseFormat(type="json_schema", name="person", schema=_PERSON, strict=True)
    chat = _chat(_says("Ada is 36 years old. Extract her name and age as JSON."))
    heard = await caller.ask(msgspec.structs.replace(chat, response_format=form))
    try:
        person = msgspec.json.decode(heard.text)
    except msgspec.DecodeError:
        raise Failed(f"asked for JSON, it says {heard.text[:80]!r}") from None
    _need(isinstance(person, dict) and person.keys() == {"name", "age"}, f"it is not of the schema: {heard.text[:80]}")
    _need(person["age"] == 36, f"the age of 36 became {person['age']!r}")


async def _error(caller: Caller) -> None:
    try:
        await caller.ask(_chat(_says("Hello.")), of="none")
    except (CallerError, UpstreamError) as error:
        _need(400 <= error.status < 500, f"no such model, and the status is {error.status}: {error.message[:120]}")
    else:
        raise Failed("a model that does not exist answers")


async def _count(caller: Caller) -> None:
    few = await caller.count(_chat(_says("one")))
    more = await caller.count(_chat(_says("one two three four five six seven eight nine ten")))
    _need(0 < few < more, f"a word counts {few} tokens, ten words {more}")


async def _usage(caller: Caller) -> None:
    for streamed in (False, True):
        heard = await caller.ask(_chat(_says("Reply with the word pong and nothing else."), stream=streamed))
        form = "a stream" if streamed else "an answer"
        attempt = heard.call.attempt
        _need(attempt.usage_source == "final", f"the usage of {form} is not final but {attempt.usage_source!r}")
        used = attempt.usage
        _need(used and used.all_input_tokens > 0 and used.all_output_tokens > 0, f"{form} used {used}")
        _need(attempt.cost_nanousd, f"{form} cost {attempt.cost_nanousd} nano-USD")


async def _embeddings(caller: Caller) -> None:
    reply, call = await caller.embed(Embed(model="", inputs=("a small boat", "a large ship"), task="search_document"))
    _need(len(reply.vectors) == 2, f"two texts have {len(reply.vectors)} vectors")
    first, second = reply.vectors
    _need(len(first) == len(second) > 1, f"the vectors have {len(first)} and {len(second)} numbers")
    _need(first != second, "both texts have the same vector")
    _need(call.attempt.usage is not None, "nobody says what it used")


def red_square(side: int = 32) -> bytes:
    """A PNG, all red."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = (b"\0" + b"\xff\0\0" * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    )  # fmt: skip


FEATURES = (
    Feature(name="plain", run=_plain),
    Feature(name="stream", run=_stream),
    Feature(name="usage", run=_usage),
    Feature(name="system", run=_system),
    Feature(name="stop", run=_stop),
    Feature(name="limit", run=_limit),
    Feature(name="tool", run=_tool),
    Feature(name="tool-stream", run=_tool_streamed),
    Feature(name="parallel", run=_parallel),
    Feature(name="image", run=_image),
    Feature(name="structured", run=_structured),
    Feature(name="count", run=_count, counts=True),
    Feature(name="error", run=_error),
    Feature(name="embeddings", run=_embeddings, kind="embeddings"),
)
"""In the order in which they are tried."""
