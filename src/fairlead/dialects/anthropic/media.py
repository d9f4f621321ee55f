"""How much of a prompt is inline media, whose bytes are no tokens."""

from __future__ import annotations

from typing import Any

import msgspec

_MARKERS = (b'"image"', b'"document"')
_BYTES_A_PIECE = 65_536
"""Documents grow without end, unlike images: each started 64 KiB of base64 counts as one more."""


class _Message(msgspec.Struct):
    content: Any = None


_MESSAGES = msgspec.json.Decoder(list[_Message])


def measure_media(messages: msgspec.Raw) -> tuple[int, int]:
    """How many pieces of media a raw `messages` array holds, results of tools included, and how many of its bytes are
    their base64.

    Only counts: what is malformed is left for the provider to refuse, and counts with all its bytes.
    """
    raw = bytes(messages)
    if raw.find(b"[", 1) < 0 or not any(marker in raw for marker in _MARKERS):
        return 0, 0
    try:
        rows = _MESSAGES.decode(raw)
    except (ValueError, RecursionError):
        return 0, 0
    measured = [_measure(block) for row in rows for block in _blocks(row.content)]
    return sum(pieces for pieces, _ in measured), sum(size for _, size in measured)


def _blocks(content: Any) -> list[dict[str, Any]]:
    """The blocks of a turn, and those that the results of tools and documents hold."""
    found: list[dict[str, Any]] = []
    waiting = [content]
    while waiting:
        inner = waiting.pop()
        for block in inner if isinstance(inner, list) else ():
            if isinstance(block, dict):
                found.append(block)
                source = block.get("source")
                waiting += [block.get("content"), source.get("content") if isinstance(source, dict) else None]
    return found


def _measure(block: dict[str, Any]) -> tuple[int, int]:
    source = block.get("source")
    if block.get("type") not in {"image", "document"} or not isinstance(source, dict):
        return 0, 0
    if source.get("type") not in {"base64", "url", "file"}:
        return 0, 0  # plain text, which is tokens
    data = source.get("data")
    size = len(data) if source.get("type") == "base64" and isinstance(data, str) and data.isascii() else 0
    return 1 + (size // _BYTES_A_PIECE if block.get("type") == "document" else 0), size
