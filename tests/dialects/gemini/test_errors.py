"""Errors of the Gemini dialect."""

from __future__ import annotations

import json

import pytest
from google.genai import errors as official
from hypothesis import given
from hypothesis import strategies as st

from fairlead.dialects.gemini import errors
from fairlead.errors import (
    BudgetExceeded,
    ContentRefused,
    ContextWindowExceeded,
    DeadlineExceeded,
    FairleadError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    Unauthenticated,
    UpstreamAuth,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

INFO = "type.googleapis.com/google.rpc.ErrorInfo"
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"
RETRY = "type.googleapis.com/google.rpc.RetryInfo"


def told(code=400, message="sk-1 no", status="INVALID_ARGUMENT", *details):
    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": details}}).encode()


def quota(name):
    return {"@type": QUOTA, "violations": [{"quotaMetric": "m", "quotaId": name}]}


LIMITED = "You exceeded your current quota, please check your plan and billing details."
CASES = [
    (400, told(), UpstreamRejected),
    (400, told(400, "The input token count (5) exceeds the maximum number of tokens allowed (4)."), ContextWindowExceeded),
    (400, told(400, "API key not valid. Please pass a valid API key."), UpstreamAuth),
    (400, told(400, "x", "INVALID_ARGUMENT", {"@type": INFO, "reason": "API_KEY_INVALID"}), UpstreamAuth),
    (400, told(400, "Free tier is not available. Please enable billing.", "FAILED_PRECONDITION"), QuotaExhausted),
    (400, told(400, "User location is not supported.", "FAILED_PRECONDITION"), UpstreamRejected),
    (400, told(400, "x", "INVALID_ARGUMENT", {"@type": INFO, "reason": "CONTENT_POLICY"}), ContentRefused),
    (401, told(401, "x", "UNAUTHENTICATED"), UpstreamAuth),
    (402, b"", QuotaExhausted),
    (403, told(403, "x", "PERMISSION_DENIED"), UpstreamAuth),
    (404, told(404, "models/x is not found", "NOT_FOUND"), UpstreamRejected),
    (408, b"", UpstreamTimeout),
    (409, told(409, "x", "ABORTED"), UpstreamUnavailable),
    (413, b"", UpstreamRejected),
    (418, b"teapot", UpstreamProtocol),
    (429, told(429, LIMITED, "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerMinutePerProject")), UpstreamRateLimited),
    (429, told(429, LIMITED, "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerDayPerProject")), QuotaExhausted),
    (429, told(429, "Your prepayment credits are depleted.", "RESOURCE_EXHAUSTED"), QuotaExhausted),
    (429, b"[" + told(429, LIMITED, "RESOURCE_EXHAUSTED", quota("PerDay")) + b"]", QuotaExhausted),
    (499, told(499, "x", "CANCELLED"), UpstreamUnavailable),
    (500, told(500, "x", "INTERNAL"), UpstreamUnavailable),
    (503, told(503, "The model is overloaded.", "UNAVAILABLE"), UpstreamUnavailable),
    (504, told(504, "x", "DEADLINE_EXCEEDED"), UpstreamTimeout),
    (302, b"", UpstreamProtocol),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), CASES)
def test_an_error_answer_becomes_one_of_ours(status, body, kind):
    """By its status, and by what its details say."""
    assert type(errors.decode(status, {}, body)) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("INVALID_ARGUMENT", UpstreamRejected),
        ("UNAUTHENTICATED", UpstreamAuth),
        ("RESOURCE_EXHAUSTED", UpstreamRateLimited),
        ("UNAVAILABLE", UpstreamUnavailable),
        ("DEADLINE_EXCEEDED", UpstreamTimeout),
        ("INVENTED", UpstreamUnavailable),
    ],
)
def test_an_error_in_a_200_goes_by_the_status_that_it_names(status, kind):
    """By number, or by name where there is none."""
    body = json.dumps({"error": {"message": "x", "status": status}}).encode()
    assert type(errors.decode_in_band(body)) is kind
    assert type(errors.decode_in_band(told(504, "x", status))) is UpstreamTimeout


def test_credentials_are_never_told():
    """The provider's words name keys and projects of ours."""
    for body in (told(401, "sk-1"), told(403, "sk-1"), told(400, "sk-1 API key not valid")):
        status = json.loads(body)["error"]["code"]
        assert "sk-1" not in errors.decode(status, {}, body).message


def test_the_wait_stands_in_the_details_or_in_a_header():
    """A header comes first; one that says not to try again is obeyed."""
    body = told(429, LIMITED, "RESOURCE_EXHAUSTED", {"@type": RETRY, "retryDelay": "34.5s"})
    assert errors.decode(429, {}, body).retry_after_s == 34.5
    assert errors.decode_in_band(body).retry_after_s == 34.5
    assert errors.decode(429, {"retry-after": "2"}, body).retry_after_s == 2
    assert errors.decode(503, {}, told(503)).retry_after_s is None


def test_what_the_caller_did_is_told_to_the_caller():
    """In the provider's words, with its status."""
    error = errors.decode(404, {}, told(404, "models/x is not\nfound", "NOT_FOUND"))
    assert (error.message, error.status) == ("models/x is not found", 404)


@given(st.integers(100, 999), st.binary(max_size=60))
def test_anything_becomes_some_error(status, body):
    """Decoding is total."""
    for source in (body, b'{"error":' + body + b"}"):
        assert isinstance(errors.decode(status, {}, source), FairleadError)
        assert isinstance(errors.decode_in_band(source), FairleadError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "status", "details", "reason", "violations", "retryDelay"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_becomes_some_error(value):
    """Whatever stands where."""
    body = json.dumps(value).encode()
    assert isinstance(errors.decode(429, {}, body), FairleadError)
    assert isinstance(errors.decode_in_band(body), FairleadError)


OURS = [
    (InvalidRequest("bad", param="contents"), 400, "INVALID_ARGUMENT", official.ClientError),
    (Unauthenticated("who"), 401, "UNAUTHENTICATED", official.ClientError),
    (ModelNotFound("none"), 404, "NOT_FOUND", official.ClientError),
    (RateLimited("slow", kind="requests", limit=1, remaining=0, retry_after_s=2.5), 429, "RESOURCE_EXHAUSTED", official.ClientError),
    (BudgetExceeded("spent"), 429, "RESOURCE_EXHAUSTED", official.ClientError),
    (UpstreamProtocol("odd"), 502, "UNAVAILABLE", official.ServerError),
    (Overloaded("full"), 503, "UNAVAILABLE", official.ServerError),
    (DeadlineExceeded("late"), 504, "DEADLINE_EXCEEDED", official.ServerError),
    (FairleadError("ours"), 500, "INTERNAL", official.ServerError),
]  # fmt: skip


@pytest.mark.parametrize(("error", "code", "status", "kind"), OURS)
def test_our_errors_are_googles(error, code, status, kind):
    """The official client raises its own, with our words, and our code as the reason."""
    body = json.loads(errors.encode(error))
    with pytest.raises(kind) as raised:
        official.APIError.raise_error(code, body, None)
    assert (raised.value.code, raised.value.status, raised.value.message) == (code, status, error.message)
    assert body["error"]["code"] == code
    info = body["error"]["details"][0]
    assert (info["@type"], info["reason"], info["domain"]) == (INFO, error.code.upper(), "fairlead")
    assert info.get("metadata") == ({"param": "contents"} if error.param else None)
    delays = [detail["retryDelay"] for detail in body["error"]["details"] if "retryDelay" in detail]
    assert delays == (["2.500s"] if error.retry_after_s else [])


def test_a_context_that_is_too_long_is_known_by_googles_words():
    """Clients look for them."""
    for words in ("too much", "The input token count (5) exceeds the maximum number of tokens allowed (4)."):
        body = errors.encode(ContextWindowExceeded(words))
        assert body.count(b"exceeds the maximum number of tokens") == 1
        assert isinstance(errors.decode(400, {}, body), ContextWindowExceeded)


def test_an_error_event_begins_as_the_official_client_looks_for_it():
    """It takes an event for an error where `error` is its first key."""
    event = errors.encode_event(Overloaded("full"))
    assert event.startswith(b'data: {"error":{"code":503,')
    assert event.endswith(b"\n\n")
