"""Server-sent events as scanners look at them: raw, and only as far as they must."""

from __future__ import annotations

from fairlead.core.sse import SseError, SseParser


def says_something(event: bytes) -> bool:
    """Whether an event, whole or only its beginning, has data: comments have none, and that of a ping counts for
    nothing."""
    if event.startswith(b"data: {"):
        return True
    fields = [line.partition(b":") for line in event.splitlines()]
    if any(name == b"event" and value.strip() == b"ping" for name, _, value in fields):
        return False
    return any(name == b"data" and value.strip() for name, _, value in fields)


def parsed(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The name and data of each whole event; none where a line or an event is over its cap."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and raw.endswith(b"\n\n") and b"\r" not in raw:
        return [(b"", raw[6:-2])]  # an event as nearly all are
    try:
        return [(event.event, event.data) for event in SseParser().feed(raw)]
    except SseError:
        return []
