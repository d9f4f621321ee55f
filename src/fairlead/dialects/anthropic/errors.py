"""Errors of the Anthropic dialect, both ways.

A provider's answer becomes one of our errors by its status, and in a stream by its type.  Auth errors never carry the
provider's words: those name keys, organisations and workspaces of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.core.retry_after import DO_NOT_RETRY
from fairlead.dialects._json import loads, printable, snippet
from fairlead.dialects.statuses import by_status, rejection
from fairlead.dialects.waits import asked_wait_s
from fairlead.errors import (
    BudgetExceeded,
    ContentRefused,
    ContextWindowExceeded,
    DeadlineExceeded,
    FairleadError,
    QuotaExhausted,
    RequestTimeout,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRejected,
    UpstreamTimeout,
)

_TOO_LONG = "prompt is too long"
_CONTEXT_WORDS = (_TOO_LONG, "exceed context limit", "context window", "maximum context length")
_QUOTA_WORDS = ("credit balance is too low", "reached your specified api usage limits")
"""An account without money is told so by a plain `invalid_request_error`."""
_QUOTA_CODES = ("spend_limit_reached", "billing_unavailable", "not_billable")
"""How the `error_code` of a limit on money ends; waiting does not help soon."""
_POLICY_WORDS = ("blocked by content filtering policy",)

_STATUSES: dict[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that an in-band error would have had, by its type."""

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an error body says."""

    message: str = ""
    type: str = ""
    code: str = ""
    request_id: str = ""


def decode(status: int, headers: Mapping[str, str], body: bytes) -> FairleadError:
    """A provider's error answer as one of ours; total.

    401 and 403 are our credential's; 402, and a 400 or 429 that speaks of money, are the account's.
    """
    told = _told(body)
    error = _decoded(status, told, f"HTTP {status}: {_detail(told, body)}")
    wait_s = asked_wait_s(headers)
    if wait_s == DO_NOT_RETRY or headers.get("x-should-retry") == "false":
        error.retryable = False  # this one answer is final, whatever its kind usually is
    elif wait_s is not None:
        error.retry_after_s = wait_s
    return error


def decode_in_band(body: bytes) -> FairleadError:
    """An error that came inside a 200, as if it had come with the status that its type stands for."""
    told = _told(body)
    return _decoded(_STATUSES.get(told.type, 500), told, f"in a 200: {_detail(told, body)}")


def is_error(body: Mapping[str, Any], event: bytes = b"") -> bool:
    """Whether a body in a 200, or an event of that name, is an error."""
    return body.get("type") == "error" or event == b"error" or bool(body.get("error"))


def encode(error: FairleadError) -> bytes:
    """`{"type": "error", "error": {"type", "message"}}`, with Anthropic's type names."""
    message = error.message
    if isinstance(error, ContextWindowExceeded) and _TOO_LONG not in message.lower():
        message = f"{_TOO_LONG}: {message}"  # clients know this case by these words alone
    return msgspec.json.encode({"type": "error", "error": {"type": _type(error), "message": message}})


def encode_event(error: FairleadError) -> bytes:
    """The error as the last event of a stream; no `message_stop` follows it."""
    return b"event: error\ndata: " + encode(error) + b"\n\n"


def _type(error: FairleadError) -> str:
    if isinstance(error, QuotaExhausted | BudgetExceeded):
        return "billing_error"
    if isinstance(error, UpstreamTimeout | DeadlineExceeded | RequestTimeout):
        return "timeout_error"
    default = "invalid_request_error" if 400 <= error.status < 500 else "api_error"
    return _TYPES.get(error.status, default)


def _decoded(status: int, told: _Told, detail: str) -> UpstreamError:
    is_quota = status in {400, 403, 429} and _is_quota(told)
    return by_status(status, detail, lambda: _rejected(status, told, detail), is_quota=is_quota)


def _rejected(status: int, told: _Told, detail: str) -> UpstreamRejected:
    kind: type[UpstreamRejected] = UpstreamRejected
    if status in {400, 413} and _says(told, _CONTEXT_WORDS):
        kind = ContextWindowExceeded
    elif status == 400 and _says(told, _POLICY_WORDS):
        kind = ContentRefused
    return rejection(kind, status, told.message, detail)


def _is_quota(told: _Told) -> bool:
    return told.type == "billing_error" or told.code.endswith(_QUOTA_CODES) or _says(told, _QUOTA_WORDS)


def _says(told: _Told, words: tuple[str, ...]) -> bool:
    message = told.message.lower()
    return any(each in message for each in words)


def _told(body: bytes) -> _Told:
    """Read Anthropic's form, and those of what may stand before it: a bare string, no `error` around it."""
    try:
        value = loads(body)
    except UpstreamProtocol:
        return _Told()
    if not isinstance(value, dict):
        return _Told()
    inner = value.get("error") or value
    if isinstance(inner, str):
        return _Told(message=inner)
    if not isinstance(inner, dict):
        return _Told()
    details = inner.get("details")
    return _Told(
        message=_text(inner.get("message")),
        type=_text(inner.get("type")),
        code=_text(details.get("error_code")) if isinstance(details, dict) else "",
        request_id=_text(value.get("request_id")),
    )


def _detail(told: _Told, body: bytes) -> str:
    request = f"[{printable(told.request_id)[:64]}] " if told.request_id else ""
    return request + snippet(body)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
