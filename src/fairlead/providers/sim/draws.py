"""Choices that look random and depend on a key alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of numbers fixed by its key: the same on every machine and every version of Python."""

    __slots__ = ("_count", "_key")

    def __init__(self, *key: object) -> None:
        self._key = hashlib.blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self._count = 0

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        self._count += 1
        digest = hashlib.blake2b(self._count.to_bytes(8, "big"), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest, "big") % limit

    def chance(self, rate: float) -> bool:
        """True in `rate` of all cases."""
        return self.below(1_000_000) < rate * 1_000_000

    def pick(self, options: Sequence[T]) -> T:
        """One of these."""
        return options[self.below(len(options))]
