"""Which of several values is the answer."""

from __future__ import annotations

import pytest

from fairlead.validation.ladder.choosing import Reading, chosen, introduction, is_example


def place(*pairs):
    """Which of these values counts, each with the words in front of it."""
    return chosen([Reading(value=value, between=between) for between, value in pairs])


def test_the_only_one_counts():
    """Whatever stands in front of it."""
    assert place(("", 1)) == 0


def test_values_that_are_equal_are_one():
    """It does not matter which."""
    assert place(("", {"a": 1}), ("or", {"a": 1.0})) is not None
    assert place(("", {"a": 1}), ("or", {"a": True})) is None


@pytest.mark.parametrize(
    "words",
    [
        "Final answer:",
        "Here is the corrected version:\n```json\n",
        "Wait, that is wrong. Correction:",
        "\n\n**Updated**\n\n```\n",
        "I should use the full name instead:",
        "This is the revised one. ",
        "My actual answer is",
    ],
)
def test_a_correction_counts(words):
    """The last one, if words before it say so."""
    assert place(("", 1), (words, 2)) == 1


@pytest.mark.parametrize(
    "words",
    [
        "",
        "or",
        "Alternatively:",
        "Not final:",
        "The final answer is above. This is",
        "Before the final check I had",
        "The final answer stands. An example of a wrong one:",
        "not corrected yet:",
        "That is my final answer. For comparison, the other reading:",
        " was the final one.\n",
        "If you want the final version, ask. Until then:",
        "Final check of the input:",
        "Actual answer unclear:",
    ],
)
def test_other_words_leave_it_open(words):
    """Also those that sound like a correction."""
    assert place(("", 1), (words, 2)) is None


@pytest.mark.parametrize(
    "words",
    ["Example:", "For instance:\n```json\n", "The template is", "e.g.", "My draft:", "Use this format:", "Do not say"],
)
def test_what_is_introduced_as_no_answer_does_not_count(words):
    """The one behind it does."""
    assert place((words, 1), ("Answer:", 2)) == 1
    assert place((words, 1), ("An example:", 2)) is None


@pytest.mark.parametrize(
    "words",
    ["It is not easy to say, it may be", "The draft is what counts:", "This is not an example:", "No template:"],
)
def test_what_is_not_introduced_as_no_answer_may_be_one(words):
    """The words deny it, or speak of something else."""
    assert place((words, 1), ("The other:", 2)) is None


def test_the_format_that_was_asked_for_is_no_example():
    """`in JSON format` introduces an answer."""
    assert place(("Here it is in JSON format:", 1), ("and another", 2)) is None


def test_only_the_last_sentence_introduces():
    """What was said before it was about something else."""
    assert introduction("For example. Now the answer:\n\n```json\n") == "Now the answer:"
    assert introduction("\n \n") == ""
    assert is_example("Here is an example:")
    assert not is_example("An example follows. The answer:")
