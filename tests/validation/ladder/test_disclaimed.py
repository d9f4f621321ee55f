"""Words around the only value of a text that say that it is none."""

from __future__ import annotations

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape

SHAPE = compile_shape(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "e_mail": {"type": ["string", "null"]}},
        "required": ["name", "age"],
    }
)
ADA = '{"name": "Ada", "age": 36}'


@pytest.mark.parametrize(
    "text",
    [
        f"I'm sorry, I can't. The format would be {ADA}",
        f"I cannot help with that. It could look like this: {ADA}",
        f"The input was {ADA}. I cannot extract this.",
        f"The input was: {ADA}",
        f"You gave me {ADA}",
        f"Do not answer {ADA}",
        f"You must never return {ADA}",
        f"Thinking: maybe {ADA} Hmm, I do not know the age.",
        f"Here it is: {ADA} I don\u2019t know the age.",
        f"```json\n{ADA}\n```\nThe name is clear, but the age is a guess.",
        f"The age is my best guess: {ADA}",
        f"{ADA}\nI assumed the age.",
        f"{ADA}\nI could not determine the e mail or the age.",
        f"{ADA}\nI cannot answer.",
        f"{ADA}\nPlease ignore this.",
    ],
)
def test_what_its_own_text_takes_back_is_no_answer(text):
    """It would be one that the model does not stand for."""
    verdict = climb(text, SHAPE)
    assert [(error.path, error.kind) for error in verdict.errors] == [("", "unclear")]


@pytest.mark.parametrize(
    "text",
    [
        f"Here is the JSON:\n{ADA}\nLet me know if you need anything else.",
        f"I extracted the name and the age; I assumed nothing. {ADA}",
        f"{ADA}\nI extracted both from the text; I assumed nothing.",
        f"{ADA}\nNone of these values was guessed.",
        f"{ADA}\nI could not find an e-mail address.",
        f"{ADA}\nI don't know if you need more than that; tell me.",
        f"I'm sorry for the delay. Here is the answer: {ADA}",
        f"I can't see any problem with this request: {ADA}",
        f"Based on the text, the JSON would be: {ADA}",
        f"Do not worry, here it is: {ADA}",
        '{"name": "Ada", "age": 36, "e_mail": null}\nI could not find an e mail.',
        f"Here you go! {ADA} Feel free to ask if you cannot read it.",
    ],
)
def test_the_usual_words_around_an_answer_take_nothing_back(text):
    """Politeness, and what is not there, are no doubt."""
    assert climb(text, SHAPE).fits


def test_a_list_of_many_is_looked_at_in_bounded_time():
    """Names far behind are not looked at."""
    text = '[[{"b": 1}], ' + ", ".join(["1"] * 600) + "]\nI do not know the age."
    assert climb(text, compile_shape({"type": "array"})).fits
