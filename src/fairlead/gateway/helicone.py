"""Helicone's request headers, for programs that send them: read where `[gateway] helicone_headers` is true.

None of them goes to a provider, as no header does that is not on a dialect's list; `Helicone-Auth` is read by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fairlead.call import Call

_PREFIX: Final = "helicone-"
_PROPERTY: Final = "helicone-property-"
_MAX_TAG: Final = 64
_MAX_NAME: Final = 128


def apply_helicone(call: Call, headers: Mapping[str, str], max_tags: int) -> None:
    """End user, session and properties of the call; what our own headers say goes before them."""
    if not any(name.startswith(_PREFIX) for name in headers):
        return
    user = headers.get("helicone-user-id", "").strip()
    if user:
        call.request.end_user = user[:_MAX_NAME]
    session = headers.get("helicone-session-id", "").strip()
    if session and call.session is None:
        call.session = session[:_MAX_NAME]
    call.tags = tuple(dict.fromkeys((*call.tags, *_tags(headers))))[:max_tags]


def _tags(headers: Mapping[str, str]) -> Iterator[str]:
    """The end user first; whether an answer of the cache was welcome is noted, too."""
    user = headers.get("helicone-user-id", "").strip()
    if user:
        yield f"user={user}"[:_MAX_TAG]
    for name, value in headers.items():
        if name.startswith(_PROPERTY) and len(name) > len(_PROPERTY):
            yield f"{name.removeprefix(_PROPERTY)}={value.strip()}"[:_MAX_TAG]
    if headers.get("helicone-cache-enabled", "").strip().lower() == "true":
        yield "cache-enabled=true"
