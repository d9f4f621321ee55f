"""Gateways with retries, breakers and further targets, and what their callers see when providers are in trouble."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from faults.front import MESSAGES, recorded

NAMES = ("one", "two", "three")
RETRY = "retry = { attempts = 3, base_delay = 0.01, max_delay = 0.02 }"
BREAKER = "breaker = { consecutive = 3, open_s = 0.6, probes = 1 }"
QUICK = "timeouts = { connect = 0.3, first_token = 0.3, idle = 0.3, total = 5.0 }"
PRICE = "price = { input = 1.0, output = 2.0 }"


def config(*base_urls: str, auth: str = "open", model: str = "", provider: str = "", more: str = "") -> str:
    """A gateway whose model `m` has a target at each of these, in order.

    Args:
        model: further lines of `[models.m]`; without, retries and a breaker.
        provider: further lines of each provider.
        more: further tables.
    """
    lines = [f'[gateway]\nauth = "{auth}"']
    for name, base_url in zip(NAMES, base_urls, strict=False):
        lines.append(
            f'[providers.{name}]\ndialect = "openai"\nbase_url = "{base_url}"\n'
            f'api_key = "env:UPSTREAM_KEY"\nallow_private = true\n{provider}'
        )
    targets = ", ".join(f'"{name}/gpt-4o-mini"' for name in NAMES[: len(base_urls)])
    lines.append(f"[models.m]\ntargets = [{targets}]\n{PRICE}\n{model or both()}")
    return "\n".join([*lines, more, ""])


def both(*further: str) -> str:
    """Retries, a breaker, and what else there is."""
    return "\n".join([RETRY, BREAKER, *further])


def error_of(answer: Any) -> tuple[int, str, str]:
    """Status, code and whether the caller may try again."""
    return answer.status, answer.json["error"]["code"], answer.headers["x-should-retry"]


def tried(record: Any) -> list[tuple[str, str | None]]:
    """Who was asked, and what came of it."""
    return [(attempt["provider"], attempt["error_code"]) for attempt in record["attempts"]]


async def ended(gateway: Any, count: int = 1) -> list[Any]:
    """The records, newest first, as soon as so many calls have ended."""
    while any(record["outcome"] == "open" for record in await recorded(gateway, count)):  # noqa: ASYNC110 - it does not tell
        await asyncio.sleep(0.01)
    return await recorded(gateway, count)


async def sdk_fails(gateway: Any, kind: type[openai.APIError], *, retries: int = 2, **fields: Any) -> Any:
    """What the official SDK raises in the end, though it would try again; `fields` are of the call."""
    with pytest.raises(kind) as caught:
        await gateway.sdk(max_retries=retries).chat.completions.create(model="m", messages=MESSAGES, **fields)
    return caught.value


async def sdk_says(gateway: Any, *, retries: int = 0, **fields: Any) -> str:
    """The text that the official SDK gets, streamed or not."""
    answer = await gateway.sdk(max_retries=retries).chat.completions.create(model="m", messages=MESSAGES, **fields)
    if not fields.get("stream"):
        return answer.choices[0].message.content or ""
    pieces = [each async for each in answer]
    return "".join(each.choices[0].delta.content or "" for each in pieces if each.choices)
