"""Events of the Responses dialect to neutral ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fairlead.dialects._json import load_object
from fairlead.dialects.openai_responses.errors import decode_in_band, is_error
from fairlead.dialects.openai_responses.reasons import decode_reason
from fairlead.dialects.openai_responses.usage import decode_usage
from fairlead.dialects.openai_responses.written import neutral_logprobs
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
    UsageReport,
)

ENDS = frozenset({"response.completed", "response.incomplete"})
"""Events that hold the whole response, after which nothing comes."""

_HEAD = frozenset({"id", "object", "created_at", "model", "output", "usage", "status", "error", "incomplete_details"})
_CALL = frozenset({"type", "call_id", "name", "arguments", "status"})
_SKIPPED = frozenset(
    {
        "response.queued",
        "response.in_progress",
        "response.content_part.done",
        "response.output_text.done",
        "response.refusal.done",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.done",
        "response.reasoning_text.done",
        "response.function_call_arguments.done",
    }
)
"""Events that say again what others said, or nothing."""


class _Call(msgspec.Struct):
    index: int
    written: bool = False
    """Whether any of its arguments have come."""


class ResponseEventDecoder(EventReader):
    """Turns one raw stream into neutral events."""

    __slots__ = ("_calls", "_parts")

    def __init__(self) -> None:
        super().__init__()
        self._parts: dict[tuple[int, str, int], int] = {}
        """Where a part stands in the response, to its number."""
        self._calls: dict[int, _Call] = {}
        """Calls by the place of their item: calls are counted by themselves."""

    def _events(self, name: bytes, data: bytes) -> Iterator[ChatEvent]:
        if name == b"error":
            raise decode_in_band(data)
        if not data or name == b"ping":
            return
        body = load_object(data)
        if is_error(body):
            raise decode_in_band(data)
        match body:
            case {"type": "response.created"}:
                yield _started(response_of(body))
            case {"type": "response.output_item.added", "item": dict(item)}:
                yield from self._added(_number(body, "output_index"), item)
            case {"type": "response.output_item.done", "item": dict(item)}:
                yield from self._done(_number(body, "output_index"), item)
            case {"type": "response.content_part.added", "part": {"type": "output_text"}}:
                yield TextDelta(text="", part=self._part(body, "content_index"))
            case {"type": "response.content_part.added" | "response.reasoning_summary_part.added"}:
                pass
            case {"type": str(kind), "delta": str(delta)} if kind.endswith(".delta"):
                yield from self._delta(kind, delta, body)
            case {"type": str(kind)} if kind in ENDS:
                yield from self._ended(kind.removeprefix("response."), response_of(body))
            case {"type": str(kind)} if kind not in _SKIPPED:
                yield _opaque(kind, body)

    def _added(self, place: int, item: dict[str, Any]) -> Iterator[ChatEvent]:
        match item.get("type"):
            case "function_call":
                yield self._call(place, item)
            case "message" | "reasoning":
                pass  # its parts say more
            case _:
                yield _opaque("response.output_item.added", item)

    def _done(self, place: int, item: dict[str, Any]) -> Iterator[ChatEvent]:
        match item.get("type"):
            case "function_call":
                call, arguments = self._calls.get(place), _string(item.get("arguments"))
                if call is None:
                    yield self._call(place, item)
                elif arguments and not call.written:
                    yield ToolCallDelta(index=call.index, arguments=arguments)
            case "reasoning":
                encrypted = item.get("encrypted_content")
                if isinstance(encrypted, str):
                    yield ReasoningDelta(text="", encrypted=encrypted)
            case "message":
                pass
            case _:
                yield _opaque("response.output_item.done", item)

    def _call(self, place: int, item: dict[str, Any]) -> ToolCallDelta:
        arguments = _string(item.get("arguments"))
        call = self._calls[place] = _Call(len(self._calls), bool(arguments))
        return ToolCallDelta(
            index=call.index,
            id=_string(item.get("call_id")),
            name=_string(item.get("name")),
            arguments=arguments,
            extra={name: _raw(value) for name, value in item.items() if name not in _CALL and value is not None},
        )

    def _delta(self, kind: str, delta: str, body: dict[str, Any]) -> Iterator[ChatEvent]:
        match kind:
            case "response.output_text.delta":
                tokens = body.get("logprobs")
                logprobs = neutral_logprobs(tokens) if isinstance(tokens, list) else None
                if delta or logprobs:
                    yield TextDelta(text=delta, part=self._part(body, "content_index"), logprobs=logprobs)
            case "response.refusal.delta" if delta:
                yield RefusalDelta(text=delta)
            case "response.reasoning_summary_text.delta" if delta:
                yield ReasoningDelta(text=delta, part=self._part(body, "summary_index"))
            case "response.reasoning_text.delta" if delta:
                yield ReasoningDelta(text=delta, part=self._part(body, "content_index"))
            case "response.function_call_arguments.delta":
                call = self._calls.get(_number(body, "output_index"))
                if delta and call is not None:
                    call.written = True
                    yield ToolCallDelta(index=call.index, arguments=delta)
            case _ if delta:
                yield _opaque(kind, body)

    def _part(self, body: dict[str, Any], index: str) -> int:
        place = (_number(body, "output_index"), index, _number(body, index))
        return self._parts.setdefault(place, len(self._parts))

    def _ended(self, status: str, response: dict[str, Any]) -> Iterator[ChatEvent]:
        self.complete = True
        reason, own = decode_reason(status, response.get("incomplete_details"), called=bool(self._calls))
        yield Finished(reason=reason or "stop", extra={name: _raw(value) for name, value in own.items()})
        counts = decode_usage(response.get("usage"), response.get("service_tier"), response.get("tool_usage"))
        if counts is not None:
            yield UsageReport(usage=counts)


def response_of(body: dict[str, Any]) -> dict[str, Any]:
    """The response that an event holds."""
    response = body.get("response")
    return response if isinstance(response, dict) else {}


def _started(response: dict[str, Any]) -> Started:
    created = response.get("created_at")
    return Started(
        id=_string(response.get("id")),
        model=_string(response.get("model")),
        created=int(created) if isinstance(created, int | float) else 0,
        extra={name: _raw(value) for name, value in response.items() if name not in _HEAD},
    )


def _opaque(kind: str, value: dict[str, Any]) -> OpaqueDelta:
    """An event or an item as it is, but for the number that it has in this very stream."""
    told = {name: each for name, each in value.items() if name != "sequence_number"}
    return OpaqueDelta(dialect="openai_responses", kind=kind, raw=_raw(told))


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _number(body: dict[str, Any], name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
