"""Calls of the simulator in any dialect, from their neutral form."""

from __future__ import annotations

import msgspec

from fairlead.dialects import DIALECTS
from fairlead.errors import InvalidRequest
from fairlead.providers.sim import SimSettings, Simulator
from fairlead.testing.clock import VirtualClock
from fairlead.types import (
    CachePoint,
    Chat,
    Embed,
    ImagePart,
    Message,
    ReasoningDelta,
    RefusalDelta,
    ResponseFormat,
    TextDelta,
    TextPart,
    Thinking,
    Tool,
    ToolCallDelta,
    ToolChoice,
)

CHATS = tuple(name for name, dialect in DIALECTS.items() if dialect.kind == "chat")
SCHEMA = msgspec.Raw(
    b'{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":5}},'
    b'"required":["city","days"],"additionalProperties":false}'
)
TOOLS = (
    Tool(name="get_weather", description="The weather.", parameters=SCHEMA),
    Tool(name="get_time", description="The time.", parameters=msgspec.Raw(b'{"type":"object","properties":{}}')),
)
PIXEL = ImagePart(url="data:image/png;base64,iVBORw0KGgo=")
BEGINNING = TextPart(text="x" * 5_000, cache=CachePoint())


def chat(content="Say hello.", parts=(), **fields):
    """A chat of one message."""
    message = Message(role="user", parts=(*parts, TextPart(text=content)))
    return Chat(**{"model": "sim-small", "messages": (message,), "max_output_tokens": 2_000, **fields})


CASES = {
    "plain": chat(),
    "length": chat(max_output_tokens=3),
    "stop": chat(stop=("simulated",)),
    "long": chat(model="sim-long"),
    "tool": chat("use get_weather", tools=TOOLS),
    "tool forced": chat(tools=TOOLS, tool_choice=ToolChoice(mode="function", name="get_time")),
    "tool cut": chat("use get_weather", tools=TOOLS, max_output_tokens=2),
    "two tools": chat("sim:call=2", tools=TOOLS),
    "one tool twice": chat("sim:call=2", tools=TOOLS[:1]),
    "structured": chat(response_format=ResponseFormat(type="json_schema", name="w", schema=SCHEMA, strict=True)),
    "json": chat(response_format=ResponseFormat(type="json_object")),
    "refusal": chat("sim:refuse"),
    "reasoning": chat("sim:think"),
    "reasoning and a tool": chat("sim:think sim:call", tools=TOOLS),
    "effort": chat(reasoning_effort="low"),
    "thinking": chat(thinking=Thinking(mode="enabled", budget_tokens=16)),
    "thinking shown": chat(thinking=Thinking(mode="enabled", budget_tokens=16, display="summarized")),
    "thinking hidden": chat(thinking=Thinking(mode="enabled", budget_tokens=16, display="omitted")),
    "reasoner": chat(model="sim-reasoner"),
    "image": chat(parts=(PIXEL, PIXEL)),
    "cached": chat(parts=(BEGINNING,)),
    "choices": chat(n=2),
    "logprobs": chat(logprobs=True, top_logprobs=2),
}


def body_of(name, asked):
    """The request in a dialect; `None` where it has no form for it."""
    try:
        return DIALECTS[name].request.encode(asked)
    except InvalidRequest:
        return None


def path_of(dialect, model, *, is_stream=False, is_count=False):
    """Where a provider of the dialect takes it."""
    path = dialect.upstream_path
    if is_count:
        path = dialect.count_path
    elif is_stream and dialect.stream_path is not None:
        path = dialect.stream_path
    return "/v1" + path.partition("?")[0].replace("{model}", model)


EXPRESSIBLE = tuple((name, case) for name in CHATS for case, asked in CASES.items() if body_of(name, asked))
"""Each case in each dialect that has a form for it."""


class Sim:
    """A simulator that is asked in neutral form."""

    def __init__(self, settings=None, *, only=None, **more):
        self.clock = VirtualClock()
        dialects = DIALECTS.values() if only is None else (DIALECTS[only],)
        self.simulator = Simulator(settings or SimSettings(**more), self.clock, dialects=dialects)

    def ask(self, name, asked=None, *, is_stream=False, headers=None):
        """The script of the answer."""
        asked = asked or chat()
        if isinstance(asked, Chat):
            asked = msgspec.structs.replace(asked, stream=is_stream, include_usage=is_stream)
        path = path_of(DIALECTS[name], asked.model, is_stream=is_stream)
        return self.simulator.respond("POST", path, headers or {}, body_of(name, asked))

    def played(self, script):
        """The body, with all that playing it does."""
        for step in script.steps:
            script.sent(step)
        script.ended()
        return script.body

    @property
    def bill(self):
        return self.simulator.bill


def collected(name, raw):
    """What a stream said: text, reasoning and refusal by choice, and calls by choice and index."""
    said, calls = {}, {}
    events = DIALECTS[name].streams.decoder().feed(raw)
    for event in events:
        if isinstance(event, TextDelta | RefusalDelta | ReasoningDelta):
            kind = (type(event).__name__, event.choice)
            said[kind] = said.get(kind, "") + event.text
        elif isinstance(event, ToolCallDelta):
            called, arguments = calls.get((event.choice, event.index), ("", ""))
            calls[event.choice, event.index] = (event.name or called, arguments + event.arguments)
    return events, {kind: text for kind, text in said.items() if text}, calls


EMBED = Embed(model="sim-embed", inputs=("one", "two", "one"))
