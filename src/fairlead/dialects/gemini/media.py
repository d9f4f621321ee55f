"""How much of a prompt is inline media, whose bytes are no tokens."""

from __future__ import annotations

from typing import Any

import msgspec

_MARKERS = (b'"inlineData"', b'"inline_data"', b'"fileData"', b'"file_data"')
_BYTES_A_PIECE = 65_536
"""Sound, video and documents grow without end, unlike images: each started 64 KiB of base64 counts as one more."""


def measure_media(contents: msgspec.Raw) -> tuple[int, int]:
    """How many pieces of media raw `contents` hold, results of functions included, and how many of their bytes are
    base64.

    Only counts: what is malformed is left for the provider to refuse, and counts with all its bytes.
    """
    raw = bytes(contents)
    if not any(marker in raw for marker in _MARKERS):
        return 0, 0
    try:
        measured = [_measure(part) for turn in _list(msgspec.json.decode(raw)) for part in _parts(turn)]
    except (ValueError, RecursionError):
        return 0, 0
    return sum(pieces for pieces, _ in measured), sum(size for _, size in measured)


def _parts(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a turn, and those that results of functions hold."""
    found = _list(turn.get("parts"))
    for part in tuple(found):
        for result in _named(part, "functionResponse", "function_response"):
            found += _list(result.get("parts"))
    return found


def _measure(part: dict[str, Any]) -> tuple[int, int]:
    pieces = size_bytes = 0
    for inline in _named(part, "inlineData", "inline_data"):
        data = inline.get("data")
        kind = inline.get("mimeType") or inline.get("mime_type")
        if not isinstance(data, str) or not isinstance(kind, str) or kind.startswith("text/"):
            continue  # plain text, which is tokens
        if data.isascii():
            size_bytes += len(data)
        pieces += 1 if kind.startswith("image/") else 1 + len(data) // _BYTES_A_PIECE
    return pieces + len(_named(part, "fileData", "file_data")), size_bytes


def _named(part: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    return [value for name in names if isinstance(value := part.get(name), dict)]


def _list(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
