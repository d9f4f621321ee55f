"""Errors as each provider sends them: status, body and headers.

What is refused is one of Fairlead's errors, so that a dialect without a form of its own here refuses as its codec does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fairlead.dialects.anthropic import errors as anthropic_errors
from fairlead.dialects.codec import Dialect
from fairlead.errors import (
    FairleadError,
    InvalidRequest,
    ModelNotFound,
    NotFound,
    QuotaExhausted,
    RateLimited,
    Unauthenticated,
)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One error answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


Refuse = Callable[[FairleadError, str], Refusal]
"""Takes the error and the id of the request."""

_OPENAI: Mapping[type[FairleadError], tuple[str, str]] = {
    Unauthenticated: ("invalid_request_error", "invalid_api_key"),
    InvalidRequest: ("invalid_request_error", "invalid_value"),
    NotFound: ("invalid_request_error", "unknown_url"),
    ModelNotFound: ("invalid_request_error", "model_not_found"),
    QuotaExhausted: ("insufficient_quota", "insufficient_quota"),
}
"""`type` and `code`."""
_PASSING = frozenset({408, 409, 429})
"""Statuses below 500 that pass with time, as Anthropic's `x-should-retry` says."""
_NO_CREDIT = "Your credit balance is too low to access the simulator."
"""Anthropic tells an account without money so by a plain `invalid_request_error`."""
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_GOOGLE_TYPES = "type.googleapis.com/google.rpc"
_GOOGLE_QUOTAS = {
    "requests": "GenerateRequestsPerMinutePerProjectPerModel",
    "tokens": "GenerateContentInputTokensPerModelPerMinute",
}
_A_DAY = "GenerateRequestsPerDayPerProjectPerModel"


def by_codec(dialect: Dialect) -> Refuse:
    """As the dialect's own codec writes it."""

    def refuse(error: FairleadError, request_id: str) -> Refusal:  # noqa: ARG001 - it has no place for one
        return Refusal(status=error.status, body=dialect.errors.encode(error))

    return refuse


def openai(error: FairleadError, request_id: str) -> Refusal:  # noqa: ARG001 - it stands in a header alone
    """`{"error": {"message", "type", "param", "code"}}`."""
    kind, code = _openai_kind(error)
    body = {"message": error.message, "type": kind, "param": error.param, "code": code}
    return Refusal(status=error.status, body=msgspec.json.encode({"error": body}))


def anthropic(error: FairleadError, request_id: str) -> Refusal:
    """`{"type": "error", "error": {"type", "message"}, "request_id"}`."""
    if isinstance(error, QuotaExhausted):
        error = InvalidRequest(_NO_CREDIT)
    body = msgspec.json.decode(anthropic_errors.encode(error)) | {"request_id": request_id}
    headers = {"x-should-retry": "true" if error.status in _PASSING or error.status >= 500 else "false"}
    return Refusal(status=error.status, body=msgspec.json.encode(body), headers=headers)


def google(error: FairleadError, request_id: str) -> Refusal:  # noqa: ARG001 - it has no place for one
    """`{"error": {"code", "message", "status", "details"}}`; a key that is not known is a bad request there."""
    status = 400 if isinstance(error, Unauthenticated) else error.status
    fallback = "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"
    body = {"code": status, "message": error.message, "status": _GOOGLE.get(status, fallback)}
    details = _google_details(error)
    if details:
        body["details"] = details
    return Refusal(status=status, body=msgspec.json.encode({"error": body}))


def _openai_kind(error: FairleadError) -> tuple[str, str | None]:
    if isinstance(error, RateLimited):
        return error.kind, "rate_limit_exceeded"
    if type(error) in _OPENAI:
        return _OPENAI[type(error)]
    return ("server_error" if error.status >= 500 else "invalid_request_error"), None


def _google_details(error: FairleadError) -> list[dict[str, Any]]:
    if isinstance(error, Unauthenticated):
        about = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        return [{"@type": f"{_GOOGLE_TYPES}.ErrorInfo", **about}]
    if not isinstance(error, RateLimited | QuotaExhausted):
        return []
    quota = _GOOGLE_QUOTAS.get(error.kind, _A_DAY) if isinstance(error, RateLimited) else _A_DAY
    details: list[dict[str, Any]] = [{"@type": f"{_GOOGLE_TYPES}.QuotaFailure", "violations": [{"quotaId": quota}]}]
    if error.retry_after_s is not None:
        details.append({"@type": f"{_GOOGLE_TYPES}.RetryInfo", "retryDelay": f"{error.retry_after_s:.9g}s"})
    return details
