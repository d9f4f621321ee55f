"""What the ladder says of an answer: all that has to fit, or the first of it that does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from fairlead.call import Judge
from fairlead.validation.answers import Output, Place
from fairlead.validation.ladder.climb import climb
from fairlead.validation.rules import Ladder
from fairlead.verdict import RUNGS, Edit, FieldError, Rung, Verdict

_UNANSWERED: Final = FieldError(
    path="", message="there is no answer: the model refused to give one, or a filter withheld it", kind="refusal"
)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the ladder says of an answer."""

    edits: tuple[Edit, ...] = ()
    texts: Mapping[Place, str] = {}
    """What is written in place of what stood there."""
    rung: Rung = "parse"
    value: Any = None
    errors: tuple[FieldError, ...] = ()
    output: str = ""
    """The text that does not fit."""


def judged(found: Sequence[Output], ladder: Ladder, judge: Judge | None = None) -> Judged:
    """The verdict on all of an answer.

    Args:
        judge: has the last word on the value of the first choice, where all fits.
    """
    texts: dict[Place, str] = {}
    edits: list[Edit] = []
    rung: Rung = "parse"
    value: Any = None
    for output in found:
        verdict = _verdict(output, ladder)
        if not verdict.fits:
            errors = _named(verdict.errors, output)
            return Judged(rung=verdict.rung, edits=verdict.edits, errors=errors, output=output.text)
        if output.place == (0, None):
            value = verdict.value
        if verdict.edits:
            texts[output.place] = _written(verdict)
            edits += verdict.edits
        rung = max(rung, verdict.rung, key=RUNGS.index)
    first = found[0].text if found else ""
    if judge is not None:
        # Whoever wants a value has no use for a refusal, which a client of the gateway knows by its own field.
        value, errors = judge(value) if found else (None, (_UNANSWERED,))
        if errors:
            return Judged(rung=rung, edits=tuple(edits), errors=errors, output=first)
    return Judged(rung=rung, edits=tuple(edits), texts=texts, value=value, output=first)


def _verdict(output: Output, ladder: Ladder) -> Verdict:
    return climb(
        output.text,
        output.shape,
        up_to=ladder.up_to,
        cut=output.is_cut,
        closes_cut=ladder.is_cut_repaired,
        locale=ladder.locale,
        min_confidence=ladder.min_confidence,
    )


def _written(verdict: Verdict) -> str:
    return msgspec.json.encode(verdict.value).decode()


def _named(errors: tuple[FieldError, ...], output: Output) -> tuple[FieldError, ...]:
    if output.tool is None:
        return errors
    return tuple(
        msgspec.structs.replace(error, message=f"in the arguments of {output.tool!r}: {error.message}")
        for error in errors
    )
