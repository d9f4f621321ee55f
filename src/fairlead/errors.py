"""Every error that Fairlead raises or answers with.

    FairleadError
    ├── CallerError              400  the request itself cannot be served
    │   ├── InvalidRequest       400
    │   │   └── Untranslatable        the dialect of the target has no form for it
    │   ├── Unauthenticated      401
    │   ├── Forbidden            403
    │   ├── NotFound             404  unknown path, model or call
    │   │   └── ModelNotFound
    │   ├── MethodNotAllowed     405
    │   ├── RequestTimeout       408  the caller sent too slowly
    │   ├── TooLarge             413
    │   └── NotYetAvailable      400  known, but not in this version
    ├── LimitError               429
    │   ├── RateLimited               our own limit on this caller; waiting helps
    │   └── BudgetExceeded            money; waiting does not help soon
    ├── UpstreamError            502  the provider's side
    │   ├── UpstreamUnreachable  502  DNS, refused, reset before an answer
    │   ├── UpstreamTls          502
    │   ├── UpstreamTimeout      504  connect, first token, idle or total clock
    │   ├── UpstreamRateLimited  429  the provider's own 429
    │   ├── QuotaExhausted       429  the provider's account is out of money
    │   ├── UpstreamUnavailable  503  5xx and overload
    │   ├── CircuitOpen          503  left alone for now, after it failed or because an operator says so
    │   ├── UpstreamProtocol     502  what came back is not the protocol
    │   ├── UpstreamAuth         502  our credential was refused
    │   ├── UpstreamRejected     4xx  the provider says that the request is wrong
    │   │   ├── ContextWindowExceeded 400
    │   │   └── ContentRefused   4xx  the provider's content policy
    │   ├── EmptyStream          502
    │   └── StreamTruncated      502  the stream broke after content had gone out
    ├── DeadlineExceeded         504  the caller's own deadline passed
    ├── OutputInvalid            422  the answer does not fit the schema
    ├── Screened                 400  refused by a screen rule
    ├── Cancelled                499  the caller left
    ├── Overloaded               503  this process sheds load or drains
    ├── StateUnavailable         503  a store that must decide cannot be reached
    ├── ConfigError               -   configuration; raised at start, never answered
    └── InternalError            500

`message` is safe to show to a caller.  `detail` never leaves the process: it is not in `str()`, `repr()`, bodies or pickles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Self

from fairlead.types import ErrorClass
from fairlead.verdict import FieldError

_SHOWN_ERRORS: Final = 5


class FairleadError(Exception):
    """The root; catch it to catch everything that Fairlead raises on purpose.

    Args:
        message: what went wrong, where, and the remedy; shown to callers.
        detail: for our own log only.
        retry_after_s: how long to wait before a retry can succeed, where that is known.
        param: the request field at fault.
    """

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    error_class: ClassVar[ErrorClass] = "internal"
    retryable: bool = False
    """Whether the same call may succeed later; becomes `x-should-retry` on a final answer.  A provider that asks not
    to be called again turns it off on the error at hand."""

    def __init__(
        self,
        message: str,
        *,
        detail: str | None = None,
        retry_after_s: float | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.param = param
        self.status: int = self.http_status
        """The HTTP status of the answer; `UpstreamRejected` carries the provider's own."""

    @property
    def further(self) -> dict[str, Any]:
        """What the body of an answer says of it beside code and message."""
        return {}

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in vars(self).items() if name not in _PRIVATE}
        return (_rebuild, (type(self), state))


_PRIVATE = frozenset({"detail"})


def _rebuild(kind: type[FairleadError], state: dict[str, Any]) -> FairleadError:
    error = kind(state["message"])
    vars(error).update(state)
    return error


class CallerError(FairleadError):
    """The request cannot be served as it is."""

    code = "invalid_request"
    http_status = 400
    error_class: ClassVar[ErrorClass] = "caller"


class InvalidRequest(CallerError):
    """Malformed or contradictory request."""


class Untranslatable(InvalidRequest):
    """The target speaks another dialect than the caller, and that one has no form for what the caller asks; another
    target may."""


class Unauthenticated(CallerError):
    """No credential, or not a valid one.  The message never says which."""

    code = "invalid_api_key"
    http_status = 401


class Forbidden(CallerError):
    """A valid credential that may not do this."""

    code = "forbidden"
    http_status = 403


class NotFound(CallerError):
    """No such path, model or call."""

    code = "not_found"
    http_status = 404


class ModelNotFound(NotFound):
    """No alias of that name, and no `"*"`."""

    code = "model_not_found"


class MethodNotAllowed(CallerError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    http_status = 405


class RequestTimeout(CallerError):
    """The request did not arrive in time."""

    code = "request_timeout"
    http_status = 408


class TooLarge(CallerError):
    """Headers or body over the cap."""

    code = "request_too_large"
    http_status = 413


class NotYetAvailable(CallerError):
    """A known feature that this version does not have yet."""

    code = "not_yet_available"


class LimitError(FairleadError):
    """A limit that Fairlead puts on its callers."""

    code = "limit_exceeded"
    http_status = 429
    error_class: ClassVar[ErrorClass] = "rate_limit"


class RateLimited(LimitError):
    """Too many requests, tokens or calls at once; waiting `retry_after_s` helps."""

    code = "rate_limit_exceeded"
    retryable = True

    def __init__(
        self, message: str, *, limit: int = 0, remaining: int = 0, kind: str = "requests", **rest: Any
    ) -> None:
        super().__init__(message, **rest)
        self.limit = limit
        self.remaining = remaining
        self.kind = kind


class BudgetExceeded(LimitError):
    """The worst case of this attempt does not fit into what is left of a budget."""

    code = "budget_exceeded"
    error_class: ClassVar[ErrorClass] = "budget"


class UpstreamError(FairleadError):
    """The provider's side of the call failed."""

    code = "upstream_error"
    http_status = 502
    error_class: ClassVar[ErrorClass] = "provider"
    retryable = True
    falls_back: ClassVar[bool] = True
    """Whether another candidate may do better."""
    is_fault: ClassVar[bool] = True
    """Whether it speaks against the provider: what its circuit breaker counts."""


class UpstreamUnreachable(UpstreamError):
    """No connection, or it broke before an answer began."""

    code = "upstream_unreachable"
    error_class: ClassVar[ErrorClass] = "network"


class UpstreamTls(UpstreamError):
    """The provider's certificate cannot be trusted; never retried, never accepted."""

    code = "upstream_tls"
    error_class: ClassVar[ErrorClass] = "network"
    retryable = False


class UpstreamTimeout(UpstreamError):
    """One of the four clocks of an attempt ran out."""

    code = "upstream_timeout"
    http_status = 504
    error_class: ClassVar[ErrorClass] = "timeout"


class UpstreamRateLimited(UpstreamError):
    """The provider answered 429."""

    code = "upstream_rate_limited"
    http_status = 429
    error_class: ClassVar[ErrorClass] = "rate_limit"
    is_fault = False


class QuotaExhausted(UpstreamError):
    """The provider's account has no quota or money left; waiting does not help."""

    code = "upstream_quota_exhausted"
    http_status = 429
    error_class: ClassVar[ErrorClass] = "rate_limit"
    retryable = False
    is_fault = False


class UpstreamUnavailable(UpstreamError):
    """The provider answered 5xx or says that it is overloaded."""

    code = "upstream_unavailable"
    http_status = 503


class CircuitOpen(UpstreamError):
    """It is left alone for now: its breaker is open, it asked for that, or an operator said so."""

    code = "circuit_open"
    http_status = 503
    is_fault = False


class UpstreamProtocol(UpstreamError):
    """The provider's answer is not what its protocol promises."""

    code = "upstream_protocol_error"


class UpstreamAuth(UpstreamError):
    """The provider refused our credential.  Its own words are not shown to callers."""

    code = "upstream_auth"
    retryable = False
    is_fault = False


class UpstreamRejected(UpstreamError):
    """The provider says that the request is wrong; `status` is the provider's."""

    code = "upstream_rejected"
    http_status = 400
    error_class: ClassVar[ErrorClass] = "caller"
    retryable = False
    falls_back = False
    is_fault = False


class ContextWindowExceeded(UpstreamRejected):
    """The prompt does not fit into the model's window."""

    code = "context_length_exceeded"


class ContentRefused(UpstreamRejected):
    """The provider's content policy does not let it answer this."""

    code = "content_policy"


class EmptyStream(UpstreamError):
    """A stream ended without any content."""

    code = "empty_stream"


class StreamTruncated(UpstreamError):
    """A stream broke after content had gone to the caller."""

    code = "stream_truncated"
    retryable = False
    falls_back = False


class DeadlineExceeded(FairleadError):
    """The caller's own deadline passed; says nothing about the provider, so nothing falls back or counts against it."""

    code = "deadline_exceeded"
    http_status = 504
    error_class: ClassVar[ErrorClass] = "timeout"


class OutputInvalid(FairleadError):
    """The answer does not fit the schema, and every remedy is used up."""

    code = "output_invalid"
    http_status = 422
    error_class: ClassVar[ErrorClass] = "validation"

    def __init__(self, message: str, *, errors: tuple[FieldError, ...] = (), **rest: Any) -> None:
        super().__init__(message, **rest)
        self.errors = errors
        """What does not fit, and where."""

    @property
    def further(self) -> dict[str, Any]:
        """The fields at fault."""
        return {"errors": [{"path": each.path, "message": each.message, "kind": each.kind} for each in self.errors]}

    @classmethod
    def of(cls, schema: str, errors: Sequence[FieldError], *, tries: int = 0) -> Self:
        """The error that names the first few fields.

        Args:
            schema: its name.
            tries: how often a model was asked again.
        """
        shown = "; ".join(f"{_place(error.path)}: {error.message}" for error in errors[:_SHOWN_ERRORS])
        more = f"; and {len(errors) - _SHOWN_ERRORS} more" if len(errors) > _SHOWN_ERRORS else ""
        after = f" after {tries} more {'try' if tries == 1 else 'tries'}" if tries else ""
        return cls(f"the answer does not fit schema {schema!r}{after}: {shown}{more}", errors=tuple(errors))


def _place(path: str) -> str:
    """The whole has the empty path; `/` is another place in JSON Pointer, the property without a name (RFC 6901)."""
    return f"`{path}`" if path else "the answer"


class Screened(FairleadError):
    """A screen rule refused the request."""

    code = "screened"
    http_status = 400
    error_class: ClassVar[ErrorClass] = "screen"


class Cancelled(FairleadError):
    """The caller left before the end."""

    code = "client_closed"
    http_status = 499
    error_class: ClassVar[ErrorClass] = "cancelled"


class Overloaded(FairleadError):
    """This process is draining or sheds load; another try elsewhere or later helps."""

    code = "overloaded"
    http_status = 503
    retryable = True


class StateUnavailable(FairleadError):
    """A store that has to decide cannot be reached, and the feature fails closed."""

    code = "state_unavailable"
    http_status = 503
    retryable = True


class InternalError(FairleadError):
    """A fault of Fairlead's own."""


class ConfigError(FairleadError):
    """Configuration that cannot be used; the message names file and line where they are known."""

    code = "config_error"
    error_class: ClassVar[ErrorClass] = "caller"


@contextmanager
def mapped(table: dict[type[BaseException], type[FairleadError]], message: str) -> Iterator[None]:
    """Turn a lower layer's exceptions into ours; the original becomes `__cause__` and `detail`.

    Args:
        table: lower exception to ours; the first entry whose type fits wins, so put the narrow ones first.
        message: what the caller reads.
    """
    try:
        yield
    except FairleadError:
        raise
    except tuple(table) as error:
        for lower, ours in table.items():
            if isinstance(error, lower):
                raise ours(message, detail=f"{type(error).__name__}: {error}") from error
        raise
