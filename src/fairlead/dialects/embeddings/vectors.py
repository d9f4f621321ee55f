"""Vectors as JSON has them, and as base64 of little-endian 32-bit floats."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Sequence

_FLOAT_BYTES = 4


def pack(vector: Sequence[float]) -> str:
    """A vector as base64.

    Raises:
        ValueError: a number that 32 bits cannot hold.
    """
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except (OverflowError, struct.error) as error:
        raise ValueError(str(error)) from None


def unpack(text: str) -> tuple[float, ...]:
    """The numbers of a vector in base64.

    Raises:
        ValueError: not base64, not a whole number of floats, or one that is not finite.
    """
    data = binascii.a2b_base64(text, strict_mode=True)
    if len(data) % _FLOAT_BYTES:
        raise ValueError(f"{len(data)} bytes are no whole number of 32-bit floats")
    vector = struct.unpack(f"<{len(data) // _FLOAT_BYTES}f", data)
    if not math.isfinite(sum(vector)):
        raise ValueError("a number that is not finite")
    return vector
