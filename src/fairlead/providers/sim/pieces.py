"""Texts as models write them: in pieces of about a token, and with how likely each was."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.core.estimate import BYTES_PER_TOKEN


def tokens(text: str) -> list[str]:
    """Cut a text into pieces of about a token each, never inside a character; joined they are the text."""
    if text.isascii():
        return [text[start : start + BYTES_PER_TOKEN] for start in range(0, len(text), BYTES_PER_TOKEN)]
    pieces: list[str] = []
    piece = ""
    for char in text:
        if piece and len((piece + char).encode()) > BYTES_PER_TOKEN:
            pieces.append(piece)
            piece = ""
        piece += char
    return [*pieces, piece]


def openai_logprobs(text: str, top: int) -> msgspec.Raw:
    """Log probabilities of a text's tokens in OpenAI's form; every alternative is less likely than the token."""
    rows = []
    for position, token in enumerate(tokens(text)):
        first = -0.01 * (1 + position % 7)
        ranks = [_logprob(token if rank == 0 else f"{token}{rank}", first - rank) for rank in range(top)]
        rows.append({**_logprob(token, first), "top_logprobs": ranks})
    return msgspec.Raw(msgspec.json.encode({"content": rows, "refusal": None}))


def _logprob(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}
