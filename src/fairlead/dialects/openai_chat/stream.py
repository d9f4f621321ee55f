"""Streams of the OpenAI dialect: server-sent events with a JSON chunk each, ended by `data: [DONE]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.dialects._json import load_object
from fairlead.dialects.frames import EventScanner, bodies, parsed
from fairlead.dialects.openai_chat.errors import decode_in_band, is_error
from fairlead.dialects.openai_chat.events import ChatEventDecoder, ChatEventEncoder
from fairlead.dialects.openai_chat.usage import decode_usage

_CONTENT_FIELDS = ("content", "tool_calls", "reasoning_content", "reasoning", "refusal", "function_call", "audio")
_BARE = b"data:"


class ChatScanner(EventScanner):
    """Follows one raw stream, decoding events only until content was seen and where they may hold usage or an error.

    What comes after `[DONE]` or after an error is dropped.  A chunk that has both choices and usage (running totals,
    as vLLM sends them on request) is passed on whole: only a chunk of nothing but usage is an answer to our own asking.
    """

    __slots__ = ("_forward_usage", "_head")

    def __init__(self, *, forward_usage: bool) -> None:
        super().__init__()
        self._forward_usage = forward_usage
        self._head = _BARE
        """How the events of this stream begin, up to their choices, where that is plain and need not be looked at again."""

    def flows(self, chunk: bytes) -> bool:
        """Whether a chunk goes on as it is: providers write whole events, of a JSON object each, so that after the first
        content nearly every one does."""
        if not self._flows or not chunk.endswith(b"}\n\n"):
            return False
        head = self._head if chunk.startswith(self._head) else _BARE
        return chunk.startswith(head) and _is_plain(chunk, len(head))

    def _passes(self, event: bytes) -> bool:
        if self.content and b"[DONE]" not in event and _is_plain(event, 0):
            return True
        for name, data in parsed(event):
            if name == b"error":
                # Whatever its data is, it is the provider's own words about a failure and not the model's.
                self.error = decode_in_band(data)
                return False
            if data.startswith(b"[DONE]"):
                self.complete = True
            elif data and not self._chunk(data):
                return False
        if self.content and self._head is _BARE:
            self._head = _plain_head(event)
        return True

    def _chunk(self, data: bytes) -> bool:
        body = load_object(data)
        if is_error(body):
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
    for body in bodies(raw):
        choices = body.get("choices")
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


def _is_plain(chunk: bytes, start: int) -> bool:
    """Whether no event in here, from `start` on, can hold a usage, an error or, before the last event, the end.

    Inside a JSON string quotes are escaped, so that a word with its quotes is a key or a whole string.  `error` is
    looked for without them: it may be an event's name.
    """
    if chunk.find(b"error", start) >= 0:
        return False
    # A single event has no other before it.
    if chunk.find(b"\n", start) != len(chunk) - 2 and chunk.find(b"[DONE]", start) >= 0:
        return False
    named = chunk.find(b'"usage"', start)
    while named >= 0:
        if not chunk.startswith(b":null", named + 7):
            return False
        named = chunk.find(b'"usage"', named + 12)
    return True


def _plain_head(event: bytes) -> bytes:
    """What stands before the choices of an event, as far as nothing in it has to be looked at in the next one."""
    head, found, _ = event.partition(b'"choices":')
    head += found
    return head if found and b"\n" not in head and _is_plain(head, 0) else _BARE


def _written(delta: dict[str, Any]) -> list[str]:
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    values = [reasoning, delta.get("content"), delta.get("refusal")]
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        values.append(function.get("arguments") if isinstance(function, dict) else None)
    return [value for value in values if isinstance(value, str)]
