"""Bodies of requests, opened for a relay and joined again: what all dialects do in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from fairlead.call import Request
from fairlead.core.jsontop import MalformedObject, top_level
from fairlead.core.jsontop import join as join_fields
from fairlead.dialects.fields import DESTINATIONS, BadField
from fairlead.errors import InvalidRequest


def open_body(body: bytes) -> dict[str, msgspec.Raw]:
    """The fields of a body, values raw.

    Raises:
        InvalidRequest: not a JSON object, or a destination named in it.
    """
    try:
        fields = top_level(body)
    except MalformedObject as error:
        raise InvalidRequest(f"The body cannot be read: {error}.") from None
    named = DESTINATIONS.intersection(fields)
    if named:
        name = min(named)
        raise InvalidRequest(f"`{name}` cannot be chosen by a caller; it is set in the configuration.", param=name)
    return fields


@contextmanager
def faults_named() -> Iterator[None]:
    """A field at fault becomes the error that its caller is answered with."""
    try:
        yield
    except BadField as error:
        raise InvalidRequest(f"{error}.", param=error.param) from None


def rejoined(
    request: Request,
    model: str,
    *,
    ask_usage: bool,  # noqa: ARG001 - it comes without being asked for
    defaults: Mapping[str, msgspec.Raw] | None = None,
) -> bytes:
    """The caller's fields, in their order, with the model replaced.

    A field that the caller sent as null counts as sent: `defaults` fill only what is absent.
    """
    if model == request.model and not defaults:
        return join_fields(request.fields)
    fields = dict(request.fields)
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    for name, value in (defaults or {}).items():
        fields.setdefault(name, value)
    return join_fields(fields)
