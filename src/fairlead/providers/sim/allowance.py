"""A provider's own limits, as token buckets that it tells the truth about.

Fairlead's pacing is judged by it, so the two share no code.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from fairlead.providers.sim.standing import Form, Meter, Standing, openai_headers

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
    input_tpm: _Positive | None = None
    """Tokens of input a minute, as Anthropic limits them; absent: any number."""
    output_tpm: _Positive | None = None
    """Tokens of output a minute, as Anthropic limits them; absent: any number."""
    bucket_s: _Seconds = 60.0
    """How many seconds' worth of the limits may come at once; less than a minute is a provider that counts by the second."""
    counts: Counts = "used"
    """What a request takes of the tokens: what it uses, or the most that it may become."""
    headers: bool = True
    """Whether answers tell in headers how things stand, and refusals when to come again, as the dialect has it."""


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
        limits = {
            "requests": rates.rpm,
            "tokens": rates.tpm,
            "input-tokens": rates.input_tpm,
            "output-tokens": rates.output_tpm,
        }
        self._buckets = {
            kind: _Bucket(limit, rates.bucket_s, now_s) for kind, limit in limits.items() if limit is not None
        }

    def take(self, now_s: float, *, prompt: int, output: int, most: int) -> float:
        """Let a request in, and charge it; else after how many seconds it would be let in.

        Args:
            output: the tokens that its answer will have.
            most: the tokens that its answer may have, as the request says.
        """
        by_maximum = self._rates.counts == "maximum"
        needed = {"requests": 1, "tokens": prompt, "input-tokens": prompt, "output-tokens": 0}
        if by_maximum:
            needed |= {"tokens": prompt + most, "output-tokens": most}
        charged = needed if by_maximum else needed | {"tokens": prompt + output, "output-tokens": output}
        for bucket in self._buckets.values():
            bucket.fill(now_s)
        wait_s = max((bucket.short_s(needed[kind]) for kind, bucket in self._buckets.items()), default=0.0)
        if wait_s > 0:
            return wait_s
        for kind, bucket in self._buckets.items():
            bucket.level -= charged[kind]
        return 0.0

    def standing(self, wait_s: float = 0.0, at_s: float = 0.0) -> Standing:
        """How things are now.

        Args:
            wait_s: what `take` said.
            at_s: the wall clock, in seconds since the epoch.
        """
        meters = {
            kind: Meter(
                a_minute=bucket.per_minute,
                remaining=max(0, math.floor(bucket.level)),
                reset_s=(bucket.most - bucket.level) / bucket.a_second,
            )
            for kind, bucket in self._buckets.items()
        }
        return Standing(meters=meters, wait_s=wait_s, at_s=at_s)

    def headers(self, wait_s: float = 0.0, at_s: float = 0.0, form: Form = openai_headers) -> dict[str, str]:
        """The same as headers; with a wait, those of a refusal."""
        return form(self.standing(wait_s, at_s)) if self._rates.headers else {}
