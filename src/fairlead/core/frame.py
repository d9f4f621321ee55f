"""Framed, checksummed records in a byte stream: what a spool segment is made of.

A frame is a 12-byte header and a payload, big-endian::

    magic "FL" (2) | header check (2) | payload length (4) | CRC-32 of the payload (4) | payload

The header check is the low half of the CRC-32 of length and payload checksum, so a length is only ever believed
when it is whole.  What `decode` does with damage follows from that:

* the buffer ends inside a frame: the rest is a *torn* tail, left unconsumed.  Payload bytes behind a sound header are
  never searched for frames: they come from callers, who could have written a frame into them;
* the header is sound, the payload is not: that one frame is skipped;
* the header itself is damaged: the bytes up to the next sound header are skipped.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

MAGIC = b"FL"
_HEADER = struct.Struct(">2sHII")
_CHECKED = struct.Struct(">II")
HEADER_BYTES = _HEADER.size
MAX_PAYLOAD_BYTES = 1 << 30
"""A longer payload is refused by `encode`, and a header that announces one is damaged."""


class Decoded(NamedTuple):
    """What a buffer holds."""

    payloads: list[bytes]
    ends: list[int]
    """For each payload the offset just behind its frame: where reading could go on."""
    consumed: int
    """Everything before this offset is dealt with."""
    torn: bool
    """Whether bytes are left that are no whole frame (yet)."""
    skipped_bytes: int
    """Damaged bytes before `consumed`."""


def encode(payload: bytes) -> bytes:
    """One frame around `payload`.

    Raises:
        ValueError: the payload is longer than `MAX_PAYLOAD_BYTES`.
    """
    length = len(payload)
    if length > MAX_PAYLOAD_BYTES:
        msg = f"a frame holds at most {MAX_PAYLOAD_BYTES} bytes, not {length}"
        raise ValueError(msg)
    checksum = zlib.crc32(payload)
    check = zlib.crc32(_CHECKED.pack(length, checksum)) & 0xFFFF
    return _HEADER.pack(MAGIC, check, length, checksum) + payload


def decode(buffer: bytes) -> Decoded:
    """All whole, sound frames of `buffer`, in order; never raises."""
    payloads: list[bytes] = []
    ends: list[int] = []
    consumed = skipped_bytes = 0
    while True:
        start = _find_header(buffer, consumed)
        if start is None:
            break
        _, _, length, checksum = _HEADER.unpack_from(buffer, start)
        end = start + HEADER_BYTES + length
        if end > len(buffer):
            skipped_bytes += start - consumed
            consumed = start
            break
        payload = bytes(buffer[start + HEADER_BYTES : end])
        skipped_bytes += start - consumed
        if zlib.crc32(payload) == checksum:
            payloads.append(payload)
            ends.append(end)
        else:
            skipped_bytes += end - start
        consumed = end
    return Decoded(payloads, ends, consumed, consumed < len(buffer), skipped_bytes)


def _header_check(length: int, checksum: int) -> int:
    return zlib.crc32(_CHECKED.pack(length, checksum)) & 0xFFFF


def _find_header(buffer: bytes, offset: int) -> int | None:
    """The first sound header at or behind `offset`."""
    start = buffer.find(MAGIC, offset)
    while start != -1 and start + HEADER_BYTES <= len(buffer):
        _, check, length, checksum = _HEADER.unpack_from(buffer, start)
        if length <= MAX_PAYLOAD_BYTES and check == _header_check(length, checksum):
            return start
        start = buffer.find(MAGIC, start + 1)
    return None
