"""JSON in what a model wrote: the whole text, or found in it, well formed or nearly so.

Nothing here knows a schema.  Where the text leaves open what was meant, what was read is marked as unusable and never
left out: it may have been what counts.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.core import jsonfind, jsonplace, jsonstrict
from fairlead.verdict import Edit

Candidate = jsonfind.Candidate
whole = jsonstrict.whole

MAX_ENCODED = 3
"""How often JSON is opened that stands in a JSON string."""


def find(text: str, *, repair: bool) -> list[Candidate]:
    """Objects and arrays in the text, in their order; a scalar where it is all that there is.

    With `repair` what is not well formed is read too; without, it is there with `left_open` as `None`.  Empty where
    nobody can know: reasoning that is never closed, nesting that is too deep, or more than is looked at.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return []
    if jsonplace.is_overfull(text):
        return []
    return _find(text, repair=repair, opened=0)


def bare(text: str) -> str:
    """The text without byte order mark, reasoning, fences and answer tags: what a scalar answer is read from.

    Empty where reasoning is never closed, or where there are more tags or fences than are looked at.
    """
    if jsonplace.is_overfull(text):
        return ""
    return jsonplace.without_noise(jsonplace.without_reasoning(text)).strip("\ufeff \t\r\n\f\v")


def _find(text: str, *, repair: bool, opened: int) -> list[Candidate]:
    body = bare(text)
    if body[:1] in ('"', "-", "t", "f", "n") or body[:1].isdigit():
        try:
            value = whole(body)
        except ValueError:
            pass
        else:
            return _scalar(text, value, repair=repair, opened=opened)
    return jsonfind.candidates(text, repair=repair)


def _scalar(text: str, value: Any, *, repair: bool, opened: int) -> list[Candidate]:
    if isinstance(value, str) and opened < MAX_ENCODED and ("{" in value or "[" in value):
        found = _find(value, repair=repair, opened=opened + 1)
        if found:
            edit = Edit(rung="extract", kind="encoded_twice")
            return [msgspec.structs.replace(one, edits=(edit, *one.edits)) for one in found]
    edits = jsonfind.around(
        text,
        had_reasoning=jsonplace.without_reasoning(text) != text,
        in_fence=jsonplace.has_fence(text),
        in_tag=jsonplace.has_tag(text),
    )
    return [Candidate(value=value, edits=edits, left_open=(), between="")]
