"""Why an answer ended, in Anthropic's words and in neutral ones."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.types import FinishReason

_NEUTRAL: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    # Paused by the provider in the midst of its own tools: not whole, and that is what a caller has to know.
    "pause_turn": "length",
}
_WIRE: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def decode_reason(reason: str) -> tuple[FinishReason, dict[str, Any]]:
    """The neutral reason, and Anthropic's own where that does not follow from it."""
    neutral = _NEUTRAL.get(reason, reason)
    return neutral, ({} if _WIRE.get(neutral) == reason else {"stop_reason": reason})


def encode_reason(reason: FinishReason | None, *, called: bool, refused: bool = False) -> str:
    """Anthropic's reason.

    Args:
        called: whether the answer holds calls of tools; some providers end such an answer with `stop`.
        refused: whether the model said that it will not answer, which is a reason here and no part of the answer.
    """
    if reason == "stop" and called:
        return "tool_use"
    if reason in {None, "stop"} and refused:
        return "refusal"
    if reason is None:
        return "end_turn"
    if reason in _NEUTRAL:
        return reason
    return _WIRE.get(reason, "end_turn")


def raw_values(values: dict[str, Any]) -> dict[str, msgspec.Raw]:
    """Decoded values as an event's `extra` holds them; null says nothing."""
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in values.items() if value is not None}
