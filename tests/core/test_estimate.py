"""Tokens guessed from bytes."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.estimate import IMAGE_TOKENS, estimate_prompt, estimate_tokens, prompt_text, prompt_tokens
from fairlead.types import (
    AudioPart,
    Chat,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
)


@given(st.text(), st.text())
def test_a_whole_is_at_most_its_parts_and_at_least_the_larger(first, second):
    """Cutting a text never makes it cheaper, and never by more than a token."""
    both = estimate_tokens(first + second)
    parts = estimate_tokens(first) + estimate_tokens(second)
    assert parts - 1 <= both <= parts


def test_nothing_is_no_token():
    """Empty text costs nothing, one letter a token, five letters two."""
    assert [estimate_tokens(text) for text in ("", "a", "abcd", b"abcde")] == [0, 1, 1, 2]


def test_other_scripts_count_by_bytes():
    """Three-byte characters are not taken for a quarter token each."""
    assert estimate_tokens("中中中中") == estimate_prompt(12) == 3


def test_a_lone_surrogate_is_counted():
    """Text that cannot be encoded does not break an estimate."""
    assert estimate_tokens("\ud800") == 1


def test_a_prompt_is_its_text_tools_schema_and_media():
    """Everything that the model reads counts, each image by rule."""
    call = ToolCall(id="c", name="look", arguments="{}")
    chat = Chat(
        model="m",
        messages=(
            Message(role="user", parts=(TextPart(text="abcd"), ImagePart(url="https://example.com/a.png"))),
            Message(role="assistant", tool_calls=(call,)),
        ),
        tools=(Tool(name="look", description="Looks.", parameters=msgspec.Raw(b'{"type":"object"}')),),
        response_format=ResponseFormat(type="json_schema", schema=msgspec.Raw(b"{}")),
    )
    assert prompt_text(chat) == b'abcdlook{}lookLooks.{"type":"object"}{}'
    assert prompt_tokens(chat) == IMAGE_TOKENS + 10


def test_every_kind_of_part_counts_once():
    """Reasoning, plain documents and what one dialect alone has as text; sound and other files by rule."""
    text = (
        RefusalPart(text="no"),
        ReasoningPart(text="hm"),
        FilePart(text="plain"),
        OpaquePart(dialect="anthropic", kind="x", raw=msgspec.Raw(b"[1]")),
    )
    media = (AudioPart(data="AAAA", format="wav"), FilePart(file_id="f"))
    chat = Chat(model="m", messages=(Message(role="user", parts=(*text, *media)),))
    assert prompt_text(chat) == b"nohmplain[1]"
    assert prompt_tokens(chat) == 2 * IMAGE_TOKENS + 3
