"""What is said of paths that are not there."""

from __future__ import annotations

import pytest

from fairlead.gateway.unknown import unknown

SERVED = {"/v1/chat/completions", "/v1/models", "/health/live", "/v1beta/models"}


def hint(path: str) -> str:
    """What the refusal says behind the path."""
    return unknown(path, SERVED.__contains__).message.removeprefix(f"no path {path!r} on this gateway")


@pytest.mark.parametrize(
    ("path", "ending"),
    [("/v1/v1/messages", "/v1"), ("/v1/v1beta/models/m:generateContent", "/v1"), ("/v1beta/v1beta/models", "/v1beta")],
)
def test_a_doubled_version_is_one_too_many_in_the_base_url(path: str, ending: str) -> None:
    """The client adds it by itself."""
    assert hint(path) == f"; the base URL of this client must not end in `{ending}`"


@pytest.mark.parametrize("path", ["/chat/completions", "/models"])
def test_a_missing_version_belongs_into_the_base_url(path: str) -> None:
    """OpenAI's clients do not add it."""
    assert hint(path) == "; this client takes the base URL that ends in `/v1`"


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("//v1/chat/completions", "must not end in `/`"),
        ("/v1/chat/completions/", "leave off the slash at its end: `/v1/chat/completions`"),
    ],
)
def test_a_slash_too_many_is_told(path: str, remedy: str) -> None:
    """At either end of the path."""
    assert hint(path).endswith(remedy)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/images/generations", "images"),
        ("/v1/audio/speech", "audio"),
        ("/v1/moderations", "moderations"),
        ("/v1/files/file-1", "files"),
        ("/v1/batches", "batches"),
        ("/v1/messages/batches", "batches"),
        ("/v1/vector_stores", "vector stores"),
        ("/v1/conversations", "conversations"),
        ("/v1/completions", "legacy completions"),
        ("/v1beta/cachedContents", "cachedContents"),
        ("/images/edits", "images"),
    ],
)
def test_a_known_api_that_is_not_there_is_named(path: str, name: str) -> None:
    """Also below its own path, and without the version."""
    assert hint(path).startswith(f"; the {name} API is not offered; ")


@pytest.mark.parametrize(
    ("path", "place"), [("/healthz", "`/health/live`"), ("/health/", "`/health/live`"), ("/metrics", "control port")]
)
def test_operators_are_told_the_right_place(path: str, place: str) -> None:
    """For probes and metrics."""
    assert place in hint(path)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/filesystem", "/v1/v1"])
def test_nothing_is_guessed_about_other_paths(path: str) -> None:
    """A wrong hint is worse than none."""
    assert hint(path) == ""
