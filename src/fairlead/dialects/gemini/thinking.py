"""How much a Gemini model may think: a budget, a level, and whether it shows summaries.

Models up to 2.5 take a budget and no level: there an effort becomes the budget that Google's own endpoint in OpenAI's
form gives it (ai.google.dev, *OpenAI compatibility*).
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.fields import plain, value_of
from fairlead.dialects.gemini.objects import Fields, opened, packed
from fairlead.types import Chat, Thinking

_FREELY = -1
"""The budget of a model that decides for itself."""
_BUDGETS = {"minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}
_EFFORTS = {level: effort for effort, level in _LEVELS.items()}
_SHOWN = {True: "summarized", False: "omitted"}
_BEFORE_LEVELS = ("gemini-1", "gemini-2")


def decode_thinking(raw: msgspec.Raw | None, left: Fields) -> tuple[Thinking | None, str | None]:
    """How much is thought, and the effort; what has no neutral form is kept in `left`."""
    if raw is None:
        return None, None
    fields = opened(raw, "generationConfig.thinkingConfig")
    dotted = {f"generationConfig.thinkingConfig.{name}": value for name, value in fields.items()}
    budget = plain(dotted, "generationConfig.thinkingConfig.thinkingBudget", int)
    shows = plain(dotted, "generationConfig.thinkingConfig.includeThoughts", bool)
    level = value_of(fields, "thinkingLevel")
    effort = _EFFORTS.get(level.upper()) if isinstance(level, str) else None
    if not set(fields) <= {"thinkingBudget", "includeThoughts", "thinkingLevel"} or (level is not None and not effort):
        left["thinkingConfig"] = packed(fields)
        return None, None
    if budget is None and shows is None:
        return None, effort
    display = None if shows is None else _SHOWN[shows]
    if budget == 0:
        return Thinking(mode="disabled", display=display), effort
    if budget is None or budget < 0:
        return Thinking(mode="adaptive", display=display), effort
    return Thinking(mode="enabled", budget_tokens=budget, display=display), effort


def encode_thinking(chat: Chat) -> dict[str, Any]:
    """The field `thinkingConfig`, where something is to be said in it."""
    thinking, config = chat.thinking, _amount(chat)
    if thinking is not None and thinking.display is not None:
        config["includeThoughts"] = thinking.display != _SHOWN[False]
    return {"thinkingConfig": config} if config else {}


def _amount(chat: Chat) -> dict[str, Any]:
    thinking, effort = chat.thinking, chat.reasoning_effort
    if (thinking is not None and thinking.mode == "disabled") or (thinking is None and effort == "none"):
        return {"thinkingBudget": 0}
    if thinking is not None and thinking.budget_tokens is not None:
        return {"thinkingBudget": thinking.budget_tokens}
    if effort in {None, "none"}:
        return {} if thinking is None else {"thinkingBudget": _FREELY}
    if chat.model.rpartition("/")[2].startswith(_BEFORE_LEVELS):
        return {"thinkingBudget": _BUDGETS.get(effort or "", _BUDGETS["high"])}
    return {"thinkingLevel": _LEVELS.get(effort or "", "HIGH")}
