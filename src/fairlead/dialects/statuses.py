"""What the status of a provider's error means, whatever dialect its body is in."""

from __future__ import annotations

from collections.abc import Callable, Collection

from fairlead.dialects._json import printable
from fairlead.errors import (
    ContextWindowExceeded,
    QuotaExhausted,
    UpstreamAuth,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

_MESSAGE_CHARS = 300
_LOCKED = 409
_NOT_ANSWERS = frozenset({407, 418})
"""Statuses in the 4xx range that no provider means: something between us and it has answered."""


def by_status(  # noqa: PLR0911 - a table of statuses
    status: int,
    detail: str,
    rejected: Callable[[], UpstreamRejected],
    *,
    is_quota: bool,
    is_about_key: bool = False,
    passing: Collection[int] = (),
) -> UpstreamError:
    """The error that a status stands for.

    Args:
        rejected: makes the error of a request that is wrong, with what the provider says of it.
        is_quota: whether the body says that the account has no money left.
        is_about_key: whether it speaks of our credential under a status of another meaning.
        passing: further statuses of the 4xx range that pass with time.
    """
    if status == 402 or is_quota:
        return QuotaExhausted("The provider's account has no quota left.", detail=detail)
    if status in {401, 403} or is_about_key:
        return UpstreamAuth("The provider refused the credential that this gateway uses.", detail=detail)
    if status == 429:
        return UpstreamRateLimited("The provider limits the rate of calls at present.", detail=detail)
    if status in {408, 504, 524}:
        return UpstreamTimeout("The provider took too long to answer.", detail=detail)
    if status == _LOCKED or status in passing or 500 <= status <= 599:
        return UpstreamUnavailable(f"The provider is not available at present (status {status}).", detail=detail)
    if 400 <= status <= 499 and status not in _NOT_ANSWERS:
        return rejected()
    return UpstreamProtocol(f"The provider answered with an unexpected status {status}.", detail=detail)


def rejection(
    kind: type[UpstreamRejected], status: int, message: str, detail: str, *, param: str | None = None
) -> UpstreamRejected:
    """A request that is wrong, in the provider's own words; a prompt that is too long is always a 400."""
    text = printable(message)[:_MESSAGE_CHARS].strip() or f"The provider rejected the request (status {status})."
    error = kind(text, detail=detail, param=param)
    error.status = 400 if kind is ContextWindowExceeded else status
    return error
