"""A word or number that is all of a text but for a label, markup, quotes and a full stop."""

from __future__ import annotations

import re
from typing import Final

from fairlead.validation.ladder.labels import bare
from fairlead.validation.ladder.spelling import plain

MAX_CHARS: Final = 1_000
"""In front of longer texts no label is looked for."""

_LABEL = re.compile(r"(?P<label>[^\W\d](?:[\w'/-]|[ _](?=\S)){0,40}?)\s*[*_`]*\s*[:=]\s*(?P<rest>\S.*)", re.DOTALL)
_SENTENCE = re.compile(
    r"(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|result)\s+is:?\s+(?P<rest>\S.*)", re.DOTALL | re.IGNORECASE
)
_LABELS: Final = frozenset(
    [
        "age",
        "amount",
        "analysis",
        "answer",
        "category",
        "choice",
        "class",
        "classification",
        "color",
        "colour",
        "conclusion",
        "count",
        "date",
        "decision",
        "emotion",
        "final",
        "intent",
        "label",
        "language",
        "level",
        "mood",
        "my",
        "name",
        "number",
        "output",
        "overall",
        "predicted",
        "prediction",
        "priority",
        "quantity",
        "rating",
        "result",
        "response",
        "score",
        "sentiment",
        "severity",
        "status",
        "sum",
        "the",
        "time",
        "title",
        "tone",
        "topic",
        "total",
        "type",
        "urgency",
        "value",
        "verdict",
        "year",
        "your",
    ]
)
"""Words that say what a value is, and nothing else of it."""
_ELSEWHERE: Final = frozenset(
    [
        *("antwort", "bewertung", "die", "ergebnis", "finale", "kategorie", "klasse", "stimmung", "wert"),
        *("categorie", "la", "le", "reponse", "resultat", "valeur"),
        *("calificacion", "categoria", "el", "respuesta", "resultado", "sentimiento", "valor"),
        *("il", "risposta", "risultato", "sentimento", "valore"),
        *("classificacao", "resposta"),
    ]
)
"""The same in German, French, Spanish, Italian and Portuguese, without accents."""


def unlabelled(text: str) -> str:
    """The text without a label in front of it, and without what is only put around it."""
    told = bare(text)
    if len(told) > MAX_CHARS:
        return told
    match = _SENTENCE.fullmatch(told) or _LABEL.fullmatch(told)
    if match is None:
        return told
    label = match.groupdict().get("label") or ""
    words = plain(label).split()
    if len(words) > 3 or not all(word in _LABELS or word in _ELSEWHERE for word in words):
        return told
    return bare(match["rest"])
