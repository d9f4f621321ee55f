"""How much of a prompt is inline media, whose bytes are no tokens."""

from __future__ import annotations

from typing import Any

import msgspec

_MARKERS = (b'"image_url"', b'"input_audio"', b'"file"')
_BYTES_A_PIECE = 65_536
"""Audio and documents grow without end, unlike images: each started 64 KiB of base64 counts as one more."""


class _Message(msgspec.Struct):
    content: Any = None


_MESSAGES = msgspec.json.Decoder(list[_Message])


def measure_media(messages: msgspec.Raw) -> tuple[int, int]:
    """How many pieces of media a raw `messages` array holds, and how many of its bytes are their base64.

    Only counts: what is malformed is left for the provider to refuse, and counts with all its bytes.
    """
    raw = bytes(messages)
    # Parts stand in an array of their own and have a type: for most prompts one search is enough, and for plain prose
    # the one that is over at once.
    if raw.find(b"[", 1) < 0 or b'"type"' not in raw or not any(marker in raw for marker in _MARKERS):
        return 0, 0
    try:
        rows = _MESSAGES.decode(raw)
    except (ValueError, RecursionError):
        return 0, 0
    pieces = size_bytes = 0
    for row in rows:
        for part in row.content if isinstance(row.content, list) else ():
            count, length = _measure(part)
            pieces += count
            size_bytes += length
    return pieces, size_bytes


def _measure(part: Any) -> tuple[int, int]:
    if not isinstance(part, dict):
        return 0, 0
    match part.get("type"):
        case "image_url":
            return 1, _data_url_bytes(_inner(part, "image_url", "url"))
        case "input_audio":
            data = _inner(part, "input_audio", "data")
            return 1 + len(data) // _BYTES_A_PIECE, len(data) if data.isascii() else 0
        case "file":
            data = _inner(part, "file", "file_data")
            return 1 + len(data) // _BYTES_A_PIECE, _data_url_bytes(data)
    return 0, 0


def _inner(part: dict[str, Any], name: str, field: str) -> str:
    value = part.get(name)
    if isinstance(value, dict):
        value = value.get(field)
    return value if isinstance(value, str) else ""


def _data_url_bytes(url: str) -> int:
    """The length of a `data:` URL's base64; other URLs are text like any other."""
    if not url.startswith("data:") or not url.isascii():
        return 0
    head, _, payload = url.partition(",")
    return len(payload) if head.endswith(";base64") else 0
