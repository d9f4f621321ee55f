"""Neutral events to events of the Anthropic dialect.

This dialect writes one block after the other.  A provider may write the arguments of two calls by turns: then those of
the first go out as they come, and the others wait until it is whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.anthropic.reasons import encode_reason
from fairlead.dialects.anthropic.usage import encode_delta_usage, encode_usage
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

_END_CHARS = 8
"""How much of the end of arguments is looked at before they are read as a whole."""
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Block(msgspec.Struct):
    """The block that is being written."""

    index: int
    kind: str
    part: int | None = None
    ended: bool = False
    """What comes now belongs to another block: a signature is the last of its own."""


class _Call(msgspec.Struct):
    """One call of a tool, and what of it has not gone out yet."""

    first: ToolCallDelta
    arguments: str = ""
    waiting: str = ""

    @property
    def is_whole(self) -> bool:
        if not self.arguments[-_END_CHARS:].rstrip().endswith("}"):
            return False  # asked for each piece: nearly always this is all that is looked at
        try:
            _OBJECT.decode(self.arguments)
        except (ValueError, RecursionError):
            return False
        return True


class MessageEventEncoder:
    """Turns neutral events into one raw stream, as Anthropic writes it.

    Of several choices only the first is written: this dialect has one.
    """

    __slots__ = ("_block", "_calls", "_finished", "_id", "_next", "_order", "_refused", "_started", "_usage")

    def __init__(self) -> None:
        self._id = ""
        self._started = False
        self._next = 0
        self._block: _Block | None = None
        self._calls: dict[int, _Call] = {}
        self._order: list[int] = []
        """The calls that are not written to the end; the first of them is being written."""
        self._refused = False
        self._finished: Finished | None = None
        self._usage: Usage | None = None

    def encode(self, event: ChatEvent) -> bytes:
        """The events for one; the end of the message and its usage go out by `end`, so that they come last."""
        if isinstance(event, UsageReport):
            self._usage = event.usage
            return b""
        if isinstance(event, Started):
            return self._start(event)
        if event.choice != 0:
            return b""
        head = self._start(Started(id="", model="", created=0))
        if isinstance(event, ToolCallDelta):
            return head + self._call_piece(event)
        return head + self._written_calls() + self._other(event)

    def end(self) -> bytes:
        """What is still open, how the message ended, its usage, and the terminator."""
        out = self._start(Started(id="", model="", created=0)) + self._written_calls() + self._close()
        finished = self._finished or Finished(reason="stop")
        delta = {
            "stop_reason": encode_reason(finished.reason, called=bool(self._calls), refused=self._refused),
            "stop_sequence": None,
            **finished.extra,
        }
        body = {"type": "message_delta", "delta": delta, "usage": encode_delta_usage(self._usage)}
        return out + _frame(body) + _frame({"type": "message_stop"})

    def _start(self, event: Started) -> bytes:
        if self._started:
            return b""
        self._started = True
        self._id = event.id
        extra = dict(event.extra)
        counts = encode_usage(event.usage)
        if "usage" in extra:
            counts |= msgspec.json.decode(extra.pop("usage"))
        message: dict[str, Any] = {
            "id": event.id,
            "type": "message",
            "role": "assistant",
            "model": event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": counts,
        }
        return _frame({"type": "message_start", "message": message | extra})

    def _other(self, event: TextDelta | ReasoningDelta | RefusalDelta | OpaqueDelta | Finished) -> bytes:
        match event:
            case TextDelta():
                return self._text(event.text, event.part)
            case RefusalDelta():
                self._refused = True
                return self._text(event.text, None)
            case ReasoningDelta():
                return self._reasoning(event)
            case OpaqueDelta():
                return self._opaque(event)
        self._finished = event
        return self._close()

    def _text(self, text: str, part: int | None) -> bytes:
        if not text and part is None:
            return b""
        head = self._continue("text", part, {"type": "text", "text": ""})
        return head + (self._piece({"type": "text_delta", "text": text}) if text else b"")

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        if event.encrypted is not None:
            return self._open("redacted_thinking", event.part, {"type": "redacted_thinking", "data": event.encrypted})
        if not event.text and event.signature is None and event.part is None:
            return b""
        out = self._continue("thinking", event.part, {"type": "thinking", "thinking": "", "signature": ""})
        if event.text:
            out += self._piece({"type": "thinking_delta", "thinking": event.text})
        if event.signature is not None and self._block is not None:
            out += self._piece({"type": "signature_delta", "signature": event.signature})
            self._block.ended = True
        return out

    def _opaque(self, event: OpaqueDelta) -> bytes:
        if event.dialect != "anthropic":
            return b""
        if event.kind == "content_block_start":
            return self._open("opaque", None, event.raw)
        if event.kind == "content_block_delta":
            return b"" if self._block is None else self._piece(event.raw)
        return b"event: %b\ndata: %b\n\n" % (event.kind.encode(), bytes(event.raw))

    def _call_piece(self, event: ToolCallDelta) -> bytes:
        call = self._calls.get(event.index)
        if call is None:
            call = self._calls[event.index] = _Call(event)
            self._order.append(event.index)
        call.arguments += event.arguments
        call.waiting += event.arguments
        out = b""
        # The next call begins once the one before it is whole, which nothing but its arguments tells.
        while len(self._order) > 1 and self._calls[self._order[0]].is_whole:
            out += self._write_call(self._order.pop(0)) + self._close()
        return out + self._write_call(self._order[0]) if self._order else out

    def _written_calls(self) -> bytes:
        """All that the calls so far still hold: something else comes, so that they are over."""
        out = b"".join([self._write_call(index) + self._close() for index in self._order])
        self._order.clear()
        return out

    def _write_call(self, index: int) -> bytes:
        call = self._calls[index]
        out = b""
        if self._block is None or (self._block.kind, self._block.part) != ("tool_use", index):
            name = call.first.id or f"toolu_{self._id}_{index}"
            block = {"type": "tool_use", "id": name, "name": call.first.name or "", "input": {}, **call.first.extra}
            out = self._open("tool_use", index, block)
        if call.waiting:
            out += self._piece({"type": "input_json_delta", "partial_json": call.waiting})
            call.waiting = ""
        return out

    def _continue(self, kind: str, part: int | None, block: dict[str, Any]) -> bytes:
        """Nothing where this block is being written, else its beginning."""
        now = self._block
        if now is not None and now.kind == kind and not now.ended and (part is None or part == now.part):
            return b""
        return self._open(kind, part, block)

    def _open(self, kind: str, part: int | None, block: dict[str, Any] | msgspec.Raw) -> bytes:
        out = self._close()
        self._block = _Block(self._next, kind, part)
        self._next += 1
        return out + _frame({"type": "content_block_start", "index": self._block.index, "content_block": block})

    def _piece(self, delta: dict[str, Any] | msgspec.Raw) -> bytes:
        index = 0 if self._block is None else self._block.index
        return _frame({"type": "content_block_delta", "index": index, "delta": delta})

    def _close(self) -> bytes:
        if self._block is None:
            return b""
        index, self._block = self._block.index, None
        return _frame({"type": "content_block_stop", "index": index})


def _frame(body: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (body["type"].encode(), msgspec.json.encode(body))
