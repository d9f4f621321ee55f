"""Events of the Anthropic dialect to neutral ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fairlead.dialects._json import load_object
from fairlead.dialects.anthropic.errors import decode_in_band, is_error
from fairlead.dialects.anthropic.reasons import decode_reason, raw_values
from fairlead.dialects.anthropic.usage import decode_usage, uncounted, updated
from fairlead.dialects.reader import EventReader
from fairlead.types import (
    ChatEvent,
    Finished,
    OpaqueDelta,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)

_MESSAGE = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
_CALL = frozenset({"type", "id", "name", "input"})
_SKIPPED = frozenset({"ping", "message_stop", "content_block_stop"})
"""Events that the others already say, or that say nothing."""


class MessageEventDecoder(EventReader):
    """Turns one raw stream into neutral events."""

    __slots__ = ("_bare", "_calls", "_counts")

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}
        self._calls: dict[int, int] = {}
        """A block's index to that of its call: calls are counted by themselves."""
        self._bare: set[int] = set()
        """The blocks of calls of which no arguments have come."""

    def _events(self, name: bytes, data: bytes) -> Iterator[ChatEvent]:
        if name == b"error":
            raise decode_in_band(data)
        if not data or name == b"ping":
            return
        body = load_object(data)
        if is_error(body):
            raise decode_in_band(data)
        match body:
            case {"type": "message_start", "message": dict(message)}:
                yield self._started(message)
            case {"type": "content_block_start", "content_block": dict(block)}:
                yield self._block(_index(body), block)
            case {"type": "content_block_delta", "delta": dict(delta)}:
                yield from self._delta(_index(body), delta)
            case {"type": "content_block_stop"} if _index(body) in self._bare:
                # Nothing at all is how this dialect writes no arguments; elsewhere it would be no JSON.
                self._bare.remove(_index(body))
                yield ToolCallDelta(index=self._calls[_index(body)], arguments="{}")
            case {"type": "message_delta"}:
                yield from self._ended(body)
            case {"type": "message_stop"}:
                self.complete = True
            case {"type": str(kind)} if kind not in _SKIPPED:
                yield _opaque(kind, body)

    def _started(self, message: dict[str, Any]) -> Started:
        self._counts = updated({}, message.get("usage"))
        # The output counted here is a placeholder: nothing has been written yet.
        counts = decode_usage({**self._counts, "output_tokens": 0}) if self._counts else None
        extra = {name: value for name, value in message.items() if name not in _MESSAGE}
        return Started(
            id=_string(message.get("id")),
            model=_string(message.get("model")),
            created=0,
            usage=counts,
            extra=raw_values(extra | {"usage": uncounted(message.get("usage")) or None}),
        )

    def _block(self, index: int, block: dict[str, Any]) -> ChatEvent:
        kind = _string(block.get("type"))
        match kind:
            case "text":
                return TextDelta(text=_string(block.get("text")), part=index)
            case "thinking":
                signature = _string(block.get("signature")) or None
                return ReasoningDelta(text=_string(block.get("thinking")), part=index, signature=signature)
            case "redacted_thinking":
                return ReasoningDelta(text="", part=index, encrypted=_string(block.get("data")))
            case "tool_use":
                return self._call(index, block)
        return _opaque("content_block_start", block)

    def _call(self, index: int, block: dict[str, Any]) -> ToolCallDelta:
        self._calls[index] = len(self._calls)
        given = block.get("input")
        if not given:
            self._bare.add(index)
        return ToolCallDelta(
            index=self._calls[index],
            id=_string(block.get("id")),
            name=_string(block.get("name")),
            # Nearly always empty, and then written in pieces.
            arguments=msgspec.json.encode(given).decode() if given else "",
            extra=raw_values({name: value for name, value in block.items() if name not in _CALL}),
        )

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[ChatEvent]:
        match delta:
            case {"type": "text_delta", "text": str(text)}:
                if text:
                    yield TextDelta(text=text, part=index)
            case {"type": "thinking_delta", "thinking": str(text)}:
                if text:
                    yield ReasoningDelta(text=text, part=index)
            case {"type": "signature_delta", "signature": str(signature)}:
                yield ReasoningDelta(text="", part=index, signature=signature)
            case {"type": "input_json_delta", "partial_json": str(piece)} if index in self._calls:
                if piece:
                    self._bare.discard(index)
                    yield ToolCallDelta(index=self._calls[index], arguments=piece)
            case _:
                yield _opaque("content_block_delta", delta)

    def _ended(self, body: dict[str, Any]) -> Iterator[ChatEvent]:
        delta = body.get("delta")
        delta = dict(delta) if isinstance(delta, dict) else {}
        reason = delta.pop("stop_reason", None)
        if isinstance(reason, str):
            neutral, own = decode_reason(reason)
            yield Finished(reason=neutral, extra=raw_values(delta | own))
        if isinstance(body.get("usage"), dict):
            self._counts = updated(self._counts, body["usage"])
            counts = decode_usage(self._counts)
            if counts is not None:
                yield UsageReport(usage=counts)


def _opaque(kind: str, value: dict[str, Any]) -> OpaqueDelta:
    return OpaqueDelta(dialect="anthropic", kind=kind, raw=msgspec.Raw(msgspec.json.encode(value)))


def _index(body: dict[str, Any]) -> int:
    value = body.get("index")
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
