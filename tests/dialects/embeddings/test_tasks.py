"""What embeddings are for."""

from __future__ import annotations

import pytest

from fairlead.dialects.embeddings import tasks
from fairlead.errors import InvalidRequest
from fairlead.types import EMBED_TASKS


@pytest.mark.parametrize("words", [tasks.GEMINI, tasks.COHERE, tasks.VOYAGE])
def test_a_table_speaks_of_known_tasks_alone(words):
    """And both of search are in each."""
    assert words.keys() <= EMBED_TASKS
    assert words["search_query"] != words["search_document"]


def test_every_task_has_a_name_of_geminis():
    """Which has a word for each."""
    assert words_of(tasks.GEMINI) == EMBED_TASKS


def words_of(words):
    return {tasks.neutral(word) for word in words.values()}


@pytest.mark.parametrize(
    ("word", "task"),
    [
        ("query", "search_query"),
        ("Document", "search_document"),
        ("RETRIEVAL_DOCUMENT", "search_document"),
        ("search_query", "search_query"),
        ("SEMANTIC_SIMILARITY", "similarity"),
        ("passage", "search_document"),
        ("poetry", "poetry"),
        (None, None),
    ],
)
def test_anybodys_word_is_understood(word, task):
    """In any case; one that nobody knows stays as it is."""
    assert tasks.neutral(word) == task


def test_a_word_that_nobody_knows_is_refused():
    """The message says what there is."""
    with pytest.raises(InvalidRequest, match=r"'poetry'.*Gemini.*similarity"):
        tasks.said("poetry", tasks.GEMINI, "Gemini")
