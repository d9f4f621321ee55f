"""One output climbed up the rungs that ask nobody: parsed, extracted, repaired, moved towards its schema.

What comes out fits the schema, or it is refused: where two readings are possible, there is none.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Final

import msgspec

from fairlead.core.jsonplace import without_reasoning
from fairlead.core.jsonx import Candidate, bare, find, whole
from fairlead.validation.ladder import complaints
from fairlead.validation.ladder import outcome as outcomes
from fairlead.validation.ladder.choosing import (
    Reading,
    chosen,
    is_disowned,
    is_example,
    is_marked,
    is_no_answer,
    is_retracted,
)
from fairlead.validation.ladder.closing import CLOSED, closed, is_cut
from fairlead.validation.ladder.coerce import CLEAR, WRAPPED, TooMuch, Walk
from fairlead.validation.ladder.disclaimed import is_disclaimed
from fairlead.validation.ladder.elision import goes_on, holds_elision
from fairlead.validation.ladder.lists import items
from fairlead.validation.ladder.node import same
from fairlead.validation.ladder.outcome import Outcome, Problem, outcome, shown
from fairlead.validation.ladder.scalars import unlabelled
from fairlead.validation.ladder.shape import Shape
from fairlead.validation.ladder.unbraced import echoed, only_list, unbraced
from fairlead.validation.ladder.wrappers import MAX_LAYERS, opened
from fairlead.validation.ladder.written import Written
from fairlead.verdict import RUNGS, Edit, FieldError, Rung, Verdict

_BETWEEN: Final = " \t\r\n,;"
_BULLET: Final = re.compile(r"[-*\u2022]?|[0-9]{1,6}[.)]")
_ADJACENT: Final = re.compile(r"\]\[")
"""Lists side by side, as references in a text have it."""
_CUT: Final = FieldError(path="", message="the text ends before the answer does", kind="cut")
_NO_JSON: Final = FieldError(path="", message="there is no JSON in the text", kind="no_json")
_AMBIGUOUS: Final = FieldError(
    path="",
    message="there are several different answers in the text, and nothing says which one counts",
    kind="ambiguous",
)
_EXAMPLE: Final = FieldError(
    path="", message="what fits is called an example, and there is no other answer in the text", kind="ambiguous"
)
_DISCLAIMED: Final = FieldError(
    path="", message="the words around what fits say that it is no answer, or that it was guessed", kind="unclear"
)
_TOO_MUCH: Final = FieldError(
    path="", message="the answer is too large or nested too deeply to be moved towards its schema", kind="unclear"
)


class _Fit(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate, and what came of it."""

    edits: tuple[Edit, ...]
    value: Any
    errors: tuple[FieldError, ...]
    between: str = ""
    behind: str = ""
    is_unusable: bool = False
    """It may hold the answer, and nobody can read it."""


def climb(
    text: str,
    shape: Shape,
    *,
    up_to: Rung = "coerce",
    cut: bool = False,
    closes_cut: bool = False,
    locale: str | None = None,
    min_confidence: float = 0.0,
) -> Verdict:
    """The value that the text means, or why there is none.

    Args:
        up_to: the highest rung; those that ask a model again climb as far as `coerce` here.
        cut: the length has ended the text.
        closes_cut: what is cut is closed as far as it goes, with little confidence, instead of refused.
        locale: by which fields with a format are read.
        min_confidence: below it the answer is refused.
    """
    try:
        value = whole(text)
    except ValueError:
        parsed = False
    else:
        parsed = True
        as_it_is = not (cut or shape.normalises) and shape.is_valid(value)
        if as_it_is and not holds_elision(text, value) and not shape.has_strays(value):
            return Verdict(value=value)
    whole_value = [value] if parsed else []
    if cut and not (closes_cut and _is_closed(whole_value, shape)):
        return Verdict(rung="parse", errors=(_CUT,))
    verdict = _Climb(text, shape, up_to, locale, cut=cut, closes_cut=closes_cut).run(whole_value)
    if verdict.fits and verdict.confidence < min_confidence:
        return _below(verdict, min_confidence)
    return verdict


def _is_closed(parsed: list[Any], shape: Shape) -> bool:
    """Whether a text may be read although it was cut: a number or a word without quotes may go on."""
    if not parsed:
        return not shape.is_scalar
    return isinstance(parsed[0], bool) or not isinstance(parsed[0], int | float)


def _below(verdict: Verdict, least: float) -> Verdict:
    errors = tuple(
        FieldError(
            path=edit.path,
            message=f"was read with a confidence of {edit.confidence:g}, where {least:g} is asked for",
            kind="unclear",
        )
        for edit in verdict.edits
        if edit.confidence < least
    )
    return Verdict(value=verdict.value, rung=verdict.rung, edits=verdict.edits, errors=errors[: outcomes.MAX_ERRORS])


class _Climb:
    """The rungs, for one text."""

    def __init__(
        self, text: str, shape: Shape, up_to: Rung, locale: str | None, *, cut: bool, closes_cut: bool
    ) -> None:
        self._text = text
        self._shape = shape
        self._height = min(RUNGS.index(up_to), RUNGS.index("coerce"))
        self._locale = locale
        self._was_cut = cut
        self._closes_cut = closes_cut and self._may("repair")
        self._written = Written(text)

    def run(self, parsed: list[Any]) -> Verdict:
        """The verdict; `parsed` holds the value of the text if all of it is JSON."""
        for value in parsed:
            if self._may("extract") and not (self._shape.normalises or self._shape.is_valid(value)):
                continue
            if self._may("coerce") and self._shape.has_strays(value):
                continue
            fit = self._fitted(value, moves=False)
            if not fit.errors or not self._may("extract"):
                return self._verdict(fit, last="parse")
        if not self._may("extract"):
            return Verdict(rung="parse", errors=(_NO_JSON,))
        last = RUNGS[self._height]
        if self._shape.is_text:
            text = bare(self._text)
            return self._verdict(self._as_text(text), last=last) if text else Verdict(rung=last, errors=(_NO_JSON,))
        if parsed:
            fit = self._best(Candidate(value=parsed[0], edits=(), left_open=(), between=""))
            return self._verdict(fit, last=last)
        if self._shape.is_scalar:
            told = self._scalar()
            if told is not None:
                return self._verdict(told, last=last)
        return self._among(last)

    def _may(self, rung: Rung) -> bool:
        return RUNGS.index(rung) <= self._height

    def _verdict(self, fit: _Fit, last: Rung) -> Verdict:
        if fit.errors:
            return Verdict(value=fit.value, rung=last, edits=fit.edits, errors=fit.errors)
        needed = max((RUNGS.index(edit.rung) for edit in fit.edits), default=0)
        return Verdict(value=fit.value, rung=RUNGS[needed], edits=fit.edits)

    def _among(self, last: Rung) -> Verdict:
        """The one candidate that counts, of those that stand in the text."""
        has_braces = not self._may("repair") or self._was_cut or not self._shape.root.is_object
        if not has_braces and (named := unbraced(self._text)) is not None:
            return self._verdict(self._best(named), last=last)
        candidates = find(self._text, repair=self._may("repair"))
        if not candidates:
            listed = self._bare_list()
            return Verdict(rung=last, errors=(_NO_JSON,)) if listed is None else self._verdict(listed, last=last)
        if goes_on(candidates[-1].behind) and self._takes_lists():
            candidates = [_doubted(each, "elision") if isinstance(each.value, dict) else each for each in candidates]
        candidates = [_doubted(each, "elision") if goes_on(each.behind) else each for each in candidates]
        if _ADJACENT.search(self._text):
            candidates = [_doubted(each, "adjacent") if _is_flat(each.value) else each for each in candidates]
        joined = self._joined_list(candidates) if self._takes_lists() else None
        fits = [self._best(each) for each in candidates] if joined is None else [joined]
        if all(fit.errors for fit in fits) and (listed := self._as_only_list(candidates)) is not None:
            fits = [listed]
        if all(fit.errors for fit in fits):
            return self._verdict(_nearest(fits), last=last)
        fit = None if is_retracted(self._text) else _chosen(fits)
        if fit is not None and not fit.errors and len(candidates) == 1 and self._is_disclaimed(fit):
            fit = msgspec.structs.replace(fit, errors=(_DISCLAIMED,))
        return Verdict(rung=last, errors=(_AMBIGUOUS,)) if fit is None else self._verdict(fit, last=last)

    def _bare_list(self) -> _Fit | None:
        """Elements with commas between them or one a line, where only lists fit."""
        root = self._shape.root
        if root.kinds != frozenset({"array"}) or root.is_tuple or root.branches or self._was_cut:
            return None
        if not self._may("coerce"):
            return None
        text = bare(self._text)
        if root.element(0).is_free_text:
            told = items(text)
            fit = None if told is None else self._fitted(told, moves=False)
        else:
            fit = self._fitted(unlabelled(text), moves=True)
            fit = fit if any(edit.kind == "split" for edit in fit.edits) else None
        if fit is None or fit.errors:
            return None
        edit = Edit(rung="extract", kind="bare_list", before=shown(text), confidence=CLEAR)
        return msgspec.structs.replace(fit, edits=(edit, *fit.edits))

    def _as_only_list(self, candidates: list[Candidate]) -> _Fit | None:
        """Objects one after another, where an object of one list is asked for."""
        if not self._may("coerce") or only_list(self._shape.root) is None or self._was_cut:
            return None
        joined = self._joined(candidates)
        return None if joined is None or joined.errors else joined

    def _is_disclaimed(self, fit: _Fit) -> bool:
        behind = self._text[max(self._text.rfind("}"), self._text.rfind("]")) + 1 :]
        return is_disclaimed(fit.between, behind, fit.value)

    def _takes_lists(self) -> bool:
        return self._shape.kinds is not None and "array" in self._shape.kinds

    def _joined_list(self, candidates: list[Candidate]) -> _Fit | None:
        """For a list: objects one after another as its elements, as far as they go where the text was cut."""
        return self._joined_as_far(candidates) if self._closes_cut else self._joined(candidates)

    def _joined_as_far(self, candidates: list[Candidate]) -> _Fit | None:
        """The same of a text that was cut: the last object closed, or left out where it does not fit so."""
        *before, last = candidates
        if is_cut(last):
            joined = self._joined([*before, next(closed(last))])
            if joined is None or not joined.errors or len(before) < 2:
                return joined
        elif not self._was_cut:
            return self._joined(candidates)
        joined = self._joined(before if is_cut(last) else candidates)
        edit = Edit(rung="repair", kind="closed_cut", confidence=CLOSED)
        return None if joined is None else msgspec.structs.replace(joined, edits=(*joined.edits, edit))

    def _joined(self, candidates: list[Candidate]) -> _Fit | None:
        """Objects one after another as the elements of a list."""
        if len(candidates) < 2:
            return None
        if any(not isinstance(each.value, dict) or each.left_open != () for each in candidates):
            return None
        if not all(_BULLET.fullmatch(each.between.strip(_BETWEEN)) for each in candidates[1:]):
            return None
        edit = Edit(rung="extract", kind="one_after_another", confidence=1.0)
        edits = tuple(edit for each in candidates for edit in each.edits)
        if all(same(candidates[0].value, each.value) for each in candidates[1:]):
            # One element written again, or as many elements?
            return _Fit(edits=edits, value=None, errors=(_AMBIGUOUS,))
        fit = self._fitted([each.value for each in candidates], moves=self._may("coerce"))
        return msgspec.structs.replace(fit, edits=(*edits, edit, *fit.edits), between=candidates[0].between,
                                       behind=candidates[-1].behind)  # fmt: skip

    def _scalar(self) -> _Fit | None:
        """The value that a text without JSON is, where no object or list is asked for."""
        text = bare(self._text)
        if not text.strip():
            return None
        told = unlabelled(text)
        kept = Edit(rung="extract", kind="bare", before=shown(self._text), after=shown(told))
        fit = self._told(told)
        return None if fit is None else msgspec.structs.replace(fit, edits=(kept, *fit.edits))

    def _as_text(self, text: str) -> _Fit:
        try:
            value = whole(text)
        except ValueError:
            return self._as_prose(text)
        edits = () if text == self._text else (Edit(rung="extract", kind="bare"),)
        candidate = Candidate(value=value, edits=edits, left_open=(), between="")
        return self._held(candidate) if isinstance(value, list) else self._best(candidate)

    def _as_prose(self, text: str) -> _Fit:
        """The whole text as a string, unless an answer stands in it."""
        kept = without_reasoning(self._text).strip()
        if text in kept:
            # Fences and tags stood around it, and not within.
            kept = text
        within = [self._best(each) for each in find(self._text, repair=False) if isinstance(each.value, dict)]
        if any(not fit.errors for fit in within):
            return _Fit(edits=(), value=kept, errors=(_AMBIGUOUS,))
        edits = () if kept == self._text else (Edit(rung="extract", kind="bare"),)
        fit = self._fitted(kept, moves=False)
        return msgspec.structs.replace(fit, edits=(*edits, *fit.edits))

    def _told(self, told: str) -> _Fit | None:
        """A word or number as JSON, if it is that; else as a string."""
        readings: list[Any] = [told]
        with contextlib.suppress(ValueError):
            readings.insert(0, whole(told))
        for value in readings:
            fit = self._fitted(value, moves=False)
            if not fit.errors:
                return fit
        if self._may("coerce"):
            fit = self._fitted(told, moves=True)
            if not fit.errors or "{" not in told:
                return fit
        return None

    def _best(self, candidate: Candidate) -> _Fit:
        """A candidate as it is, or what stands in its wrapper."""
        if candidate.left_open is None or (self._closes_cut and candidate.left_open):
            return self._closed(candidate)
        outer = self._held(candidate)
        if not outer.errors and not _is_moved(outer):
            return outer
        inner = None if candidate.left_open else self._unwrapped(candidate, MAX_LAYERS)
        if inner is None or inner.errors:
            return outer
        if outer.errors or not _is_moved(inner):
            return inner
        if same(outer.value, inner.value):
            return min(outer, inner, key=lambda fit: len(fit.edits))
        return msgspec.structs.replace(outer, errors=(_AMBIGUOUS,))

    def _closed(self, candidate: Candidate) -> _Fit:
        """What was cut, closed: the first reading that fits, or why the one that goes farthest does not."""
        if not (self._closes_cut and is_cut(candidate)):
            return _unusable(candidate)
        if candidate.left_open and not self._was_cut:
            kept = self._held(candidate)
            if not kept.errors:
                return kept
        fits: list[_Fit] = []
        for reading in closed(candidate):
            fits.append(self._best(reading))
            if not fits[-1].errors:
                return fits[-1]
        return msgspec.structs.replace(fits[0], is_unusable=True)

    def _unwrapped(self, candidate: Candidate, layers: int) -> _Fit | None:
        if self._shape.kinds is None:
            # Where anything fits, what stands in a wrapper fits by chance.
            return None
        layer = echoed(candidate.value, self._shape.names)
        layer = layer or opened(candidate.value, self._shape.names, self._shape.titles)
        if layer is None or not layers:
            return None
        if layer.kind != "encoded_twice" and isinstance(layer.value, dict) and self._shape.has_free_names:
            # Any object would fit, the wrapper's own name among those of the answer.
            return None
        confidence = 1.0 if layer.kind == "encoded_twice" else WRAPPED
        edit = Edit(rung="extract", kind=layer.kind, before=shown(candidate.value), confidence=confidence)
        within = Candidate(value=layer.value, edits=(*candidate.edits, edit), left_open=(), between=candidate.between,
                           behind=candidate.behind)  # fmt: skip
        fit = self._held(within)
        if fit.errors:
            deeper = self._unwrapped(within, layers - 1)
            return fit if deeper is None or deeper.errors else deeper
        return fit

    def _held(self, candidate: Candidate) -> _Fit:
        """A candidate held against the schema, moved if that is allowed."""
        opened_ids = frozenset(id(_at(candidate.value, path)) for path in candidate.left_open or ())
        fit = self._fitted(candidate.value, moves=self._may("coerce"), left_open=opened_ids)
        return msgspec.structs.replace(
            fit,
            edits=(*candidate.edits, *fit.edits),
            errors=complaints.as_written(fit.errors, candidate.edits),
            between=candidate.between,
            behind=candidate.behind,
        )

    def _fitted(self, value: Any, *, moves: bool, left_open: frozenset[int] = frozenset()) -> _Fit:
        found = self._walked(value, moves=moves, left_open=left_open)
        if found is None:
            return _Fit(edits=(), value=value, errors=(_TOO_MUCH,))
        if found.fits and not self._shape.is_valid(found.value):
            rule = Problem(kind="schema", message="does not keep to a rule of the schema that looks at all of it")
            found = outcome(found.value, found.steps, (rule,), found.parts)
        return _Fit(edits=outcomes.edits(found), value=found.value, errors=outcomes.errors(found))

    def _walked(self, value: Any, *, moves: bool, left_open: frozenset[int]) -> Outcome | None:
        walk = Walk(moves=moves, locale=self._locale, written=self._written, left_open=left_open)
        try:
            if moves and not left_open and self._shape.is_valid(value) and not self._shape.has_strays(value):
                as_it_is = Walk(moves=False, locale=self._locale).fit(self._shape.root, value)
                if as_it_is.fits:
                    return as_it_is
            return walk.fit(self._shape.root, value)
        except (TooMuch, RecursionError):
            return None


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(each, list) for each in value)


def _doubted(candidate: Candidate, kind: str) -> Candidate:
    """One of which the text leaves open whether it is all of the answer."""
    edit = Edit(rung="extract", kind=kind, confidence=0.0)
    return msgspec.structs.replace(candidate, edits=(*candidate.edits, edit), left_open=None)


def _unusable(candidate: Candidate) -> _Fit:
    """What was cut, has an elision, or cannot be read with certainty."""
    last = candidate.edits[-1] if candidate.edits else None
    if last is None or last.kind == "cut":
        error = _CUT
    elif last.kind == "not_json":
        error = FieldError(path=last.path, message="the text is not well-formed JSON", kind="no_json")
    else:
        error = FieldError(path=last.path, message=complaints.unreadable(last.kind), kind="unclear")
    return _Fit(
        edits=candidate.edits, value=candidate.value, errors=(error,), between=candidate.between, is_unusable=True
    )


def _chosen(fits: list[_Fit]) -> _Fit | None:
    """The one that counts; `None` where nobody knows."""
    counting = [at for at, fit in enumerate(fits) if fit.is_unusable or not fit.errors]
    # What cannot be read may have been what counts: it is equal to nothing.
    place = chosen(
        [
            Reading(value=object() if fits[at].is_unusable else fits[at].value, between=fits[at].between)
            for at in counting
        ]
    )
    if place is None:
        return None
    at = counting[place]
    between = fits[at].between
    if is_disowned(fits[at].behind, fits[at].value):
        return msgspec.structs.replace(fits[at], errors=(_EXAMPLE,))
    if len(counting) == 1 and (is_example(between) or (len(fits) > 1 and is_no_answer(between))):
        return msgspec.structs.replace(fits[at], errors=(_EXAMPLE,))
    corrected = [fit for fit in fits[at + 1 :] if fit.errors and is_marked(fit.between)]
    return corrected[-1] if corrected else fits[at]


def _nearest(fits: list[_Fit]) -> _Fit:
    """Of those that do not fit, the one whose errors help most."""
    if fits[-1].is_unusable:
        return fits[-1]
    usable = [fit for fit in fits if not fit.is_unusable]
    return min(reversed(usable), key=lambda fit: len(fit.errors))


def _is_moved(fit: _Fit) -> bool:
    return any(edit.rung == "coerce" for edit in fit.edits)


def _at(value: Any, path: str) -> Any:
    """What stands at a JSON Pointer; `None` where nothing does."""
    for token in path.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
