"""What stands around JSON in a model's answer: reasoning, code fences, tags that say "here is the answer"."""

from __future__ import annotations

import re

_REASONING = r"think|thinking|reasoning|thought|reflection|scratchpad|analysis|seed:think"
_PAIRS = {"[THINK]": "[/THINK]", "◁think▷": "◁/think▷", "<|begin_of_thought|>": "<|end_of_thought|>"}
_CHANNEL = r"[^<]{0,200}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>"
_OTHER_OPENS = rf"{'|'.join(map(re.escape, _PAIRS))}|<\|channel\|>(?!\s*final\b){_CHANNEL}"
_OTHER_ENDS = rf"{'|'.join(map(re.escape, _PAIRS.values()))}|<\|channel\|>\s*final\b{_CHANNEL}"
"""What is said on another channel than the final one is no answer, nor is what stands before that one."""
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\b")
_ANSWER = r"answer|final_answer|output|json|result|response"
_FENCE = r"(?:```+|~~~+)[ \t]*(?:[\w+.#-]+(?=[ \t]*(?:[\r\n]|\Z|[{\[])))?"

MARK = re.compile(
    rf"(?P<opens>(?-i:{_OTHER_OPENS}))|(?P<ends>(?-i:{_OTHER_ENDS}))|(?P<bracket>[{{\[])|(?P<fence>{_FENCE})"
    rf"|<(?=[/trsaojf])(?P<closes>/?)(?:(?P<reasoning>{_REASONING})|(?P<tag>{_ANSWER}))(?:\s[^<>]{{0,200}})?>",
    re.IGNORECASE,
)
"""The next thing that matters to who looks for JSON."""

MAX_TAGS = 100_000
"""Of a text with more angle brackets, nothing is known."""

MAX_FENCES = 20_000
"""Of a text with more marks of fences, nothing is known."""

_OPENS = re.compile(rf"<(?=[trsa])({_REASONING})(?:\s[^<>]{{0,200}})?>|(?-i:{_OTHER_OPENS})", re.IGNORECASE)
_CLOSES = re.compile(rf"</(?:{_REASONING})\s*>|(?-i:{_OTHER_ENDS})", re.IGNORECASE)
_MAY_REASON = re.compile(r"<|\[/?THINK\]|◁")
_CLOSES_ONE = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _REASONING.split("|")}
_CLOSES_TAG = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _ANSWER.split("|")}
_FENCE_END = re.compile(r"^[ \t]*(?:```+|~~~+)[ \t]*\r?$", re.MULTILINE)
_TAG_MARK = rf"<(?=[/aojrf])/?(?:{_ANSWER})(?:\s[^<>]{{0,200}})?>"
_TAG = re.compile(_TAG_MARK, re.IGNORECASE)
_NOISE = re.compile(rf"{_FENCE}|{_TAG_MARK}|<\|(?:start\|>assistant|end\|>|return\|>)", re.IGNORECASE)


def is_overfull(text: str) -> bool:
    """Whether the text has more tags or fences than are looked at."""
    return text.count("<") > MAX_TAGS or text.count("```") + text.count("~~~") > MAX_FENCES


def reasoning_end(text: str, name: str, at: int) -> int:
    """Behind the end of the reasoning that `name` has opened before `at`; -1: it is never closed."""
    if name in _PAIRS:
        end = text.find(_PAIRS[name], at)
        return end if end < 0 else end + len(_PAIRS[name])
    if name.startswith("<|channel|>"):
        return _channel_end(text, at)
    match = _CLOSES_ONE[name.lower()].search(text, at)
    return match.end() if match else -1


def _channel_end(text: str, at: int) -> int:
    """Where the final channel begins; the text's end where it stood before; -1: there is none."""
    match = _FINAL_CHANNEL.search(text, at)
    if match is not None:
        return match.start()
    return len(text) if _FINAL_CHANNEL.search(text, 0, at) else -1


def orphan_close(text: str, at: int) -> int:
    """Where the next closing tag of reasoning stands that was not opened behind `at`; the text's end: there is none."""
    closing = _CLOSES.search(text, at)
    if closing is None or _OPENS.search(text, at, closing.start()):
        return len(text)
    return closing.start()


def fence_end(text: str, at: int) -> int:
    """Where the first line stands, behind `at`, that can close a fence, or the text's end."""
    match = _FENCE_END.search(text, at)
    return match.start() if match else len(text)


def last_fence(text: str) -> int:
    """Where the last fence stands that may close one, or the text's end."""
    last = max(text.rfind("```"), text.rfind("~~~"))
    match = _FENCE_END.match(text, text.rfind("\n", 0, max(last, 0)) + 1)
    return match.start() if match else len(text)


def tag_end(text: str, name: str, at: int) -> int:
    """Where the closing tag stands, or the text's end."""
    match = _CLOSES_TAG[name.lower()].search(text, at)
    return match.start() if match else len(text)


def without_reasoning(text: str) -> str:
    """The text without reasoning; empty where it is never closed."""
    if not _MAY_REASON.search(text):
        return text
    pieces: list[str] = []
    at = 0
    while (match := _OPENS.search(text, at)) is not None:
        pieces.append(text[at : match.start()])
        at = reasoning_end(text, match[1] or match[0], match.end())
        if at < 0:
            return ""
    pieces.append(text[at:])
    joined = "".join(pieces)
    ends = [match.end() for match in _CLOSES.finditer(joined)]
    return joined[ends[-1] :] if ends else joined


def has_fence(text: str) -> bool:
    """Whether a fence's mark stands in it."""
    return "```" in text or "~~~" in text


def has_tag(text: str) -> bool:
    """Whether an answer tag stands in it."""
    return _TAG.search(text) is not None


def without_noise(text: str) -> str:
    """The text without the marks of fences and without answer tags; what they hold stays."""
    return _NOISE.sub("", text) if has_fence(text) or "<" in text else text
