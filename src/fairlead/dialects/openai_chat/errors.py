"""Errors of the OpenAI dialect, both ways.

A provider's answer becomes one of our errors; the table stands in `_KINDS` and `decode`.  Auth errors never carry the
provider's words: those name keys, organisations and accounts of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.core.retry_after import DO_NOT_RETRY
from fairlead.dialects._json import loads, printable, snippet
from fairlead.dialects.statuses import by_status, rejection
from fairlead.dialects.waits import asked_wait_s, google_details, google_quota_is_daily, google_wait_s
from fairlead.errors import (
    BudgetExceeded,
    ContentRefused,
    ContextWindowExceeded,
    FairleadError,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRejected,
)

_QUOTA_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_credits"}
)
_POLICY_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "content_policy",
        "image_content_policy_violation",
        "bio_policy",
        "misalignment_policy_violation",
    }
)
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_CONTEXT_WORDS = (
    "maximum context length",
    "context window",
    "context size",
    "prompt is too long",
    "context length exceeded",
)

_KINDS: dict[str, int] = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "invalid_request_error": 400,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "overloaded_error": 529,
    "timeout": 504,
    "timeout_error": 504,
    "invalid_prompt": 400,
    "invalid_image": 400,
    "invalid_image_format": 400,
    "invalid_base64_image": 400,
    "invalid_image_url": 400,
    "invalid_image_mode": 400,
    "image_too_large": 400,
    "image_too_small": 400,
    "image_parse_error": 400,
    "image_file_too_large": 400,
    "image_file_not_found": 400,
    "unsupported_image_media_type": 400,
    "empty_image_file": 400,
    "failed_to_download_image": 400,
}
"""The status that an in-band error would have had, by its `code` or `type`."""


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an error body says."""

    message: str = ""
    type: str = ""
    code: str = ""
    status: str = ""
    """Google's name of the error."""
    details: tuple[Mapping[str, Any], ...] = ()
    """What Google adds to it."""
    param: str | None = None


def decode(status: int, headers: Mapping[str, str], body: bytes) -> FairleadError:
    """A provider's error answer as one of ours; total.

    401 and 403 are our credential's; 402 and billing codes are the account's.  408 is the provider's own clock and 409
    a lock: both pass with time, as OpenAI's SDK also has it.  What is no error status at all is a broken protocol.
    """
    told = _told(body)
    detail = f"HTTP {status}: {snippet(body)}"
    wait_s = asked_wait_s(headers)
    if wait_s is None:
        wait_s = google_wait_s(told.details)
    error = _decoded(status, told, detail)
    if wait_s == DO_NOT_RETRY:
        error.retryable = False  # this one answer is final, whatever its kind usually is
    else:
        error.retry_after_s = wait_s
    return error


def decode_in_band(body: bytes) -> FairleadError:
    """An error that came inside a 200, as if it had come with the status that its code or type stands for."""
    told = _told(body)
    status = _KINDS.get(told.code) or _KINDS.get(told.type) or 500
    if told.code in _QUOTA_CODES or told.type in _QUOTA_CODES:
        status = 429
    elif not {told.code, told.type}.isdisjoint(_CONTEXT_CODES | _POLICY_CODES):
        status = 400
    elif told.code.isascii() and told.code.isdigit() and 400 <= int(told.code[:4]) <= 599:
        status = int(told.code)
    return _decoded(status, told, f"in a 200: {snippet(body)}")


def is_error(body: Mapping[str, Any], event: bytes = b"") -> bool:
    """Whether a body in a 200, or an event of that name, is an error: OpenAI's form, or that of older vLLM servers."""
    return bool(body.get("error")) or body.get("object") == "error" or event == b"error"


def encode(error: FairleadError) -> bytes:
    """`{"error": {"message", "type", "param", "code"}}`, with OpenAI's type names."""
    return error_body(error.message, kind=_type(error), code=error.code, param=error.param, further=error.further)


def encode_event(error: FairleadError) -> bytes:
    """The error as the last event of a stream; no `[DONE]` follows it."""
    return b"data: " + encode(error) + b"\n\n"


def error_body(
    message: str,
    *,
    kind: str,
    code: str | None,
    param: str | None = None,
    further: Mapping[str, Any] = {},
) -> bytes:
    """An error body in OpenAI's form."""
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code, **further}})


def _type(error: FairleadError) -> str:
    if isinstance(error, RateLimited):
        return "tokens" if error.kind == "tokens" else "requests"
    if isinstance(error, QuotaExhausted | BudgetExceeded):
        return "insufficient_quota"
    if error.status == 429:
        return "requests"
    return "invalid_request_error" if 400 <= error.status < 500 else "server_error"


def _decoded(status: int, told: _Told, detail: str) -> UpstreamError:
    is_quota = status in {403, 429} and _is_quota(told)
    return by_status(status, detail, lambda: _rejected(status, told, detail), is_quota=is_quota)


def _rejected(status: int, told: _Told, detail: str) -> UpstreamRejected:
    kind: type[UpstreamRejected] = UpstreamRejected
    if status in {400, 413, 422} and _is_context(told):
        kind = ContextWindowExceeded
    elif told.code in _POLICY_CODES or told.type in _POLICY_CODES:
        kind = ContentRefused
    return rejection(kind, status, told.message, detail, param=told.param)


def _is_quota(told: _Told) -> bool:
    if told.status == "RESOURCE_EXHAUSTED":
        # Google says "exceeded your current quota" of a limit by the minute, too; only the quota's name tells.
        return google_quota_is_daily(told.details)
    return told.code in _QUOTA_CODES or told.type in _QUOTA_CODES or "exceeded your current quota" in told.message


def _is_context(told: _Told) -> bool:
    if told.code in _CONTEXT_CODES or told.type in _CONTEXT_CODES:
        return True
    message = told.message.lower()
    return any(words in message for words in _CONTEXT_WORDS)


def _told(body: bytes) -> _Told:
    """Read OpenAI's form, and those of its imitators: a bare string, no `error` around it, FastAPI's `detail`."""
    try:
        value = loads(body)
    except UpstreamProtocol:
        return _Told()
    if isinstance(value, list) and value:  # Google's endpoint wraps it in a list
        value = value[0]
    if not isinstance(value, dict):
        return _Told()
    inner = value.get("error") or value.get("detail") or value
    if isinstance(inner, str):
        return _Told(message=inner)
    return _from(inner) if isinstance(inner, dict) else _Told()


def _from(inner: dict[str, Any]) -> _Told:
    code = inner.get("code")
    is_number = isinstance(code, int) and not isinstance(code, bool)
    param = inner.get("param")
    return _Told(
        message=_text(inner.get("message")),
        type=_text(inner.get("type")),
        code=str(code) if is_number else _text(code),
        status=_text(inner.get("status")),
        details=google_details(inner.get("details")),
        param=printable(param)[:100] if isinstance(param, str) else None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
