"""Every SDK's own exceptions, made as the SDK makes them."""

from __future__ import annotations

import functools
import json
import socket
import ssl
from typing import Any

import aiohttp
import anthropic
import httpx
import httpx2
import openai
import pytest
import requests
from google.genai import errors as genai
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from fairlead import errors
from fairlead._sdk_errors import Verdict, judge

NOW_S = 1_767_225_600.0
URL_ = "https://api.example/v1"
PROVIDER = Verdict(kind="provider", retry=True)
RATE_LIMIT = Verdict(kind="rate_limit", retry=True)
QUOTA = Verdict(kind="quota", retry=False)
CALLER = Verdict(kind="caller", retry=False)
UNKNOWN = Verdict(kind="unknown", retry=False)
BY_STATUS = {
    **dict.fromkeys([408, 500, 502, 503, 504, 520, 529], PROVIDER),
    **dict.fromkeys([409, 425, 429], RATE_LIMIT),
    **dict.fromkeys([400, 401, 403, 404, 413, 418, 422, 451], CALLER),
    402: QUOTA,
}


def raised(act: Any) -> BaseException:
    """What `act` raises."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what is wanted
        return error
    pytest.fail("nothing was raised")


def answer(status: int, body: Any = None, headers: dict[str, str] | None = None, *, lib: Any = httpx2) -> Any:
    """A provider's answer as the HTTP library has it."""
    return lib.Response(
        status, headers=headers, content=json.dumps(body or {}).encode(), request=lib.Request("POST", URL_)
    )


@functools.cache
def openai_client() -> openai.OpenAI:
    """A client that is never used to call."""
    return openai.OpenAI(api_key="none", base_url=URL_)


@functools.cache
def anthropic_client() -> anthropic.Anthropic:
    """A client that is never used to call."""
    return anthropic.Anthropic(api_key="none", base_url=URL_)


def of_openai(status: int, body: Any = None, headers: dict[str, str] | None = None) -> BaseException:
    """What `openai` makes of an answer."""
    return openai_client()._make_status_error_from_response(answer(status, body, headers))


def of_anthropic(status: int, body: Any = None, headers: dict[str, str] | None = None) -> BaseException:
    """What `anthropic` makes of an answer."""
    return anthropic_client()._make_status_error_from_response(answer(status, body, headers))


def of_genai(status: int, body: Any = None, headers: dict[str, str] | None = None) -> BaseException:
    """What `google-genai` makes of an answer."""
    return raised(lambda: genai.APIError.raise_for_response(answer(status, body, headers, lib=httpx)))


def of_httpx(status: int, body: Any = None, headers: dict[str, str] | None = None) -> BaseException:
    """What `httpx` makes of an answer."""
    return raised(answer(status, body, headers, lib=httpx).raise_for_status)


def of_httpx2(status: int, body: Any = None, headers: dict[str, str] | None = None) -> BaseException:
    """What `httpx2` makes of an answer."""
    return raised(answer(status, body, headers, lib=httpx2).raise_for_status)


def of_aiohttp(status: int, body: Any = None, headers: dict[str, str] | None = None) -> BaseException:
    """What `aiohttp` makes of an answer; it drops the body."""
    from multidict import CIMultiDict

    info = aiohttp.RequestInfo(URL(URL_), "POST", CIMultiDict(), URL(URL_))  # type: ignore[arg-type]
    return aiohttp.ClientResponseError(info, (), status=status, headers=CIMultiDict(headers or {}))


def of_requests(status: int, body: Any = None, headers: dict[str, str] | None = None) -> BaseException:
    """What `requests` makes of an answer."""
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    response._content = json.dumps(body or {}).encode()
    return raised(response.raise_for_status)


MAKERS = [of_openai, of_anthropic, of_genai, of_httpx, of_httpx2, of_aiohttp, of_requests]
every_sdk = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


@every_sdk
@pytest.mark.parametrize(("status", "verdict"), BY_STATUS.items())
def test_u7_u8_the_status_decides(make: Any, status: int, verdict: Verdict) -> None:
    """U7, U8: the same status means the same, whichever SDK raised it."""
    assert judge(make(status), NOW_S) == verdict


@every_sdk
@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "2"}, 2.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT", "Date": "Thu, 01 Jan 2026 00:00:20 GMT"}, 10.0),
        ({"Retry-After": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "Fri, 01 Jan 2027 00:00:00 GMT"}, 86_400.0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_u5_the_hint_is_read_in_all_its_forms(make: Any, headers: dict[str, str], wait_s: float | None) -> None:
    """U5: seconds, milliseconds, dates by the answer's own clock; a day at most, and garbage is no hint."""
    assert judge(make(429, headers=headers), NOW_S) == Verdict(kind="rate_limit", retry=True, wait_s=wait_s)


@every_sdk
def test_u5_a_negative_hint_means_never(make: Any) -> None:
    """U5: the provider asks not to be called again; it is still unwell."""
    assert judge(make(503, headers={"retry-after": "-1"}), NOW_S) == Verdict(kind="provider", retry=False)


@every_sdk
def test_x_should_retry_is_obeyed(make: Any) -> None:
    """Both ways, but an empty account stays empty."""
    assert judge(make(503, headers={"X-Should-Retry": "false"}), NOW_S) == Verdict(kind="provider", retry=False)
    assert judge(make(400, headers={"x-should-retry": "True"}), NOW_S) == Verdict(kind="caller", retry=True)
    assert judge(make(402, headers={"x-should-retry": "true"}), NOW_S) == QUOTA
    assert judge(make(429, headers={"x-should-retry": "maybe"}), NOW_S) == RATE_LIMIT


@pytest.mark.parametrize("make", [of_openai, of_httpx, of_httpx2, of_requests], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    "error",
    [
        {"code": "insufficient_quota", "type": "insufficient_quota", "message": "You exceeded your current quota."},
        {"code": None, "type": "insufficient_quota"},
        {"code": "billing_hard_limit_reached"},
        {"message": "You exceeded your current quota, please check your plan and billing details."},
    ],
)
@pytest.mark.parametrize("status", [403, 429])
def test_u6_an_exhausted_quota_is_not_a_rate_limit(make: Any, error: dict[str, Any], status: int) -> None:
    """U6: OpenAI says 429 to both; the body tells them apart."""
    assert judge(make(status, {"error": error}), NOW_S) == QUOTA


@pytest.mark.parametrize(
    ("status", "error", "verdict"),
    [
        (429, {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}, QUOTA),
        (429, {"type": "rate_limit_error", "details": {"error_code": "contract_spend_limit_reached"}}, QUOTA),
        (429, {"type": "rate_limit_error", "details": {"error_code": "ramp_limit_exceeded"}}, RATE_LIMIT),
        (429, {"type": "rate_limit_error", "message": "Number of request tokens has exceeded…"}, RATE_LIMIT),
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low"}, CALLER),
        (400, {"type": "billing_error"}, QUOTA),
        (529, {"type": "overloaded_error", "message": "Overloaded"}, PROVIDER),
        # Errors in a stream that had begun with 200 are raised with that status.
        (200, {"type": "overloaded_error", "message": "Overloaded"}, PROVIDER),
        (200, {"type": "rate_limit_error"}, RATE_LIMIT),
        (200, {"type": "invalid_request_error"}, UNKNOWN),
    ],
)
def test_anthropic_says_more_in_the_body(status: int, error: dict[str, Any], verdict: Verdict) -> None:
    """Spend limits are quotas, ramp limits are not, and in-band errors count as what they are."""
    assert judge(of_anthropic(status, {"type": "error", "error": error}), NOW_S) == verdict


def gemini(quotas: list[str], delay: Any = "52s", *, message: str = "You exceeded your current quota.") -> Any:
    """Gemini's 429, with the names of the quotas and the wait."""
    return {
        "error": {
            "code": 429,
            "message": message,
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                "nothing",
                {"@type": "type.googleapis.com/google.rpc.Help"},
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"quotaId": q} for q in quotas],
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
            ],
        }
    }


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: [body]], ids=["bare", "in a list"])
@pytest.mark.parametrize("make", [of_genai, of_httpx, of_openai], ids=lambda make: make.__name__)
def test_u5_geminis_wait_stands_in_the_body(make: Any, wrap: Any) -> None:
    """U5: `retryDelay` is read, through Google's SDK and through its OpenAI endpoint."""
    body = wrap(gemini(["GenerateRequestsPerMinutePerProjectPerModel-FreeTier"]))
    assert judge(make(429, body), NOW_S) == Verdict(kind="rate_limit", retry=True, wait_s=52.0)


@pytest.mark.parametrize(
    ("delay", "wait_s"), [("0s", 0.0), ("1.25s", 1.25), ("999999s", 86_400.0), ("-1s", None), ("soon", None), (7, None)]
)
def test_geminis_wait_is_a_duration(delay: Any, wait_s: float | None) -> None:
    """Whole or broken seconds, a day at most; anything else is no hint."""
    assert judge(of_genai(429, gemini([], delay)), NOW_S).wait_s == wait_s


def test_a_header_goes_before_geminis_body() -> None:
    """The more precise word of the two is the header's, which is written last."""
    assert judge(of_genai(429, gemini([]), {"retry-after": "3"}), NOW_S).wait_s == 3.0


def test_u6_geminis_quota_of_the_day_is_exhausted() -> None:
    """U6: Gemini says the same words to a limit by the minute; only the quota's name tells that today is over."""
    day = ["GenerateRequestsPerMinutePerProjectPerModel", "GenerateRequestsPerDayPerProjectPerModel-FreeTier"]
    assert judge(of_genai(429, gemini(day)), NOW_S).kind == "quota"
    assert judge(of_genai(429, gemini(day)), NOW_S).retry is False


def openai_in_band(body: Any) -> BaseException:
    """What `openai` raises for an error event of a stream."""
    return openai.APIError("in a stream", httpx2.Request("POST", URL_), body=body)


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"type": "server_error", "code": None}, PROVIDER),
        ({"type": "server_error", "code": 7}, PROVIDER),
        ({"code": "rate_limit_exceeded", "type": "tokens"}, RATE_LIMIT),
        ({"code": "insufficient_quota"}, QUOTA),
        ({"code": "content_filter"}, UNKNOWN),
        (None, UNKNOWN),
        ([], UNKNOWN),
        ("server_error", UNKNOWN),
    ],
)
def test_openais_errors_inside_a_stream(body: Any, verdict: Verdict) -> None:
    """They have no status; their type or code stands for it."""
    assert judge(openai_in_band(body), NOW_S) == verdict


def untrusted() -> ssl.SSLCertVerificationError:
    """Python's error for a certificate that cannot be trusted."""
    return ssl.SSLCertVerificationError(1, "self-signed certificate")


def from_(error: BaseException, cause: BaseException) -> BaseException:
    """`error`, raised from `cause`."""

    def act() -> None:
        raise error from cause

    return raised(act)


CONNECTION = aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)
BROKEN = [
    openai.APIConnectionError(request=httpx2.Request("POST", URL_)),
    openai.APITimeoutError(request=httpx2.Request("POST", URL_)),
    anthropic.APIConnectionError(request=httpx2.Request("POST", URL_)),
    anthropic.APITimeoutError(request=httpx2.Request("POST", URL_)),
    anthropic.RetryableError("again"),
    *(
        getattr(lib, name)("broken")
        for lib in (httpx, httpx2)
        for name in (
            "ConnectError",
            "ConnectTimeout",
            "PoolTimeout",
            "ProxyError",
            "ReadError",
            "ReadTimeout",
            "RemoteProtocolError",
            "WriteError",
            "WriteTimeout",
        )
    ),
    aiohttp.ClientConnectionError(),
    aiohttp.ClientConnectorError(CONNECTION, OSError(111, "refused")),
    aiohttp.ClientConnectorDNSError(CONNECTION, OSError(-2, "unknown")),
    aiohttp.ClientPayloadError(),
    aiohttp.ConnectionTimeoutError(),
    aiohttp.ServerDisconnectedError(),
    aiohttp.SocketTimeoutError(),
    requests.ConnectionError(),
    requests.ReadTimeout(),
    requests.exceptions.ChunkedEncodingError(),
    ConnectionResetError(),
    TimeoutError(),
    socket.gaierror(-2, "unknown"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: f"{type(error).__module__}.{type(error).__name__}")
def test_u1_u2_connections_that_break_are_tried_again(error: BaseException) -> None:
    """U1, U2: not made, lost, or too slow: it is the provider, or the way to it."""
    assert judge(error, NOW_S) == PROVIDER


@pytest.mark.parametrize(
    "error",
    [
        untrusted(),
        aiohttp.ClientConnectorCertificateError(CONNECTION, untrusted()),
        aiohttp.ServerFingerprintMismatch(b"a", b"b", "h", 443),
        from_(httpx.ConnectError("tls"), untrusted()),
        from_(
            openai.APIConnectionError(request=httpx2.Request("POST", URL_)),
            from_(httpx2.ConnectError("tls"), untrusted()),
        ),
    ],
    ids=lambda error: f"{type(error).__module__}.{type(error).__name__}",
)
def test_u3_a_certificate_that_cannot_be_trusted_is_final(error: BaseException) -> None:
    """U3: however deep it lies."""
    assert judge(error, NOW_S).retry is False


def test_a_long_chain_of_causes_ends() -> None:
    """Neither a circle of causes nor a long chain keeps anybody waiting."""
    first, second = httpx.ConnectError("a"), httpx.ConnectError("b")
    first.__cause__, second.__cause__ = second, first
    assert judge(first, NOW_S) == PROVIDER


def test_an_error_from_none_has_no_cause() -> None:
    """What was handled before does not count."""

    def act() -> None:
        try:
            raise untrusted()
        except ssl.SSLError:
            raise httpx.ConnectError("another") from None

    assert judge(raised(act), NOW_S) == PROVIDER


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        KeyError("status"),
        OSError(28, "disk full"),
        httpx.UnsupportedProtocol("gopher"),
        httpx.DecodingError("gzip"),
        httpx2.LocalProtocolError("header"),
        aiohttp.InvalidURL("x"),
        openai.LengthFinishReasonError(completion=type("Completion", (), {"usage": None})()),
        openai.APIResponseValidationError(answer(200), None),
        genai.UnknownApiResponseError("no JSON"),
        genai.APIError(1006, {}),
        ExceptionGroup("two", [ConnectionError(), ConnectionError()]),
    ],
    ids=lambda error: f"{type(error).__module__}.{type(error).__name__}",
)
def test_what_does_not_speak_of_the_provider_is_left_alone(error: BaseException) -> None:
    """Mistakes of the application, and answers that do not fit, come out at once."""
    assert judge(error, NOW_S) == UNKNOWN


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (errors.UpstreamUnreachable("x"), PROVIDER),
        (errors.UpstreamTimeout("x"), PROVIDER),
        (errors.UpstreamUnavailable("x", retry_after_s=3.0), Verdict(kind="provider", retry=True, wait_s=3.0)),
        (errors.UpstreamTls("x"), Verdict(kind="provider", retry=False)),
        (errors.UpstreamRateLimited("x"), RATE_LIMIT),
        (errors.QuotaExhausted("x"), QUOTA),
        (errors.RateLimited("x", retry_after_s=1.0), Verdict(kind="rate_limit", retry=True, wait_s=1.0)),
        (errors.BudgetExceeded("x"), Verdict(kind="rate_limit", retry=False)),
        (errors.Overloaded("x"), RATE_LIMIT),
        (errors.UpstreamRejected("x"), CALLER),
        (errors.InvalidRequest("x"), CALLER),
        (errors.DeadlineExceeded("x"), CALLER),
    ],
    ids=lambda each: type(each).__name__,
)
def test_fairleads_own_errors_say_it_themselves(error: BaseException, verdict: Verdict) -> None:
    """`retryable` decides; only what the provider did counts against it."""
    assert judge(error, NOW_S) == verdict


class Odd(Exception):
    """An exception whose attributes are set by the test."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        vars(self).update(attributes)


class Moody(Exception):
    """Whatever is asked for raises."""

    @property
    def response(self) -> None:
        raise RuntimeError("not read yet")

    status_code = body = response


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.binary(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "code", "type", "status",
        "details", "message", "violations", "quotaId", "retryDelay", "error_code"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["status_code", "status", "code", "body", "details", "headers"]), json_values),
       st.dictionaries(st.sampled_from(["status_code", "headers", "_content", "_body"]), json_values))  # fmt: skip
def test_any_exception_is_judged(attributes: dict[str, Any], response: dict[str, Any]) -> None:
    """Whatever stands in its attributes, there is a verdict, and no wait below nothing."""
    verdict = judge(Odd(**attributes, response=Odd(**response)), NOW_S)
    assert verdict.wait_s is None or verdict.wait_s >= 0
    assert not (verdict.retry and verdict.kind in {"quota", "unknown"})


def test_an_exception_that_cannot_be_looked_at_says_nothing() -> None:
    """Properties that raise are as good as none."""
    assert judge(Moody(), NOW_S) == UNKNOWN


def test_a_huge_body_is_not_parsed() -> None:
    """The status alone decides then."""
    body = json.dumps({"error": {"code": "insufficient_quota", "message": "x" * 1_000_000}})
    assert judge(Odd(status_code=429, body=body), NOW_S) == RATE_LIMIT
    assert judge(Odd(status_code=429, body=body.replace("x", "")), NOW_S) == QUOTA


async def test_a_body_that_was_not_read_is_left_where_it_is() -> None:
    """A streamed answer stays unread: judging never touches the network."""

    def never() -> Any:
        raise AssertionError
        yield b""

    response = httpx.Response(503, content=never(), request=httpx.Request("POST", URL_))
    assert judge(raised(response.raise_for_status), NOW_S) == PROVIDER
