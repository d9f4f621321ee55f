"""Token counts guessed from bytes, for what nobody counted."""

from __future__ import annotations

from fairlead.types import (
    AudioPart,
    Chat,
    Embed,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
)

BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb for English: "one token generally corresponds to ~4 characters of text"
(help.openai.com, *What are tokens and how to count them*).  Bytes, not characters, so that other scripts,
which take more tokens a character, are not underrated as much."""

IMAGE_TOKENS = 85
"""What OpenAI counts for an image in low detail; taken for every image, sound and file."""


def estimate_tokens(text: str | bytes) -> int:
    """A quarter of the UTF-8 bytes, rounded up; nothing is 0."""
    size_bytes = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    return estimate_prompt(size_bytes)


def estimate_prompt(size_bytes: int) -> int:
    """The same for a number of bytes."""
    return -(-size_bytes // BYTES_PER_TOKEN)


def prompt_tokens(chat: Chat | Embed) -> int:
    """The input tokens of a chat: its text, tools and schema, and `IMAGE_TOKENS` for each piece of media; those of
    embeddings are their texts."""
    if isinstance(chat, Embed):
        return sum(estimate_tokens(each) if isinstance(each, str) else len(each) for each in chat.inputs)
    return estimate_tokens(prompt_text(chat)) + IMAGE_TOKENS * _media(chat)


def prompt_text(chat: Chat) -> bytes:
    """All that a model reads of a chat, in one piece; tools and schema stand last, as JSON."""
    pieces = [piece.encode("utf-8", "surrogatepass") for message in chat.messages for piece in _texts(message)]
    for tool in chat.tools:
        pieces += [tool.name.encode(), (tool.description or "").encode(), bytes(tool.parameters or b"")]
    if chat.response_format is not None:
        pieces.append(bytes(chat.response_format.schema or b""))
    return b"".join(pieces)


def _texts(message: Message) -> list[str]:
    texts = [
        part.text or "" for part in message.parts if isinstance(part, TextPart | RefusalPart | ReasoningPart | FilePart)
    ]
    texts += [bytes(part.raw).decode("utf-8", "replace") for part in message.parts if isinstance(part, OpaquePart)]
    for call in message.tool_calls:
        texts += [call.name, call.arguments]
    return texts


def _media(chat: Chat) -> int:
    parts = [part for message in chat.messages for part in message.parts]
    return sum(
        isinstance(part, ImagePart | AudioPart) or (isinstance(part, FilePart) and part.text is None) for part in parts
    )
