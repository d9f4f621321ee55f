"""Errors of embeddings, both ways."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.dialects import DIALECTS
from fairlead.dialects.embeddings import GEMINI_EMBEDDINGS, errors
from fairlead.errors import (
    ContextWindowExceeded,
    FairleadError,
    QuotaExhausted,
    RateLimited,
    UpstreamAuth,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)

GEMINI = GEMINI_EMBEDDINGS.errors
FORMS = [errors.OPENAI, GEMINI, errors.COHERE, errors.VOYAGE]
TOO_LONG = "The example at index 0 does not fit into the model's context window of 32000 tokens."
DAILY = {"@type": "QuotaFailure", "violations": [{"quotaId": "EmbedRequestsPerDayPerProject"}]}


@pytest.mark.parametrize(
    ("form", "status", "body", "kind"),
    [
        (errors.VOYAGE, 400, {"detail": "wrong model"}, UpstreamRejected),
        (errors.VOYAGE, 400, {"detail": TOO_LONG}, ContextWindowExceeded),
        (errors.VOYAGE, 401, {"detail": "Provided API key is invalid."}, UpstreamAuth),
        (errors.VOYAGE, 429, {"detail": "slow down"}, UpstreamRateLimited),
        (errors.COHERE, 400, {"message": "wrong model"}, UpstreamRejected),
        (errors.COHERE, 402, {"message": "pay"}, QuotaExhausted),
        (errors.COHERE, 498, {"message": "invalid token"}, UpstreamAuth),
        (errors.COHERE, 503, {"message": "busy"}, UpstreamUnavailable),
        (GEMINI, 404, {"error": {"code": 404, "message": "no", "status": "NOT_FOUND"}}, UpstreamRejected),
        (GEMINI, 429, {"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}}, UpstreamRateLimited),
        (
            GEMINI,
            429,
            {"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED", "details": [DAILY]}},
            QuotaExhausted,
        ),
        (errors.OPENAI, 429, {"error": {"message": "no", "code": "insufficient_quota"}}, QuotaExhausted),
    ],
)  # fmt: skip
def test_each_providers_own_form_is_understood(form, status, body, kind):
    """What to do next follows from the class."""
    assert type(form.decode(status, {}, json.dumps(body).encode())) is kind


def test_google_says_how_long_to_wait_in_the_body():
    """It sends no header for it."""
    details = [{"@type": "RetryInfo", "retryDelay": "7s"}]
    body = json.dumps({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}).encode()

    assert GEMINI.decode(429, {}, body).retry_after_s == 7


@given(form=st.sampled_from(FORMS), status=st.integers(201, 599), body=st.binary(max_size=60))
def test_whatever_comes_some_error_is_made_of_it(form, status, body):
    """The decoder is total."""
    assert isinstance(form.decode(status, {}, body), FairleadError)


@pytest.mark.parametrize("name", [name for name, each in DIALECTS.items() if each.kind == "embeddings"])
@pytest.mark.parametrize("error", [UpstreamRejected("no such model"), RateLimited("slow down", kind="tokens")])
def test_what_is_written_is_read_again(name, error):
    """With its message and status, in each form."""
    form = DIALECTS[name].errors

    again = form.decode(error.status, {}, form.encode(error))

    assert again.status == error.status
    assert error.message.encode() in form.encode(error)
