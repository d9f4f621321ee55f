"""Streams of the OpenAI dialect: server-sent events with a JSON chunk each, ended by `data: [DONE]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.core.sse import MAX_EVENT_BYTES, SseError, SseParser, split_events
from fairlead.dialects.openai_chat._json import load_object, loads
from fairlead.dialects.openai_chat.errors import decode_in_band, is_error
from fairlead.dialects.openai_chat.events import ChatEventDecoder, ChatEventEncoder
from fairlead.dialects.openai_chat.usage import decode_usage
from fairlead.errors import FairleadError, UpstreamProtocol
from fairlead.types import Usage

_CONTENT_FIELDS = ("content", "tool_calls", "reasoning_content", "reasoning", "refusal", "function_call", "audio")


class ChatScanner:
    """Follows one raw stream, decoding events only until content was seen and where they may hold usage or an error.

    What comes after `[DONE]` or after an error is dropped.  A chunk that has both choices and usage (running totals,
    as vLLM sends them on request) is passed on whole: only a chunk of nothing but usage is an answer to our own asking.
    """

    __slots__ = ("_forward_usage", "_rest", "complete", "content", "error", "usage")

    def __init__(self, *, forward_usage: bool) -> None:
        self._forward_usage = forward_usage
        self._rest = bytearray()
        self.usage: Usage | None = None
        self.content = False
        self.complete = False
        self.error: FairleadError | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Take raw bytes, give back the whole events among them that may go to the caller.

        Raises:
            UpstreamProtocol: an event over `MAX_EVENT_BYTES`, or one that must be decoded and is no JSON object.
        """
        if self.complete or self.error is not None:
            return b""
        # Providers write whole events, of a JSON object each: after the first content nearly every chunk ends here.
        if self.content and not self._rest and chunk.endswith(b"}\n\n") and _is_plain(chunk):
            return chunk
        self._rest += chunk
        if b"\n" not in chunk and b"\r" not in chunk:
            self._check_size()
            return b""
        try:
            events, rest = split_events(bytes(self._rest))
        except SseError as error:
            raise UpstreamProtocol(f"The provider's stream is not well formed: {error}.") from None
        self._rest = bytearray(rest)
        self._check_size()
        return b"".join([event for event in events if self._passes(event)])

    def _check_size(self) -> None:
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamProtocol(f"The provider sent an event longer than {MAX_EVENT_BYTES} bytes.")

    def _passes(self, event: bytes) -> bool:
        if self.complete or self.error is not None:
            return False
        if self.content and _is_plain(event):
            return True
        for name, data in _parsed(event):
            if data.startswith(b"[DONE]"):
                self.complete = True
            elif data and not self._chunk(name, data):
                return False
        return True

    def _chunk(self, name: bytes, data: bytes) -> bool:
        body = load_object(data)
        if is_error(body, name):
            self.error = decode_in_band(data)
            return False
        choices = body.get("choices")
        usage = decode_usage(body.get("usage"), body.get("service_tier"))
        if usage is not None:
            # A total in a chunk with choices is a running one; the one that stands alone is the last word.
            self.usage = usage if self.usage is None or not choices else self.usage.maximum(usage)
        if not self.content:
            self.content = has_content(choices)
        return bool(choices) or usage is None or self._forward_usage


def scanner(*, forward_usage: bool) -> ChatScanner:
    """Follow one raw stream.

    Args:
        forward_usage: whether the caller asked for the usage chunk; otherwise it is taken out.
    """
    return ChatScanner(forward_usage=forward_usage)


def decoder() -> ChatEventDecoder:
    """Turn one raw stream into neutral events."""
    return ChatEventDecoder()


def encoder(*, include_usage: bool, extra: Mapping[str, Any] | None = None) -> ChatEventEncoder:
    """Turn neutral events into one raw stream.

    Args:
        include_usage: end with a usage chunk, as the caller asked.
        extra: further top-level fields of every chunk, such as `system_fingerprint`.
    """
    return ChatEventEncoder(include_usage=include_usage, extra=extra or {})


def text(raw: bytes) -> str:
    """All that the model wrote in a raw stream, whole or torn; an event that is not whole counts for nothing."""
    pieces: list[str] = []
    for _, data in _parsed(raw):
        try:
            body = loads(data)
        except UpstreamProtocol:
            continue
        choices = body.get("choices") if isinstance(body, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if isinstance(delta, dict):
                pieces += _written(delta)
    return "".join(pieces)


def has_content(choices: Any) -> bool:
    """Whether a chunk's choices say anything: a role alone does not, the end of a choice does, for an answer may be
    empty."""
    if not isinstance(choices, list):
        return False
    for choice in choices:
        if not isinstance(choice, dict):
            continue
        delta = choice.get("delta")
        if choice.get("finish_reason") is not None:
            return True
        if isinstance(delta, dict) and any(delta.get(name) for name in _CONTENT_FIELDS):
            return True
    return False


def _is_plain(chunk: bytes) -> bool:
    """Whether no event in here can hold a usage, an error or the end.

    Inside a JSON string quotes are escaped, so that these words with their quotes are keys or whole strings.
    """
    if b'"error"' in chunk or b"[DONE]" in chunk:
        return False
    named = chunk.find(b'"usage"')
    while named >= 0:
        if not chunk.startswith(b":null", named + 7):
            return False
        named = chunk.find(b'"usage"', named + 12)
    return True


def _parsed(raw: bytes) -> list[tuple[bytes, bytes]]:
    try:
        return [(event.event, event.data) for event in SseParser().feed(raw)]
    except SseError:
        return []


def _written(delta: dict[str, Any]) -> list[str]:
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    values = [reasoning, delta.get("content"), delta.get("refusal")]
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        values.append(function.get("arguments") if isinstance(function, dict) else None)
    return [value for value in values if isinstance(value, str)]
