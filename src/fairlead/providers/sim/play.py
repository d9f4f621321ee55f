"""From an answer to the steps that send it, faults included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from fairlead.dialects.openai_chat import reply as reply_codec
from fairlead.dialects.openai_chat import stream as stream_codec
from fairlead.dialects.openai_chat.errors import error_body
from fairlead.providers.sim.engine import logprobs, served_as, tokens, written
from fairlead.providers.sim.faults import Fault
from fairlead.providers.sim.script import Charge, End, Script, Step, whole
from fairlead.providers.sim.settings import SimSettings
from fairlead.types import Chat, ChatEvent, ChatReply, Choice, Finished, Started, TextDelta, ToolCallDelta, UsageReport

_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_OVERLOADED = error_body("The simulator was told to fail.", kind="server_error", code="overloaded_error")
_PAGE = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


def refused(fault: Fault, headers: Mapping[str, str], *, is_stream: bool) -> Script | None:  # noqa: PLR0911 - a table of faults
    """The script of a fault that leaves no answer to send; `None` for one that only disturbs it."""
    waiting = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
    failed = {**headers, **_JSON, **waiting}
    match fault.kind:
        case "status":
            return whole(fault.status, _OVERLOADED, failed)
        case "rate_limit":
            body = error_body("Rate limit reached for requests.", kind="requests", code="rate_limit_exceeded")
            return whole(429, body, failed)
        case "quota":
            kind = "insufficient_quota"
            return whole(429, error_body("You exceeded your current quota.", kind=kind, code=kind), failed)
        case "unauthorized":
            kind = "invalid_request_error"
            return whole(401, error_body("Incorrect API key provided.", kind=kind, code="invalid_api_key"), failed)
        case "reset":
            return Script(0, headers, (), end="broken")
        case "hang":
            return Script(0, headers, (), end="silent")
        case "html":
            return whole(200, _PAGE, {**headers, "content-type": "text/html"})
        case "empty":
            return whole(200, b"", {**headers, **(_EVENTS if is_stream else _JSON)})
        case "error_event" if is_stream:
            return whole(200, b"data: " + _OVERLOADED + b"\n\n", {**headers, **_EVENTS})
        case "error_event" | "late_error_event" if not is_stream:
            return whole(200, _OVERLOADED, failed)
        case "truncated_json":
            return _truncated(headers, is_stream=is_stream)
    return None


def played(
    chat: Chat, reply: ChatReply, headers: Mapping[str, str], settings: SimSettings, fault: Fault | None, charge: Charge
) -> Script:
    """The script of an answer, cut, delayed or silenced where a fault says so."""
    slow_s = fault.delay_s if fault is not None and fault.kind == "slow" else 0.0
    first_s = settings.latency_s + (fault.delay_s if fault is not None and fault.kind == "slow_start" else 0.0)
    token_s = 0.0 if settings.tokens_per_s is None else 1 / settings.tokens_per_s
    if not chat.stream:
        usage = reply.usage
        count = 0 if usage is None else usage.all_output_tokens
        steps = [Step(reply_codec.encode(reply), "".join(written(choice.message) for choice in reply.choices))]
        pause_s = first_s + slow_s + count * token_s
        return _disturbed(Script(200, {**headers, **_JSON}, steps, pause_s=pause_s, charge=charge), fault, charge)
    steps = [Step(step.data, step.text, (token_s + slow_s) if step.text else 0.0) for step in _steps(chat, reply)]
    script = Script(200, {**headers, **_EVENTS}, steps, pause_s=first_s, streams=True, charge=charge)
    return _disturbed(script, fault, charge)


def _disturbed(script: Script, fault: Fault | None, charge: Charge) -> Script:
    if fault is None or fault.kind not in {"cut", "stall", "late_error_event"}:
        return script
    steps = _first(script, fault.after_chunks) if script.streams else _half(script)
    if len(steps) == len(script.steps) and script.streams:
        return script  # it was over before the fault could strike
    if fault.kind == "late_error_event":
        steps = [*steps, Step(b"data: " + _OVERLOADED + b"\n\n")]
        # An error is the end that the framing has, yet the answer was not whole.
        return Script(
            200,
            script.headers,
            steps,
            pause_s=script.pause_s,
            streams=True,
            charge=lambda text, _how: charge(text, "broken"),
        )
    end: End = "broken" if fault.kind == "cut" else "silent"
    return Script(200, script.headers, steps, end=end, pause_s=script.pause_s, streams=True, charge=charge)


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


def _truncated(headers: Mapping[str, str], *, is_stream: bool) -> Script:
    if is_stream:
        return whole(200, b'data: {"id":"chatcmpl-sim","choices":[{"index":0,"del\n\n', {**headers, **_EVENTS})
    return whole(200, b'{"id":"chatcmpl-sim","object":"chat.completion","choi', {**headers, **_JSON})


def _steps(chat: Chat, reply: ChatReply) -> Iterator[Step]:
    encoder = stream_codec.encoder(include_usage=chat.include_usage, extra=served_as(chat))
    yield Step(encoder.encode(Started(id=reply.id, model=reply.model, created=reply.created)))
    for choice in reply.choices:
        for event, text in _events(chat, choice):
            yield Step(encoder.encode(event), text)
    if reply.usage is not None:
        encoder.encode(UsageReport(usage=reply.usage))
    yield Step(encoder.end())


def _events(chat: Chat, choice: Choice) -> Iterator[tuple[ChatEvent, str]]:
    for token in tokens(choice.message.text):
        marks = msgspec.Raw(msgspec.json.encode(logprobs(token, chat.top_logprobs or 0))) if chat.logprobs else None
        yield TextDelta(text=token, choice=choice.index, logprobs=marks), token
    for index, call in enumerate(choice.message.tool_calls):
        yield ToolCallDelta(index=index, choice=choice.index, id=call.id, name=call.name), ""
        for token in tokens(call.arguments):
            yield ToolCallDelta(index=index, choice=choice.index, arguments=token), token
    yield Finished(reason=choice.finish_reason or "stop", choice=choice.index), ""
