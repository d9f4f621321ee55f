"""Answers that fit, for callers of every dialect."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from faults.front import ask

Begin = Callable[..., Awaitable[Any]]
CONFIG = """
[gateway]
auth = "open"
[models.m]
targets = ["sim/sim-small"]
validation = { up_to = "reask" }
[models.strict]
targets = ["sim/sim-small"]
validation = { up_to = "coerce" }
[models.held]
targets = ["sim/sim-small"]
validation = { up_to = "reask", stream = "buffer" }
[models.free]
targets = ["sim/sim-small"]
"""
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "at": {"type": "string", "format": "time"}},
    "required": ["name", "at"],
    "additionalProperties": False,
}
GOOD = {"name": "Ada", "at": "14:30:00"}
NEARLY = 'Sure! ```json\n{"name": "Ada", "at": "2:30pm",}\n```'


def _chat(text: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    form = {"type": "json_schema", "json_schema": {"name": "Booking", "schema": SCHEMA}}
    body = {"messages": [{"role": "user", "content": text}], "response_format": form, "stream": stream}
    return "/v1/chat/completions", {"model": model, **body}


def _responses(text: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    form = {"format": {"type": "json_schema", "name": "Booking", "schema": SCHEMA}}
    return "/v1/responses", {"model": model, "input": text, "text": form, "stream": stream, "store": False}


def _messages(text: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}
    body = {"messages": [{"role": "user", "content": text}], "output_config": form, "stream": stream, "max_tokens": 500}
    return "/v1/messages", {"model": model, **body}


def _gemini(text: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    config = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    operation = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": config}
    return f"/v1beta/models/{model}:{operation}", body


def _said_chat(body: Any) -> str:
    text: str = body["choices"][0]["message"]["content"]
    return text


def _said_responses(body: Any) -> str:
    return "".join(part["text"] for item in body["output"] for part in item.get("content", ()))


def _said_messages(body: Any) -> str:
    return "".join(part["text"] for part in body["content"])


def _said_gemini(body: Any) -> str:
    return "".join(part["text"] for part in body["candidates"][0]["content"]["parts"])


DIALECTS: dict[str, tuple[Callable[..., tuple[str, dict[str, Any]]], Callable[[Any], str]]] = {
    "openai chat": (_chat, _said_chat),
    "openai responses": (_responses, _said_responses),
    "anthropic": (_messages, _said_messages),
    "gemini": (_gemini, _said_gemini),
}
each = pytest.mark.parametrize("name", DIALECTS)


@each
async def test_what_nearly_fits_is_made_to(begin: Begin, name: str) -> None:
    """In the caller's dialect, with what it took in a header."""
    asked, said = DIALECTS[name]
    gateway = await begin(CONFIG)

    answer = await ask(gateway, "POST", *asked(f"sim:say {NEARLY}", "m", stream=False))

    assert json.loads(said(answer.json)) == GOOD
    assert answer.headers["x-fairlead-validation"].startswith("repair; edits=")
    assert answer.headers["x-fairlead-attempts"] == "1"


@each
async def test_what_does_not_fit_is_asked_for_again(begin: Begin, name: str) -> None:
    """The caller's request goes up once more, in the same dialect, with one more message."""
    asked, said = DIALECTS[name]
    gateway = await begin(CONFIG)

    answer = await ask(gateway, "POST", *asked('sim:say {"name": "Ada"}', "m", stream=False))

    assert set(json.loads(said(answer.json))) == {"name", "at"}
    assert answer.headers["x-fairlead-validation"].endswith("reasks=1")
    assert answer.headers["x-fairlead-attempts"] == "2"
    (record,) = await gateway.records()
    assert record["validated"]["errors"][0]["path"] == "/at"


@each
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "held back"])
async def test_exhausted_is_422_in_the_callers_dialect(begin: Begin, name: str, *, stream: bool) -> None:
    """Not worth another try, before anything of a stream has gone out."""
    asked, _ = DIALECTS[name]
    gateway = await begin(CONFIG.replace('"reask", stream', '"coerce", stream'))

    answer = await ask(gateway, "POST", *asked('sim:say {"name": "Ada"}', "held", stream=stream))

    assert (answer.status, answer.headers["x-should-retry"]) == (422, "false")
    assert "does not fit schema" in answer.json["error"]["message"]
    assert "/at" in answer.body.decode()


@each
async def test_a_stream_that_is_held_back_is_written_again(begin: Begin, name: str) -> None:
    """With its beginning, its end and its usage."""
    asked, _ = DIALECTS[name]
    gateway = await begin(CONFIG)

    answer = await ask(gateway, "POST", *asked(f"sim:say {NEARLY}", "held", stream=True))
    plain = await ask(gateway, "POST", *asked(f"sim:say {json.dumps(GOOD)}", "free", stream=True))

    assert (answer.status, answer.whole) == (200, True)
    assert _kinds(answer.body) == _kinds(plain.body)
    assert "14:30:00" in _texts(answer.body)
    assert "2:30pm" not in answer.body.decode()


@each
async def test_a_stream_that_passes_ends_with_an_error_of_its_dialect(begin: Begin, name: str) -> None:
    """In place of what ends a good one."""
    asked, _ = DIALECTS[name]
    gateway = await begin(CONFIG)

    answer = await ask(gateway, "POST", *asked('sim:say {"name": "Ada"}', "strict", stream=True))

    assert (answer.status, answer.whole) == (200, False)
    assert "does not fit schema" in answer.body.decode().rstrip().rpartition("\n\n")[2]
    (record,) = await gateway.records()
    assert (record["outcome"], record["error_class"]) == ("truncated", "validation")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tools", [[], [{"name": "book", "input_schema": SCHEMA}]])
async def test_the_older_form_of_anthropics_schemas_passes_as_it_is(
    begin: Begin, tools: list[dict[str, Any]], *, stream: bool
) -> None:
    """`output_format` at the top level, as its beta had it: the answer is not held to it, nor is anything refused."""
    path, body = _messages(f"sim:say {NEARLY}", "m", stream=stream)
    older = {"output_format": body.pop("output_config")["format"], "tools": tools}
    gateway = await begin(CONFIG)

    answer = await ask(gateway, "POST", path, body | older)

    assert (answer.status, answer.whole) == (200, True)
    deltas = [event.get("delta", {}).get("text", "") for event in _events(answer.body)]
    assert ("".join(deltas) if stream else _said_messages(answer.json)) == NEARLY


@each
async def test_nothing_is_held_to_anything_unless_it_is_switched_on(begin: Begin, name: str) -> None:
    """Fairlead only observes."""
    asked, said = DIALECTS[name]
    gateway = await begin(CONFIG)

    answer = await ask(gateway, "POST", *asked(f"sim:say {NEARLY}", "free", stream=False))

    assert said(answer.json) == NEARLY
    assert "x-fairlead-validation" not in answer.headers


async def test_a_caller_turns_it_off_or_down_with_a_header(begin: Begin) -> None:
    """For one call; what is no rung is refused by name."""
    gateway = await begin(CONFIG)
    target, body = _chat(f"sim:say {NEARLY}", "m", stream=False)

    off = await ask(gateway, "POST", target, body, {"x-fairlead-validate": "off"})
    low = await ask(gateway, "POST", target, body, {"x-fairlead-validate": "extract"})
    odd = await ask(gateway, "POST", target, body, {"x-fairlead-validate": "hard"})

    assert _said_chat(off.json) == NEARLY
    assert low.status == 422
    assert (odd.status, "x-fairlead-validate" in odd.json["error"]["message"]) == (400, True)


async def test_the_header_says_so_where_no_model_has_validation(begin: Begin) -> None:
    """A wish that nothing would come of is an error."""
    gateway = await begin('[gateway]\nauth = "open"\n[models.m]\ntargets = ["sim/sim-small"]\n')

    answer = await ask(gateway, "POST", *_chat("hi", "m", stream=False), {"x-fairlead-validate": "coerce"})

    assert (answer.status, "`validation`" in answer.json["error"]["message"]) == (400, True)


def _events(body: bytes) -> list[dict[str, Any]]:
    lines = [line[6:] for line in body.decode().splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def _kinds(body: bytes) -> list[object]:
    """The kinds of events, runs of one kind taken together; pings are none."""
    kinds = [event.get("type", "chunk") for event in _events(body) if event.get("type") != "ping"]
    return [kind for index, kind in enumerate(kinds) if index == 0 or kind != kinds[index - 1]]


def _texts(body: bytes) -> str:
    return body.decode().replace('\\"', '"')
