"""Which property a name was meant to be."""

from __future__ import annotations

import pytest

from fairlead.validation.ladder.names import MAX_COMPARED, matched


@pytest.mark.parametrize("name", ["firstName", "First Name", "FIRST_NAME", "first-name", "firstname"])
def test_case_and_separators_make_no_difference(name):
    """The one property of that form is meant."""
    assert matched([name], ["first_name", "age"], []).renamed == {name: "first_name"}


def test_a_misspelt_name_is_the_one_property_that_is_near():
    """If nothing else is."""
    assert matched(["first_nme", "other"], ["first_name", "age"], []).renamed == {"first_nme": "first_name"}


@pytest.mark.parametrize(
    ("unknown", "missing", "present"),
    [
        (["date3"], ["date2"], ["date1"]),
        (["lastName", "last name"], ["last_name"], []),
        (["firstName"], [], ["first_name"]),
        (["nik", "nic"], ["nick"], []),
        (["totel"], ["total", "hotel"], []),
        (["userName"], ["user_name", "username"], []),
        (["invalid"], ["is_valid"], []),
        (["is_inactive"], ["is_active"], []),
        (["option_b"], ["option_a"], []),
        (["optionB"], ["optionA"], []),
        (["cantEdit"], ["can_edit"], []),
    ],
)
def test_a_name_that_may_be_several_things_is_doubtful(unknown, missing, present):
    """Nothing is renamed, and it is no property to leave out."""
    found = matched(unknown, missing, present)
    assert found.renamed == {}
    assert found.doubtful & set(unknown) == set(unknown)


@pytest.mark.parametrize("name", ["surname", "family_name", "x"])
def test_a_name_of_like_meaning_is_not_the_property(name):
    """Nothing is known of meaning."""
    found = matched([name], ["last_name"], [])
    assert (found.renamed, found.doubtful) == ({}, frozenset())


def test_very_many_names_keep_what_they_are():
    """Each against each would take too long; only those of the same form are found."""
    unknown = [f"a{i}" for i in range(MAX_COMPARED + 1)]
    found = matched([*unknown, "lastName"], ["last_name", "b"], [])
    assert found.renamed == {"lastName": "last_name"}
    assert found.doubtful == set(unknown)


@pytest.mark.parametrize(
    ("name", "meant"), [("frist_name", "first_name"), ("emial", "email"), ("fisrtName", "first_name")]
)
def test_two_letters_that_have_changed_places_are_one_slip(name, meant):
    """In the first letters too, if it is these two."""
    assert matched([name], [meant], []).renamed == {name: meant}


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("employee_id", "employer_id"),
        ("mid_price", "max_price"),
        ("employeeId", "employer_id"),
        ("contact_id", "contract_id"),
        ("countryName", "county_name"),
    ],
)
def test_another_letter_at_a_word_s_end_or_in_a_short_word_is_another_name(name, other):
    """Wherever the words part."""
    assert matched([name], [other], []).renamed == {}
