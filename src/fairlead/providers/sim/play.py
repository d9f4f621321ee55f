"""From an answer to the steps that send it, faults included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from fairlead.errors import FairleadError, QuotaExhausted, RateLimited, Unauthenticated, UpstreamUnavailable
from fairlead.providers.sim.caller import EVENTS, JSON, Caller
from fairlead.providers.sim.engine import written
from fairlead.providers.sim.faults import Fault
from fairlead.providers.sim.pieces import tokens
from fairlead.providers.sim.script import Charge, End, Script, Step, whole
from fairlead.providers.sim.settings import SimSettings
from fairlead.types import (
    Chat,
    ChatEvent,
    ChatReply,
    Choice,
    Embed,
    EmbedReply,
    Finished,
    Part,
    ReasoningDelta,
    ReasoningPart,
    RefusalDelta,
    RefusalPart,
    Started,
    TextDelta,
    TextPart,
    ToolCallDelta,
    Usage,
    UsageReport,
)

_PAGE = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
_TORN_BYTES = 40


def refused(fault: Fault, caller: Caller, *, is_stream: bool) -> Script | None:  # noqa: PLR0911 - a table of faults
    """The script of a fault that leaves no answer to send; `None` for one that only disturbs it."""
    kind = EVENTS if is_stream else JSON
    match fault.kind:
        case "status" | "rate_limit" | "quota" | "unauthorized":
            waiting = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
            return caller.refusal(_error(fault), waiting)
        case "reset":
            return Script(0, caller.headers, (), end="broken")
        case "hang":
            return Script(0, caller.headers, (), end="silent")
        case "html":
            return whole(200, _PAGE, {**caller.headers, "content-type": "text/html"})
        case "empty":
            return whole(200, b"", {**caller.headers, **kind})
        case "late_error_event" if is_stream:
            return None
        case "error_event" | "late_error_event":
            body = caller.in_band(_error(fault), is_stream=is_stream)
            return whole(200, body, {**caller.headers, **kind})
    return None


def played(
    caller: Caller,
    asked: Chat | Embed,
    reply: ChatReply | EmbedReply,
    *,
    headers: Mapping[str, str],
    settings: SimSettings,
    fault: Fault | None,
    charge: Charge,
) -> Script:
    """The script of an answer, cut, delayed or silenced where a fault says so.

    Args:
        headers: about limits.
    """
    slow_s = fault.delay_s if fault is not None and fault.kind == "slow" else 0.0
    first_s = settings.latency_s + (fault.delay_s if fault is not None and fault.kind == "slow_start" else 0.0)
    token_s = 0.0 if settings.tokens_per_s is None else 1 / settings.tokens_per_s
    if isinstance(asked, Chat) and isinstance(reply, ChatReply) and asked.stream:
        steps = list(_steps(caller, asked, reply, token_s + slow_s))
        told = {**caller.headers, **headers, **EVENTS}
        script = Script(200, told, steps, pause_s=first_s, streams=True, charge=charge)
    else:
        count = 0 if reply.usage is None else reply.usage.all_output_tokens
        texts = [_said(choice) for choice in reply.choices] if isinstance(reply, ChatReply) else []
        steps = [Step(caller.dialect.reply.encode(reply), "".join(texts))]
        pause_s = first_s + slow_s + count * token_s
        script = Script(200, {**caller.headers, **headers, **JSON}, steps, pause_s=pause_s, charge=charge)
    return script if fault is None else _disturbed(script, fault, caller)


def _error(fault: Fault) -> FairleadError:
    if fault.kind == "unauthorized":
        return Unauthenticated("Incorrect API key provided.")
    if fault.kind == "quota":
        return QuotaExhausted("You exceeded your current quota.")
    if fault.kind == "rate_limit":
        return RateLimited("Rate limit reached for requests.", retry_after_s=_seconds(fault.retry_after))
    error = UpstreamUnavailable("The simulator was told to fail.")
    error.status = fault.status
    return error


def _seconds(text: str | None) -> float | None:
    """What a `retry-after` says, where it is a number; Google has it in the body."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def _disturbed(script: Script, fault: Fault, caller: Caller) -> Script:
    if fault.kind == "truncated_json":
        return _torn(script)
    if fault.kind not in {"cut", "stall", "late_error_event"}:
        return script
    steps = _first(script, fault.after_chunks) if script.streams else _half(script)
    if len(steps) == len(script.steps) and script.streams:
        return script  # it was over before the fault could strike
    charge, pause_s = script.charge, script.pause_s
    if fault.kind == "late_error_event":
        steps = [*steps, Step(caller.in_band(_error(fault), is_stream=True))]
        # An error is the end that the framing has, yet the answer was not whole.
        broken: Charge = lambda text, _how: None if charge is None else charge(text, "broken")  # noqa: E731
        return Script(200, script.headers, steps, pause_s=pause_s, streams=True, charge=broken)
    end: End = "broken" if fault.kind == "cut" else "silent"
    return Script(200, script.headers, steps, end=end, pause_s=pause_s, streams=True, charge=charge)


def _first(script: Script, count: int) -> list[Step]:
    """The steps up to the `count`-th that carries text."""
    kept: list[Step] = []
    for step in script.steps:
        if step.text and count == 0:
            break
        kept.append(step)
        count -= bool(step.text)
    return kept


def _half(script: Script) -> list[Step]:
    body = script.body
    return [Step(body[: len(body) // 2])]


def _torn(script: Script) -> Script:
    """JSON that ends in the middle, in the body or in the first event; it costs nothing."""
    if not script.streams:
        return whole(200, script.body[:_TORN_BYTES], script.headers, pause_s=script.pause_s)
    head, data, event = script.body.partition(b"data: ")
    return whole(200, head + data + event[:_TORN_BYTES] + b"\n\n", script.headers, pause_s=script.pause_s)


def _steps(caller: Caller, chat: Chat, reply: ChatReply, token_s: float) -> Iterator[Step]:
    encoder = caller.encoder(chat)
    prompt = None if reply.usage is None else _prompt(reply.usage)
    yield Step(encoder.encode(Started(id=reply.id, model=reply.model, created=reply.created, usage=prompt)))
    yield Step(caller.manners.begins_with)
    waiting, pause_s = "", 0.0
    for event, text in _events(caller, chat, reply):
        data = encoder.encode(event)
        waiting += text
        pause_s += token_s if text else 0.0
        if data:  # a dialect may send several pieces as one
            yield Step(data, waiting, pause_s)
            waiting, pause_s = "", 0.0
    if reply.usage is not None:
        encoder.encode(UsageReport(usage=reply.usage))
    yield Step(encoder.end(), waiting, pause_s)


def _prompt(usage: Usage) -> Usage:
    """What a stream can count at its beginning: the input, and a token as the place of the output."""
    return msgspec.structs.replace(usage, output_tokens=1, reasoning_tokens=0)


def _events(caller: Caller, chat: Chat, reply: ChatReply) -> Iterator[tuple[ChatEvent, str]]:
    """What is sent of each choice, and what of it the model wrote."""
    more = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in reply.extra.items()}
    for choice in reply.choices:
        for number, part in enumerate(choice.message.parts):
            yield from _part_events(caller, chat, choice.index, number, part)
        for index, call in enumerate(choice.message.tool_calls):
            yield ToolCallDelta(index=index, choice=choice.index, id=call.id, name=call.name), ""
            for token in tokens(call.arguments):
                yield ToolCallDelta(index=index, choice=choice.index, arguments=token), token
        yield Finished(reason=choice.finish_reason or "stop", choice=choice.index, extra=more), ""


def _part_events(caller: Caller, chat: Chat, choice: int, number: int, part: Part) -> Iterator[tuple[ChatEvent, str]]:
    match part:
        case ReasoningPart():
            for token in tokens(part.text):
                yield ReasoningDelta(text=token, choice=choice, part=number), token
            if part.signature is not None:
                yield ReasoningDelta(text="", choice=choice, part=number, signature=part.signature), ""
        case RefusalPart():
            for token in tokens(part.text):
                yield RefusalDelta(text=token, choice=choice), token
        case TextPart():
            logprobs = caller.manners.logprobs if chat.logprobs else None
            for token in tokens(part.text):
                marks = None if logprobs is None else logprobs(token, chat.top_logprobs or 0)
                yield TextDelta(text=token, choice=choice, logprobs=marks), token


def _said(choice: Choice) -> str:
    """All that an answer shows of a choice."""
    thought = "".join(part.text for part in choice.message.parts if isinstance(part, ReasoningPart))
    return thought + written(choice.message)
