"""A provider's own limits, as token buckets that it tells the truth about.

Fairlead's pacing is judged by it, so the two share no code.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

Counts = Literal["used", "maximum"]
_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Seconds = Annotated[float, msgspec.Meta(gt=0)]
_MINUTE_S = 60.0


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: what the provider gives each key for each model."""

    rpm: _Positive | None = None
    """Requests a minute; absent: any number."""
    tpm: _Positive | None = None
    """Tokens a minute; absent: any number."""
    bucket_s: _Seconds = 60.0
    """How many seconds' worth of the limits may come at once; less than a minute is a provider that counts by the second."""
    counts: Counts = "used"
    """What a request takes of the tokens: what it uses, or the most that it may become."""
    headers: bool = True
    """Whether answers carry `x-ratelimit-*`, and refusals `retry-after`."""


class _Bucket:
    __slots__ = ("a_second", "at_s", "level", "most", "per_minute")

    def __init__(self, per_minute: int, bucket_s: float, now_s: float) -> None:
        self.per_minute = per_minute
        self.a_second = per_minute / _MINUTE_S
        self.most = max(1.0, self.a_second * bucket_s)
        self.level = self.most
        self.at_s = now_s

    def fill(self, now_s: float) -> None:
        self.level = min(self.most, self.level + (now_s - self.at_s) * self.a_second)
        self.at_s = now_s

    def short_s(self, amount: float) -> float:
        """How long until so much is there; 0 if it is."""
        missing = min(amount, self.most) - self.level
        return 0.0 if missing <= 1e-9 else missing / self.a_second


class Allowance:
    """What is left of one credential's limits for one model."""

    def __init__(self, rates: Rates, now_s: float) -> None:
        self._rates = rates
        self._requests = None if rates.rpm is None else _Bucket(rates.rpm, rates.bucket_s, now_s)
        self._tokens = None if rates.tpm is None else _Bucket(rates.tpm, rates.bucket_s, now_s)

    def take(self, now_s: float, *, prompt: int, output: int, most: int) -> float:
        """Let a request in, and charge it; else after how many seconds it would be let in.

        Args:
            output: the tokens that its answer will have.
            most: the tokens that its answer may have, as the request says.
        """
        for bucket in (self._requests, self._tokens):
            if bucket is not None:
                bucket.fill(now_s)
        needed = prompt + most if self._rates.counts == "maximum" else prompt
        wait_s = max(
            0.0 if self._requests is None else self._requests.short_s(1),
            0.0 if self._tokens is None else self._tokens.short_s(needed),
        )
        if wait_s > 0:
            return wait_s
        if self._requests is not None:
            self._requests.level -= 1
        if self._tokens is not None:
            self._tokens.level -= needed if self._rates.counts == "maximum" else prompt + output
        return 0.0

    def headers(self, wait_s: float = 0.0) -> dict[str, str]:
        """How things stand, in OpenAI's form; with a wait, the headers of a refusal."""
        found: dict[str, str] = {}
        if not self._rates.headers:
            return found
        for kind, bucket in (("requests", self._requests), ("tokens", self._tokens)):
            if bucket is not None:
                found[f"x-ratelimit-limit-{kind}"] = str(bucket.per_minute)
                found[f"x-ratelimit-remaining-{kind}"] = str(max(0, math.floor(bucket.level)))
                found[f"x-ratelimit-reset-{kind}"] = _duration((bucket.most - bucket.level) / bucket.a_second)
        if wait_s > 0:
            found["retry-after-ms"] = str(math.ceil(wait_s * 1000))
            found["retry-after"] = str(math.ceil(wait_s))
        return found


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `6.2s`, `1m30s`."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return (f"{minutes}m" if minutes else "") + f"{rest / 1000:g}s"
