"""From a client's arguments to a call, and from its reply to what the client gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.call import PRIORITIES, Call, Outcome, Priority, total_usage
from fairlead.core.money import NANO, parse_usd
from fairlead.dialects.codec import Dialect
from fairlead.dialects.embeddings import OPENAI_EMBEDDINGS
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import Cancelled, FairleadError, InternalError, InvalidRequest, NotYetAvailable
from fairlead.pipeline import Reply
from fairlead.types import ChatEvent, ChatReply, EmbedReply, TextDelta, ToolCall, Usage, UsageSource

if TYPE_CHECKING:
    from fairlead.config.build import Runtime

Messages = str | Sequence[Mapping[str, Any]]
"""One user message as a string, or messages in OpenAI's form."""
Texts = str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]
"""What to embed: a text, several, or either as token numbers of the model's own."""

LEFT = Outcome("cancelled", Cancelled.http_status, Cancelled("the caller left"))
_MOST_S = 1e9
"""Seconds that clocks can still count."""
_LATER = frozenset({"profile", "prompt", "validate", "cache"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What every whole answer tells about its call."""

    raw: bytes
    """The provider's own bytes."""
    call_id: str
    model: str
    """`provider/model` that answered; `static` for a reply of the configuration's."""
    degraded: tuple[str, ...]
    """How the answer is less than what was asked for: `fallback`, `static`."""
    attempts: int
    usage: Usage | None
    usage_source: UsageSource
    cost_nanousd: int | None
    """`None`: not known, as for an unpriced model."""

    @property
    def cost_usd(self) -> Decimal | None:
        """The exact cost in dollars."""
        return None if self.cost_nanousd is None else Decimal(self.cost_nanousd) / NANO


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(Account):
    """A whole answer."""

    text: str
    """All text of the first choice."""
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str | None
    reply: ChatReply
    """Every choice in neutral form."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings(Account):
    """Vectors in the order of their texts."""

    vectors: tuple[tuple[float, ...], ...]
    """One for each text, all of the same length."""
    reply: EmbedReply
    """The answer in neutral form."""

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One event of a stream; `text` is empty for events that are not visible text of the first choice."""

    text: str
    event: ChatEvent

    def __str__(self) -> str:
        return self.text

    @classmethod
    def of(cls, event: ChatEvent) -> Piece:
        """The piece that an event is."""
        text = event.text if isinstance(event, TextDelta) and event.choice == 0 else ""
        return cls(text=text, event=event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a caller says of a call apart from its body."""

    timeout_s: float | None
    tags: tuple[str, ...]
    session: str | None
    priority: Priority

    @classmethod
    def of(cls, *, timeout_s: float | None, tags: Sequence[str], session: str | None, priority: Priority) -> Options:
        """What is said, if it can be meant.

        Raises:
            InvalidRequest: it cannot.
        """
        given: Any = timeout_s
        if given is not None and (not isinstance(given, int | float) or not -_MOST_S < given < _MOST_S):
            raise InvalidRequest("`timeout_s=` is a number of seconds; leave it out for none")
        if isinstance(tags, str) or not isinstance(tags, Iterable) or not all(isinstance(tag, str) for tag in tags):
            raise InvalidRequest('`tags=` is a list of strings, as in `tags=["nightly"]`')
        if not isinstance(session, str | None):
            raise InvalidRequest("`session=` is a string")
        if priority not in tuple(PRIORITIES):
            raise InvalidRequest("`priority=` is `interactive`, `batch` or `background`")
        return cls(timeout_s=timeout_s, tags=tuple(tags), session=session, priority=priority)


def chat_fields(messages: Messages, model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(messages, Iterable) or isinstance(messages, Mapping):
        raise InvalidRequest("`messages` is a string, or a list of messages in OpenAI's form")
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    return {"model": model, "messages": turns, **of_this_version(parameters)}


def of_this_version(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, if this version has them all."""
    later = _LATER & parameters.keys()
    if later:
        raise NotYetAvailable(f"`{min(later)}=` is not yet in this version; leave it out")
    return parameters


def open_call(runtime: Runtime, dialect: Dialect, fields: Mapping[str, Any], options: Options) -> Call:
    """Encode once what the caller gave, so that later changes to it change nothing (FAULTS M3)."""
    try:
        body = msgspec.json.encode(fields)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from error
    call = runtime.new_call(dialect.request.read(body), body=body)
    call.tags = options.tags
    call.session = options.session
    call.priority = PRIORITIES[options.priority]
    if options.timeout_s is not None:
        call.deadline_ns = call.started_ns + int(options.timeout_s * 1e9)
    if runtime.is_remote:
        call.request.headers = _told_to_gateway(options)
    return call


def _told_to_gateway(options: Options) -> dict[str, str]:
    """What a gateway elsewhere is told in headers.

    Raises:
        InvalidRequest: a tag or session that no header can carry.
    """
    told = {
        "x-fairlead-tags": ",".join(options.tags) or None,
        "x-fairlead-session": options.session,
        "x-fairlead-timeout": None if options.timeout_s is None else f"{options.timeout_s:g}",
        "x-fairlead-priority": None if options.priority == "interactive" else options.priority,
    }
    headers = {name: value for name, value in told.items() if value is not None}
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise InvalidRequest("`tags` and `session` may hold printable ASCII characters only")
    return headers


async def apart(runtime: Runtime, call: Call) -> Reply:
    """Run the pipeline in a task of its own, so that a cancelled caller leaves at once and the call still ends properly."""
    task = asyncio.get_running_loop().create_task(runtime.pipeline(call), name=f"call-{call.id}")
    runtime.owned.add(task)
    task.add_done_callback(runtime.owned.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        call.fate.abandoned = True
        task.add_done_callback(_end_late)
        task.cancel()
        raise


def _end_late(task: asyncio.Task[Reply]) -> None:
    """A reply came in the very moment when its caller left."""
    if not task.cancelled() and task.exception() is None:
        task.result().end(LEFT)


async def complete(runtime: Runtime, call: Call) -> Completion:
    answer, account = await whole(runtime, call, OPENAI_CHAT)
    first = answer.choices[0] if answer.choices else None
    return Completion(
        text="" if first is None else first.message.text,
        tool_calls=() if first is None else first.message.tool_calls,
        finish_reason=None if first is None else first.finish_reason,
        reply=answer,
        **account,
    )


async def embed(runtime: Runtime, call: Call) -> Embeddings:
    answer, account = await whole(runtime, call, OPENAI_EMBEDDINGS)
    return Embeddings(vectors=answer.vectors, reply=answer, **account)


async def whole(runtime: Runtime, call: Call, dialect: Dialect) -> tuple[Any, dict[str, Any]]:
    """A whole answer in neutral form, and the fields of its `Account`."""
    reply = await apart(runtime, call)
    body = reply.source
    try:
        if not isinstance(body, bytes):
            raise InternalError("a whole answer was asked for and a stream came back")
        answer = dialect.reply.decode(body)
    except FairleadError as error:
        reply.end(Outcome("error", error.status, error))
        raise
    reply.end(Outcome("ok", reply.status))
    runtime.flush()  # whoever has the answer finds its record, whatever becomes of this process
    return answer, account_of(call, reply.headers, body)


def account_of(call: Call, headers: Mapping[str, str] = {}, raw: bytes = b"") -> dict[str, Any]:
    """The fields of the `Account` of a call that is over: our own count, or what a gateway elsewhere says."""
    usage, source = total_usage(call.attempts)
    degraded, cost = headers.get("x-fairlead-degraded"), headers.get("x-fairlead-cost-usd")
    answered_by = call.answered_by if call.attempts else ""
    return {
        "raw": raw,
        "call_id": headers.get("x-fairlead-call-id", call.id),
        "model": headers.get("x-fairlead-model", answered_by),
        "degraded": tuple(call.degraded if degraded is None else degraded.split(", ")),
        "attempts": int(headers.get("x-fairlead-attempts", len(call.attempts))),
        "usage": usage,
        "usage_source": source,
        "cost_nanousd": call.cost_nanousd if cost is None else parse_usd(cost),
    }
