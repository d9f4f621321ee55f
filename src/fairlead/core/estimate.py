"""Token counts guessed from bytes, for what nobody counted."""

from __future__ import annotations

BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb for English: "one token generally corresponds to ~4 characters of text"
(help.openai.com, *What are tokens and how to count them*).  Bytes, not characters, so that other scripts,
which take more tokens a character, are not underrated as much."""


def estimate_tokens(text: str | bytes) -> int:
    """A quarter of the UTF-8 bytes, rounded up; nothing is 0."""
    size_bytes = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    return estimate_prompt(size_bytes)


def estimate_prompt(size_bytes: int) -> int:
    """The same for a number of bytes."""
    return -(-size_bytes // BYTES_PER_TOKEN)
