"""Why an answer ended: here a status, and details where it is incomplete."""

from __future__ import annotations

from typing import Any

from fairlead.types import FinishReason

_NEUTRAL: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_WIRE: dict[FinishReason | None, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}


def decode_reason(status: Any, details: Any, *, called: bool) -> tuple[FinishReason | None, dict[str, Any]]:
    """The neutral reason, and what does not follow from it.

    Args:
        called: whether the answer holds calls of functions.
    """
    if status == "completed":
        return ("tool_calls" if called else "stop"), {}
    if status == "incomplete":
        reason = details.get("reason") if isinstance(details, dict) else None
        neutral = _NEUTRAL.get(reason, "length") if isinstance(reason, str) else "length"
        return neutral, ({} if _WIRE[neutral] == reason else {"incomplete_details": details})
    return None, {"status": status}


def encode_reason(reason: FinishReason | None) -> dict[str, Any]:
    """The fields `status` and `incomplete_details`."""
    if reason in _WIRE:
        return {"status": "incomplete", "incomplete_details": {"reason": _WIRE[reason]}}
    return {"status": "completed", "incomplete_details": None}
