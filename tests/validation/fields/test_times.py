"""Times of day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.fields.types import TYPES
from fairlead.validation.fields.unclear import Unclear

READ = TYPES["Time24"].read

CLEAR = {
    "14:30": "14:30:00",
    "14:30:00": "14:30:00",
    "14:30:15.250": "14:30:15.250",
    "14:30:15,5": "14:30:15.5",
    "2:30": "02:30:00",
    "02:30": "02:30:00",
    "00:00": "00:00:00",
    "23:59:59": "23:59:59",
    "T14:30": "14:30:00",
    " 14:30 ": "14:30:00",
    "at 14:30": "14:30:00",
    "2:30pm": "14:30:00",
    "2:30 PM": "14:30:00",
    "2:30\u202fpm": "14:30:00",
    "2.30 p.m.": "14:30:00",
    "2:30 P. M.": "14:30:00",
    "2:30:15 pm": "14:30:15",
    "2pm": "14:00:00",
    "7 am": "07:00:00",
    "12 am": "00:00:00",
    "12:30 am": "00:30:00",
    "12 pm": "12:00:00",
    "0:30 am": "00:30:00",
    "13:30 pm": "13:30:00",
    "7 o'clock in the evening": "19:00:00",
    "7 in the morning": "07:00:00",
    "3:15 in the afternoon": "15:15:00",
    "12 in the afternoon": "12:00:00",
    "noon": "12:00:00",
    "Midnight": "00:00:00",
    "12 noon": "12:00:00",
    "14h30": "14:30:00",
    "14 h 30": "14:30:00",
    "14h": "14:00:00",
    "17.00 h": "17:00:00",
    "14 Uhr": "14:00:00",
    "14.30 Uhr": "14:30:00",
    "14:30 Uhr": "14:30:00",
    "7 Uhr 15": "07:15:00",
    "1430 hours": "14:30:00",
    "0900 hrs": "09:00:00",
    "14 o'clock": "14:00:00",
}

UNCLEAR = [
    "7",
    "14",
    "1430",
    "7 o'clock",
    "12 o'clock",
    "14.30",
    "half past two",
    "quarter to 3",
    "7ish",
    "2h",
    "7 Uhr",
    "2 hours",
    "5 hr",
    "1:30 hours",
    "2:30 hrs",
    "2:30 h",
    "90 min",
    "about 7pm",
    "~14:30",
    "14:30-15:00",
    "2-3pm",
    "2pm-10",
    "after 14:30",
    "24:00",
    "25:00",
    "14:60",
    "14:30:60",
    "14:3",
    "2:30 xm",
    "13:30 am",
    "0 pm",
    "12 in the morning",
    "8 in the afternoon",
    "3 in the evening",
    "14:30:00Z",
    "14:30+02:00",
    "2:30pm EST",
    "tomorrow 14:30",
    "2026-03-04T14:30:00",
    "١٤:٣٠",
    "N/A",
    "",
    "   ",
    "14:30" + " " * 500,
    14,
    14.5,
    None,
    True,
    ["14:30"],
]


@pytest.mark.parametrize(("text", "normal"), CLEAR.items())
def test_a_time_of_one_reading_is_read(text, normal):
    """In 24 or 12 hours, with marks or words."""
    assert READ(text, None) == normal


@pytest.mark.parametrize("value", UNCLEAR)
def test_what_could_be_another_time_is_refused(value):
    """So is what is no time at all, and a length or a range of time."""
    with pytest.raises(Unclear):
        READ(value, "en-US")


@given(st.times())
def test_a_normal_form_stays(time):
    """What Python and JSON write is what is given."""
    written = time.isoformat()
    assert READ(written, None) == written


@given(st.integers(1, 12), st.integers(0, 59), st.sampled_from(["am", "pm", " AM", " p.m."]))
def test_twelve_hours_are_halves_of_twenty_four(hour, minute, half):
    """Twelve is the zero of its half."""
    expected = hour % 12 + (12 if "p" in half.lower() else 0)
    assert READ(f"{hour}:{minute:02}{half}", None) == f"{expected:02}:{minute:02}:00"


@given(st.text("0123456789:.,hampTZ+- uro'clknt\u202f", max_size=24))
def test_what_is_read_is_read_again_as_itself(text):
    """Any text has a normal form that stays, or none."""
    try:
        normal = READ(text, None)
    except Unclear:
        return
    assert READ(normal, None) == normal
