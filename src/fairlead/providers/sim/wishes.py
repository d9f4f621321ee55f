"""What a prompt can ask of the simulator, and no model could be relied on to do.

A wish stands anywhere in the last message, if that is a user's:

- `sim:refuse`: it refuses to answer.
- `sim:think`: it reasons before it answers, also where the request does not ask for that.
- `sim:call`, `sim:call=2`: it calls the first tool that is offered, or so many; from the last on it begins anew.
- `sim:say`: it answers with all that stands behind the word, as it stands there, whatever the request says about form.
"""

from __future__ import annotations

import re

import msgspec

from fairlead.types import Chat

_MOST_CALLS = 16
_SAY = "sim:say"
_WISH = re.compile(r"\bsim:(refuse|think|call)(?:=(\d{1,3}))?\b")


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What one prompt asks for."""

    refuses: bool = False
    thinks: bool = False
    calls: int = 0
    """How many tools are to be called; 0: what their names and the request say."""
    says: str | None = None
    """The answer, word for word."""


def wishes(chat: Chat) -> Wishes:
    """Those of a chat."""
    last = chat.messages[-1]
    text = last.text if last.role == "user" else ""
    if "sim:" not in text:
        return Wishes()
    before, is_said, says = text.partition(_SAY)
    found: dict[str, str] = dict(_WISH.findall(before))
    calls = min(int(found["call"] or 1), _MOST_CALLS) if "call" in found else 0
    return Wishes(
        refuses="refuse" in found, thinks="think" in found, calls=calls, says=says.strip() if is_said else None
    )
