"""Where in a text objects and arrays stand, and what stands around them."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from fairlead.core import jsonloose, jsonplace, jsonstrict
from fairlead.core.jsonloose import Reading
from fairlead.verdict import Edit

MAX_CANDIDATES = 1_024
"""Of a text with more, nothing is known."""

MAX_MISSES = 1_000
"""Of a text with more brackets that begin no JSON, nothing is known."""

MAX_MARKS = 50_000
"""Of a text with more brackets, fences and tags, nothing is known."""

MAX_LOOSE_CHARS = 262_144
"""The longest JSON that is not well formed, and all of it in one text."""

MAX_SKIPPED_BRACKETS = 20_000

MAX_BEHIND = 300

_FENCE_TAIL = "` \t\r\n"
_NO_WORDS = re.compile(r"[\s,;*\u2022>-]*(?:\d{1,4}[.)]\s*)?")
"""What may stand between the items of a list: bullets, numbers, commas."""
_CHECKBOX = re.compile(r"\[[ xX]?\](?=[ \t]+\S)")
_ESCAPED = re.compile(r'[{\[]\s*(?:[{\[]\s*)*\\"')
_ESCAPED_RUN = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_STANDS_FOR_MORE = re.compile(r'"(?:\.\.\.|…)"')
_CLOSERS = re.compile(r"(?:\s*[}\]]){1,1000}+")
_RUNS_ON = re.compile(
    r"""\s*(?:,\s*)?(?:"[^"\n]{0,200}"|'[^'\n]{0,200}')\s*:|\s*,\s*[\w$]{1,64}\s*:"""
    r"""|\s*,\s*(?:"[^"\n]{0,200}"|'[^'\n]{0,200}'|-?\d[\d.]*)\s*[,\]}]"""
)
_AFTER_NAME = re.compile(r"""(?:["']\s*:\s*|\w[ \t]*:[ \t]*)\Z""")
_LABEL = re.compile(r"(?:[-*#>\s]*[^\[\]{}\n]{0,80}[:=]\s*)?\s*")
_TOKENS = re.compile(
    r"""\"(?:[^"\\\n]|\\.)*+"|(?<=[\s\[{,:(=])(?:'(?:[^'\\\n]|\\.)*+'|`(?:[^`\\\n]|\\.)++`)|[{}\[\]]|```"""
)

_LENIENT = json.JSONDecoder(strict=False)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A value that may be the answer."""

    value: Any
    edits: tuple[Edit, ...]
    """What it took to read it; the last one, of confidence 0, says why where `left_open` is `None`."""
    left_open: tuple[str, ...] | None
    """The objects, as JSON Pointers, of which only the closing brace is missing at the end of the text; empty: it is
    complete; `None`: it is cut in another way or cannot be read without a guess, and its value is as far as it goes."""
    between: str
    """The words between the candidate before, or the text's start, and this one."""
    behind: str = ""
    """What stands right behind it, as far as `MAX_BEHIND`."""


class _Unknowable(ValueError):
    """The text as a whole says nothing."""


def candidates(text: str, *, repair: bool) -> list[Candidate]:
    """The candidates in their order; empty where nobody can know."""
    if "{" not in text and "[" not in text:
        return []
    search = _Search(text, repair=repair)
    try:
        search.run()
    except (_Unknowable, jsonstrict.TooDeep, jsonloose.TooDeep):
        return []
    return search.told()


def around(text: str, *, had_reasoning: bool = False, in_fence: bool = False, in_tag: bool = False,
           has_words: bool = False) -> tuple[Edit, ...]:  # fmt: skip
    """The edits that left out what stands around JSON."""
    left_out = {
        "byte_order_mark": text.startswith("\ufeff"),
        "reasoning": had_reasoning,
        "fence": in_fence,
        "tag": in_tag,
        "prose": has_words,
    }
    return tuple(Edit(rung="extract", kind=kind) for kind, is_so in left_out.items() if is_so)


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate, and where it stands."""

    value: Any
    end: int
    edits: tuple[Edit, ...] = ()
    left_open: tuple[str, ...] | None = ()
    in_fence: bool = False
    in_tag: bool = False
    between: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether it could not be read even with repairs."""
        return self.left_open is None and self.edits[-1].kind != "not_json"


class _Search:
    def __init__(self, text: str, *, repair: bool) -> None:
        self.text = text
        self.repair = repair
        self.found: list[_Found] = []
        self.words: list[str] = []
        self.has_words = False
        self.had_reasoning = False
        self.word_at = 0
        """From where on words have not been looked at."""
        self.fence_until = -1
        self.orphan_at = -1
        self.tag_until = -1
        self.last_fence = -1
        self.marks = 0
        self.misses = 0
        self.loose_chars = 0

    def run(self) -> None:
        at = 1 if self.text.startswith("\ufeff") else 0
        self.word_at = at
        while (mark := jsonplace.MARK.search(self.text, at)) is not None:
            at = self._bracket(mark.start()) if mark["bracket"] else self._noise(mark)
            self.marks += 1
            if len(self.found) > MAX_CANDIDATES or self.misses > MAX_MISSES or self.marks > MAX_MARKS:
                raise _Unknowable
        self._take_words(len(self.text))

    def told(self) -> list[Candidate]:
        has_words = self.has_words
        return [
            Candidate(
                value=one.value,
                edits=around(self.text, had_reasoning=self.had_reasoning, in_fence=one.in_fence, in_tag=one.in_tag,
                             has_words=has_words) + one.edits,
                left_open=one.left_open,
                between=one.between,
                behind=self.text[one.end : one.end + MAX_BEHIND],
            )
            for one in self.found
        ]  # fmt: skip

    def _take_words(self, until: int) -> None:
        words = self.text[self.word_at : until]
        if not _NO_WORDS.fullmatch(words):
            self.words.append(words)
            self.has_words = True

    def _noise(self, mark: re.Match[str]) -> int:
        """Go over a tag or the mark of a fence."""
        end = mark.end()
        if mark["reasoning"] or mark["opens"] or mark["ends"]:
            return self._reasoning(mark)
        self._take_words(mark.start())
        self.word_at = end
        if mark["tag"]:
            self._tag(mark, end)
        elif self.fence_until >= 0 and mark.start() >= self.fence_until:
            self.fence_until = -1
        elif self.fence_until < 0:
            self.fence_until = jsonplace.fence_end(self.text, end)
        return end

    def _tag(self, mark: re.Match[str], end: int) -> None:
        if mark["closes"]:
            self.tag_until = -1
        elif end > self.tag_until:
            self.tag_until = jsonplace.tag_end(self.text, mark["tag"], end)

    def _reasoning(self, mark: re.Match[str]) -> int:
        self.had_reasoning = True
        end = mark.end()
        if mark["closes"] or mark["ends"]:
            self.found.clear()
            self.words.clear()
            self.has_words = False
            self.fence_until = self.tag_until = -1
        else:
            self._take_words(mark.start())
            end = jsonplace.reasoning_end(self.text, mark["reasoning"] or mark["opens"], end)
            if end < 0:
                raise _Unknowable
        self.word_at = end
        return end

    def _bracket(self, at: int) -> int:
        """Read what begins at a bracket; where to go on."""
        one = None if self._is_prose(at) else self._strict(at) or self._escaped(at) or self._loose(at)
        if one is None or (self.text[at] == "[" and self.text.startswith("(", one.end)):
            self.misses += 1
            return at + 1
        if one.is_broken and self._orphan_close(at) < len(self.text):
            return self.orphan_at
        self._take_words(at)
        between = " ".join(self.words).strip()
        self.words.clear()
        self.word_at = one.end
        in_fence, in_tag = self.fence_until >= 0, self.tag_until >= 0
        self.found.append(msgspec.structs.replace(one, between=between, in_fence=in_fence, in_tag=in_tag))
        return one.end

    def _orphan_close(self, at: int) -> int:
        if self.orphan_at < at:
            self.orphan_at = jsonplace.orphan_close(self.text, at)
        return self.orphan_at

    def _is_prose(self, at: int) -> bool:
        if self.text[at] != "[":
            return False
        before = self.text[at - 1] if at else ""
        return before.isalnum() or before in (")", "]") or _CHECKBOX.match(self.text, at) is not None

    def _strict(self, at: int) -> _Found | None:
        try:
            value, end = jsonstrict.at(self.text, at)
        except jsonstrict.TooDeep:
            raise
        except ValueError:
            return None
        if _STANDS_FOR_MORE.search(self.text, at, end):
            return None
        return self._settled(at, _Found(value=value, end=end))

    def _settled(self, at: int, one: _Found) -> _Found:
        """The value with brackets behind it that are too many; without use where it runs on behind its end."""
        edits, end = one.edits, one.end
        if extra := _CLOSERS.match(self.text, end):
            end = extra.end()
            edits = (*edits, _edit("extra_bracket", extra[0].strip(), 0.8))
        runs_on = _RUNS_ON.match(self.text, end) is not None
        if runs_on or (extra and _AFTER_NAME.search(self.text, max(0, at - 100), at)):
            edits = (*edits, _edit("unclear", self.text[end : end + 80], 0.0))
            return _Found(value=one.value, end=self._over(end, 0), edits=edits, left_open=None)
        return self._judged(_Found(value=one.value, end=end, edits=edits, left_open=one.left_open))

    def _judged(self, one: _Found) -> _Found:
        """What needs a repair is of no use where none is asked for."""
        if self.repair or one.left_open is None or all(edit.rung != "repair" for edit in one.edits):
            return one
        return _Found(value=one.value, end=one.end, edits=(*one.edits, _edit("not_json", None, 0.0)), left_open=None)

    def _escaped(self, at: int) -> _Found | None:
        """JSON in which each quote has a backslash before it."""
        is_spent = self.loose_chars > MAX_LOOSE_CHARS
        run = None if is_spent or not _ESCAPED.match(self.text, at, at + 64) else _ESCAPED_RUN.match(self.text, at)
        if run is None:
            return None
        try:
            value = jsonstrict.whole(_LENIENT.decode(f'"{run[0].rstrip(_FENCE_TAIL)}"'))
        except ValueError:
            self.loose_chars += len(run[0])
            return None
        end = run.end() + self.text.startswith('"', run.end())
        return _Found(value=value, end=end, edits=(Edit(rung="extract", kind="encoded_twice"),))

    def _loose(self, at: int) -> _Found | None:
        limit = min([until for until in (self.fence_until, self.tag_until) if until >= at] or [len(self.text)])
        is_alone, is_labelled = self._line_before(at)
        try:
            reading = self._read(at, limit, words=is_alone or is_labelled)
            if reading.fault and self.fence_until >= at and limit < (last := self._last_fence()):
                again = self._read(at, last, words=is_alone or is_labelled)
                reading = reading if again.fault else again
        except jsonloose.NoJson:
            return None
        if not self._has_evidence(at, reading, is_alone=is_alone):
            return None
        if reading.fault is not None:
            end = self._over(reading.end, reading.depth)
            return _Found(value=reading.value, end=end, edits=reading.edits, left_open=None)
        one = _Found(value=reading.value, end=reading.end, edits=reading.edits, left_open=reading.left_open)
        return self._settled(at, one)

    def _last_fence(self) -> int:
        if self.last_fence < 0:
            self.last_fence = jsonplace.last_fence(self.text)
        return self.last_fence

    def _read(self, at: int, limit: int, *, words: bool) -> Reading:
        cap = min(limit, at + MAX_LOOSE_CHARS - self.loose_chars)
        reading = jsonloose.read(self.text, at, cap, words=words)
        self.loose_chars += reading.end - at
        if reading.end >= cap < limit:
            raise _Unknowable
        return reading

    def _line_before(self, at: int) -> tuple[bool, bool]:
        """Whether nothing stands before it in its line, and whether nothing but a label does."""
        line = self.text[max(self.text.rfind("\n", max(0, at - 200), at) + 1, at - 200) : at]
        is_alone = not line.strip() or line.rstrip().endswith((">", "```"))
        return is_alone, _LABEL.fullmatch(line) is not None

    def _has_evidence(self, at: int, reading: Reading, *, is_alone: bool) -> bool:
        """Whether a list of words without quotes is one, and no remark in brackets."""
        if self.text[at] != "[" or all(edit.kind != "bare_text" for edit in reading.edits):
            return True
        if reading.fault is not None:
            return is_alone
        behind = self.text[reading.end : reading.end + 80].split("\n", 1)[0].strip(" \t\r.")
        is_last = not behind or behind.startswith(("```", "</"))
        return is_last and (is_alone or len(reading.value) > 1)

    def _over(self, at: int, depth: int) -> int:
        """Behind the region that was not read to its end, so that no part of it is taken for a candidate."""
        tokens = 0
        for match in _TOKENS.finditer(self.text, at):
            mark = match[0]
            tokens += 1
            if mark == "```" or tokens > MAX_SKIPPED_BRACKETS:
                break
            depth += (mark in "{[") - (mark in "}]")
            if depth <= 0:
                return match.end()
        else:
            return len(self.text)
        if tokens > MAX_SKIPPED_BRACKETS:
            raise _Unknowable
        return match.start()


def _edit(kind: str, before: str | None, confidence: float) -> Edit:
    return Edit(rung="repair", kind=kind, before=before, confidence=confidence)
