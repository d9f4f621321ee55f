"""The top level of a JSON object, split into raw values and joined again without decoding them.

What a parser further on might read differently is refused here, so that what was checked is what is sent:
duplicate keys at the top level, bytes that are not UTF-8, a byte order mark, NaN and Infinity, and nesting over 64.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import msgspec

MAX_DEPTH = 64
"""The deepest nesting that is read; the object itself is depth 1."""

MAX_KEYS = 1_000
"""The most fields that are read; the largest dialect documents fewer than a hundred."""

_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()
_BRACKETS = b"{}[]"
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_STEPS = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")
"""Opening is one step down, closing is one up: 255 read as a signed byte is -1."""
_SPACE = b" \t\r\n"
_COUNTED_BYTES = 4096


class MalformedObject(ValueError):
    """The body is not a JSON object as RFC 8259 has it."""


class DuplicateKey(MalformedObject):
    """A key stands twice at the top level; parsers differ in which one they believe."""


class TooDeep(MalformedObject):
    """Nested deeper than `MAX_DEPTH`."""


def top_level(body: bytes) -> dict[str, msgspec.Raw]:
    """The fields of a JSON object in their order, each value as its exact bytes.

    Raises:
        MalformedObject: not UTF-8, not JSON, not an object, or one of more than `MAX_KEYS` keys.
        DuplicateKey: a key stands twice at the top level.
        TooDeep: nested deeper than `MAX_DEPTH`.
    """
    try:
        fields = _DECODER.decode(body)
        # Raw values are skipped over, not decoded: their encoding is checked here.
        if not body.isascii():
            body.decode()
    except RecursionError:
        raise TooDeep(f"nested deeper than {MAX_DEPTH} levels") from None
    except msgspec.ValidationError:
        raise MalformedObject("expected a JSON object") from None
    except UnicodeDecodeError as error:
        raise MalformedObject(f"not valid UTF-8 at byte {error.start}") from None
    except msgspec.DecodeError as error:
        raise MalformedObject(_reason(body, error)) from None
    if len(fields) > MAX_KEYS:
        raise MalformedObject(f"more than {MAX_KEYS} keys in a JSON object")
    if _opens_more(body, MAX_DEPTH) and _depth_exceeds(body, MAX_DEPTH):
        raise TooDeep(f"nested deeper than {MAX_DEPTH} levels")
    if not _is_compact(body, fields) and not _is_spaced(body, fields):
        _refuse_duplicates(body, fields)
    return fields


def join(fields: Mapping[str, msgspec.Raw]) -> bytes:
    """The object of these fields, compact at its top level, values byte for byte."""
    return _ENCODER.encode(fields)


def _reason(body: bytes, error: msgspec.DecodeError) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        return "starts with a byte order mark; send plain UTF-8"
    return f"not valid JSON: {error}"


def _opens_more(body: bytes, limit: int) -> bool:
    """Whether more brackets open than `limit`, those in strings among them."""
    if len(body) <= _COUNTED_BYTES:
        return body.count(b"{") + body.count(b"[") > limit
    # Counting looks at byte after byte; finding, at dozens at once.
    opened = 0
    for bracket in (b"{", b"["):
        at = body.find(bracket)
        while at >= 0 and opened <= limit:
            opened += 1
            at = body.find(bracket, at + 1)
    return opened > limit


def _depth_exceeds(body: bytes, limit: int) -> bool:
    """Whether valid JSON nests deeper than `limit`: a running sum over its brackets, without recursion."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(body.split(b'"')[::2])
    steps = outside_strings.translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > limit


def _is_compact(body: bytes, fields: dict[str, msgspec.Raw]) -> bool:
    """Whether the body is as short as these fields can be written, which leaves no room for a duplicate."""
    if not fields:
        return len(body) == 2
    # A key counts its characters: one that is not ASCII is longer than that, and goes the long way.
    return 1 + len(fields) * 4 + sum(map(len, fields)) + sum(map(len, fields.values())) == len(body)


def _is_spaced(body: bytes, fields: dict[str, msgspec.Raw]) -> bool:
    """Whether the body is just these fields as Python writes them, with a space behind each colon and comma."""
    written = b", ".join([b'"%b": %b' % (key.encode(), value) for key, value in fields.items()])
    return len(written) + 2 == len(body) and body.startswith(written, 1)


def _refuse_duplicates(body: bytes, fields: dict[str, msgspec.Raw]) -> None:
    """Walk over the body, whose syntax is known to be good, and find each field once, in order."""
    position = body.index(b"{") + 1
    for key, value in fields.items():
        position = _after_key(body, body.find(b'"', position), key)
        raw = bytes(value)
        if not body.startswith(raw, position):
            raise DuplicateKey(f"the key {key[:64]!r} stands twice")
        position = _after_space(body, position + len(raw))
        if body[position] not in b",}":
            raise DuplicateKey(f"the key {key[:64]!r} stands twice")
    if fields and body[position] == 0x2C:
        raise DuplicateKey("a key stands twice")


def _after_key(body: bytes, quote: int, key: str) -> int:
    """Where the value of the key that opens at `quote` begins."""
    written = key.encode()
    end = quote + 1 + len(written)
    if not (body.startswith(written, quote + 1) and body[end] == 0x22):
        end = _closing_quote(body, quote + 1)
        if msgspec.json.decode(body[quote : end + 1]) != key:
            raise DuplicateKey("a key stands twice")
    return _after_space(body, body.index(b":", end) + 1)


def _closing_quote(body: bytes, position: int) -> int:
    while (byte := body[position]) != 0x22:
        position += 2 if byte == 0x5C else 1
    return position


def _after_space(body: bytes, position: int) -> int:
    while body[position] in _SPACE:
        position += 1
    return position
