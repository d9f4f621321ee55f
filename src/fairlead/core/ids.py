"""Call ids: UUIDv7 (RFC 9562, section 5.7), so that ids sort by time."""

from __future__ import annotations


def uuid7(now_ns: int, rand: bytes, counter: int = 0) -> str:
    """A UUIDv7 of the millisecond of `now_ns`, in its usual form with dashes.

    Args:
        now_ns: wall clock, nanoseconds since the epoch.
        rand: at least 10 random bytes.
        counter: up to 4095; goes into `rand_a`, the bits behind the millisecond (RFC 9562, section 6.2, method 1), so
            ids of one millisecond keep the order of their counters.  A caller that does not count passes the same
            value always and gets ids that are in order by millisecond.

    Raises:
        ValueError: fewer than 10 random bytes.
    """
    if len(rand) < 10:
        msg = f"a UUIDv7 takes at least 10 random bytes, not {len(rand)}"
        raise ValueError(msg)
    milliseconds = (now_ns // 1_000_000) & 0xFFFF_FFFF_FFFF
    tail = int.from_bytes(rand[2:10], "big") & 0x3FFF_FFFF_FFFF_FFFF
    value = milliseconds << 80 | 0x7 << 76 | (counter & 0xFFF) << 64 | 0b10 << 62 | tail
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
