"""Errors of the OpenAI dialect."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors as ours
from fairlead.dialects.openai_chat import errors


def said(message="Something.", **fields):
    return json.dumps({"error": {"message": message, "type": "t", "param": None, "code": None, **fields}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "shown_status"),
    [
        (400, said(), ours.UpstreamRejected, 400),
        (401, said(), ours.UpstreamAuth, 502),
        (402, said(), ours.QuotaExhausted, 429),
        (403, said(), ours.UpstreamAuth, 502),
        (404, said(), ours.UpstreamRejected, 404),
        (408, said(), ours.UpstreamTimeout, 504),
        (409, said(), ours.UpstreamUnavailable, 503),
        (413, said(), ours.UpstreamRejected, 413),
        (418, said(), ours.UpstreamProtocol, 502),
        (422, said(), ours.UpstreamRejected, 422),
        (429, said(), ours.UpstreamRateLimited, 429),
        (429, said(code="insufficient_quota"), ours.QuotaExhausted, 429),
        (429, said(type="insufficient_quota"), ours.QuotaExhausted, 429),
        (429, said("You exceeded your current quota, check your plan."), ours.QuotaExhausted, 429),
        (429, said(code="billing_hard_limit_reached"), ours.QuotaExhausted, 429),
        (400, said(code="context_length_exceeded"), ours.ContextWindowExceeded, 400),
        (400, said("This model's maximum context length is 8192 tokens."), ours.ContextWindowExceeded, 400),
        (500, said(), ours.UpstreamUnavailable, 503),
        (501, b"", ours.UpstreamUnavailable, 503),
        (503, b"<html>", ours.UpstreamUnavailable, 503),
        (504, said(), ours.UpstreamTimeout, 504),
        (524, b"", ours.UpstreamTimeout, 504),
        (529, said(), ours.UpstreamUnavailable, 503),
        (101, b"", ours.UpstreamProtocol, 502),
        (204, b"", ours.UpstreamProtocol, 502),
        (302, b"", ours.UpstreamProtocol, 502),
        (999, b"", ours.UpstreamProtocol, 502),
    ],
)
def test_each_status_becomes_the_fitting_error(status, body, kind, shown_status):
    """The table of the module, row by row."""
    error = errors.decode(status, {}, body)
    assert (type(error), error.status) == (kind, shown_status)


@given(
    st.integers(0, 1000),
    st.dictionaries(st.sampled_from(["retry-after", "date", "retry-after-ms"]), st.text(max_size=10)),
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "detail"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_whatever_comes_in_an_error_comes_out(status, headers, body):
    """Decoding is total, over HTTP and in band, and what it gives can be shown."""
    for error in (errors.decode(status, headers, body), errors.decode_in_band(body)):
        assert isinstance(error, ours.UpstreamError)
        assert json.loads(errors.encode(error))["error"]["message"]


@pytest.mark.parametrize("status", [401, 403])
def test_the_providers_words_about_our_key_stay_here(status):
    """A refused credential is not described to callers."""
    error = errors.decode(status, {}, said("Incorrect API key provided: sk-secret."))
    assert "sk-secret" not in str(error)
    assert b"sk-secret" not in errors.encode(error)


def test_a_rejection_carries_the_providers_words_in_bounds():
    """At most 300 characters, no control characters, and the field at fault."""
    error = errors.decode(400, {}, said("Bad\n\x00value " + "x" * 999, param="temperature"))
    assert error.message.startswith("Bad  value xxx")
    assert (len(error.message), error.param) == (300, "temperature")


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"model not found"}',
        b'{"detail":"model not found"}',
        b'{"object":"error","message":"model not found","code":404}',
        b'[{"error":{"message":"model not found"}}]',
    ],
)
def test_the_forms_of_imitators_are_read_too(body):
    """Ollama, FastAPI, vLLM and Google word it differently."""
    assert errors.decode(404, {}, body).message == "model not found"


def test_the_detail_is_a_short_line_without_keys():
    """Our own log gets 200 characters at most, and nothing that looks like a key."""
    error = errors.decode(500, {}, b"<html>\n" + b"key sk-proj-abc123def456ghi789 " + b"word " * 200)
    assert "abc123" not in error.detail
    assert "***" in error.detail
    assert "\n" not in error.detail
    assert len(error.detail) <= 220


@pytest.mark.parametrize(
    ("headers", "wait_s", "retryable"),
    [
        ({"retry-after": "7"}, 7, True),
        ({"retry-after": "junk"}, None, True),
        ({"retry-after": "-1"}, None, False),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 30, True),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, None, True),
    ],
)
def test_the_wait_that_a_provider_asks_for_is_kept(headers, wait_s, retryable):
    """A negative one means that a retry is not wanted; a date counts from the answer's own date."""
    error = errors.decode(429, headers, b"")
    assert (error.retry_after_s, error.retryable) == (wait_s, retryable)


def test_one_negative_wait_does_not_change_the_kind():
    """Only that answer is final, not every rate limit after it."""
    errors.decode(429, {"retry-after": "-1"}, b"")
    assert ours.UpstreamRateLimited.retryable
    assert errors.decode(429, {}, b"").retryable


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"code":429,"message":"x"}}', ours.UpstreamRateLimited),
        (b'{"error":{"code":"503"}}', ours.UpstreamUnavailable),
        (b'{"error":{"type":"overloaded_error"}}', ours.UpstreamUnavailable),
        (b'{"error":{"code":"insufficient_quota"}}', ours.QuotaExhausted),
        (b'{"error":{"code":"context_length_exceeded"}}', ours.ContextWindowExceeded),
        (b'{"error":{"code":"invalid_api_key"}}', ours.UpstreamAuth),
        (b'{"error":{"type":"timeout"}}', ours.UpstreamTimeout),
        (b'{"error":{"type":"invalid_request_error"}}', ours.UpstreamRejected),
        (b'{"error":{"message":"oh"}}', ours.UpstreamUnavailable),
        (b'{"error":"oh"}', ours.UpstreamUnavailable),
        (b'{"error":{"code":200}}', ours.UpstreamUnavailable),
    ],
)
def test_an_error_in_a_200_is_the_error_that_it_names(body, kind):
    """Its code or type stands for a status."""
    assert type(errors.decode_in_band(body)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ours.InvalidRequest("x"), "invalid_request_error"),
        (ours.Unauthenticated("x"), "invalid_request_error"),
        (ours.RateLimited("x"), "requests"),
        (ours.RateLimited("x", kind="tokens"), "tokens"),
        (ours.BudgetExceeded("x"), "insufficient_quota"),
        (ours.QuotaExhausted("x"), "insufficient_quota"),
        (ours.UpstreamRateLimited("x"), "requests"),
        (ours.UpstreamUnavailable("x"), "server_error"),
        (ours.InternalError("x"), "server_error"),
    ],
)
def test_errors_carry_openais_type_names(error, kind):
    """The SDKs and what is built on them look at these."""
    assert json.loads(errors.encode(error)) == {
        "error": {"message": "x", "type": kind, "param": None, "code": error.code}
    }


def test_an_in_band_error_is_one_event():
    """It ends a stream in place of its terminator."""
    event = errors.encode_event(ours.StreamTruncated("broke", detail="secret"))
    assert event.startswith(b'data: {"error":{"message":"broke"')
    assert event.endswith(b"}\n\n")
    assert b"secret" not in event
    assert b"[DONE]" not in event


def googles(*details: object, message: str = "You exceeded your current quota, please check your plan.") -> bytes:
    return json.dumps([{"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}}]).encode()  # fmt: skip


def test_googles_wait_stands_in_the_body() -> None:
    """`RetryInfo` is the hint where no header is sent; a header goes before it (U5)."""
    body = googles({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "52s"})
    error = errors.decode(429, {}, body)
    assert (type(error), error.retry_after_s) == (ours.UpstreamRateLimited, 52.0)
    assert errors.decode(429, {"retry-after": "3"}, body).retry_after_s == 3
    assert errors.decode(429, {}, googles({"retryDelay": "0.25s"})).retry_after_s == 0.25
    assert errors.decode(429, {}, googles({"retryDelay": "999999999s"})).retry_after_s == 86_400


@pytest.mark.parametrize(
    "details", [[], ["x"], [{"retryDelay": 52}], [{"retryDelay": "soon"}], [{"retryDelay": "-1s"}]]
)
def test_a_body_without_a_wait_that_makes_sense_has_none(details: list[object]) -> None:
    """Nothing is guessed, and nothing raised."""
    assert errors.decode(429, {}, googles(*details)).retry_after_s is None
    assert errors.decode(429, {}, b'{"error":{"status":"RESOURCE_EXHAUSTED","details":7}}').retry_after_s is None


@pytest.mark.parametrize(
    ("quota", "kind"),
    [
        ("GenerateRequestsPerMinutePerProjectPerModel", ours.UpstreamRateLimited),
        ("GenerateRequestsPerDayPerProjectPerModel", ours.QuotaExhausted),
        (None, ours.UpstreamRateLimited),
    ],
)
def test_of_googles_quotas_the_days_alone_is_exhausted(quota: str | None, kind: type[ours.FairleadError]) -> None:
    """It calls a limit by the minute a quota, too (U6)."""
    assert type(errors.decode(429, {}, googles({"violations": [{"quotaId": quota}, "x"]}))) is kind
