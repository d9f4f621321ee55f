"""A reply that no provider gave: a text of the operator's, in the caller's dialect."""

from __future__ import annotations

from fairlead.call import Call
from fairlead.dialects.codec import Dialect
from fairlead.dialects.once import Once
from fairlead.pipeline import Reply
from fairlead.types import ChatReply, Choice, Finished, Message, Started, TextDelta, TextPart, Usage, UsageReport

_NS = 1_000_000_000


def static_reply(dialect: Dialect, call: Call, text: str) -> Reply:
    """The text as an answer that cost nothing, streamed where the call asks for that."""
    request, created = call.request, call.started_at_ns // _NS
    name = f"static-{call.id}"
    if not request.stream:
        message = Message(role="assistant", parts=(TextPart(text=text),))
        choices = tuple(Choice(index=index, message=message, finish_reason="stop") for index in range(request.n))
        answer = ChatReply(id=name, model=request.model, created=created, choices=choices, usage=Usage())
        return Reply(200, dialect.reply.encode(answer), {"content-type": "application/json"})
    encoder = dialect.streams.encoder(include_usage=request.include_usage)
    parts = [encoder.encode(Started(id=name, model=request.model, created=created))]
    for index in range(request.n):
        parts.append(encoder.encode(TextDelta(text=text, choice=index)))
        parts.append(encoder.encode(Finished(reason="stop", choice=index)))
    parts.append(encoder.encode(UsageReport(usage=Usage())))
    body = b"".join((*parts, encoder.end()))
    return Reply(200, Once(body, call.started_ns), {"content-type": "text/event-stream"})
