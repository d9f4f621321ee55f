"""Dates and moments."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.fields.dates import read_date, read_moment
from fairlead.validation.fields.types import TYPES
from fairlead.validation.fields.unclear import Unclear

DAY = TYPES["ISODate"].read
MOMENT = TYPES["DateTimeTZ"].read

DAYS = {
    "2026-03-04": "2026-03-04",
    "2026-3-4": "2026-03-04",
    "2026/03/04": "2026-03-04",
    "2026.03.04": "2026-03-04",
    "2026. 3. 4.": "2026-03-04",
    "2026年3月4日": "2026-03-04",
    "20260304": "2026-03-04",
    "2026-03-04T00:00:00Z": "2026-03-04",
    "2026-03-04 00:00": "2026-03-04",
    "13/04/2026": "2026-04-13",
    "04/13/2026": "2026-04-13",
    "30.04.2026": "2026-04-30",
    "30. 4. 2026": "2026-04-30",
    "04-30-2026": "2026-04-30",
    "03/03/2026": "2026-03-03",
    "4 March 2026": "2026-03-04",
    "04 March 2026": "2026-03-04",
    "4 Mar 2026": "2026-03-04",
    "4-Mar-2026": "2026-03-04",
    "4th March 2026": "2026-03-04",
    "4th of March, 2026": "2026-03-04",
    "the 4th of March 2026": "2026-03-04",
    "March 4, 2026": "2026-03-04",
    "March 4th, 2026": "2026-03-04",
    "Mar. 4, 2026": "2026-03-04",
    "MARCH 4 2026": "2026-03-04",
    "Sept 4, 2026": "2026-09-04",
    "2026 March 4": "2026-03-04",
    "Wednesday, March 4, 2026": "2026-03-04",
    "Wed 4 Mar 2026": "2026-03-04",
    "on May 1, 2026": "2026-05-01",
    "4. März 2026": "2026-03-04",
    "Mittwoch, den 4. März 2026": "2026-03-04",
    "1er mars 2026": "2026-03-01",
    "le 4 août 2026": "2026-08-04",
    "4 de marzo de 2026": "2026-03-04",
    "4 marzo 2026": "2026-03-04",
    "4 de março de 2026": "2026-03-04",
    "4 maart 2026": "2026-03-04",
    "29 February 2028": "2028-02-29",
}

NO_DAYS = [
    "03/04/2026",
    "04.03.2026",
    "03-04-2026",
    "3 / 4 / 2026",
    "04/03/26",
    "4.3.26",
    "March 4, 26",
    "4 March '26",
    "12102026",
    "10122011",
    "March 2026",
    "2026-03",
    "2026",
    "4 March",
    "today",
    "tomorrow",
    "next Wednesday",
    "Wednesday",
    "in two days",
    "end of March 2026",
    "early March 2026",
    "Thursday, March 4, 2026",
    "31 February 2026",
    "29 February 2026",
    "2026-02-30",
    "2026-13-04",
    "32/04/2026",
    "2026-03-04T10:00:00Z",
    "4-5 March 2026",
    "2026-03-04 to 2026-03-06",
    "2026-W10-3",
    "2026-063",
    "March fourth, 2026",
    "4 Marchtober 2026",
    "4 4 2026 March",
    "0000-01-01",
    "N/A",
    "",
    20260304,
    1772582400,
    None,
]

MOMENTS = {
    "2026-03-04T14:30:00Z": "2026-03-04T14:30:00Z",
    "2026-03-04T14:30:00+00:00": "2026-03-04T14:30:00+00:00",
    "2026-03-04T14:30:00.125-05:00": "2026-03-04T14:30:00.125-05:00",
    "2026-03-04t14:30:00z": "2026-03-04T14:30:00Z",
    "2026-03-04 14:30:00Z": "2026-03-04T14:30:00Z",
    "2026-03-04T14:30Z": "2026-03-04T14:30:00Z",
    "2026-03-04T14:30-05:00": "2026-03-04T14:30:00-05:00",
    "2026-03-04 14:30:00 +0100": "2026-03-04T14:30:00+01:00",
    "2026-03-04 14:30:00+01": "2026-03-04T14:30:00+01:00",
    "2026-03-04 14:30 UTC": "2026-03-04T14:30:00Z",
    "2026-03-04 14:30 (UTC)": "2026-03-04T14:30:00Z",
    "2026-03-04 14:30 GMT": "2026-03-04T14:30:00Z",
    "2026-03-04 14:30 UTC+5:30": "2026-03-04T14:30:00+05:30",
    "2026-03-04 14:30 GMT-3": "2026-03-04T14:30:00-03:00",
    "2026-03-04 2:30 pm UTC": "2026-03-04T14:30:00Z",
    "March 4, 2026 at 2:30pm UTC": "2026-03-04T14:30:00Z",
    "March 4, 2026, 2:30 PM UTC": "2026-03-04T14:30:00Z",
    "4 March 2026 14:30 UTC": "2026-03-04T14:30:00Z",
    "Wed, 04 Mar 2026 14:30:00 GMT": "2026-03-04T14:30:00Z",
    "4. März 2026 um 14:30 UTC": "2026-03-04T14:30:00Z",
    "30/04/2026 14:30 UTC": "2026-04-30T14:30:00Z",
    "2026-03-04 14:30 Europe/Berlin": "2026-03-04T14:30:00+01:00",
    "2026-07-04T14:30[Europe/Berlin]": "2026-07-04T14:30:00+02:00",
    "2026-07-04T14:30:00+02:00[Europe/Berlin]": "2026-07-04T14:30:00+02:00",
    "March 4, 2026 2pm America/New_York": "2026-03-04T14:00:00-05:00",
    "2026-01-04T14:30:00Z[Europe/London]": "2026-01-04T14:30:00Z",
}

NO_MOMENTS = [
    "2026-03-04T14:30:00",
    "2026-03-04 14:30",
    "2026-03-04",
    "14:30:00Z",
    "2026-03-04 2:30 PM EST",
    "2026-03-04 14:30 CST",
    "2026-03-04 14:30-15:00",
    "2026-03-04 14:30-10:00",
    "2026-03-04T14:30:00+15:00",
    "2026-03-04T14:30:00+05:75",
    "2026-03-04 14:30 +2",
    "2026-03-04 14:30 UTC+2:3",
    "2026-03-04T24:00:00Z",
    "2026-02-30T14:30:00Z",
    "03/04/2026 14:30 UTC",
    "2026-03-29T02:30[Europe/Berlin]",
    "2026-10-25T02:30[Europe/Berlin]",
    "2026-07-04T14:30:00+01:00[Europe/Berlin]",
    "2026-03-04T14:30[Europe/Atlantis]",
    "2026-03-04T14:30[../../etc/passwd]",
    "tomorrow at 14:30 UTC",
    "now",
    1772634600,
    None,
]


@pytest.mark.parametrize(("text", "normal"), DAYS.items())
def test_a_day_of_one_reading_is_read(text, normal):
    """In numbers or in words."""
    assert DAY(text, None) == normal


@pytest.mark.parametrize("value", NO_DAYS)
def test_what_could_be_another_day_is_refused(value):
    """So are words that depend on today, two digits of a year, and days that are on no calendar."""
    with pytest.raises(Unclear):
        DAY(value, None)


@pytest.mark.parametrize(
    ("locale", "normal"),
    [("en-US", "2026-03-04"), ("en-GB", "2026-04-03"), ("de", "2026-04-03"), ("pt_BR", "2026-04-03")],
)
def test_a_locale_says_which_number_is_the_month(locale, normal):
    """By the language, or by the region where the language has two orders."""
    assert DAY("03/04/2026", locale) == normal


@pytest.mark.parametrize("locale", ["en", "en-CA", "en-ZA", "fr-CA", "ja", "sv"])
def test_a_locale_of_no_one_order_says_nothing(locale):
    """English alone has two, and some languages begin with the year."""
    with pytest.raises(Unclear):
        DAY("03/04/2026", locale)


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_day_in_its_normal_form_stays(day):
    """What Python and JSON write is what is given."""
    assert DAY(day.isoformat(), None) == day.isoformat()


@given(st.dates(min_value=date(1000, 1, 1)), st.sampled_from(["%d %B %Y", "%B %d, %Y", "%A, %d %b %Y", "%Y/%m/%d"]))
def test_a_day_in_words_is_the_same_day(day, form):
    """Whichever way round."""
    assert read_date(day.strftime(form), None) == day


@given(st.text("0123456789-/. TZ:MarchJune,thof年月日", max_size=30), st.sampled_from([None, "en-US", "de"]))
def test_a_day_that_is_read_is_read_again_as_itself(text, locale):
    """Any text has a normal form that stays, or none."""
    try:
        normal = DAY(text, locale)
    except Unclear:
        return
    assert DAY(normal, locale) == normal


@pytest.mark.parametrize(("text", "normal"), MOMENTS.items())
def test_a_moment_with_an_offset_or_a_zone_is_read(text, normal):
    """A zone gives the offset that it has then."""
    assert MOMENT(text, None) == normal


@pytest.mark.parametrize("value", NO_MOMENTS)
def test_a_moment_that_could_be_another_is_refused(value):
    """A local time, letters that several zones have, the hour that a zone skips or has twice."""
    with pytest.raises(Unclear):
        MOMENT(value, None)


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1000, 1, 1), timezones=OFFSETS))  # noqa: DTZ001 - hypothesis adds them
def test_a_moment_in_its_normal_form_stays(moment):
    """What Python and JSON write is what is given."""
    assert MOMENT(moment.isoformat(), None) == moment.isoformat()


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30), timezones=OFFSETS))  # noqa: DTZ001 - hypothesis adds them
def test_the_same_moment_in_utc_is_the_same(moment):
    """Only its writing differs."""
    there = read_moment(moment.isoformat(), None).in_utc()
    assert there is not None
    assert datetime.fromisoformat(there.written()) == moment


def test_a_moment_beyond_the_calendar_has_no_form_in_utc():
    """The last day reaches over the edge."""
    assert read_moment("9999-12-31T23:30:00-01:00", None).in_utc() is None
    assert read_moment("2026-03-04T14:30", None).in_utc() is None


@pytest.mark.parametrize("text", ["0001-01-01", "0999-12-31", "1 March 0024", "0202-06-03"])
def test_a_year_before_1000_is_none(text):
    """It stands for no date, or is a slip."""
    with pytest.raises(Unclear, match="before the year 1000"):
        DAY(text, None)


@pytest.mark.parametrize(("text", "speaks"), [("4 March 26", True), ("tomorrow", False), ("March 2026", False)])
def test_an_error_speaks_of_the_digits_of_a_year_where_they_are_wrong(text, speaks):
    """Elsewhere that would lead astray."""
    with pytest.raises(Unclear) as refused:
        DAY(text, None)
    assert ("four digits" in str(refused.value)) is speaks
