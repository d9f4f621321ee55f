"""What a locale such as `en-US` says about the order of dates, the marks in numbers, and the region."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from fairlead.validation.fields.unclear import Unclear

_TAG = re.compile(r"(?P<language>[A-Za-z]{2,3})(?:[-_][A-Za-z]{4})?(?:[-_](?P<region>[A-Za-z]{2}))?")

_DAY_FIRST_TEXT = (
    "bg bs ca cs da de el es et fi fr ga gl hr id is it lv mk ms nb nl nn no pl pt ro ru sk sl sq sr th tr uk vi"
)
_DAY_FIRST = frozenset(_DAY_FIRST_TEXT.split())
_DAY_FIRST_ENGLISH = frozenset({"AU", "GB", "HK", "IE", "IN", "MT", "NZ", "SG"})
_MONTH_FIRST_ENGLISH = frozenset({"US"})
_COMMA_TEXT = "bg bs ca cs da de el et fi fr gl hr hu id is it lt lv mk nb nl nn no pl pt ro ru sk sl sq sr sv tr uk vi"
_COMMA = frozenset(_COMMA_TEXT.split())
_POINT = frozenset({"ga", "he", "ja", "ko", "th", "zh"})
_POINT_REGIONS = {
    "en": frozenset(
        {None, "AU", "CA", "GB", "GH", "HK", "IE", "IN", "JM", "KE", "MT", "MY", "NG", "NZ", "PH", "PK", "SG", "US"}
    ),
    "es": frozenset({"DO", "GT", "HN", "MX", "NI", "PA", "PE", "PR", "SV", "US"}),
    "de": frozenset({"CH", "LI"}),
    "it": frozenset({"CH"}),
    "ms": frozenset({None, "MY", "SG"}),
}
_COMMA_REGIONS = {"es": frozenset({"AR", "BO", "CL", "CO", "EC", "ES", "PY", "UY", "VE"})}


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How a date and a number are written in one locale; `None` where it does not say."""

    region: str | None = None
    """ISO 3166, such as `US`."""
    order: Literal["day", "month"] | None = None
    """What stands first in `03/04/2026`."""
    decimal: Literal[",", "."] | None = None
    """What stands before the fraction of a number."""


def habits(locale: str | None) -> Habits:
    """Those of a locale; none of them for `None`.

    Raises:
        Unclear: it is not written as a locale.
    """
    if locale is None:
        return Habits()
    found = _TAG.fullmatch(locale)
    if found is None:
        raise Unclear(f"{locale!r:.40} is not a locale; write a language and a region, as in `en-US`")
    language, region = found["language"].lower(), (found["region"] or "").upper() or None
    return Habits(region=region, order=_order(language, region), decimal=_decimal(language, region))


def _order(language: str, region: str | None) -> Literal["day", "month"] | None:
    if language == "en":
        if region in _MONTH_FIRST_ENGLISH:
            return "month"
        return "day" if region in _DAY_FIRST_ENGLISH else None
    if (language, region) in (("fr", "CA"), ("es", "US"), ("es", "PR"), ("es", "PA")):
        return None
    return "day" if language in _DAY_FIRST else None


def _decimal(language: str, region: str | None) -> Literal[",", "."] | None:
    if language in _POINT or region in _POINT_REGIONS.get(language, ()):
        return "."
    return "," if language in _COMMA or region in _COMMA_REGIONS.get(language, ()) else None
