"""A word or number that is all of a text."""

from __future__ import annotations

import pytest

from fairlead.validation.ladder.elision import goes_on, is_elision, strings
from fairlead.validation.ladder.scalars import MAX_CHARS, unlabelled
from fairlead.validation.ladder.words import Unclear
from fairlead.validation.ladder.written import Written


@pytest.mark.parametrize(
    "text",
    [
        "positive",
        "**positive**",
        "Answer: positive.",
        "**Sentiment:** positive",
        "Sentiment = `positive`",
        "The final answer is: positive",
        "the answer is positive.",
        '"positive"',
        "Answer:\npositive\n",
    ],
)
def test_a_label_markup_quotes_and_a_full_stop_are_left_out(text):
    """Nothing else may stand beside the value."""
    assert unlabelled(text) == "positive"


@pytest.mark.parametrize(
    "text",
    [
        "not positive",
        "Not: positive",
        "Opposite: positive",
        "Approximately: 5",
        "At least: 5",
        "This is what I would call the answer: positive",
        "Previous answer: positive",
        "Rejected: positive",
        "HTTP status: 500",
        "False: true",
        "x" * MAX_CHARS + ": positive",
    ],
)
def test_a_label_that_says_otherwise_stays(text):
    """So the text is not the value."""
    assert unlabelled(text) == text


@pytest.mark.parametrize("text", ["...", " \u2026 ", "[...]", "{...}"])
def test_dots_alone_are_an_elision(text):
    """In place of a value."""
    assert is_elision(text)


@pytest.mark.parametrize("text", ["wait...", "", ".", " " * 100 + "..."])
def test_dots_beside_words_are_none(text):
    """Or dots that are not three."""
    assert not is_elision(text)


@pytest.mark.parametrize("behind", ["\n...", ", ...", "\n2. ...", "\n(and 3 more)", "\n```\n// ... 8 more", " etc."])
def test_words_of_more_behind_an_object_are_seen(behind):
    """There were other elements."""
    assert goes_on(behind)


@pytest.mark.parametrize("behind", ["", "\n```\nI hope this helps...", "\nMore questions?"])
def test_other_words_behind_an_object_say_nothing(behind):
    """It is the last one."""
    assert not goes_on(behind)


def test_all_strings_of_a_value_are_looked_at():
    """At every depth, names left out."""
    assert set(strings({"a": ["b", {"c": "d"}], "e": 5})) == {"b", "d"}


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ("[1.5]", 1.5, "1.5"),
        ("[1.0]", 1.0, "1.0"),
        ("[5]", 5, "5"),
        ("[true]", True, "true"),
        ("[1.10]", 1.1, "1.10"),
        ('{"x": +15550100}', 15550100, "+15550100"),
        ("[0x1F,]", 31, "0x1F"),
        ("[1_000]", 1000, "1_000"),
        ("[1e5]", 100000.0, "1e5"),
        ("[.5]", 0.5, ".5"),
        ("[5.]", 5.0, "5."),
        ("I found 5. Here: [5]", 5, "5"),
        ('["1.1", 1.10]', 1.1, "1.10"),
        ("2020-05-03: [5]", 5, "5"),
    ],
)
def test_a_number_becomes_the_string_that_the_text_writes(text, value, written):
    """Without quotes."""
    assert Written(text).as_string(value) == written


@pytest.mark.parametrize(("text", "value"), [("[1.1, 1.10]", 1.1), ("[1000, 1_000]", 1000), ("[]", 5), (None, 1.5)])
def test_a_number_of_which_nobody_knows_how_it_is_written_is_no_string(text, value):
    """1.10 may be a version."""
    with pytest.raises(Unclear):
        Written(text).as_string(value)


def test_a_whole_number_without_a_text_is_as_json_writes_it():
    """There is no other way in JSON."""
    assert Written(None).as_string(5) == "5"


@pytest.mark.parametrize(
    "label",
    ["Antwort:", "Ergebnis =", "R\u00e9ponse :", "R\u00e9ponse\u00a0:", "R\u00e9sultat :", "Respuesta:", "Categor\u00eda:",
     "Risposta:", "Resposta:", "**Classifica\u00e7\u00e3o:**", "Respuesta final:"],
)  # fmt: skip
def test_a_label_in_another_language_is_left_out(label):
    """German, French, Spanish, Italian, Portuguese."""
    assert unlabelled(f"{label} positive") == "positive"


@pytest.mark.parametrize("text", ["Nicht: positive", "Falsch: positive", "Pas: positive", "Antwort vorher: positive"])
def test_another_word_in_another_language_is_no_label(text):
    """It may say that it is not that."""
    assert unlabelled(text) == text
