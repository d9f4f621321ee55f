"""Streams of the Responses dialect: typed and numbered events, ended by the whole response."""

from __future__ import annotations

from typing import Any

from fairlead.dialects._json import load_object
from fairlead.dialects.frames import EventScanner, bodies, parsed
from fairlead.dialects.openai_responses.decoder import ENDS, ResponseEventDecoder, response_of
from fairlead.dialects.openai_responses.encoder import ResponseEventEncoder
from fairlead.dialects.openai_responses.errors import decode_in_band, is_error
from fairlead.dialects.openai_responses.usage import decode_usage

_PLAIN = tuple(
    f"event: response.{kind}.delta\ndata: {{".encode()
    for kind in ("output_text", "function_call_arguments", "reasoning_summary_text", "reasoning_text", "refusal")
)
"""How an event begins that holds a piece of content and nothing else."""
_SILENT_ITEMS = frozenset({"message", "reasoning"})
"""Items whose beginning says nothing yet."""


class ResponseScanner(EventScanner):
    """Follows one raw stream, decoding events only until content was seen and where they may hold usage or an error.

    What comes after the whole response or after an error is dropped.
    """

    __slots__ = ()

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
        self.content = self.content or has_content(body)
        if body.get("type") in ENDS:
            response = response_of(body)
            self.usage = decode_usage(response.get("usage"), response.get("service_tier"), response.get("tool_usage"))
            self.complete = True
        return True


def scanner(*, forward_usage: bool) -> ResponseScanner:  # noqa: ARG001
    """Follow one raw stream; its usage stands in the last event and is never taken out."""
    return ResponseScanner()


def decoder() -> ResponseEventDecoder:
    """Turn one raw stream into neutral events."""
    return ResponseEventDecoder()


def encoder(*, include_usage: bool) -> ResponseEventEncoder:  # noqa: ARG001
    """Turn neutral events into one raw stream, which always counts."""
    return ResponseEventEncoder()


def text(raw: bytes) -> str:
    """All that the model wrote in a raw stream, whole or torn; an event that is not whole counts for nothing."""
    pieces: list[str] = []
    for body in bodies(raw):
        delta = body.get("delta")
        if isinstance(delta, str):
            pieces.append(delta)
    return "".join(pieces)


def has_content(body: dict[str, Any]) -> bool:
    """Whether an event says anything: the beginning of a message or of a thought does not, that of any other item does,
    and so does the end, for an answer may be empty."""
    match body:
        case {"type": "response.output_item.added", "item": {"type": str(kind)}}:
            return kind not in _SILENT_ITEMS
        case {"type": str(kind), "delta": str(delta)} if kind.endswith(".delta"):
            return bool(delta)
    return body.get("type") in ENDS


def _is_plain(chunk: bytes) -> bool:
    """Whether a chunk is whole pieces of content, each two lines as OpenAI writes them, and nothing else.

    Inside a JSON string quotes are escaped, so that `error` with its quotes is a key or a whole string.
    """
    if not chunk.endswith(b"}\n\n") or b"\r" in chunk or b'"error"' in chunk:
        return False
    if chunk.count(b"\n") == 3:
        return chunk.startswith(_PLAIN)  # a chunk as nearly all are: a single event
    return all(event.startswith(_PLAIN) and event.count(b"\n") == 1 for event in chunk[:-2].split(b"\n\n"))
