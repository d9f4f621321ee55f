"""Where a call is posted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from live.caller import path_of

from fairlead.dialects import dialect

IN_PATH = replace(
    dialect("openai_chat"),
    paths=("/v1beta/models/",),
    upstream_path="/models/{model}:generateContent",
    stream_path="/models/{model}:streamGenerateContent?alt=sse",
    count_path="/models/{model}:countTokens",
)
"""A dialect that names the model, and what is asked of it, in the path."""


@pytest.mark.parametrize(
    ("asks", "path"),
    [
        ({"stream": False, "counts": False}, "/v1beta/models/a%2Fb:generateContent"),
        ({"stream": True, "counts": False}, "/v1beta/models/a%2Fb:streamGenerateContent"),
        ({"stream": False, "counts": True}, "/v1beta/models/a%2Fb:countTokens"),
    ],
)
def test_a_model_in_the_path(asks: dict[str, bool], path: str) -> None:
    """It stands there percent-encoded, below the path that the gateway serves."""
    assert path_of(IN_PATH, "a/b", **asks) == path


def test_a_model_in_the_body() -> None:
    """The path is one that the gateway serves, of its own for counts."""
    spoken = dialect("anthropic")

    assert path_of(spoken, "m", stream=True, counts=False) == "/v1/messages"
    assert path_of(spoken, "m", stream=False, counts=True) == "/v1/messages/count_tokens"
