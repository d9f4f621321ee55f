"""A request whose answer has to fit a schema, as its candidate can be asked for it."""

from __future__ import annotations

import msgspec

from fairlead.call import Attempt, Request
from fairlead.core.jsontop import top_level
from fairlead.dialects.codec import Dialect
from fairlead.types import Chat, Embed
from fairlead.validation.shaping.modes import shaped

_SAID_APART = frozenset({"model", "stream"})
"""What some dialects say in the path."""


def shaped_chat(
    asked: Chat | Embed, request: Request, attempt: Attempt, dialect: Dialect, *, enforce: bool
) -> Chat | Embed:
    """The neutral form for the attempt's candidate; the attempt notes how, and what is lost by it.

    Args:
        dialect: the provider's.
        enforce: whether the caller's dialect may have no word for holding a model to the schema, so that the provider's
            has to be told.
    """
    wanted = request.wanted
    if wanted is None or isinstance(asked, Embed):
        return asked
    candidate = attempt.candidate
    found = shaped(
        asked,
        wanted,
        candidate.structured,
        candidate.schema_subset,
        without=candidate.native_without,
        unenforced=candidate.unenforced,
        asks_json=candidate.asks_json if dialect.has_json else False,
        enforce=enforce,
    )
    attempt.structured, attempt.lost = found.mode, found.lost
    attempt.enforced = found.is_whole and candidate.enforces
    return found.chat


def shaped_request(request: Request, attempt: Attempt, dialect: Dialect) -> Request:
    """The request for a provider of the caller's own dialect; a field that need not change stays as it was sent.

    Raises:
        InvalidRequest: it cannot be read.
    """
    asked = request.chat or dialect.request.decode(request.fields)
    found = shaped_chat(asked, request, attempt, dialect, enforce=False)
    if found is asked:
        return request
    before, after = (top_level(dialect.request.encode(each)) for each in (asked, found))
    kept = {
        name: raw for name, raw in request.fields.items() if name in _SAID_APART or before.get(name) == after.get(name)
    }
    fields = {**after, **{name: raw for name, raw in kept.items() if name in after or name in _SAID_APART}}
    return msgspec.structs.replace(request, fields=fields)
