"""Errors of the Anthropic dialect."""

from __future__ import annotations

import json

import anthropic
import httpx2
import pytest
from anthropic.types import ErrorResponse
from hypothesis import given
from hypothesis import strategies as st

from anthropic_official import undeclared
from fairlead import errors as ours
from fairlead.dialects.anthropic import errors
from fairlead.errors import (
    BudgetExceeded,
    ContentRefused,
    ContextWindowExceeded,
    DeadlineExceeded,
    FairleadError,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    TooLarge,
    Unauthenticated,
    UpstreamAuth,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)


def told(kind, message="x", **more):
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "r"}
    ).encode()


LONG = "prompt is too long: 210381 tokens > 200000 maximum"
LIMIT = "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"
POOR = "Your credit balance is too low to access the Anthropic API."
CASES = [
    (400, told("invalid_request_error", "messages: bad"), UpstreamRejected, 400, False),
    (400, told("invalid_request_error", LONG), ContextWindowExceeded, 400, False),
    (400, told("invalid_request_error", LIMIT), ContextWindowExceeded, 400, False),
    (413, told("request_too_large", "Prompt is too long"), ContextWindowExceeded, 400, False),
    (413, told("request_too_large", "Request exceeds the maximum size"), UpstreamRejected, 413, False),
    (400, told("invalid_request_error", POOR), QuotaExhausted, 429, False),
    (
        400,
        told("invalid_request_error", "You have reached your specified API usage limits."),
        QuotaExhausted,
        429,
        False,
    ),
    (400, told("invalid_request_error", "Output blocked by content filtering policy"), ContentRefused, 400, False),
    (401, told("authentication_error", "invalid x-api-key"), UpstreamAuth, 502, False),
    (402, told("billing_error"), QuotaExhausted, 429, False),
    (403, told("permission_error"), UpstreamAuth, 502, False),
    (404, told("not_found_error", "model: claude-9"), UpstreamRejected, 404, False),
    (408, told("timeout_error"), UpstreamTimeout, 504, True),
    (409, told("conflict_error"), UpstreamUnavailable, 503, True),
    (422, b"{}", UpstreamRejected, 422, False),
    (429, told("rate_limit_error"), UpstreamRateLimited, 429, True),
    (429, told("rate_limit_error", details={"error_code": "ramp_limit_exceeded"}), UpstreamRateLimited, 429, True),
    (429, told("rate_limit_error", details={"error_code": "contract_spend_limit_reached"}), QuotaExhausted, 429, False),
    (500, told("api_error"), UpstreamUnavailable, 503, True),
    (502, b"<html>", UpstreamUnavailable, 503, True),
    (504, told("timeout_error"), UpstreamTimeout, 504, True),
    (529, told("overloaded_error", "Overloaded"), UpstreamUnavailable, 503, True),
    (302, b"", UpstreamProtocol, 502, True),
    (407, b"", UpstreamProtocol, 502, True),
]


@pytest.mark.parametrize(("status", "body", "kind", "answered", "retryable"), CASES)
def test_an_error_answer_becomes_one_of_ours(status, body, kind, answered, retryable):
    """By its status, and by its words where the status is not enough."""
    error = errors.decode(status, {}, body)
    assert (type(error), error.status, error.retryable) == (kind, answered, retryable)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", UpstreamUnavailable),
        ("api_error", UpstreamUnavailable),
        ("rate_limit_error", UpstreamRateLimited),
        ("authentication_error", UpstreamAuth),
        ("permission_error", UpstreamAuth),
        ("billing_error", QuotaExhausted),
        ("not_found_error", UpstreamRejected),
        ("request_too_large", UpstreamRejected),
        ("invalid_request_error", UpstreamRejected),
        ("timeout_error", UpstreamTimeout),
        ("invented_error", UpstreamUnavailable),
    ],
)
def test_an_error_in_a_stream_is_known_by_its_type(kind, expected):
    """As if it had come with the status of its own."""
    assert type(errors.decode_in_band(told(kind))) is expected


def test_a_context_that_is_too_long_is_told_apart_in_a_stream_too():
    """The words say it."""
    assert isinstance(errors.decode_in_band(told("invalid_request_error", LONG)), ContextWindowExceeded)


def test_the_wait_that_a_provider_asks_for_is_kept():
    """Seconds, or a date that counts from its own clock; a final answer is final."""
    assert errors.decode(429, {"retry-after": "7"}, told("rate_limit_error")).retry_after_s == 7
    dates = {"retry-after": "Thu, 01 Jan 2026 00:00:09 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}
    assert errors.decode(529, dates, b"").retry_after_s == 9
    assert errors.decode(529, {"x-should-retry": "false"}, b"").retryable is False


def test_the_providers_words_on_keys_stay_with_us():
    """They name accounts of ours; a rejection is the caller's to read, on one line."""
    secret = errors.decode(401, {}, told("authentication_error", "key sk-ant-1234567890abcdef of org X"))
    assert "sk-ant" not in secret.message
    assert "sk-ant-1234567890abcdef" not in (secret.detail or "")
    assert errors.decode(400, {}, told("invalid_request_error", "a\nb" + "x" * 999)).message == "a b" + "x" * 297


def test_the_providers_request_is_in_our_log():
    """Its support asks for it."""
    assert "[r]" in (errors.decode(500, {}, told("api_error")).detail or "")


@given(
    st.integers(100, 999), st.binary(max_size=60), st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text())
)
def test_any_answer_becomes_an_error_of_ours(status, body, headers):
    """Whatever it was."""
    assert isinstance(errors.decode(status, headers, body), FairleadError)
    assert isinstance(errors.decode_in_band(body), FairleadError)


@pytest.mark.parametrize("body", [b"[]", b'{"error":"x"}', b'{"error":[1]}', b'{"error":{"details":3,"message":4}}'])
def test_odd_bodies_are_read_all_the_same(body):
    """Also those of something that stands before the provider."""
    assert isinstance(errors.decode(400, {}, body), UpstreamRejected)


OURS = [
    (InvalidRequest("x"), "invalid_request_error"),
    (Unauthenticated("x"), "authentication_error"),
    (ours.Forbidden("x"), "permission_error"),
    (ModelNotFound("x"), "not_found_error"),
    (TooLarge("x"), "request_too_large"),
    (ours.RequestTimeout("x"), "timeout_error"),
    (RateLimited("x"), "rate_limit_error"),
    (BudgetExceeded("x"), "billing_error"),
    (QuotaExhausted("x"), "billing_error"),
    (UpstreamRateLimited("x"), "rate_limit_error"),
    (UpstreamUnavailable("x"), "overloaded_error"),
    (UpstreamTimeout("x"), "timeout_error"),
    (DeadlineExceeded("x"), "timeout_error"),
    (UpstreamAuth("x"), "api_error"),
    (UpstreamProtocol("x"), "api_error"),
    (Overloaded("x"), "overloaded_error"),
    (InternalError("x"), "api_error"),
    (ours.OutputInvalid("x"), "invalid_request_error"),
]


@pytest.mark.parametrize(("error", "kind"), OURS)
def test_our_errors_bear_anthropics_types(error, kind):
    """And nothing beside type and message, which the official models forbid."""
    body = errors.encode(error)
    assert json.loads(body) == {"type": "error", "error": {"type": kind, "message": "x"}}
    if kind != "request_too_large":  # documented, and not among the SDK's models
        assert undeclared(ErrorResponse.model_validate_json(body)) == set()


def test_every_error_of_ours_has_a_type():
    """None is left out."""
    kinds = [kind for kind in vars(ours).values() if isinstance(kind, type) and issubclass(kind, FairleadError)]
    documented = {kind for _, kind in OURS}
    assert {json.loads(errors.encode(kind("x")))["error"]["type"] for kind in kinds} <= documented


def test_a_context_that_is_too_long_is_said_in_anthropics_words():
    """Clients know the case by them."""
    assert b'"prompt is too long: no room"' in errors.encode(ContextWindowExceeded("no room"))
    assert errors.encode(ContextWindowExceeded(LONG)).count(b"too long") == 1


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (InvalidRequest("x"), anthropic.BadRequestError),
        (Unauthenticated("x"), anthropic.AuthenticationError),
        (RateLimited("x"), anthropic.RateLimitError),
        (UpstreamUnavailable("x"), anthropic.APIStatusError),
    ],
)
def test_the_official_client_raises_what_we_mean(error, raised):
    """By status and type."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(error.status, content=errors.encode(error)))
    client = anthropic.Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))
    with pytest.raises(raised) as caught:
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert caught.value.type == json.loads(errors.encode(error))["error"]["type"]


def test_an_error_in_a_stream_is_an_event_of_its_own():
    """Named, and followed by no end of the message."""
    event = errors.encode_event(Overloaded("busy"))
    assert event.startswith(b'event: error\ndata: {"type":"error",')
    assert event.endswith(b"}\n\n")
