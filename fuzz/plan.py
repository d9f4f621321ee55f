"""How an input says in which pieces its bytes arrive."""

from __future__ import annotations

from typing import NamedTuple

PLAN_BYTES = 4


class Plan(NamedTuple):
    """A payload, and the pieces in which it arrives."""

    flags: int
    """Seven bits for the target's own use."""
    payload: bytes
    pieces: list[bytes]


def read(data: bytes) -> Plan:
    """The first four bytes are the plan: flags, then three sizes that repeat; all zero is one piece."""
    plan, payload = data[:PLAN_BYTES].ljust(PLAN_BYTES, b"\0"), data[PLAN_BYTES:]
    return Plan(plan[0] & 0x7F, payload, cut(payload, plan[1:]))


def cut(payload: bytes, sizes: bytes) -> list[bytes]:
    """The payload in pieces of these sizes, over and over; a size of 0 is skipped."""
    steps = [size for size in sizes if size]
    if not steps:
        return [payload] if payload else []
    pieces: list[bytes] = []
    position = 0
    while position < len(payload):
        step = steps[len(pieces) % len(steps)]
        pieces.append(payload[position : position + step])
        position += step
    return pieces


def seed(payload: bytes, flags: int = 0, sizes: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    """An input with this plan."""
    return bytes([flags, *sizes]) + payload
