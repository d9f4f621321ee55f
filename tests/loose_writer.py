"""An OpenAI chat server that knows nothing of schemas, and whose model writes what the prompt tells it to, word for word.

What it writes stands behind `write:` in a user's message, and behind `then:` what it writes when it is asked again.
Where it has to call a tool, that is what it writes as arguments.
"""

from __future__ import annotations

from typing import Any

from fairlead.testing import Answer, answers, openai_error
from fairlead.testing.script import Received

_PIECE = 7


def loose_writer(request: Received) -> Answer:
    """Its answer; a 400 where it is asked to hold itself to a schema."""
    asked = request.json
    if (asked.get("response_format") or {}).get("type") == "json_schema":
        return openai_error(400, "`response_format` of type `json_schema` is not known here", kind="invalid_request")
    text, tool = _text(asked["messages"]), _tool(asked)
    return _streamed(asked, text, tool) if asked.get("stream") else _whole(text, tool)


def _text(messages: list[dict[str, Any]]) -> str:
    place, told = next(
        (index, text) for index, each in enumerate(messages) if "write:" in (text := _content(each["content"]))
    )
    first, _, then = told.partition("write:")[2].partition("then:")
    return (first if place == len(messages) - 1 else then).strip()


def _content(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def _tool(asked: dict[str, Any]) -> str | None:
    """The tool that it has to call."""
    if not asked.get("tools") or asked.get("tool_choice", "auto") in ("auto", "none"):
        return None
    return str(asked["tools"][0]["function"]["name"])


def _call(tool: str, arguments: str) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": arguments}}


def _whole(text: str, tool: str | None) -> Answer:
    message: dict[str, Any] = {"role": "assistant", "content": text if tool is None else None}
    if tool is not None:
        message["tool_calls"] = [_call(tool, text)]
    choice = {"index": 0, "message": message, "finish_reason": "stop" if tool is None else "tool_calls"}
    return answers.json(_body("chat.completion", [choice]) | {"usage": _USAGE})


def _streamed(asked: dict[str, Any], text: str, tool: str | None) -> Answer:
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    if tool is None:
        deltas: list[dict[str, Any]] = [{"role": "assistant"}, *({"content": piece} for piece in pieces)]
    else:
        deltas = [{"role": "assistant", "tool_calls": [{"index": 0, **_call(tool, "")}]}]
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop" if tool is None else "tool_calls"})
    events = [_body("chat.completion.chunk", [choice]) for choice in choices]
    if (asked.get("stream_options") or {}).get("include_usage"):
        events.append(_body("chat.completion.chunk", []) | {"usage": _USAGE})
    return answers.sse(events)


_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _body(kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_767_225_600, "model": "model-1", "choices": choices}


MODELS = """
[providers.plain]
dialect = "openai"
base_url = "{url}"
allow_private = true
[providers.calling]
vendor = "openai"
dialect = "openai"
api_key = "env:UPSTREAM_KEY"
base_url = "{url}"
allow_private = true
[models.prompted]
targets = ["plain/model-1"]
price = {{ input = 1.0, output = 1.0 }}
validation = {{ up_to = "reask", attempts = 1 }}
[models.called]
targets = ["calling/gpt-4"]
price = {{ input = 1.0, output = 1.0 }}
validation = {{ up_to = "reask", attempts = 1 }}
[models.unheld]
targets = ["plain/model-1"]
price = {{ input = 1.0, output = 1.0 }}
"""
"""Three models of it: asked in words, by a tool, and not held to anything.  `url` is its own base URL."""
ENVIRON = {"UPSTREAM_KEY": "sk-upstream"}

FENCED = """Sure! Here is the booking:
```json
{"name": "Ada", "guests": "two", "time": "2:30pm",}
```
Anything else?"""
"""What models write."""
SHORT = '{"name": "Ada", "guests": 2, "time": "14:30"}'
SPOKEN = '{"name": "Ada", "guests": "two", "time": "2:30pm"}'
"""Well formed, in words of its own."""
NAMELESS = '{"guests": 2, "time": "14:30"}'
"""Without a field that must be there."""
GOOD = """```json
{"name": "Ada", "guests": 2, "time": "14:30:00"}
```"""
"""In a fence, and as it should be."""
TEXTS = {"fenced": FENCED, "short": SHORT, "spoken": SPOKEN, "nameless": f"{NAMELESS}\nthen: {NAMELESS}", "good": GOOD}
"""All of them, for clients in other processes."""
