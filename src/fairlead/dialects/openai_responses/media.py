"""How much of a prompt is inline media, whose bytes are no tokens."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.fields import BadField

_MARKERS = (b'"input_image"', b'"input_file"')
_BYTES_A_PIECE = 65_536
"""Documents grow without end, unlike images: each started 64 KiB of base64 counts as one more."""


class _Item(msgspec.Struct):
    content: Any = None
    output: Any = None


_ITEMS = msgspec.json.Decoder(list[_Item])


def measure_media(items: msgspec.Raw | None) -> tuple[int, int]:
    """How many pieces of media an `input` holds, results of tools included, and how many of its bytes are their base64.

    Only counts: what is malformed inside is left for the provider to refuse, and counts with all its bytes.

    Raises:
        BadField: it is neither a string nor an array, nor absent.
    """
    raw = b"null" if items is None else bytes(items)
    if not raw.startswith((b"[", b'"', b"null")):
        raise BadField("input", "must be a string or an array of items")
    if raw.find(b"[", 1) < 0 or not any(marker in raw for marker in _MARKERS):
        return 0, 0
    try:
        rows = _ITEMS.decode(raw)
    except (ValueError, RecursionError):
        return 0, 0
    measured = [_measure(part) for row in rows for part in _parts(row)]
    return sum(pieces for pieces, _ in measured), sum(size for _, size in measured)


def _parts(row: _Item) -> list[Any]:
    return [part for each in (row.content, row.output) if isinstance(each, list) for part in each]


def _measure(part: Any) -> tuple[int, int]:
    if not isinstance(part, dict):
        return 0, 0
    match part.get("type"):
        case "input_image":
            return 1, _data_url_bytes(part.get("image_url"))
        case "input_file":
            data = part.get("file_data")
            return 1 + (len(data) // _BYTES_A_PIECE if isinstance(data, str) else 0), _data_url_bytes(data)
    return 0, 0


def _data_url_bytes(url: Any) -> int:
    """The length of a `data:` URL's base64; other URLs are text like any other."""
    if not isinstance(url, str) or not url.startswith("data:") or not url.isascii():
        return 0
    head, _, payload = url.partition(",")
    return len(payload) if head.endswith(";base64") else 0
