"""What stays behind when a chat, an answer or an event goes from one dialect into another.

`extra` holds what only its own dialect means, and a signature proves reasoning to the provider that gave it and to no
other: neither crosses.  What is left behind of a request is named, so that nothing is dropped in silence.  A request
that would be another one without it is refused, and so is one with tools that its dialect's provider runs.  Parts that
only one dialect knows do cross, for the other one to refuse by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from fairlead.errors import InvalidRequest
from fairlead.types import (
    Chat,
    ChatEvent,
    ChatReply,
    Embed,
    EmbedReply,
    Finished,
    FinishReason,
    Message,
    Part,
    ReasoningDelta,
    ReasoningPart,
    Started,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
)

_REASONS: Mapping[FinishReason, FinishReason] = {
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "model_length": "length",
    "error": "length",
    "insufficient_system_resource": "length",
}
"""What single servers of OpenAI's dialect say beside its own reasons: TGI, Mistral, DeepSeek.  An answer that broke off is
not whole, and that is what a caller has to know."""
_WITHOUT_PLACE = frozenset({"cache", "detail", "is_error", "name", "strict"})
"""What messages, their parts and tools may say that not every dialect has a place for: its encoder leaves it out."""
_BELOW = _WITHOUT_PLACE - {"cache"}
"""Those of them that a chat as a whole does not say."""
_Kept = TypeVar("_Kept", bound=msgspec.Struct)


def request_across(
    request: Chat | Embed, refused: Collection[str] = (), one_of: Sequence[str] = ()
) -> tuple[Chat | Embed, tuple[str, ...]]:
    """The request for an encoder of another dialect, and the paths of the fields that it leaves behind.

    Args:
        refused: parameters that the model, or the other dialect, does not take, and what messages and tools may say
            that has no place there.
        one_of: parameters of which the model takes one at a time, the first for choice.

    Raises:
        InvalidRequest: names what cannot be left behind.
    """
    if isinstance(request, Embed):
        unset = [name for name in sorted(refused) if getattr(request, name, None) is not None]
        return msgspec.structs.replace(request, extra={}, **dict.fromkeys(unset)), (*request.extra, *unset)
    _refuse_bound(request)
    of_chat = [name for name in (*refused, *one_of) if name not in _BELOW]
    empty_of = {name: () if isinstance(getattr(request, name), tuple) else None for name in of_chat}
    is_set = {name for name, empty in empty_of.items() if getattr(request, name) != empty}
    alternatives = [name for name in one_of if name in is_set and name not in refused]
    set_and_refused = [name for name in sorted(refused) if name in is_set] + alternatives[1:]
    crossed = msgspec.structs.replace(
        request,
        spelt=frozenset(),
        extra={},
        messages=tuple(map(_message, request.messages)),
        binding=frozenset(),
        tools=tuple(map(_bare, request.tools)),
        **{name: empty_of[name] for name in set_and_refused},
    )
    return crossed, (*_left_behind(request, frozenset(refused)), *set_and_refused)


def reply_across(reply: ChatReply | EmbedReply) -> ChatReply | EmbedReply:
    """The answer for an encoder of another dialect."""
    if isinstance(reply, EmbedReply):
        return msgspec.structs.replace(reply, extra={})
    choices = (
        msgspec.structs.replace(choice, message=_message(choice.message), finish_reason=_reason(choice.finish_reason))
        for choice in reply.choices
    )
    return msgspec.structs.replace(reply, choices=tuple(choices), extra={})


def event_across(event: ChatEvent) -> ChatEvent:
    """The event for an encoder of another dialect."""
    if isinstance(event, ReasoningDelta):
        return msgspec.structs.replace(event, signature=None, encrypted=None)
    if isinstance(event, Finished):
        return Finished(reason=_reason(event.reason) or "stop", choice=event.choice)
    return _bare(event) if isinstance(event, Started | ToolCallDelta) else event


def _reason(reason: FinishReason | None) -> FinishReason | None:
    return None if reason is None else _REASONS.get(reason, reason)


def _refuse_bound(chat: Chat) -> None:
    if chat.binding:
        name = min(chat.binding)
        raise InvalidRequest(f"`{name}` means something to another dialect's providers only.", param=name)
    hosted = next((tool.hosted for tool in chat.tools if tool.hosted is not None), None)
    if hosted is not None:
        raise InvalidRequest(f"`tools` hold {hosted!r}, which this model's provider does not run.", param="tools")


def _message(message: Message) -> Message:
    calls, parts = message.tool_calls, message.parts
    hollow = [index for index, part in enumerate(parts) if _is_hollow(part)]
    if hollow and (calls or len(hollow) < len(parts)):
        # SDKs write it beside calls, and providers refuse it.
        parts = tuple(part for part in parts if not _is_hollow(part))
        calls = tuple(_moved(call, hollow) for call in calls)
    return msgspec.structs.replace(_bare(message), parts=tuple(map(_part, parts)), tool_calls=tuple(map(_bare, calls)))


def _is_hollow(part: Part) -> bool:
    return isinstance(part, TextPart) and not part.text and part.cache is None


def _moved(call: ToolCall, gone: Sequence[int]) -> ToolCall:
    """A call whose place is told without the parts that are gone."""
    place = call.at
    return call if place is None else msgspec.structs.replace(call, at=place - sum(index < place for index in gone))


def _part(part: Part) -> Part:
    if isinstance(part, ReasoningPart):
        return ReasoningPart(text=part.text)
    return _bare(part)


def _bare(kept: _Kept) -> _Kept:
    return msgspec.structs.replace(kept, extra={}) if getattr(kept, "extra", None) else kept


def _left_behind(chat: Chat, refused: frozenset[str]) -> Iterator[str]:
    yield from chat.extra
    for index, message in enumerate(chat.messages):
        for kept in (message, *message.parts, *message.tool_calls):
            yield from (f"messages[{index}].{name}" for name in _unsaid(kept, refused))
    for index, tool in enumerate(chat.tools):
        yield from (f"tools[{index}].{name}" for name in _unsaid(tool, refused))


def _unsaid(kept: Message | Part | ToolCall | Tool, refused: frozenset[str]) -> Iterator[str]:
    """What of it does not cross: what was kept for the way back, and what the other dialect has no place for."""
    yield from getattr(kept, "extra", ())
    for name in sorted(_WITHOUT_PLACE & refused):
        is_told = getattr(kept, name, None) not in {None, False}
        if is_told and not (name == "name" and (not isinstance(kept, Message) or kept.role == "tool")):
            yield name  # the name of a tool is no such name
