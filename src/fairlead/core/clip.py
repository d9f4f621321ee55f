"""How much of a body is kept."""

from __future__ import annotations

from typing import Final

CONTENT_BYTES: Final = 1024 * 1024
"""So much of a request and of a response is kept."""


def clip(content: bytes, limit_bytes: int, size_bytes: int | None = None) -> bytes:
    """At most `limit_bytes`, of which the last say how many there were where something was cut off.

    What was clipped once stays as it is, so it does not matter how many places clip.

    Args:
        size_bytes: how many bytes there were in all, where `content` is only their beginning.
    """
    in_all = len(content) if size_bytes is None else size_bytes
    if in_all <= limit_bytes:
        return content
    marker = b"...[truncated, %d bytes in all]" % in_all
    kept_bytes = max(limit_bytes - len(marker), 0)
    return (content[:kept_bytes] + marker)[:limit_bytes]
