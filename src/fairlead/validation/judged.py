"""What the ladder says of an answer: all that has to fit, or the first of it that does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from fairlead.call import Judge
from fairlead.core.jsonx import whole
from fairlead.types import ChatReply
from fairlead.validation.answers import Output, Place, is_refused, is_uncalled, outputs
from fairlead.validation.expected import Expected
from fairlead.validation.ladder.climb import climb
from fairlead.validation.rules import Ladder
from fairlead.verdict import RUNGS, Edit, FieldError, Rung, Verdict

_UNANSWERED: Final = FieldError(
    path="", message="there is no answer: the model refused to give one, or a filter withheld it", kind="refusal"
)
_UNCALLED: Final = FieldError(path="", message="no tool is called, and the request demands that", kind="no_call")
_NOTHING: Final = FieldError(path="", message="the answer holds nothing", kind="no_json")


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the ladder says of an answer."""

    edits: tuple[Edit, ...] = ()
    texts: Mapping[Place, str] = {}
    """What is written in place of what stood there."""
    calls: Mapping[int, str] = {}
    """The tool that a choice calls, which it wrote out as text."""
    rung: Rung = "parse"
    value: Any = None
    errors: tuple[FieldError, ...] = ()
    output: str = ""
    """The text that does not fit."""
    tool: str | None = None
    """The tool whose arguments that text is."""
    fits_as_written: bool = True
    """Whether what changes is only the form of values that fit."""

    @property
    def is_refusal(self) -> bool:
        """Whether it is no attempt to fit; clients know it by its own field."""
        return self.errors == (_UNANSWERED,)


def judged(reply: ChatReply, expected: Expected, ladder: Ladder, judge: Judge | None = None) -> Judged:
    """The verdict on all of an answer.

    Args:
        judge: has the last word on the value of the first choice, where all fits.
    """
    found = outputs(reply, expected)
    if is_refused(reply):
        return Judged(errors=(_UNANSWERED,), output=_text(reply))
    if is_uncalled(reply, expected):
        return Judged(errors=(_UNCALLED,), output=_text(reply))
    if not reply.choices:
        return Judged(errors=(_NOTHING,))
    return judged_outputs(found, ladder, judge)


def judged_outputs(found: Sequence[Output], ladder: Ladder, judge: Judge | None = None) -> Judged:
    """The verdict on some texts."""
    texts: dict[Place, str] = {}
    edits: list[Edit] = []
    rung: Rung = "parse"
    value: Any = None
    for output in found:
        verdict = _verdict(output, ladder)
        if not verdict.fits:
            errors = _named(verdict.errors, output)
            return Judged(rung=verdict.rung, edits=verdict.edits, errors=errors, output=output.text, tool=output.tool)
        if output.place == (0, None):
            value = verdict.value
        if verdict.edits or output.is_written_out:
            texts[output.place] = _written(verdict)
            edits += verdict.edits
        if output.is_written_out:
            edits.append(Edit(rung="extract", kind="called_in_text"))
        rung = max(rung, verdict.rung, key=RUNGS.index)
    first = found[0].text if found else ""
    if judge is not None and found:
        value, errors = judge(value)
        if errors:
            return Judged(rung=rung, edits=tuple(edits), errors=errors, output=first)
    return Judged(
        rung=rung,
        edits=tuple(edits),
        texts=texts,
        calls={output.place[0]: output.tool for output in found if output.is_written_out and output.tool is not None},
        value=value,
        output=first,
        fits_as_written=all(_fits_as_written(output) for output in found if output.place in texts),
    )


def _fits_as_written(output: Output) -> bool:
    if output.is_written_out:
        return False
    try:
        return output.shape.is_valid(whole(output.text))
    except ValueError:
        return False


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


def _text(reply: ChatReply) -> str:
    return reply.choices[0].message.text if reply.choices else ""


def _named(errors: tuple[FieldError, ...], output: Output) -> tuple[FieldError, ...]:
    if output.tool is None:
        return errors
    return tuple(
        msgspec.structs.replace(error, message=f"in the arguments of {output.tool!r}: {error.message}")
        for error in errors
    )
