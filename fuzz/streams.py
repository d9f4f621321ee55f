"""What a stream in any dialect promises: what comes out does not depend on the cuts, and what became neutral events is
the same after one more way out and back.
"""

from __future__ import annotations

from typing import Any

from fairlead.dialects.codec import StreamCodec
from fairlead.errors import FairleadError
from fuzz.plan import Plan, read


def check(stream: StreamCodec, data: bytes) -> None:
    """Feed what the data plans, and see whether the dialect keeps its promises."""
    plan = read(data)
    _check_scanner(stream, plan)
    assert _decoded(stream, plan.pieces) == _decoded(stream, [plan.payload])
    _check_way_back(stream, plan)
    stream.text(plan.payload)


def _check_scanner(stream: StreamCodec, plan: Plan) -> None:
    whole, whole_out, whole_error = _scanned(stream, [plan.payload])
    pieces, out, error = _scanned(stream, plan.pieces)
    assert error == whole_error, (error, whole_error)
    if error is None:
        assert out == whole_out, (out, whole_out)
        assert _state(pieces) == _state(whole), (_state(pieces), _state(whole))
    else:  # what came before the fault goes out only where it came in a piece of its own
        assert out.startswith(whole_out)


def _scanned(stream: StreamCodec, pieces: list[bytes]) -> tuple[Any, bytes, str | None]:
    scanner = stream.scanner(forward_usage=True)
    out = b""
    for piece in pieces:
        try:
            out += scanner.feed(piece)
        except FairleadError as error:
            return scanner, out, type(error).__name__
    return scanner, out, None


def _state(scanner: Any) -> tuple[Any, ...]:
    return scanner.usage, scanner.prompt, scanner.content, scanner.complete, type(scanner.error).__name__


def _decoded(stream: StreamCodec, pieces: list[bytes]) -> tuple[list[Any], str | None]:
    decoder = stream.decoder()
    events: list[Any] = []
    for piece in pieces:
        try:
            events += decoder.feed(piece)
        except FairleadError as error:
            return [event for event in events if not _is_silent(event)], type(error).__name__
    fault = None if decoder.error is None else type(decoder.error).__name__
    return [event for event in events if fault is None or not _is_silent(event)], fault


def _is_silent(event: Any) -> bool:
    return type(event).__name__ in {"Started", "UsageReport"}


def _check_way_back(stream: StreamCodec, plan: Plan) -> None:
    """What this dialect wrote itself reads and writes the same; the first writing may put things into order, and end a
    call of which no arguments came.
    """
    first = _read_again(stream, _written(stream, _decoded(stream, [plan.payload])[0]))
    once = _written(stream, first)
    again = _read_again(stream, once)
    assert again == first, (again, first)
    assert _written(stream, again) == once


def _read_again(stream: StreamCodec, raw: bytes) -> list[Any]:
    events, fault = _decoded(stream, [raw])
    assert fault is None, fault
    return events


def _written(stream: StreamCodec, events: list[Any]) -> bytes:
    encoder = stream.encoder(include_usage=True)
    return b"".join([encoder.encode(event) for event in events]) + encoder.end()
