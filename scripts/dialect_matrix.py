"""Every caller's dialect with every provider's: each feature tried with the simulator, for `docs/reference/dialects.md`.

A cell is `yes`, or what is refused, or `-` where callers of the dialect cannot ask for it.  Anything else raises, so that
the page can hold nothing that does not work.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fairlead.call import OK, Call, Candidate
from fairlead.dialects import DIALECTS
from fairlead.dialects.codec import Dialect
from fairlead.errors import InvalidRequest, Untranslatable, UpstreamRateLimited
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.providers.sim import Fault, SimSettings, SimTransport, Simulator
from fairlead.stores.system import SystemClock
from fairlead.types import (
    Chat,
    Embed,
    Finished,
    ImagePart,
    Message,
    RefusalDelta,
    RefusalPart,
    ResponseFormat,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
    UsageReport,
)

SCHEMA = msgspec.Raw(
    b'{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},'
    b'"required":["city","days"],"additionalProperties":false}'
)
TOOLS = (
    Tool(name="get_weather", description="The weather of a city.", parameters=SCHEMA),
    Tool(name="get_time", description="The time in a city.", parameters=SCHEMA),
)
PIXEL = ImagePart(url="data:image/png;base64,iVBORw0KGgo=")
MODEL = "sim-small"
EMBEDDER = "sim-embed"


@dataclass
class Said:
    """What a caller has in the end, whole or streamed."""

    text: str = ""
    calls: dict[Any, list[str]] = field(default_factory=dict)
    """Name and arguments of each."""
    reason: str | None = None
    refused: bool = False
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column: what is asked, and whether the answer is one."""

    asked: Chat
    holds: Callable[[Said], bool]


def _chat(*parts: TextPart | ImagePart, **rest: Any) -> Chat:
    return Chat(model=MODEL, messages=(Message(role="user", parts=parts),), max_output_tokens=500, **rest)


def _answered(said: Said) -> bool:
    return bool(said.text) and said.reason == "stop" and said.usage is not None and said.usage.output_tokens > 0


def _called(number: int) -> Callable[[Said], bool]:
    def holds(said: Said) -> bool:
        arguments = [json.loads(arguments) for _, arguments in said.calls.values()]
        return len(arguments) == number and all("city" in each for each in arguments) and said.reason == "tool_calls"

    return holds


def _fits(said: Said) -> bool:
    return set(json.loads(said.text)) == {"city", "days"}


def _declined(said: Said) -> bool:
    return said.refused or said.reason == "content_filter"


HELLO = TextPart(text="Say hello.")
FEATURES: Mapping[str, Feature] = {
    "plain": Feature(asked=_chat(HELLO), holds=_answered),
    "stream": Feature(asked=_chat(HELLO, stream=True), holds=_answered),
    "one tool": Feature(asked=_chat(TextPart(text="sim:call"), tools=TOOLS), holds=_called(1)),
    "two parallel tools": Feature(asked=_chat(TextPart(text="sim:call=2"), tools=TOOLS), holds=_called(2)),
    "two tools, streamed": Feature(
        asked=_chat(TextPart(text="sim:call=2"), tools=TOOLS, stream=True), holds=_called(2)
    ),
    "image": Feature(asked=_chat(PIXEL, HELLO), holds=_answered),
    "structured": Feature(
        asked=_chat(HELLO, response_format=ResponseFormat(type="json_schema", name="trip", schema=SCHEMA, strict=True)),
        holds=_fits,
    ),
    "refusal": Feature(asked=_chat(TextPart(text="sim:refuse")), holds=_declined),
    "two answers": Feature(asked=_chat(HELLO, n=2), holds=_answered),
    "log probabilities": Feature(asked=_chat(HELLO, logprobs=True, top_logprobs=2), holds=_answered),
}
"""Columns of the table."""


def dialects(kind: str) -> list[Dialect]:
    """Those of a kind, in the order of the registry."""
    return [each for each in DIALECTS.values() if each.kind == kind]


def chat_rows() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Caller, provider, and each feature's cell."""
    for caller, provider in itertools.product(dialects("chat"), repeat=2):
        cells = {name: tried(caller, provider, feature) for name, feature in FEATURES.items()}
        cells["error"] = refused_in_turn(caller, provider)
        yield caller.name, provider.name, cells


def embedding_rows() -> Iterator[tuple[str, str, dict[str, str]]]:
    """The same for embeddings, of dialects that callers can speak."""
    callers = [each for each in dialects("embeddings") if each.paths]
    for caller, provider in itertools.product(callers, dialects("embeddings")):
        yield caller.name, provider.name, {"texts": embedded(caller, provider)}


def tried(caller: Dialect, provider: Dialect, feature: Feature) -> str:
    """One cell.

    Raises:
        ValueError: it neither works nor is refused by name.
    """
    try:
        caller.request.encode(feature.asked)
    except InvalidRequest:
        return "-"  # its callers cannot ask for that
    try:
        said = asyncio.run(_asked(caller, provider, feature.asked))
    except Untranslatable as error:
        return f"refused: `{error.param}`"
    if not feature.holds(said):
        raise ValueError(f"{caller.name} to {provider.name}: {said}")
    return "yes"


def refused_in_turn(caller: Dialect, provider: Dialect) -> str:
    """A provider's 429, as the caller's SDK reads what the gateway makes of it."""
    limited = SimSettings(faults=(Fault(kind="rate_limit"),))
    try:
        asyncio.run(_asked(caller, provider, FEATURES["plain"].asked, limited))
    except UpstreamRateLimited as error:
        again = caller.errors.decode(error.status, {}, caller.errors.encode(error))
        if isinstance(again, UpstreamRateLimited):
            return "yes"
        raise ValueError(f"{caller.name} to {provider.name}: {again!r}") from None
    raise ValueError(f"{caller.name} to {provider.name}: no error")


def embedded(caller: Dialect, provider: Dialect) -> str:
    """Two texts, two vectors."""
    asked = Embed(model=EMBEDDER, inputs=("a", "b"))
    body = asyncio.run(_reply(caller, provider, caller.request.encode(asked), SimSettings()))
    vectors = caller.reply.decode(body).vectors
    if len(vectors) != 2 or vectors[0] == vectors[1]:
        raise ValueError(f"{caller.name} to {provider.name}: {vectors}")
    return "yes"


async def _asked(caller: Dialect, provider: Dialect, asked: Chat, settings: SimSettings | None = None) -> Said:
    raw = await _reply(caller, provider, caller.request.encode(asked), settings or SimSettings(), asked=asked)
    return _streamed(caller, raw) if asked.stream else _whole(caller, raw)


async def _reply(
    caller: Dialect, provider: Dialect, body: bytes, settings: SimSettings, asked: Chat | None = None
) -> bytes:
    """What the caller is sent, all of it."""
    clock = SystemClock()
    there = HttpProvider(
        name="sim",
        speaks=(provider,),
        vendor=msgspec.structs.replace(facts.load().vendors["sim"], bills_after_disconnect=False),
        transport=SimTransport(Simulator(settings, clock, dialects=(provider,)), clock),
        host="sim",
        base_path="/v1",
        credentials={},
        clock=clock,
    )
    request = caller.request.read(body, _path(caller, asked))
    call = Call("id", caller.name, request, started_ns=0, started_at_ns=0, body=body)
    call.open_attempt(Candidate(provider="sim", model=EMBEDDER if asked is None else MODEL), 0)
    try:
        reply = await there.send(call)
        source: Any = reply.source
        raw = source if isinstance(source, bytes) else b"".join([chunk async for chunk in source])
        reply.end(OK)
        return raw
    finally:
        await there.aclose()


def _path(caller: Dialect, asked: Chat | None) -> str:
    """Where it would have been posted."""
    path = caller.paths[0]
    if not path.endswith("/"):
        return path
    below = (caller.stream_path if asked is not None and asked.stream else None) or caller.upstream_path
    return path + below.partition("?")[0].removeprefix("/models/").replace("{model}", MODEL)


def _whole(caller: Dialect, raw: bytes) -> Said:
    reply = caller.reply.decode(raw)
    choice = reply.choices[0]
    return Said(
        text=choice.message.text,
        calls={call.id: [call.name, call.arguments] for call in choice.message.tool_calls},
        reason=choice.finish_reason,
        refused=any(isinstance(part, RefusalPart) for part in choice.message.parts),
        usage=reply.usage,
    )


def _streamed(caller: Dialect, raw: bytes) -> Said:
    decoder = caller.streams.decoder()
    said = Said()
    for event in decoder.feed(raw):
        match event:
            case TextDelta():
                said.text += event.text
            case RefusalDelta():
                said.refused = True
            case ToolCallDelta():
                call = said.calls.setdefault(event.index, ["", ""])
                call[0] += event.name or ""
                call[1] += event.arguments
            case Finished():
                said.reason = event.reason
            case UsageReport():
                said.usage = event.usage
    if not decoder.complete:
        raise ValueError(f"{caller.name}: a stream without its end")
    if said.usage is None:  # not asked for, in a dialect in which one asks
        said.usage = Usage(output_tokens=1)
    return said
