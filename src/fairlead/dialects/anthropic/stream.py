"""Streams of the Anthropic dialect: named server-sent events, ended by `message_stop`."""

from __future__ import annotations

from typing import Any

from fairlead.dialects._json import load_object
from fairlead.dialects.anthropic.decoder import MessageEventDecoder
from fairlead.dialects.anthropic.encoder import MessageEventEncoder
from fairlead.dialects.anthropic.errors import decode_in_band, is_error
from fairlead.dialects.anthropic.usage import decode_usage, updated
from fairlead.dialects.frames import EventScanner, bodies, parsed

_NAME = b"event: content_block_delta\n"
_PLAIN = (_NAME + b'data: {"type":"content_block_delta"', _NAME + b'data: {"type": "content_block_delta"')
"""How an event begins that holds a piece of content and nothing else."""
_WRITTEN = ("text", "thinking", "partial_json")


class MessageScanner(EventScanner):
    """Follows one raw stream, decoding events only until content was seen and where they may hold usage or an error.

    The output that `message_start` counts is a placeholder: until a later event has counted, `usage` is unknown, and
    `prompt` says what the input costs.  What comes after `message_stop` or after an error is dropped.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}

    def flows(self, chunk: bytes) -> bool:
        """Whether a chunk goes on as it is: after the first content nearly every one is a piece of it."""
        return self._flows and _is_plain(chunk)

    def _passes(self, event: bytes) -> bool:
        if self.content and _is_plain(event):
            return True
        for name, data in parsed(event):
            if name == b"error":
                # Whatever its data is, it is the provider's own words about a failure and not the model's.
                self.error = decode_in_band(data)
                return False
            if data and name != b"ping" and not self._take(data):
                return False
        return True

    def _take(self, data: bytes) -> bool:
        body = load_object(data)
        if is_error(body):
            self.error = decode_in_band(data)
            return False
        match body.get("type"):
            case "message_start":
                message = body.get("message")
                self._counts = updated({}, message.get("usage") if isinstance(message, dict) else None)
                self.prompt = decode_usage({**self._counts, "output_tokens": 0}) if self._counts else None
            case "message_delta":
                if isinstance(body.get("usage"), dict):
                    self._counts = updated(self._counts, body["usage"])
                    self.usage = decode_usage(self._counts)
            case "message_stop":
                self.complete = True
        self.content = self.content or has_content(body)
        return True


def scanner(*, forward_usage: bool) -> MessageScanner:  # noqa: ARG001
    """Follow one raw stream; its usage is part of events that every caller gets."""
    return MessageScanner()


def decoder() -> MessageEventDecoder:
    """Turn one raw stream into neutral events."""
    return MessageEventDecoder()


def encoder(*, include_usage: bool) -> MessageEventEncoder:  # noqa: ARG001
    """Turn neutral events into one raw stream, which always counts."""
    return MessageEventEncoder()


def text(raw: bytes) -> str:
    """All that the model wrote in a raw stream, whole or torn; an event that is not whole counts for nothing."""
    pieces: list[str] = []
    for body in bodies(raw):
        pieces += _written(body.get("delta")) + _written(body.get("content_block"))
    return "".join(pieces)


def has_content(body: dict[str, Any]) -> bool:
    """Whether an event says anything: the beginning of a text does not, that of anything else does, and so does the end
    of the message, for an answer may be empty."""
    match body:
        case {"type": "content_block_start", "content_block": {"type": "text" | "thinking"} as block}:
            return any(_written(block))
        case {"type": "content_block_start"}:
            return True
        case {"type": "content_block_delta", "delta": {"type": "text_delta" | "thinking_delta"} as delta}:
            return any(_written(delta))
        case {"type": "content_block_delta"}:
            return True
        case {"type": "message_delta", "delta": {"stop_reason": str()}}:
            return True
    return False


def _is_plain(chunk: bytes) -> bool:
    """Whether a chunk is whole pieces of content, each two lines as Anthropic writes them, and nothing else."""
    if not chunk.endswith(b"}\n\n") or b"\r" in chunk:
        return False
    if chunk.find(b"\n", len(_NAME)) == len(chunk) - 2:
        return chunk.startswith(_PLAIN)  # a chunk as nearly all are: a single event
    return all(event.startswith(_PLAIN) and event.find(b"\n", len(_NAME)) < 0 for event in chunk[:-2].split(b"\n\n"))


def _written(piece: Any) -> list[str]:
    values = [piece.get(name) for name in _WRITTEN] if isinstance(piece, dict) else []
    return [value for value in values if isinstance(value, str)]
