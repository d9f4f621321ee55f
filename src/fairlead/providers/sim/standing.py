"""How a provider tells where a caller stands with its limits: each in headers of its own form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """One limit at one moment."""

    a_minute: int
    remaining: int
    reset_s: float
    """After so many seconds all of it is there again."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """All limits of a caller at one moment."""

    meters: Mapping[str, Meter] = {}
    """By what they count: `requests`, `tokens`, `input-tokens`, `output-tokens`."""
    wait_s: float = 0.0
    """After so many seconds the request would be let in; 0: it is."""
    at_s: float = 0.0
    """The moment, in seconds since the epoch."""


Form = Callable[[Standing], dict[str, str]]


def openai_headers(standing: Standing) -> dict[str, str]:
    """As OpenAI tells it: resets are durations (platform.openai.com, *Rate limits*)."""
    found: dict[str, str] = {}
    for kind in ("requests", "tokens"):
        meter = standing.meters.get(kind)
        if meter is not None:
            found[f"x-ratelimit-limit-{kind}"] = str(meter.a_minute)
            found[f"x-ratelimit-remaining-{kind}"] = str(meter.remaining)
            found[f"x-ratelimit-reset-{kind}"] = _duration(meter.reset_s)
    if standing.wait_s > 0:
        found["retry-after-ms"] = str(math.ceil(standing.wait_s * 1000))
        found["retry-after"] = str(math.ceil(standing.wait_s))
    return found


def anthropic_headers(standing: Standing) -> dict[str, str]:
    """As Anthropic tells it: resets are RFC 3339 times of whole seconds (platform.claude.com, *Rate limits*).

    Where input and output are limited and their sum is not, `tokens` is the sum of both.
    """
    meters = dict(standing.meters)
    parts = [meters[kind] for kind in ("input-tokens", "output-tokens") if kind in meters]
    if parts:
        whole = Meter(
            a_minute=sum(meter.a_minute for meter in parts),
            remaining=sum(meter.remaining for meter in parts),
            reset_s=max(meter.reset_s for meter in parts),
        )
        meters.setdefault("tokens", whole)
    found: dict[str, str] = {}
    for kind, meter in meters.items():
        reset = datetime.fromtimestamp(math.ceil(standing.at_s + meter.reset_s), UTC)
        found[f"anthropic-ratelimit-{kind}-limit"] = str(meter.a_minute)
        found[f"anthropic-ratelimit-{kind}-remaining"] = str(meter.remaining)
        found[f"anthropic-ratelimit-{kind}-reset"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
    if standing.wait_s > 0:
        found["retry-after"] = str(math.ceil(standing.wait_s))
    return found


def no_headers(standing: Standing) -> dict[str, str]:  # noqa: ARG001 - a form like the others
    """As Google tells it: a refusal's body names the wait, and nothing else does."""
    return {}


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `6.2s`, `1m30s`."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return (f"{minutes}m" if minutes else "") + f"{rest / 1000:g}s"
