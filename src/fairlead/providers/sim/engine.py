"""What the simulated models answer: a pure function of the chat and the seed."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from fairlead.core.estimate import BYTES_PER_TOKEN, estimate_tokens, prompt_tokens
from fairlead.providers.sim.draws import Draws
from fairlead.providers.sim.schema import fitting_value
from fairlead.types import Chat, ChatReply, Choice, FinishReason, Message, TextPart, Tool, ToolCall, Usage

FINGERPRINT = "fp_fairlead_sim"

_INTRODUCTION = "This is a simulated answer: Fairlead's simulator wrote it, no language model was asked."
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


def answer(chat: Chat, *, call_id: str, model: str, seed: int, cached_tokens: int = 0) -> ChatReply:
    """The whole answer to a chat; the same for the same chat and seed.

    Args:
        call_id: becomes the answer's id.
        model: the name that the answer carries.
        cached_tokens: how much of the prompt counts as read from a cache.
    """
    numbers = range(1 if chat.n is None else chat.n)
    draws = [Draws(seed, chat.seed, chat.model, _question(chat), number) for number in numbers]
    reasoning = _reasoning_tokens(chat, draws[0])
    choices = tuple(_choice(chat, number, draws[number], reasoning) for number in numbers)
    prompt = prompt_tokens(chat)
    usage = Usage(
        input_tokens=prompt - cached_tokens,
        cache_read_tokens=cached_tokens,
        output_tokens=estimate_tokens("".join(written(choice.message) for choice in choices)),
        reasoning_tokens=reasoning * len(choices),
    )
    extra = served_as(chat)
    return ChatReply(id=call_id, model=model, created=_CREATED, choices=choices, usage=usage, extra=extra)


def served_as(chat: Chat) -> dict[str, Any]:
    """What every answer and every chunk says of who served it, and in which tier."""
    tier = chat.extra.get("service_tier")
    return {"system_fingerprint": FINGERPRINT} | ({} if tier is None else {"service_tier": tier})


def written(message: Message) -> str:
    """All that is billed as visible output of one message: its text, and the arguments of its calls."""
    return message.text + "".join(call.arguments for call in message.tool_calls)


def tokens(text: str) -> list[str]:
    """Cut a text into pieces of about a token each, never inside a character; joined they are the text."""
    if text.isascii():
        return [text[start : start + BYTES_PER_TOKEN] for start in range(0, len(text), BYTES_PER_TOKEN)]
    pieces: list[str] = []
    piece = ""
    for char in text:
        if piece and len((piece + char).encode()) > BYTES_PER_TOKEN:
            pieces.append(piece)
            piece = ""
        piece += char
    return [*pieces, piece]


def logprobs(text: str, top: int) -> dict[str, Any]:
    """Log probabilities of a text's tokens in OpenAI's form; every alternative is less likely than the token."""
    rows = []
    for position, token in enumerate(tokens(text)):
        first = -0.01 * (1 + position % 7)
        ranks = [_logprob(token if rank == 0 else f"{token}{rank}", first - rank) for rank in range(top)]
        rows.append({**_logprob(token, first), "top_logprobs": ranks})
    return {"content": rows, "refusal": None}


def _choice(chat: Chat, number: int, draws: Draws, reasoning: int) -> Choice:
    limit = None if chat.max_output_tokens is None else chat.max_output_tokens - reasoning
    called = _tools_to_call(chat)
    if called:
        return _calling(called, number, draws, limit)
    text, reason = _limited(_text(chat, draws), limit, chat.stop)
    marks = msgspec.Raw(msgspec.json.encode(logprobs(text, chat.top_logprobs or 0))) if chat.logprobs else None
    message = Message(role="assistant", parts=(TextPart(text=text),))
    return Choice(index=number, message=message, finish_reason=reason, logprobs=marks)


def _calling(called: list[Tool], number: int, draws: Draws, limit: int | None) -> Choice:
    calls: list[ToolCall] = []
    reason: FinishReason = "tool_calls"
    for tool in called:
        arguments = json.dumps(fitting_value(_loaded(tool.parameters), draws), ensure_ascii=False)
        kept, cut = _limited(arguments, limit, ())
        if cut == "length":
            reason = cut
        if limit is not None:
            limit -= estimate_tokens(kept)
        calls.append(ToolCall(id=f"call_sim{draws.below(10**12):012}", name=tool.name, arguments=kept))
    return Choice(index=number, message=Message(role="assistant", tool_calls=tuple(calls)), finish_reason=reason)


def _tools_to_call(chat: Chat) -> list[Tool]:
    """Forced ones, else every tool whose name stands in the last message, if that is a user's."""
    choice = chat.tool_choice
    mode = "auto" if choice is None else choice.mode
    if mode == "none" or not chat.tools:
        return []
    if choice is not None and mode == "function":
        return [tool for tool in chat.tools if tool.name == choice.name]
    last = chat.messages[-1]
    named = [tool for tool in chat.tools if last.role == "user" and tool.name in last.text]
    if mode == "required" and not named:
        named = [chat.tools[0]]
    return named[:1] if chat.parallel_tool_calls is False else named


def _text(chat: Chat, draws: Draws) -> str:
    form = chat.response_format
    if form is not None and form.type == "json_schema":
        return json.dumps(fitting_value(_loaded(form.schema), draws), ensure_ascii=False)
    if form is not None and form.type == "json_object":
        return json.dumps({"simulated": True, "note": _INTRODUCTION, "answer": draws.pick(_SENTENCES)})
    count = 2 + draws.below(4) if chat.model != "sim-long" else 20 + draws.below(20)
    return " ".join([_INTRODUCTION, *(draws.pick(_SENTENCES) for _ in range(count))])


def _limited(text: str, limit: int | None, stop: tuple[str, ...]) -> tuple[str, FinishReason]:
    """Cut at the first stop sequence, which is left out, and at the limit in tokens, whichever comes first."""
    ends = [end for end in (text.find(mark) for mark in stop if mark) if end >= 0]
    kept = text[: min(ends)] if ends else text
    if limit is not None and estimate_tokens(kept) > max(limit, 0):
        cut = kept.encode()[: max(limit, 0) * BYTES_PER_TOKEN]
        return cut.decode("utf-8", "ignore"), "length"
    return kept, "stop"


def _reasoning_tokens(chat: Chat, draws: Draws) -> int:
    if chat.model != "sim-reasoner":
        return 0
    count = 32 + draws.below(96)
    return count if chat.max_output_tokens is None else min(count, chat.max_output_tokens)


def _question(chat: Chat) -> str:
    last = chat.messages[-1]
    return f"{len(chat.messages)} {last.role} {last.text}"


def _loaded(schema: msgspec.Raw | None) -> Any:
    return {"type": "object"} if schema is None else msgspec.json.decode(schema)


def _logprob(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}
