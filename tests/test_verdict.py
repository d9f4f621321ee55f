"""What a record keeps of a verdict."""

from __future__ import annotations

import msgspec

from fairlead.verdict import MOST_EDITS, MOST_ERRORS, MOST_VALUE, MOST_WORDS, Edit, FieldError, Validated, recorded

EDIT = Edit(rung="coerce", kind="renamed", path="/a", before="1", after="2", confidence=0.9)
ERROR = FieldError(path="/a", message="is not right", kind="type")


def test_a_short_verdict_is_recorded_as_it_is() -> None:
    """Nothing is cut that fits."""
    short = Validated(schema="s", edits=(EDIT,) * MOST_EDITS, errors=(ERROR,) * MOST_ERRORS, lost=("a",))
    assert recorded(short) == short


def test_an_answer_is_as_sure_as_its_least_certain_edit() -> None:
    """One that needed none is what the model wrote."""
    sure = msgspec.structs.replace(EDIT, confidence=0.95)
    assert Validated(schema="s", edits=(sure, EDIT, sure)).confidence == 0.9
    assert Validated(schema="s").confidence == 1.0


def test_of_many_edits_and_errors_the_first_are_recorded() -> None:
    """And how many more there were."""
    kept = recorded(Validated(schema="s", edits=(EDIT,) * 10_000, errors=(ERROR,) * 25))
    assert (len(kept.edits), kept.further_edits) == (MOST_EDITS, 10_000 - MOST_EDITS)
    assert (len(kept.errors), kept.further_errors) == (MOST_ERRORS, 25 - MOST_ERRORS)
    assert recorded(kept) == kept


def test_long_texts_are_recorded_up_to_a_bound() -> None:
    """However much a model wrote, a verdict is some ten thousand characters."""
    long = "x" * 1_000_000
    edit = Edit(rung="coerce", kind=long, path=long, before=long, after=long)
    error = FieldError(path=long, message=long, kind=long)
    kept = recorded(Validated(schema=long, edits=(edit,) * 99, errors=(error,) * 99, lost=(long,) * 99))
    assert kept.edits[0].before == kept.edits[0].after == "x" * (MOST_VALUE - 3) + "..."
    assert len(kept.errors[0].message) == MOST_WORDS
    assert len(msgspec.json.encode(kept)) < 100_000


def test_what_is_not_there_stays_absent() -> None:
    """`None` is nothing, and no text."""
    (kept,) = recorded(Validated(schema="s", edits=(Edit(rung="extract", kind="prose"),))).edits
    assert kept.before is kept.after is None
