"""What embeddings are for, in each provider's words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fairlead.errors import InvalidRequest
from fairlead.types import EMBED_TASKS

Words = Mapping[str, str | None]
"""Neutral task to a provider's word; `None`: the text is embedded as it is."""

GEMINI: Words = MappingProxyType(
    {
        "search_query": "RETRIEVAL_QUERY",
        "search_document": "RETRIEVAL_DOCUMENT",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
        "similarity": "SEMANTIC_SIMILARITY",
        "question_answering": "QUESTION_ANSWERING",
        "fact_verification": "FACT_VERIFICATION",
        "code_search": "CODE_RETRIEVAL_QUERY",
    }
)
COHERE: Words = MappingProxyType(
    {
        "search_query": "search_query",
        "search_document": "search_document",
        "classification": "classification",
        "clustering": "clustering",
        "question_answering": "search_query",
        "fact_verification": "search_query",
        "code_search": "search_query",
    }
)
VOYAGE: Words = MappingProxyType(
    {
        "search_query": "query",
        "search_document": "document",
        "classification": None,
        "clustering": None,
        "similarity": None,
        "question_answering": "query",
        "fact_verification": "query",
        "code_search": "query",
    }
)

_NEUTRAL: Mapping[str, str] = {
    **{name: name for name in EMBED_TASKS},
    **{str(word).lower(): task for task, word in GEMINI.items()},
    "query": "search_query",
    "document": "search_document",
    "passage": "search_document",
}


def neutral(word: str | None) -> str | None:
    """The task that any provider's word stands for, in any case; an unknown word is left as it is."""
    return None if word is None else _NEUTRAL.get(word.lower(), word)


def said(task: str | None, words: Words, provider: str) -> str | None:
    """A provider's word for a task.

    Raises:
        InvalidRequest: it has none.
    """
    if task is None:
        return None
    if task not in words:
        raise InvalidRequest(
            f"`input_type` {task[:64]!r} is nothing that {provider} knows; it has {', '.join(sorted(words))}.",
            param="input_type",
        )
    return words[task]
