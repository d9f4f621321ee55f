"""A vendor that does all that is asked of it, in each dialect, and others that do not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from live.house import NO_SUCH_MODEL, open_house
from live.run import Planned, Result, plan, run
from live.subjects import Models, Subject
from live.tape import Taped
from live.wallet import Wallet

from fairlead.dialects import dialect
from fairlead.dialects.codec import Dialect
from fairlead.errors import ModelNotFound
from fairlead.providers import facts
from fairlead.testing import Answer, FakeUpstream, Received, answers
from fairlead.types import (
    Chat,
    ChatEvent,
    ChatReply,
    Choice,
    Finished,
    ImagePart,
    Message,
    Started,
    TextDelta,
    TextPart,
    ToolCall,
    ToolCallDelta,
    Usage,
    UsageReport,
)

KEYS = {"OPENAI_API_KEY": "sk-proj-openai-0123456789abcdef", "ANTHROPIC_API_KEY": "sk-ant-api03-0123456789abcdef"}
CHAT = {"openai": "gpt-4.1-nano", "anthropic": "claude-haiku-4-5"}
USAGE = Usage(input_tokens=20, output_tokens=5)
CAP_NANOUSD = 500_000_000


def subject(
    name: str, upstream: FakeUpstream, *, embeddings: str | None = None, lacks: tuple[str, ...] = ()
) -> Subject:
    """A vendor of the table, at the address of an upstream of ours, which speaks the first of its dialects alone."""
    vendor = facts.load().vendors[name]
    return Subject(
        name=name,
        vendor=msgspec.structs.replace(vendor, speaks=vendor.speaks[:1]),
        models=Models(chat=CHAT[name], embeddings=embeddings, lacks=frozenset(lacks)),
        base_url=upstream.base_url,
    )


def able(name: str) -> Callable[[Received], Answer]:
    """How a vendor answers that can do everything, in its own dialect."""
    spoken = dialect(name)

    def answer(request: Received) -> Answer:
        if spoken.count is not None and request.path.endswith((spoken.count_path or "").rpartition("}")[2]):
            return answers.json(spoken.count(len(request.body) // 4))
        chat: Chat = spoken.request.decode(spoken.request.read(request.body, request.path.partition("?")[0]).fields)
        if chat.model == NO_SUCH_MODEL:
            body = spoken.errors.encode(ModelNotFound(f"no model {chat.model}"))
            return answers.status(404, {"content-type": "application/json"}, body)
        message, reason = _said(chat)
        headers = {"x-request-id": "req_011CSHoEeqs5C35K2UUqR7Fy", "openai-organization": "acme-inc"}
        if chat.stream:
            pieces = _streamed(spoken, list(_events(message, reason)))
            return Answer(
                headers=(("content-type", "text/event-stream"), *headers.items()), pieces=pieces, framing="chunked"
            )
        choice = Choice(index=0, message=message, finish_reason=reason)
        reply = ChatReply(id="answer-1", model=chat.model, created=1, choices=(choice,), usage=USAGE)
        return answers.status(200, {"content-type": "application/json", **headers}, spoken.reply.encode(reply))

    return answer


def _said(chat: Chat) -> tuple[Message, str]:
    asked = chat.messages[-1]
    if chat.tools and asked.role != "tool":
        cities = re.findall("Oslo|Lima", asked.text)
        calls = tuple(
            ToolCall(id=f"call_{city}", name="get_weather", arguments=json.dumps({"city": city})) for city in cities
        )
        return Message(role="assistant", tool_calls=calls), "tool_calls"
    text, reason = _text(chat, asked), "stop"
    if chat.max_output_tokens is not None and chat.max_output_tokens < 20:
        text, reason = text[:10], "length"
    for stop in chat.stop:
        text = text.partition(stop)[0]
    return Message(role="assistant", parts=(TextPart(text=text),)), reason


def _text(chat: Chat, asked: Message) -> str:
    if chat.messages[0].role in {"system", "developer"}:
        return "Heron"
    if chat.response_format is not None:
        return '{"name": "Ada", "age": 36}'
    if any(isinstance(part, ImagePart) for part in asked.parts):
        return "Red."
    if asked.role == "tool":
        return "It is 17 degrees."
    if "pong" in asked.text:
        return "pong"
    return "1, 2, 3, 4, 5, 6, 7, 8, 9 and so on until 30"


def _events(message: Message, reason: str) -> Iterator[ChatEvent]:
    yield Started(id="answer-1", model="m", created=1)
    for word in re.findall(r"\S+\s*", message.text):
        yield TextDelta(text=word)
    for index, call in enumerate(message.tool_calls):
        yield ToolCallDelta(index=index, id=call.id, name=call.name, arguments=call.arguments[:5])
        yield ToolCallDelta(index=index, arguments=call.arguments[5:])
    yield Finished(reason=reason)
    yield UsageReport(usage=USAGE)


def _streamed(spoken: Dialect, events: list[ChatEvent]) -> tuple[bytes, ...]:
    encoder = spoken.streams.encoder(include_usage=True)
    return (*(encoder.encode(event) for event in events), encoder.end())


@dataclass
class Tried:
    """A run, and what it left."""

    results: list[Result]
    wallet: Wallet
    kept: list[tuple[Result, list[Taped]]] = field(default_factory=list)

    @property
    def statuses(self) -> Mapping[str, str]:
        """Status by `vendor dialect feature`."""
        return {f"{each.vendor} {each.dialect} {each.feature}": each.status for each in self.results}

    def why(self, feature: str) -> str:
        """What is said about the first of that name."""
        return next(each.why or "" for each in self.results if each.feature == feature)


async def trying(
    subjects: list[Subject],
    root: Path,
    *features: str,
    planned: list[Planned] | None = None,
    cap_nanousd: int = CAP_NANOUSD,
    wallet: Wallet | None = None,
) -> Tried:
    """Run what is planned, else the features named, else all of them."""
    tried = Tried([], wallet or Wallet(cap_nanousd))
    house = await open_house(subjects, KEYS, root, cap_nanousd)
    try:
        tried.results = await run(
            house, tried.wallet, planned or plan(subjects, features),
            keep=lambda result, taped: tried.kept.append((result, taped)), done=lambda _: None,
        )  # fmt: skip
    finally:
        await house.aclose()
    return tried


def saying(text: str) -> Answer:
    """An OpenAI answer of one text."""
    choice = Choice(index=0, message=Message(role="assistant", parts=(TextPart(text=text),)), finish_reason="stop")
    reply = ChatReply(id="answer-1", model="m", created=1, choices=(choice,), usage=USAGE)
    body = dialect("openai_chat").reply.encode(reply)
    return answers.status(200, {"content-type": "application/json"}, body)
