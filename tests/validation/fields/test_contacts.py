"""Addresses of e-mail and telephone numbers."""

from __future__ import annotations

import subprocess
import sys

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.fields.types import TYPES
from fairlead.validation.fields.unclear import Unclear

EMAIL = TYPES["Email"].read
PHONE = TYPES["Phone"].read

ADDRESSES = {
    "jane@example.org": "jane@example.org",
    " jane@example.org ": "jane@example.org",
    "jane@EXAMPLE.org": "jane@example.org",
    "Jane.Doe@Example.Org": "Jane.Doe@example.org",
    "jane+news@example.org": "jane+news@example.org",
    "jane_doe-1@mail.example.co.uk": "jane_doe-1@mail.example.co.uk",
    "o'neil@example.org": "o'neil@example.org",
    "j@example.org": "j@example.org",
    "1@example.org": "1@example.org",
    "jane@ex-ample.org": "jane@ex-ample.org",
    "mailto:jane@example.org": "jane@example.org",
    "MAILTO:jane@example.org": "jane@example.org",
    "mailto:jane@example.org?subject=Hello": "jane@example.org",
    "<jane@example.org>": "jane@example.org",
    "<mailto:jane@example.org>": "jane@example.org",
    "Jane Doe <jane@example.org>": "jane@example.org",
    '"Doe, Jane" <jane@example.org>': "jane@example.org",
    "[jane@example.org](mailto:jane@example.org)": "jane@example.org",
    "[Jane@Example.org](mailto:jane@example.org)": "jane@example.org",
    "jane@example.org.": "jane@example.org",
}

NO_ADDRESSES = [
    "jane",
    "jane@",
    "@example.org",
    "jane@example",
    "root@localhost",
    "jane@@example.org",
    "jane@example@org",
    "jane doe@example.org",
    "jane@exa mple.org",
    "jane@example..org",
    "jane@.example.org",
    "jane@-example.org",
    "jane@example-.org",
    "jane@example.org-",
    "jane@example.o",
    ".jane@example.org",
    "jane.@example.org",
    "jane..doe@example.org",
    "jane at example dot org",
    "jane (at) example.org",
    "jane[at]example.org",
    "jane@example.org, joe@example.org",
    "jane@example.org; joe@example.org",
    "jane@example.org or joe@example.org",
    "jane@example.org joe@example.org",
    "Jane <jane@example.org> Joe <joe@example.org>",
    "[jane@example.org](mailto:joe@example.org)",
    "jane@example.org/inbox",
    "jane@[192.0.2.1]",
    '"jane doe"@example.org',
    "j" * 65 + "@example.org",
    "jane@" + "x." * 130 + "org",
    "https://example.org",
    "@jane",
    "e-mail: jane@example.org",
    "not jane@example.org",
    "N/A",
    "",
    5,
    None,
    ["jane@example.org"],
]

NUMBERS = {
    "+44 20 7946 0958": "+442079460958",
    "+442079460958": "+442079460958",
    "+44-20-7946-0958": "+442079460958",
    "+44 (20) 7946 0958": "+442079460958",
    "+44 (0)20 7946 0958": "+442079460958",
    "+44.20.7946.0958": "+442079460958",
    "tel:+442079460958": "+442079460958",
    "TEL:+44-20-7946-0958": "+442079460958",
    " +1 202 555 0123 ": "+12025550123",
    "+1 (202) 555-0123": "+12025550123",
    "+1-202-555-0123": "+12025550123",
    "+1\u00a0202\u00a0555\u00a00123": "+12025550123",
    "+49 151 23456789": "+4915123456789",
    "+49 (0)151 23456789": "+4915123456789",
    "+49 30/901820": "+4930901820",
    "+33 1 42 68 53 00": "+33142685300",
    "+39 06 6982": "+39066982",
    "+81 3-3224-9999": "+81332249999",
    "+91 98765 43210": "+919876543210",
    "+55 11 91234-5678": "+5511912345678",
    "+86 138 1234 5678": "+8613812345678",
}

NO_NUMBERS = [
    "020 7946 0958",
    "(202) 555-0123",
    "0049 151 23456789",
    "442079460958",
    "+44",
    "+44 20",
    "+44 20 7946 09581234567",
    "+999 12345678",
    "+1 123 555 0123",
    "+1 202 555 0123 ext. 5",
    "+1 202 555 0123 x5",
    "+1 202 555 0123;ext=5",
    "1-800-FLOWERS",
    "+1 800 FLOWERS",
    "+44 20 7946 0958 or +44 20 7946 0959",
    "+44 20 7946 0958 / 59 60 61 62 63",
    "call +44 20 7946 0958",
    "++44 20 7946 0958",
    "+44 20 7946 XXXX",
    "911",
    "5",
    "N/A",
    "-",
    "",
    442079460958,
    None,
]


@pytest.mark.parametrize(("text", "normal"), ADDRESSES.items())
def test_an_address_is_freed_of_what_stands_around_it(text, normal):
    """Its domain is in small letters, what stands before it is left as it is."""
    assert EMAIL(text, None) == normal


@pytest.mark.parametrize("value", NO_ADDRESSES)
def test_what_is_no_one_address_is_refused(value):
    """Several of them, written around, or of no domain in the open network."""
    with pytest.raises(Unclear):
        EMAIL(value, None)


# Two hyphens behind two letters are kept for encoded names (RFC 5891, 4.2.3.1).
LABELS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(lambda each: each[2:4] != "--")
LOCALS = st.from_regex(r"[A-Za-z0-9_+-]{1,8}(?:\.[A-Za-z0-9_+-]{1,8}){0,2}", fullmatch=True)


@given(LOCALS, st.lists(LABELS, min_size=1, max_size=3), st.sampled_from(["org", "de", "museum"]))
def test_an_address_in_its_normal_form_stays(local, labels, top):
    """And the check of JSON Schema's format takes it."""
    address = f"{local}@{'.'.join([*labels, top])}"
    assert EMAIL(address, None) == address
    assert jsonschema_rs.is_valid({"format": "email"}, address, validate_formats=True)


@given(st.text('jane@.<>mailto:()[] org,;-"?', max_size=40))
def test_an_address_that_is_read_is_read_again_as_itself(text):
    """Any text has a normal form that stays, or none."""
    try:
        address = EMAIL(text, None)
    except Unclear:
        return
    assert EMAIL(address, None) == address


@pytest.mark.parametrize(("text", "normal"), NUMBERS.items())
def test_an_international_number_is_read(text, normal):
    """Whatever stands between its digits."""
    assert PHONE(text, None) == normal
    assert PHONE(normal, "de-DE") == normal


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_one_number_is_refused(value):
    """A national number without a region, one that is not given out, an extension, letters."""
    with pytest.raises(Unclear):
        PHONE(value, None)


@pytest.mark.parametrize(
    ("text", "locale", "normal"),
    [
        ("020 7946 0958", "en-GB", "+442079460958"),
        ("(202) 555-0123", "en-US", "+12025550123"),
        ("202.555.0123", "en-US", "+12025550123"),
        ("0151 23456789", "de-DE", "+4915123456789"),
        ("0049 151 23456789", "en-GB", "+4915123456789"),
        ("+44 20 7946 0958", "en-US", "+442079460958"),
    ],
)
def test_a_national_number_is_one_of_its_region(text, locale, normal):
    """An international one is what it says."""
    assert PHONE(text, locale) == normal


@pytest.mark.parametrize("locale", ["de", "en-US", "en-ZZ"])
def test_a_national_number_of_another_region_is_refused(locale):
    """A language alone has no region."""
    with pytest.raises(Unclear):
        PHONE("020 7946 0958", locale)


def test_without_the_extra_the_remedy_is_named():
    """A schema may name telephone numbers where they cannot be read."""
    code = (
        "import sys; sys.modules['phonenumbers'] = None\n"
        "from fairlead.validation.fields.normalise import Unclear, normaliser_for\n"
        "try: normaliser_for({'x-fairlead-type': 'Phone'})('+442079460958', None)\n"
        "except Unclear as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=20)
    assert "run `pip install phonenumbers`" in done.stdout
