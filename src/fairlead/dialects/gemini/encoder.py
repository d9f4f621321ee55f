"""Neutral events to events of the Gemini dialect.

A call goes out once it is whole, for this dialect has no pieces of arguments.  How each candidate ended goes out with
the usage in the last event, as Google writes it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.gemini.decoder import CANDIDATE
from fairlead.dialects.gemini.logprobs import encode_logprobs
from fairlead.dialects.gemini.objects import Fields
from fairlead.dialects.gemini.parts import encode_answer
from fairlead.dialects.gemini.reasons import encode_reason
from fairlead.dialects.gemini.usage import encode_usage
from fairlead.errors import InvalidRequest, UpstreamProtocol
from fairlead.types import (
    ChatEvent,
    Finished,
    Message,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    UsageReport,
)

_FIELDS = msgspec.json.Decoder(Fields)
_EMPTY = {"text": ""}


class ContentEventEncoder:
    """Turns neutral events into one raw stream, as Google writes it."""

    __slots__ = ("_calls", "_common", "_finished", "_refused", "_usage")

    def __init__(self) -> None:
        self._common: dict[str, Any] = {}
        self._calls: dict[int, dict[int, ToolCall]] = {}
        """The calls of each choice that have not gone out, by their index."""
        self._finished: dict[int, Finished] = {}
        self._refused: set[int] = set()
        self._usage: Usage | None = None

    def encode(self, event: ChatEvent) -> bytes:
        """The events for one.

        Raises:
            UpstreamProtocol: a call is over whose arguments are no JSON object.
        """
        match event:
            case Started():
                told = {"responseId": event.id, "modelVersion": event.model}
                self._common = {name: value for name, value in told.items() if value}
                return b""
            case UsageReport():
                self._usage = event.usage
                return b""
            case ToolCallDelta():
                self._add(event)
                return b""
            case Finished():
                self._finished[event.choice] = event
                return self._written_calls(event.choice)
        return self._written_calls(event.choice) + self._said(event)

    def end(self) -> bytes:
        """The calls that are still open, how each candidate ended, and the usage.

        Raises:
            UpstreamProtocol: the arguments of a call are no JSON object.
        """
        out = b"".join([self._written_calls(choice) for choice in tuple(self._calls)])
        body: dict[str, Any] = {}
        feedback = [each.extra["promptFeedback"] for each in self._finished.values() if "promptFeedback" in each.extra]
        if feedback:
            body["promptFeedback"] = feedback[0]
        else:
            finished = self._finished or {0: Finished(reason="stop")}
            body["candidates"] = [_last(event, choice in self._refused) for choice, event in sorted(finished.items())]
        if self._usage is not None:
            body["usageMetadata"] = encode_usage(self._usage)
        return out + self._frame(body)

    def _said(self, event: TextDelta | ReasoningDelta | RefusalDelta | OpaqueDelta) -> bytes:  # noqa: PLR0911 - a table
        match event:
            case TextDelta(text="", logprobs=None) | ReasoningDelta(text="", signature=None):
                return b""
            case TextDelta():
                return self._chunk(event.choice, [{"text": event.text}], encode_logprobs(event.logprobs))
            case RefusalDelta():
                self._refused.add(event.choice)
                return self._chunk(event.choice, [{"text": event.text}])
            case ReasoningDelta():
                signed = {} if event.signature is None else {"thoughtSignature": event.signature}
                return self._chunk(event.choice, [{"text": event.text, "thought": True, **signed}])
            case OpaqueDelta(dialect="gemini", kind=kind) if kind == CANDIDATE:
                return self._chunk(event.choice, [_EMPTY], _FIELDS.decode(event.raw))
            case OpaqueDelta(dialect="gemini"):
                return self._chunk(event.choice, [event.raw])
        return b""

    def _add(self, event: ToolCallDelta) -> None:
        calls = self._calls.setdefault(event.choice, {})
        call = calls.get(event.index) or ToolCall(id="", name="", arguments="")
        calls[event.index] = msgspec.structs.replace(
            call,
            id=call.id or event.id or "",
            name=call.name or event.name or "",
            arguments=call.arguments + event.arguments,
            extra=call.extra | event.extra,
        )

    def _written_calls(self, choice: int) -> bytes:
        """The calls of a choice so far: something else comes, so that they are whole."""
        calls = self._calls.pop(choice, {})
        if not calls:
            return b""
        try:
            parts = encode_answer(Message(role="assistant", tool_calls=tuple(calls.values())))
        except InvalidRequest as error:
            raise UpstreamProtocol(
                "The provider's stream cannot be put into the form of Gemini's content.", detail=error.message
            ) from None
        return self._chunk(choice, parts)

    def _chunk(self, choice: int, parts: list[Any], more: dict[str, Any] | None = None) -> bytes:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": choice, **(more or {})}
        return self._frame({"candidates": [candidate]})

    def _frame(self, body: dict[str, Any]) -> bytes:
        return b"data: " + msgspec.json.encode(body | self._common) + b"\n\n"


def _last(event: Finished, refused: bool) -> dict[str, Any]:  # noqa: FBT001 - of one caller
    return {
        "content": {"parts": [_EMPTY], "role": "model"},
        "finishReason": encode_reason(event.reason, refused=refused),
        "index": event.choice,
        **event.extra,
    }
