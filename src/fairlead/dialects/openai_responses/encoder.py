"""Neutral events to events of the Responses dialect.

This dialect announces each item and each part of it, says at its end once more what it held, and ends with the whole
response.  Calls stay open beside one another until all is over, for a provider may write their arguments by turns.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.openai_responses.written import (
    Head,
    finished,
    item_id,
    item_status,
    output_text,
    running,
    token_logprobs,
)
from fairlead.types import (
    ChatEvent,
    Finished,
    FinishReason,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
    UsageReport,
)

_KINDS = {"output_text": "message", "refusal": "message", "summary_text": "reasoning"}
"""The items that the parts of each kind stand in."""


class _Part(msgspec.Struct):
    """The part that is being written."""

    kind: str
    number: int | None
    index: int
    text: str = ""
    logprobs: list[Any] = msgspec.field(default_factory=list)

    @property
    def body(self) -> dict[str, Any]:
        """As it stands in its item."""
        match self.kind:
            case "output_text":
                return output_text(self.text, self.logprobs)
            case "refusal":
                return {"type": "refusal", "refusal": self.text}
        return {"type": "summary_text", "text": self.text}


class _Item(msgspec.Struct):
    """An item that is being written."""

    place: int
    body: dict[str, Any]
    parts: list[dict[str, Any]] = msgspec.field(default_factory=list)

    @property
    def where(self) -> dict[str, Any]:
        """What every event about it says."""
        return {"item_id": self.body["id"], "output_index": self.place}


class ResponseEventEncoder:
    """Turns neutral events into one raw stream, as OpenAI writes it.

    Of several choices only the first is written: this dialect has one.
    """

    __slots__ = ("_calls", "_finished", "_head", "_item", "_number", "_output", "_part", "_started", "_usage")

    def __init__(self) -> None:
        self._head = Head()
        self._started = False
        self._number = 0
        self._output: list[Any] = []
        """The items so far, each as it ended, or as it will."""
        self._item: _Item | None = None
        self._part: _Part | None = None
        self._calls: dict[int, _Item] = {}
        """Calls that are being written."""
        self._finished: Finished | None = None
        self._usage: Usage | None = None

    def encode(self, event: ChatEvent) -> bytes:
        """The events for one; how the response ended goes out by `end`, so that it comes last and with its usage."""
        if isinstance(event, UsageReport):
            self._usage = event.usage
            return b""
        if isinstance(event, Started):
            return self._start(event)
        if event.choice != 0:
            return b""
        return self._start(Started(id="", model="", created=0)) + self._other(event)

    def end(self) -> bytes:
        """What is still open, and the whole response."""
        done = self._finished or Finished(reason="stop")
        out = self._start(Started(id="", model="", created=0)) + self._close(done.reason)
        extra = {name: msgspec.json.decode(raw) for name, raw in done.extra.items()}
        response = finished(self._head, self._output, done.reason, self._usage, extra)
        return out + self._event(f"response.{item_status(done.reason)}", response=response)

    def _start(self, event: Started) -> bytes:
        if self._started:
            return b""
        self._started = True
        extra = {name: msgspec.json.decode(raw) for name, raw in event.extra.items()}
        self._head = Head(id=event.id, model=event.model, created=event.created, extra=extra)
        begun = running(self._head)
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def _other(
        self, event: TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | OpaqueDelta | Finished
    ) -> bytes:
        match event:
            case TextDelta():
                return self._text(event)
            case RefusalDelta():
                return self._piece("refusal", None, event.text) if event.text else b""
            case ReasoningDelta():
                return self._reasoning(event)
            case ToolCallDelta():
                return self._call_piece(event)
            case OpaqueDelta():
                return self._opaque(event)
        self._finished = event
        return self._close(event.reason)

    def _text(self, event: TextDelta) -> bytes:
        tokens = token_logprobs(event.logprobs)
        if event.text or tokens:
            return self._piece("output_text", event.part, event.text, tokens)
        return b"" if event.part is None else self._continue("output_text", event.part)

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        out = self._piece("summary_text", event.part, event.text) if event.text else b""
        if event.encrypted is not None:
            out += self._open_item("reasoning")
            assert self._item is not None  # noqa: S101 - it was opened just now
            self._item.body["encrypted_content"] = event.encrypted
            out += self._close_item()
        return out

    def _piece(self, kind: str, part: int | None, text: str, tokens: list[Any] | None = None) -> bytes:
        head = self._continue(kind, part)
        now, item = self._part, self._item
        assert now is not None and item is not None  # noqa: S101, PT018 - `_continue` has opened both
        now.text += text
        now.logprobs += tokens or ()
        match kind:
            case "output_text":
                told = {"content_index": now.index, "delta": text, "logprobs": [_bare(token) for token in tokens or ()]}
                return head + self._event("response.output_text.delta", **item.where, **told)
            case "refusal":
                return head + self._event("response.refusal.delta", **item.where, content_index=now.index, delta=text)
        told = {"summary_index": now.index, "delta": text}
        return head + self._event("response.reasoning_summary_text.delta", **item.where, **told)

    def _continue(self, kind: str, number: int | None) -> bytes:
        """Nothing where such a part is being written, else its beginning, and that of its item."""
        now = self._part
        if now is not None and now.kind == kind and (number is None or number == now.number):
            return b""
        out = self._close_part() + self._open_item(_KINDS[kind])
        item = self._item
        assert item is not None  # noqa: S101 - it was opened just now
        self._part = _Part(kind, number, len(item.parts))
        if kind == "summary_text":
            name, index = "response.reasoning_summary_part.added", {"summary_index": len(item.parts)}
        else:
            name, index = "response.content_part.added", {"content_index": len(item.parts)}
        return out + self._event(name, **item.where, **index, part=self._part.body)

    def _open_item(self, kind: str) -> bytes:
        """Nothing where such an item is being written, else its beginning."""
        if self._item is not None and self._item.body["type"] == kind:
            return b""
        out = self._close_item()
        body: dict[str, Any] = {"id": item_id(self._head, kind, len(self._output)), "type": kind}
        if kind == "message":
            body |= {"status": "in_progress", "role": "assistant", "content": []}
        else:
            body["summary"] = []
        self._item = _Item(len(self._output), body)
        return out + self._add(body)

    def _call_piece(self, event: ToolCallDelta) -> bytes:
        item = self._calls.get(event.index)
        out = b""
        if item is None:
            out = self._close_item()
            place = len(self._output)
            body = {
                "id": item_id(self._head, "function_call", place),
                "type": "function_call",
                "status": "in_progress",
                "arguments": "",
                "call_id": event.id or f"call_{self._head.id}_{place}",
                "name": event.name or "",
                **{name: msgspec.json.decode(raw) for name, raw in event.extra.items()},
            }
            item = self._calls[event.index] = _Item(place, body)
            out += self._add(body)
        if event.arguments:
            out += self._event("response.function_call_arguments.delta", **item.where, delta=event.arguments)
            item.body["arguments"] += event.arguments
        return out

    def _opaque(self, event: OpaqueDelta) -> bytes:
        if event.dialect != "openai_responses":
            return b""
        body = msgspec.json.decode(event.raw)
        if event.kind == "response.output_item.added":
            return self._close_item() + self._add(body)
        if event.kind == "response.output_item.done":
            return self._opaque_done(body)
        return self._event(**body)

    def _opaque_done(self, body: dict[str, Any]) -> bytes:
        """The end of an item, which may have had no beginning."""
        begun = [place for place, item in enumerate(self._output) if item.get("id") == body.get("id")]
        out = b"" if begun else self._close_item() + self._add(body)
        place = begun[-1] if begun else len(self._output) - 1
        self._output[place] = body
        return out + self._event("response.output_item.done", output_index=place, item=body)

    def _add(self, body: dict[str, Any]) -> bytes:
        self._output.append(body)
        return self._event("response.output_item.added", output_index=len(self._output) - 1, item=body)

    def _close(self, reason: FinishReason | None = None) -> bytes:
        """The end of all that is being written."""
        status = item_status(reason)
        out = self._close_item(status)
        for item in self._calls.values():
            item.body["status"] = status
            written = item.body["arguments"]
            out += self._event("response.function_call_arguments.done", **item.where, arguments=written)
            out += self._event("response.output_item.done", output_index=item.place, item=item.body)
        self._calls.clear()
        return out

    def _close_item(self, status: str = "completed") -> bytes:
        out = self._close_part()
        item, self._item = self._item, None
        if item is None:
            return out
        if item.body["type"] == "message":
            item.body |= {"status": status, "content": item.parts}
        else:
            item.body["summary"] = item.parts
        return out + self._event("response.output_item.done", output_index=item.place, item=item.body)

    def _close_part(self) -> bytes:
        part, item = self._part, self._item
        self._part = None
        if part is None or item is None:
            return b""
        item.parts.append(part.body)
        if part.kind == "summary_text":
            index = {"summary_index": part.index}
            out = self._event("response.reasoning_summary_text.done", **item.where, **index, text=part.text)
            return out + self._event("response.reasoning_summary_part.done", **item.where, **index, part=part.body)
        index = {"content_index": part.index}
        if part.kind == "refusal":
            out = self._event("response.refusal.done", **item.where, **index, refusal=part.text)
        else:
            logprobs = [_bare(token) for token in part.logprobs]
            out = self._event("response.output_text.done", **item.where, **index, text=part.text, logprobs=logprobs)
        return out + self._event("response.content_part.done", **item.where, **index, part=part.body)

    def _event(self, type: str, **fields: Any) -> bytes:  # noqa: A002 - as the dialect calls it
        body = {"type": type, **fields, "sequence_number": self._number}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (type.encode(), msgspec.json.encode(body))


def _bare(token: Any) -> Any:
    """The log probability of a token as an event has it: without its bytes."""
    if not isinstance(token, dict):
        return token
    top = token.get("top_logprobs")
    told = {"token": token.get("token"), "logprob": token.get("logprob")}
    others = [_bare(each) for each in top] if isinstance(top, list) else None
    return told if others is None else {**told, "top_logprobs": others}
