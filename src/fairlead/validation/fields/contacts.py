"""Addresses of e-mail, and telephone numbers."""

from __future__ import annotations

import re
from typing import Any

from fairlead.validation.fields.locales import habits
from fairlead.validation.fields.unclear import Unclear, tidy

WANTED_EMAIL = "an address of e-mail such as `jane@example.org`"
WANTED_PHONE = "a telephone number such as `+44 20 7946 0958`"
NEEDS_EXTRA = (
    "reading telephone numbers needs the package `phonenumbers`, which is the extra `fields`; "
    "run `pip install phonenumbers`"
)

_PLAIN = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,31})?@[a-z0-9]{1,40}(?:\.[a-z0-9]{1,40}){1,3}")
"""Most addresses: in their normal form already."""
_ENCLOSED = re.compile(r"[^<>@]*<([^<>]*)>")
_LINKED = re.compile(r"\[([^][]*)\]\(mailto:([^()]*)\)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?P<local>[^\s@<>()\[\],;:\\\"]{1,64})@(?P<domain>[^\s@<>()\[\],;:\\\"/?#]{1,253})")
_DOMAIN = re.compile(r"(?:[^\W_](?:[^\W_]|-(?=[^.]))*\.)+[^\W_](?:[^\W_]|-(?=.)){1,}")
_PHONE = re.compile(r"\+?[0-9(][0-9 ()./-]{3,30}[0-9]")


def tidy_email(value: Any) -> str:
    """An address without `mailto:`, brackets and a name around it, its domain in small letters.

    Raises:
        Unclear: it is no address, or more than one.
    """
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    text = tidy(value, WANTED_EMAIL)
    if linked := _LINKED.fullmatch(text):
        if linked[1].casefold() != linked[2].casefold():
            raise Unclear(f"{value!r:.80} shows one address and leads to another")
        text = linked[2]
    if enclosed := _ENCLOSED.fullmatch(text):
        text = enclosed[1].strip()
    if text[:7].casefold() == "mailto:":
        text = text[7:].partition("?")[0]
    found = _ADDRESS.fullmatch(text.removesuffix("."))
    if found is None:
        raise Unclear(f"{value!r:.80} is not {WANTED_EMAIL}")
    return f"{found['local']}@{found['domain'].lower()}"


def read_email(value: Any, _: str | None) -> str:
    """An address as `tidy_email` has it, of a domain with a dot.

    Raises:
        Unclear: it is no address of the open network.
    """
    address = tidy_email(value)
    local, _, domain = address.partition("@")
    if (
        len(address) > 254
        or local.startswith(".")
        or local.endswith(".")
        or ".." in local
        or not _DOMAIN.fullmatch(domain)
    ):
        raise Unclear(f"{value!r:.80} is not {WANTED_EMAIL}")
    return address


def read_phone(value: Any, locale: str | None) -> str:
    """A number as E.164 writes it; a national one needs the region of a locale.

    Raises:
        Unclear: no number that is given out, or one that needs a region; or the extra `fields` is not installed.
    """
    try:
        import phonenumbers  # noqa: PLC0415 - its metadata is large, and few schemas ask for it
    except ImportError:
        raise Unclear(f"cannot be read here: {NEEDS_EXTRA}") from None
    text = tidy(value, WANTED_PHONE)
    if text[:4].casefold() == "tel:":
        text = text[4:]
    if not _PHONE.fullmatch(text):
        raise Unclear(f"{value!r:.60} is not {WANTED_PHONE}")
    region = habits(locale).region
    if not text.startswith("+") and region is None:
        raise Unclear(
            f"{value!r:.60} says no country; begin it with `+` and the country's code, or name a locale with a region"
        )
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise Unclear(f"{value!r:.60} is not {WANTED_PHONE}") from None
    if not phonenumbers.is_valid_number(number):
        raise Unclear(f"{value!r:.60} is no number that is given out in its country")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
