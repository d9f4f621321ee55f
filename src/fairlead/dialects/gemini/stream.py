"""Streams of the Gemini dialect: unnamed server-sent events, each an answer of its own, over with the body.

There is no terminator: the body may end where every candidate that was seen has said why it ended, or the prompt was
blocked.  What comes after that is read all the same, such as usage in an event of its own.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects._json import load_object
from fairlead.dialects.frames import EventScanner, bodies, parsed
from fairlead.dialects.gemini.decoder import ContentEventDecoder
from fairlead.dialects.gemini.encoder import ContentEventEncoder
from fairlead.dialects.gemini.errors import decode_in_band, is_error
from fairlead.dialects.gemini.reasons import decode_reason
from fairlead.dialects.gemini.reply import blocked
from fairlead.dialects.gemini.usage import counts_output, decode_usage, prompt_alone, updated

_BARE = (b"{", b"[")
"""How an error begins that comes as it would have come outside a stream; Google's own client looks for such."""


class ContentScanner(EventScanner):
    """Follows one raw stream; every event may count tokens, so that every event is read.

    Until some output is counted `usage` is unknown, and `prompt` says what the input costs.  What comes after an error
    is dropped.
    """

    __slots__ = ("_counts", "_finished")

    reads_on = True

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}
        self._finished: dict[int, bool] = {}
        """Every candidate that was seen, and whether it has ended."""

    def flows(self, chunk: bytes) -> bool:  # noqa: ARG002
        """Never: every event may count."""
        return False

    def _passes(self, event: bytes) -> bool:
        if event.lstrip().startswith(_BARE):
            self.error = decode_in_band(event)
        for name, data in parsed(event):
            if self.error is None and name == b"error":
                # Whatever its data is, it is the provider's own words about a failure and not the model's.
                self.error = decode_in_band(data)
            elif self.error is None and data:
                self._take(data)
        return self.error is None

    def _take(self, data: bytes) -> None:
        body = load_object(data)
        if is_error(body):
            self.error = decode_in_band(data)
            return
        for place, candidate in enumerate(_candidates(body)):
            index = candidate.get("index")
            index = index if isinstance(index, int) and index >= 0 else place
            self._finished[index] = self._finished.get(index, False) or _has_ended(candidate)
        if blocked(body):
            self._finished = dict.fromkeys((*self._finished, 0), True)
        self.complete = bool(self._finished) and all(self._finished.values())
        self.content = self.content or has_content(body)
        if not isinstance(body.get("usageMetadata"), dict):
            return
        self._counts = updated(self._counts, body["usageMetadata"])
        self.prompt = prompt_alone(self._counts)
        if self.complete or counts_output(self._counts):
            self.usage = decode_usage(self._counts)


def scanner(*, forward_usage: bool) -> ContentScanner:  # noqa: ARG001
    """Follow one raw stream; its usage is part of events that every caller gets."""
    return ContentScanner()


def decoder() -> ContentEventDecoder:
    """Turn one raw stream into neutral events."""
    return ContentEventDecoder()


def encoder(*, include_usage: bool) -> ContentEventEncoder:  # noqa: ARG001
    """Turn neutral events into one raw stream, which always counts."""
    return ContentEventEncoder()


def text(raw: bytes) -> str:
    """All that the model wrote in a raw stream, whole or torn; an event that is not whole counts for nothing."""
    pieces: list[str] = []
    for body in bodies(raw):
        pieces += [_written(part) for candidate in _candidates(body) for part in _parts(candidate)]
    return "".join(pieces)


def has_content(body: dict[str, Any]) -> bool:
    """Whether an event says anything: so does the end of a candidate, for an answer may be empty, and a block."""
    return blocked(body) or any(
        _has_ended(candidate) or any(map(_says_something, _parts(candidate))) for candidate in _candidates(body)
    )


def _candidates(body: dict[str, Any]) -> list[dict[str, Any]]:
    return _tables(body.get("candidates"))


def _parts(candidate: dict[str, Any]) -> list[dict[str, Any]]:
    content = candidate.get("content")
    return _tables(content.get("parts")) if isinstance(content, dict) else []


def _has_ended(candidate: dict[str, Any]) -> bool:
    return decode_reason(candidate.get("finishReason"), called=False)[0] is not None


def _says_something(part: dict[str, Any]) -> bool:
    return bool(part["text"]) if "text" in part else bool(part)


def _written(part: dict[str, Any]) -> str:
    said = part.get("text")
    call = part.get("functionCall")
    arguments = call.get("args") if isinstance(call, dict) else None
    return (said if isinstance(said, str) else "") + (_json(arguments) if arguments else "")


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, ValueError, RecursionError):
        return str(value)


def _tables(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
