"""Errors of the Gemini dialect, both ways.

A provider's answer becomes one of our errors by its status, and in a stream by the one that it names.  Auth errors never
carry the provider's words: those name keys and projects of ours.  Google's client takes an event for an error where
`error` is its first key, and raises by the number in it; a stream that only ends raises nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.core.retry_after import DO_NOT_RETRY
from fairlead.dialects._json import loads, snippet
from fairlead.dialects.statuses import by_status, rejection
from fairlead.dialects.waits import asked_wait_s, google_details, google_quota_is_daily, google_wait_s
from fairlead.errors import (
    ContentRefused,
    ContextWindowExceeded,
    FairleadError,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRejected,
)

_TOO_LONG = "exceeds the maximum number of tokens"
_CONTEXT_WORDS = (_TOO_LONG, "input token count", "context window", "input context is too long")
_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"})
_KEY_WORDS = ("api key not valid", "api key expired", "api key not found")
"""A key that nobody knows is told so by a plain `INVALID_ARGUMENT`."""
_QUOTA_WORDS = ("enable billing", "billing account", "prepayment credits are depleted", "spending cap")
_GONE = 499
"""Google's for `CANCELLED`: it gave the call up itself."""

_STATUSES: dict[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": _GONE,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""The status that an in-band error would have had, by its name (google.rpc.Code)."""
_NAMES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an error body says."""

    message: str = ""
    status: str = ""
    code: int = 0
    details: tuple[Mapping[str, Any], ...] = ()


def decode(status: int, headers: Mapping[str, str], body: bytes) -> FairleadError:
    """A provider's error answer as one of ours; total.

    401, 403 and a 400 that speaks of the key are our credential's; 402, a 429 for the whole day, and one that speaks of
    billing are the account's.
    """
    told = _told(body)
    error = _decoded(status, told, f"HTTP {status}: {snippet(body)}")
    wait_s = asked_wait_s(headers)
    if wait_s is None:
        wait_s = google_wait_s(told.details)
    if wait_s == DO_NOT_RETRY:
        error.retryable = False  # this one answer is final, whatever its kind usually is
    else:
        error.retry_after_s = wait_s
    return error


def decode_in_band(body: bytes) -> FairleadError:
    """An error that came inside a 200, as if it had come with the status that it names."""
    told = _told(body)
    status = told.code if 400 <= told.code <= 599 else _STATUSES.get(told.status, 500)
    error = _decoded(status, told, f"in a 200: {snippet(body)}")
    error.retry_after_s = google_wait_s(told.details)
    return error


def is_error(body: Mapping[str, Any], event: bytes = b"") -> bool:
    """Whether a body in a 200, or an event of that name, is an error."""
    return bool(body.get("error")) or event == b"error"


def encode(error: FairleadError) -> bytes:
    """`{"error": {"code", "message", "status", "details"}}`, our own code being the reason in its details."""
    message = error.message
    if isinstance(error, ContextWindowExceeded) and _TOO_LONG not in message:
        message = f"The input {_TOO_LONG}: {message}"  # clients know this case by these words alone
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code.upper(), "domain": "fairlead"}
    details: list[dict[str, Any]] = [info | ({"metadata": {"param": error.param}} if error.param else {})]
    if error.further:
        violations = [{"field": each["path"], "description": each["message"]} for each in error.further["errors"]]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations})
    if error.retry_after_s is not None:
        delay = f"{max(0.0, error.retry_after_s):.3f}s"
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    told = {"code": error.status, "message": message, "status": _name(error.status), "details": details}
    return msgspec.json.encode({"error": told})


def encode_event(error: FairleadError) -> bytes:
    """The error as the last event of a stream."""
    return b"data: " + encode(error) + b"\n\n"


def _name(status: int) -> str:
    return _NAMES.get(status) or ("INVALID_ARGUMENT" if 400 <= status < 500 else "INTERNAL")


def _decoded(status: int, told: _Told, detail: str) -> UpstreamError:
    return by_status(
        status,
        detail,
        lambda: _rejected(status, told, detail),
        is_quota=status in {400, 403, 429} and _is_quota(told),
        is_about_key=status == 400 and _is_about_key(told),
        passing={_GONE},
    )


def _rejected(status: int, told: _Told, detail: str) -> UpstreamRejected:
    kind: type[UpstreamRejected] = UpstreamRejected
    if status in {400, 413} and _says(told, _CONTEXT_WORDS):
        kind = ContextWindowExceeded
    elif status == 400 and "content_policy" in _reasons(told):
        kind = ContentRefused
    return rejection(kind, status, told.message, detail)


def _is_quota(told: _Told) -> bool:
    return google_quota_is_daily(told.details) or _says(told, _QUOTA_WORDS)


def _is_about_key(told: _Told) -> bool:
    return not _KEY_REASONS.isdisjoint(each.upper() for each in _reasons(told)) or _says(told, _KEY_WORDS)


def _reasons(told: _Told) -> list[str]:
    reasons = (detail.get("reason") for detail in told.details)
    return [reason.lower() for reason in reasons if isinstance(reason, str)]


def _says(told: _Told, words: tuple[str, ...]) -> bool:
    message = told.message.lower()
    return any(each in message for each in words)


def _told(body: bytes) -> _Told:
    """Read Google's form, also in the list that it wraps around it where a stream was asked for."""
    try:
        value = loads(body)
    except UpstreamProtocol:
        return _Told()
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return _Told()
    inner = value.get("error") or value
    if isinstance(inner, str):
        return _Told(message=inner)
    if not isinstance(inner, dict):
        return _Told()
    code = inner.get("code")
    return _Told(
        message=_text(inner.get("message")),
        status=_text(inner.get("status")),
        code=code if isinstance(code, int) and not isinstance(code, bool) else 0,
        details=google_details(inner.get("details")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
