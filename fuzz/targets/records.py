"""The spool's reader: damage raises nothing, invents nothing and changes no order, however the bytes are cut."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.core import frame
from fairlead.record import Admitted, Ended, Gauges, decode_records, encode_records
from fairlead.types import Identity, Usage
from fuzz.plan import read, seed

_UNREADABLE = object()
"""An item that only a parser that skips what it does not know can read, such as one with a key that is not UTF-8."""


def check(data: bytes) -> None:
    plan = read(data)
    mode = plan.flags % 3
    if mode == 0:
        _check_frames(plan.payload, plan.pieces)
    elif mode == 1:
        _check_records(plan.payload)
    else:
        _check_damage(plan.pieces, plan.flags)


def _check_frames(buffer: bytes, pieces: list[bytes]) -> None:
    """Every payload stands in the buffer as a whole frame, in order, and reading on gives the same ones."""
    decoded = frame.decode(buffer)
    assert 0 <= decoded.consumed <= len(buffer)
    assert decoded.torn == (decoded.consumed < len(buffer))
    assert len(decoded.payloads) == len(decoded.ends)
    begin = 0
    for payload, end in zip(decoded.payloads, decoded.ends, strict=True):
        whole = frame.encode(payload)
        assert begin <= end - len(whole), "frames overlap"
        assert buffer[end - len(whole) : end] == whole, "a payload was invented"
        begin = end
    assert begin <= decoded.consumed
    framed = sum(frame.HEADER_BYTES + len(payload) for payload in decoded.payloads)
    assert framed + decoded.skipped_bytes == decoded.consumed
    rest, read_on = b"", []
    for piece in pieces:
        rest += piece
        found = frame.decode(rest)
        read_on += found.payloads
        rest = rest[found.consumed :]
    assert read_on == decoded.payloads, "what is read depends on how it was cut"


def _check_records(payload: bytes) -> None:
    known, unknown = decode_records(payload)
    items = _items(payload)
    if items is None:
        assert not known, "records were made of no array"
        return
    assert len(known) + unknown == len(items)
    position = 0
    for record in known:
        kept = msgspec.msgpack.decode(encode_records([record]))[0]
        while not _is_within(kept, items[position]):
            position += 1
            assert position < len(items), "a record was invented, or the order changed"
        position += 1
    again, none = decode_records(encode_records(known))
    assert (again, none) == (known, 0)


def _items(payload: bytes) -> list[Any] | None:
    """The array as any MessagePack parser has it."""
    try:
        items = msgspec.msgpack.decode(payload, strict=False)
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError):
        try:
            raws = msgspec.msgpack.decode(payload, type=list[msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError):
            return None
        return [_generic(raw) for raw in raws]
    return items if isinstance(items, list) else None


def _generic(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.msgpack.decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError):
        return _UNREADABLE


def _is_within(kept: Any, item: Any) -> bool:
    """Whether everything that was kept stood in the item; what is not there has its default."""
    if item is _UNREADABLE:
        return True
    if isinstance(kept, dict):
        return isinstance(item, dict) and all(
            _is_within(value, item.get(name, _default(value))) for name, value in kept.items()
        )
    if isinstance(kept, list):
        return isinstance(item, list) and len(kept) == len(item) and all(map(_is_within, kept, item))
    return bool(kept == item)


def _default(value: Any) -> Any:
    """The value where it says nothing, else what no value is equal to."""
    return value if value in (None, 0, "other", [], {}) else object()


def _check_damage(payloads: list[bytes], place: int) -> None:
    """Of frames in a row, those before and after a damaged byte are all read."""
    frames = [frame.encode(payload) for payload in payloads]
    whole = b"".join(frames)
    assert frame.decode(whole).payloads == payloads
    if not whole:
        return
    at = place * 2_654_435_761 % len(whole)
    damaged = bytearray(whole)
    damaged[at] ^= 1 + place % 255
    found = frame.decode(bytes(damaged)).payloads
    start = 0
    for index, one in enumerate(frames):
        if start <= at < start + len(one):
            before, after = payloads[:index], payloads[index + 1 :]
            assert found[: len(before)] == before, "a frame before the damage was lost"
            assert not after or found[-len(after) :] == after or _hides_frames(payloads[index]), "a frame was lost"
        start += len(one)


def _hides_frames(payload: bytes) -> bool:
    """Behind a damaged header its payload is searched, and may hold what looks like a frame."""
    return frame.MAGIC in payload


_IDENTITY = Identity(tenant="key:k1", key_id="k1")
_RECORDS = (
    Admitted(
        call_id="01", started_at_ns=1, dialect="openai_chat", alias="m", model="m", stream=True, identity=_IDENTITY,
        provider="up", upstream_model="m", reserved_nanousd=5, request=b'{"model":"m"}',
    ),
    Ended(
        call_id="01", started_at_ns=1, duration_ns=9, dialect="openai_chat", alias="m", model="m", stream=False,
        identity=_IDENTITY, status=200, outcome="ok", usage=Usage(input_tokens=3), usage_source="final", cost_nanousd=7,
    ),
    Gauges(worker="w1", at_ns=3, in_flight=2),
)  # fmt: skip
_PAYLOAD = encode_records(_RECORDS)
_FRAMES = b"".join(map(frame.encode, (_PAYLOAD, b"", b"FL", _PAYLOAD[:20])))
SEEDS = (
    seed(_FRAMES),
    seed(_FRAMES, 3, (5, 1, 0)),
    seed(_FRAMES[:-3], 0, (1, 0, 0)),
    seed(b"FL" + _FRAMES[1:], 0, (30, 0, 0)),
    seed(_PAYLOAD, 1),
    seed(encode_records(_RECORDS[:1]), 1),
    seed(msgspec.msgpack.encode([{"type": "new"}, {"type": "gauges", "worker": "w", "at_ns": 1.0}, 5, None]), 1),
    seed(b"\x91" * 2000, 1),
    seed(_FRAMES, 2, (9, 4, 30)),
)
WORDS = (
    b"FL",
    b"admitted",
    b"ended",
    b"gauges",
    b"call_id",
    b"\x00\x00\x00\x01",
    b"\xc0",
    b"\x93",
    frame.encode(b"x"),
    b"type",
)
