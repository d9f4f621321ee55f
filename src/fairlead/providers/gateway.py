"""Errors of another Fairlead gateway, as the classes that they were there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from fairlead.dialects.openai_chat import errors as openai_errors
from fairlead.errors import FairleadError, OutputInvalid, RateLimited
from fairlead.verdict import FieldError


class _Error(msgspec.Struct):
    message: str
    code: str | None = None
    param: str | None = None
    errors: tuple[FieldError, ...] = ()


class _Body(msgspec.Struct):
    error: _Error


class GatewayErrors:
    """The error codec of a client whose gateway runs elsewhere: a `BudgetExceeded` there is one here."""

    def decode(self, status: int, headers: Mapping[str, str], body: bytes) -> FairleadError:
        """The error by its code; what is not Fairlead's own is read as OpenAI's."""
        error = openai_errors.decode(status, headers, body)
        try:
            told = msgspec.json.decode(body, type=_Body).error
        except msgspec.MsgspecError:
            return error
        kind = next((each for each in _kinds(FairleadError) if each.code == told.code), None)
        if kind is None:
            return error
        ours = kind(told.message, param=told.param, retry_after_s=error.retry_after_s)
        if isinstance(ours, OutputInvalid):
            ours.errors = told.errors
        ours.status = status
        ours.retryable = headers.get("x-should-retry", "false") == "true"
        if isinstance(ours, RateLimited):
            ours.limit = _number(headers, "limit")
            ours.remaining = _number(headers, "remaining")
        return ours

    def encode(self, error: FairleadError) -> bytes:
        """As OpenAI's."""
        return openai_errors.encode(error)

    def encode_event(self, error: FairleadError) -> bytes:
        """As OpenAI's."""
        return openai_errors.encode_event(error)


def _kinds(kind: type[FairleadError]) -> Iterator[type[FairleadError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


def _number(headers: Mapping[str, str], which: str) -> int:
    for name in ("requests", "tokens", "concurrency"):
        value = headers.get(f"x-ratelimit-{which}-{name}", "")
        if value.isdecimal():
            return int(value)
    return 0
