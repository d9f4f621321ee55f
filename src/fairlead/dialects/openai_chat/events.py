"""Chunks of the OpenAI dialect to and from neutral events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fairlead.dialects._json import load_object
from fairlead.dialects.openai_chat.errors import decode_in_band, is_error
from fairlead.dialects.openai_chat.usage import decode_usage, encode_usage
from fairlead.dialects.reader import EventReader
from fairlead.types import (
    ChatEvent,
    Finished,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReport,
)


class ChatEventDecoder(EventReader):
    """Turns one raw stream into neutral events."""

    __slots__ = ("_calls", "_started")

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._calls: dict[int, _Calls] = {}
        """Those of each choice."""

    def _events(self, name: bytes, data: bytes) -> Iterator[ChatEvent]:
        if data.startswith(b"[DONE]"):
            self.complete = True
        if not data or self.complete:
            return
        body = load_object(data)
        if is_error(body, name):
            raise decode_in_band(data)
        if not self._started:
            self._started = True
            yield _started(body)
        choices = body.get("choices")
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                yield from self._choice_events(choice, position)
        usage = decode_usage(body.get("usage"), body.get("service_tier"))
        if usage is not None:
            yield UsageReport(usage=usage)

    def _choice_events(self, choice: dict[str, Any], position: int) -> Iterator[ChatEvent]:
        index = _index(choice.get("index"), position)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            yield from _delta_events(choice, delta, index)
            calls = delta.get("tool_calls")
            for place, call in enumerate(calls if isinstance(calls, list) else ()):
                if isinstance(call, dict):
                    yield self._calls.setdefault(index, _Calls()).delta(call, index, place)
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            yield Finished(reason=reason, choice=index)


class _Calls:
    """The calls of one choice.  Some servers give several of them one index, or none: a new id with a name is a new
    call.  An id alone is not, for others make one up for each piece."""

    __slots__ = ("_ids", "_numbers")

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        """By our number."""
        self._numbers: dict[int, int] = {}
        """Our number of the call that an index stands for at present."""

    def delta(self, call: dict[str, Any], choice: int, place: int) -> ToolCallDelta:
        """The event for a piece."""
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        index, name = _index(call.get("index"), place), _string(function.get("name"))
        call_id = _string(call.get("id"))
        return ToolCallDelta(
            index=self._number(index, call_id, name),
            choice=choice,
            id=call_id,
            name=name,
            arguments=_string(function.get("arguments")) or "",
        )

    def _number(self, index: int, call_id: str | None, name: str | None) -> int:
        number = self._numbers.get(index)
        if number is None or (call_id and name and self._ids[number] not in {"", call_id}):
            number = index if index not in self._ids else max(self._ids) + 1
            self._numbers[index] = number
            self._ids[number] = ""
        self._ids[number] = self._ids[number] or call_id or ""
        return number


class ChatEventEncoder:
    """Turns neutral events into one raw stream, as OpenAI writes it."""

    __slots__ = ("_common", "_include_usage", "_opened", "_usage")

    def __init__(self, *, include_usage: bool, extra: Mapping[str, Any]) -> None:
        self._include_usage = include_usage
        self._common = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": "", **extra}
        self._opened: set[int] = set()
        self._usage: Usage | None = None

    def encode(self, event: ChatEvent) -> bytes:
        """The chunks for an event; the first of a choice is preceded by one with its role.

        A usage goes out by `end`, so that it comes once and last.
        """
        match event:
            case Started():
                self._common |= {"id": event.id, "model": event.model, "created": event.created}
                return self._role(0)
            case UsageReport() | OpaqueDelta():
                if isinstance(event, UsageReport):
                    self._usage = event.usage
                return b""
            case Finished():
                return self._role(event.choice) + self._chunk(event.choice, {}, finish_reason=event.reason)
            case TextDelta(text="", logprobs=None) | ReasoningDelta(text=""):
                return self._role(event.choice)
            case TextDelta():
                delta = {"content": event.text}
                return self._role(event.choice) + self._chunk(event.choice, delta, logprobs=event.logprobs)
        return self._role(event.choice) + self._chunk(event.choice, _delta(event))

    def end(self) -> bytes:
        """The usage, where it was asked for and is known, and the terminator."""
        last = b""
        if self._include_usage and self._usage is not None:
            last = _frame(self._common | {"choices": [], "usage": encode_usage(self._usage)})
        return last + b"data: [DONE]\n\n"

    def _role(self, choice: int) -> bytes:
        if choice in self._opened:
            return b""
        self._opened.add(choice)
        return self._chunk(choice, {"role": "assistant", "content": "", "refusal": None})

    def _chunk(
        self,
        choice: int,
        delta: dict[str, Any],
        *,
        finish_reason: str | None = None,
        logprobs: msgspec.Raw | None = None,
    ) -> bytes:
        row = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        usage = {"usage": None} if self._include_usage else {}
        return _frame(self._common | {"choices": [row]} | usage)


def _frame(body: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def _delta(event: ReasoningDelta | RefusalDelta | ToolCallDelta) -> dict[str, Any]:
    match event:
        case ReasoningDelta():
            return {"reasoning_content": event.text}
        case RefusalDelta():
            return {"refusal": event.text}
    function: dict[str, Any] = {} if event.name is None else {"name": event.name}
    head = {} if event.id is None else {"id": event.id, "type": "function"}
    return {"tool_calls": [{"index": event.index, **head, "function": {**function, "arguments": event.arguments}}]}


def _started(body: dict[str, Any]) -> Started:
    created = body.get("created")
    return Started(
        id=_string(body.get("id")) or "",
        model=_string(body.get("model")) or "",
        created=int(created) if isinstance(created, int | float) else 0,
    )


def _delta_events(choice: dict[str, Any], delta: dict[str, Any], index: int) -> Iterator[ChatEvent]:
    reasoning = _string(delta.get("reasoning_content")) or _string(delta.get("reasoning"))
    if reasoning:
        yield ReasoningDelta(text=reasoning, choice=index)
    content, logprobs = _string(delta.get("content")), choice.get("logprobs")
    if content or logprobs:
        raw = None if logprobs is None else msgspec.Raw(msgspec.json.encode(logprobs))
        yield TextDelta(text=content or "", choice=index, logprobs=raw)
    refusal = _string(delta.get("refusal"))
    if refusal:
        yield RefusalDelta(text=refusal, choice=index)


def _index(value: Any, position: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else position


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
