"""Why a candidate ended, in Google's words and in neutral ones."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.types import FinishReason

_NOT_ENDED = "FINISH_REASON_UNSPECIFIED"
_FILTERED = (
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
)
_BROKEN = (
    "OTHER",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "CONTINUATION",
    "ESCALATION",
)
"""Not whole, for a reason that no other dialect knows: that it is not is what a caller has to know."""
_NEUTRAL: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(_FILTERED, "content_filter"),
    **dict.fromkeys(_BROKEN, "length"),
}
_WIRE: dict[FinishReason, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}


def decode_reason(value: Any, *, called: bool) -> tuple[FinishReason | None, dict[str, msgspec.Raw]]:
    """The neutral reason, `None` where the candidate goes on, and Google's own where that does not follow from it.

    Args:
        called: whether the candidate holds calls of functions; Google ends it with `STOP` all the same.
    """
    if not isinstance(value, str) or value in {"", _NOT_ENDED}:
        return None, {}
    neutral = _NEUTRAL.get(value, value)
    if neutral == "stop" and called:
        neutral = "tool_calls"
    own = {} if _WIRE.get(neutral) == value else {"finishReason": msgspec.Raw(msgspec.json.encode(value))}
    return neutral, own


def encode_reason(reason: FinishReason | None, *, refused: bool = False) -> str:
    """Google's reason.

    Args:
        refused: whether the model said that it will not answer, which is a reason here and no part of the answer.
    """
    if reason in {None, "stop"} and refused:
        return "SAFETY"
    return "STOP" if reason is None else _WIRE.get(reason, "OTHER")
