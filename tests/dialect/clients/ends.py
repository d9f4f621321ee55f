"""How a call ended, as the scripts of this folder tell it: what came, and what was raised."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

BROKEN = ("cut", "told")
"""The models whose provider breaks a stream off after three pieces: by closing, and by saying so."""


def raised(error: Exception) -> dict[str, Any]:
    """An error by its class and its status."""
    kind = type(error)
    return {
        "raised": f"{kind.__module__.partition('.')[0]}.{kind.__name__}",
        "status": getattr(error, "status_code", None),
    }


def of_call(call: Callable[[], Any]) -> dict[str, Any]:
    """The end of a call that gives one answer."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, is told
        return raised(error)
    return {"raised": None}


def of_stream(stream: Iterable[str]) -> dict[str, Any]:
    """The end of a stream, with the text before it."""
    text = ""
    try:
        for piece in stream:
            text += piece
    except Exception as error:  # noqa: BLE001 - whatever it is, is told
        return {"text": text, **raised(error)}
    return {"text": text, "raised": None}


async def of_async_stream(stream: AsyncIterable[str]) -> dict[str, Any]:
    """The end of an asynchronous stream, with the text before it."""
    text = ""
    try:
        async for piece in stream:
            text += piece
    except Exception as error:  # noqa: BLE001 - whatever it is, is told
        return {"text": text, **raised(error)}
    return {"text": text, "raised": None}


def of_broken(read: Callable[[str], Iterable[str]]) -> dict[str, Any]:
    """The ends of streams that break off."""
    return {model: of_stream(read(model)) for model in BROKEN}


async def of_broken_async(read: Callable[[str], AsyncIterable[str]]) -> dict[str, Any]:
    """The ends of asynchronous streams that break off."""
    return {model: await of_async_stream(read(model)) for model in BROKEN}
