"""What the simulated models answer: a pure function of the chat, the seed and the manners of the dialect."""

from __future__ import annotations

import base64
import json
from itertools import cycle, islice
from typing import Any

import msgspec

from fairlead.core.estimate import BYTES_PER_TOKEN, estimate_tokens
from fairlead.providers.sim.draws import Draws
from fairlead.providers.sim.manners import FINGERPRINT, Manners
from fairlead.providers.sim.schema import fitting_value
from fairlead.providers.sim.wishes import Wishes, wishes
from fairlead.types import (
    Chat,
    ChatReply,
    Choice,
    FinishReason,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    Tool,
    ToolCall,
    Usage,
)

_INTRODUCTION = "This is a simulated answer: Fairlead's simulator wrote it, no language model was asked."
_REFUSAL = "This is a simulated refusal: Fairlead's simulator was asked for one, no language model was asked."
_THOUGHT = "This is simulated reasoning: no language model thought it."
_SENTENCES = (
    "The harbour lay quiet while the boats came in one by one.",
    "A letter takes two days to cross the valley and one to be read.",
    "Copper turns green where the rain has found it.",
    "The baker opens at six and the first loaf is gone by seven.",
    "Most bridges are repaired at night, when few people cross them.",
    "In the orchard the early apples are counted twice.",
    "The lantern was lit again, and the road went on.",
    "Granite keeps the warmth of the day until midnight.",
)
_CREATED = 1_767_225_600
"""All answers were made at this moment, so that the same question has the same answer."""


def answer(chat: Chat, manners: Manners, *, call_id: str, model: str, seed: int, prompt: Usage) -> ChatReply:
    """The whole answer to a chat; the same for the same chat and seed.

    Args:
        call_id: becomes the answer's id.
        model: the name that the answer carries.
        prompt: what the input counts.
    """
    wish = wishes(chat)
    numbers = range(1 if chat.n is None else chat.n)
    draws = [Draws(seed, chat.seed, chat.model, _question(chat), number) for number in numbers]
    reasoning = _reasoning_tokens(chat, wish, draws[0])
    answers = [_Answer(chat, manners, wish, number, draws[number], reasoning) for number in numbers]
    usage = msgspec.structs.replace(
        prompt,
        output_tokens=sum(estimate_tokens(written(each.choice.message)) for each in answers),
        reasoning_tokens=reasoning * len(answers),
    )
    extra = manners.served(chat)
    for each in answers:
        extra |= {} if each.mark is None else manners.stopped(each.mark)
    choices = tuple(each.choice for each in answers)
    return ChatReply(id=call_id, model=model, created=_CREATED, choices=choices, usage=usage, extra=extra)


def written(message: Message) -> str:
    """All that is billed as visible output of one message: its text or refusal, and the arguments of its calls."""
    said = "".join(part.text for part in message.parts if isinstance(part, TextPart | RefusalPart))
    return said + "".join(call.arguments for call in message.tool_calls)


class _Answer:
    """One choice, and the stop sequence that ended it."""

    __slots__ = ("_chat", "_draws", "_left", "_manners", "choice", "mark")

    def __init__(self, chat: Chat, manners: Manners, wish: Wishes, number: int, draws: Draws, reasoning: int) -> None:
        self._chat = chat
        self._manners = manners
        self._draws = draws
        self._left = None if chat.max_output_tokens is None else chat.max_output_tokens - reasoning
        self.mark: str | None = None
        thoughts = _thoughts(chat, manners, reasoning, number)
        calls = [] if wish.refuses or wish.says is not None else _tools_to_call(chat, wish)
        marks = None
        if calls:
            message, reason = self._calling(calls, thoughts)
        else:
            message, reason = self._saying(thoughts, wish)
            if chat.logprobs and manners.logprobs is not None:
                marks = manners.logprobs(message.text, chat.top_logprobs or 0)
        self.choice = Choice(index=number, message=message, finish_reason=reason, logprobs=marks)

    def _saying(self, thoughts: tuple[Part, ...], wish: Wishes) -> tuple[Message, FinishReason]:
        refuses = wish.refuses
        text = _text(self._chat, self._draws) if wish.says is None else wish.says
        text = _REFUSAL if refuses else text
        kept, reason, self.mark = _limited(text, self._left, () if refuses else self._chat.stop)
        part: Part = TextPart(text=kept)
        if refuses:
            part = RefusalPart(text=kept)
            reason = self._manners.refusal_reason if reason == "stop" else reason
        return Message(role="assistant", parts=(*thoughts, part)), reason

    def _calling(self, called: list[Tool], thoughts: tuple[Part, ...]) -> tuple[Message, FinishReason]:
        calls: list[ToolCall] = []
        reason: FinishReason = "tool_calls"
        for tool in called:
            arguments = json.dumps(fitting_value(_loaded(tool.parameters), self._draws), ensure_ascii=False)
            kept, cut, _ = _limited(arguments, self._left, ())
            name = f"{self._manners.call_prefix}sim{self._draws.below(10**12):012}"
            if cut == "length":
                reason = cut
                if self._manners.whole_calls:
                    break
            if self._left is not None:
                self._left -= estimate_tokens(kept)
            calls.append(ToolCall(id=name, name=tool.name, arguments=kept))
        return Message(role="assistant", parts=thoughts, tool_calls=tuple(calls)), reason


def _tools_to_call(chat: Chat, wish: Wishes) -> list[Tool]:
    """Forced ones, else as many as are wished for, else every tool whose name stands in the last message, if that is a
    user's; never one that a provider runs itself."""
    choice = chat.tool_choice
    mode = "auto" if choice is None else choice.mode
    tools = [tool for tool in chat.tools if tool.hosted is None]
    if mode == "none" or not tools:
        return []
    if choice is not None and mode == "function":
        tools = [tool for tool in tools if tool.name == choice.name]
        return tools * max(wish.calls, 1)
    last = chat.messages[-1]
    named = [tool for tool in tools if last.role == "user" and tool.name in last.text]
    if wish.calls:
        named = list(islice(cycle(tools), wish.calls))
    if mode == "required" and not named:
        named = [tools[0]]
    return named[:1] if chat.parallel_tool_calls is False else named


def _thoughts(chat: Chat, manners: Manners, count: int, number: int) -> tuple[Part, ...]:
    """The reasoning as a part of the answer, of exactly so many tokens, where the dialect shows it."""
    is_shown = manners.shows_reasoning(chat)
    if not count or not (is_shown or manners.signs_reasoning):
        return ()
    draws = Draws("thought", chat.model, _question(chat), number)
    text = _THOUGHT
    while len(text) < count * BYTES_PER_TOKEN:
        text += f" {draws.pick(_SENTENCES)}"
    text = text[: count * BYTES_PER_TOKEN]
    signature = base64.b64encode(f"{FINGERPRINT}-{draws.below(10**12):012}".encode()).decode()
    return (ReasoningPart(text=text if is_shown else "", signature=signature if manners.signs_reasoning else None),)


def _text(chat: Chat, draws: Draws) -> str:
    form = chat.response_format
    if form is not None and form.type == "json_schema":
        return json.dumps(fitting_value(_loaded(form.schema), draws), ensure_ascii=False)
    if form is not None and form.type == "json_object":
        return json.dumps({"simulated": True, "note": _INTRODUCTION, "answer": draws.pick(_SENTENCES)})
    count = 2 + draws.below(4) if chat.model != "sim-long" else 20 + draws.below(20)
    return " ".join([_INTRODUCTION, *(draws.pick(_SENTENCES) for _ in range(count))])


def _limited(text: str, limit: int | None, stop: tuple[str, ...]) -> tuple[str, FinishReason, str | None]:
    """Cut at the first stop sequence, which is left out, and at the limit in tokens, whichever comes first."""
    ends = [(end, mark) for end, mark in ((text.find(mark), mark) for mark in stop if mark) if end >= 0]
    end, mark = min(ends, default=(len(text), None))
    kept = text[:end]
    if limit is not None and estimate_tokens(kept) > max(limit, 0):
        cut = kept.encode()[: max(limit, 0) * BYTES_PER_TOKEN]
        return cut.decode("utf-8", "ignore"), "length", None
    return kept, "stop", mark


def _reasoning_tokens(chat: Chat, wish: Wishes, draws: Draws) -> int:
    if not (wish.thinks or _asks_to_think(chat)):
        return 0
    count = 32 + draws.below(96)
    budget = None if chat.thinking is None else chat.thinking.budget_tokens
    return min(limit for limit in (count, budget, chat.max_output_tokens) if limit is not None)


def _asks_to_think(chat: Chat) -> bool:
    """What the request says decides, and where it says nothing the model."""
    if chat.thinking is not None:
        return chat.thinking.mode != "disabled"
    if chat.reasoning_effort is not None:
        return chat.reasoning_effort != "none"
    return chat.model == "sim-reasoner"


def _question(chat: Chat) -> str:
    last = chat.messages[-1]
    return f"{len(chat.messages)} {last.role} {last.text}"


def _loaded(schema: msgspec.Raw | None) -> Any:
    return {"type": "object"} if schema is None else msgspec.json.decode(schema)
