"""What an exception of any provider's SDK means: is it worth another try, when, and whose fault is it?

The SDKs are told by the names of their classes and by the attributes that they share, so none of them is imported:
`openai`, `anthropic` and what else is generated in their likeness, `google-genai`, `httpx` and `httpx2`, `aiohttp`,
`requests`, the built-in exceptions, and Fairlead's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import msgspec

from fairlead.core.retry_after import DO_NOT_RETRY, MAX_S, retry_after_s
from fairlead.errors import FairleadError, LimitError, QuotaExhausted, UpstreamError

Kind = Literal["provider", "rate_limit", "quota", "caller", "unknown"]
"""`provider`: it is down, unreachable or too slow.  `rate_limit`: it is well, and asks to be called less or later.
`quota`: the account has no money or no quota left.  `caller`: the request is wrong.  `unknown`: not about a provider."""

_RETRIED: Final[frozenset[Kind]] = frozenset({"provider", "rate_limit"})

_LATER: Final = frozenset({409, 425, 429})
"""A lock, "too early" (RFC 8470) and the rate limit: they pass, and do not mean that the provider is unwell."""

_QUOTA_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_credits",
        "billing_error",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
    }
)
_QUOTA_WORDS: Final = ("exceeded your current quota", "credit balance is too low")

_IN_BAND: Final = {
    "server_error": 500,
    "api_error": 500,
    "internal_server_error": 500,
    "service_unavailable": 503,
    "timeout": 504,
    "timeout_error": 504,
    "overloaded_error": 529,
    "requests": 429,
    "tokens": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    **dict.fromkeys(_QUOTA_CODES, 429),
}
"""The status of an error that came inside a stream, which had begun with 200."""

_BROKEN: Final[dict[str, frozenset[str]]] = {
    "builtins": frozenset({"ConnectionError", "TimeoutError"}),
    "socket": frozenset({"gaierror"}),
    "anthropic": frozenset({"RetryableError"}),
    "aiohttp": frozenset({"ClientConnectionError", "ClientPayloadError"}),
    "requests": frozenset({"ConnectionError", "Timeout", "ChunkedEncodingError"}),
    **dict.fromkeys(
        ("httpx", "httpx2", "httpcore", "httpcore2"),
        frozenset({"TimeoutException", "NetworkError", "RemoteProtocolError", "ProxyError"}),
    ),
}
"""By top-level module, the classes for connections that were not made, broke, or took too long; subclasses too."""
_BROKEN_ANYWHERE: Final = frozenset({"APIConnectionError", "APITimeoutError"})
"""The same in every SDK that is generated like OpenAI's."""
_UNTRUSTED: Final = frozenset({"SSLCertVerificationError", "ServerFingerprintMismatch"})
"""Somebody else may be answering: never a reason to send the request again."""

_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_MOST_BODY: Final = 1_000_000
_DEEPEST: Final = 10


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an exception means for the next try."""

    kind: Kind
    retry: bool
    wait_s: float | None = None
    """How long the provider asks to be left alone."""


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an error body says."""

    codes: frozenset[str] = frozenset()
    message: str = ""
    details: tuple[Mapping[str, Any], ...] = ()


def judge(error: BaseException, now_s: float) -> Verdict:
    """What this exception means; total, and quiet about exceptions that it does not know.

    Args:
        now_s: wall clock in seconds, for a `Retry-After` date in an answer without `Date`.
    """
    if isinstance(error, FairleadError):
        return _own(error)
    response = _attribute(error, "response")
    told = _told(_body(error, response))
    status = _status(error, response)
    if status is None and _is_broken(error):
        return Verdict(kind="provider", retry=not _is_untrusted(error))
    if status is None or status < 400:
        status = next((_IN_BAND[code] for code in sorted(told.codes) if code in _IN_BAND), None)
    if status is None:
        return Verdict(kind="unknown", retry=False)
    return _of_status(status, told, _headers(response) or _headers(error), now_s)


def _own(error: FairleadError) -> Verdict:
    kind: Kind = "caller"
    if isinstance(error, QuotaExhausted):
        kind = "quota"
    elif isinstance(error, UpstreamError) and error.error_class in {"network", "timeout", "provider"}:
        kind = "provider"
    elif error.retryable or isinstance(error, LimitError):
        kind = "rate_limit"
    return Verdict(kind=kind, retry=error.retryable, wait_s=error.retry_after_s)


def _of_status(status: int, told: _Told, headers: Mapping[str, str], now_s: float) -> Verdict:
    kind: Kind = "caller"
    if _is_quota(status, told):
        kind = "quota"
    elif status == 408 or status >= 500:
        kind = "provider"
    elif status in _LATER:
        kind = "rate_limit"
    wait_s = retry_after_s(headers, _sent_s(headers, now_s))
    if wait_s is None:
        wait_s = _delay_s(told)
    wish = headers.get("x-should-retry", "").strip().lower()
    retry = kind in _RETRIED or (kind == "caller" and wish == "true")
    if wish == "false" or wait_s == DO_NOT_RETRY:
        return Verdict(kind=kind, retry=False)
    return Verdict(kind=kind, retry=retry, wait_s=wait_s)


def _is_quota(status: int, told: _Told) -> bool:
    if status not in {402, 403, 429}:
        return status == 400 and bool(told.codes & _QUOTA_CODES)
    if status == 402 or told.codes & _QUOTA_CODES:
        return True
    if "RESOURCE_EXHAUSTED" in told.codes:
        # Google says "exceeded your current quota" of a limit by the minute, too; only the quota's name tells.
        return any("PerDay" in name for name in _violated(told))
    return any(words in told.message for words in _QUOTA_WORDS)


def _violated(told: _Told) -> list[str]:
    """The names of the quotas in Google's `QuotaFailure`."""
    found = [each for detail in told.details for each in _list(detail.get("violations")) if isinstance(each, Mapping)]
    return [str(each.get("quotaId", "")) for each in found]


def _delay_s(told: _Told) -> float | None:
    """The wait in Google's `RetryInfo`: `"52s"`."""
    for detail in told.details:
        delay = detail.get("retryDelay")
        match = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
        if match:
            return min(float(match[1]), MAX_S)
    return None


def _sent_s(headers: Mapping[str, str], now_s: float) -> float:
    """When the answer was sent, by its own clock if it says so: then ours need not be right."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return now_s


def _status(error: BaseException, response: Any) -> int | None:
    for holder, name in ((error, "status_code"), (response, "status_code"), (error, "status"), (error, "code")):
        value = _attribute(holder, name)
        # The first number decides: reading on to aiohttp's `code` would warn of a deprecation.
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value) if 100 <= value <= 599 else None
    return None


def _headers(holder: Any) -> dict[str, str]:
    headers = _attribute(holder, "headers")
    if not isinstance(headers, Mapping):
        return {}
    return {str(name).lower(): value for name, value in headers.items() if isinstance(value, str)}


def _body(error: BaseException, response: Any) -> Any:
    # The last two are where httpx, requests and aiohttp keep a body that was read.  Their public names read it from the
    # network if it was not.
    sources = ((error, "body"), (error, "details"), (response, "_content"), (response, "_body"))
    for holder, name in sources:
        value = _attribute(holder, name)
        if isinstance(value, str | bytes) and 0 < len(value) <= _MOST_BODY:
            try:
                value = msgspec.json.decode(value)
            except (msgspec.DecodeError, ValueError):
                continue
        if isinstance(value, Mapping | list):
            return value
    return None


def _told(body: Any) -> _Told:
    """Read `{"error": {...}}`, what is inside of it, and Google's list around it."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, Mapping):
        return _Told()
    inner = body.get("error")
    inner = inner if isinstance(inner, Mapping) else body
    details = inner.get("details")
    named = details.get("error_code") if isinstance(details, Mapping) else None
    codes = (inner.get("code"), inner.get("type"), inner.get("status"), named)
    message = inner.get("message")
    return _Told(
        codes=frozenset(code for code in codes if isinstance(code, str)),
        message=message if isinstance(message, str) else "",
        details=tuple(each for each in _list(details) if isinstance(each, Mapping)),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_broken(error: BaseException) -> bool:
    return any(
        kind.__name__ in _BROKEN_ANYWHERE or kind.__name__ in _BROKEN.get(kind.__module__.split(".")[0], ())
        for kind in type(error).__mro__
    )


def _is_untrusted(error: BaseException) -> bool:
    at: BaseException | None = error
    for _ in range(_DEEPEST):
        if at is None:
            return False
        if any(kind.__name__ in _UNTRUSTED for kind in type(at).__mro__):
            return True
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return False


def _attribute(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - a property of somebody else's class may raise anything; then it says nothing
        return None
