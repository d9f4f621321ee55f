"""From paths to dialects."""

from __future__ import annotations

import pytest

from fairlead.dialects import DIALECTS
from fairlead.providers.sim.routes import Routes, asked_model

ROUTES = Routes(DIALECTS.values())


@pytest.mark.parametrize(
    ("path", "name", "known"),
    [
        ("/v1/chat/completions", "openai_chat", "/v1/chat/completions"),
        ("/chat/completions", "openai_chat", "/v1/chat/completions"),
        ("/openai/v1/chat/completions", "openai_chat", "/v1/chat/completions"),
        ("/anthropic/v1/messages", "anthropic", "/v1/messages"),
        ("/messages/count_tokens", "anthropic", "/v1/messages/count_tokens"),
    ],
)
def test_a_path_belongs_to_a_dialect_below_any_base(path, name, known):
    """Its reader is given the path that it knows."""
    dialect, found = ROUTES.post(path)
    assert (dialect.name, found) == (name, known)


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/messages/", "/v1/messages/batches", "/", "", "/v1/models"])
def test_other_paths_belong_to_none(path):
    """Nothing is guessed."""
    assert ROUTES.post(path) is None


def test_a_caller_is_known_by_path_then_by_header():
    """And is OpenAI's where neither says anything."""
    signed = {"anthropic-version": "2023-06-01"}
    assert ROUTES.caller("/v1/chat/completions", signed).name == "openai_chat"
    assert ROUTES.caller("/v1/nothing", signed).name == "anthropic"
    assert ROUTES.caller("/v1/nothing", {}).name == "openai_chat"


@pytest.mark.parametrize(
    ("path", "model"),
    [("/v1/models", ""), ("/models", ""), ("/v1/models/a%2Fb", "a/b"), ("/v1/model", None), ("/v1/models/a:b", None)],
)
def test_a_path_may_ask_about_models(path, model):
    """About all, about one, or about nothing of the kind."""
    assert asked_model(path) == model
