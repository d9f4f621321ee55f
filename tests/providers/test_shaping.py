"""Requests for an answer that fits a schema, as they go over the wire to each provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from fairlead.call import Call, Candidate, Secret, Subset, Wanted
from fairlead.dialects import dialect
from fairlead.errors import InvalidRequest, UpstreamError
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.providers.shaping import shaped_request
from fairlead.testing import answers
from fairlead.testing.clock import VirtualClock
from fairlead.testing.transport import FakeTransport
from fairlead.types import DialectName
from fairlead.validation.shaping.modes import INSTRUCTION
from gemini_official import check_request

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 2}, "age": {"type": "integer"}},
    "required": ["name"],
}
NARROWED = {
    "openai_chat": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "at least 2 characters"},
            "age": {"type": ["integer", "null"]},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    "anthropic": {
        "type": "object",
        "properties": {"name": {"type": "string", "description": "at least 2 characters"}, "age": {"type": "integer"}},
        "required": ["name"],
        "additionalProperties": False,
    },
    "gemini": {
        "type": "object",
        "properties": {"name": {"type": "string", "description": "at least 2 characters"}, "age": {"type": "integer"}},
        "required": ["name"],
    },
}
NARROWED["openai_responses"] = NARROWED["openai_chat"]
SUBSETS: dict[str, Subset] = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
}
ASKED: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "model": "alias",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Who?"}],
        "temperature": 0.30,
        "metadata": {"kept": "1"},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "person", "description": "A person.", "schema": SCHEMA, "strict": True},
        },
    },
    "openai_responses": {
        "model": "alias",
        "instructions": "Be short.",
        "input": "Who?",
        "store": False,
        "text": {
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "person",
                "description": "A person.",
                "schema": SCHEMA,
                "strict": True,
            },
        },
    },
    "anthropic": {
        "model": "alias",
        "max_tokens": 64,
        "system": "Be short.",
        "messages": [{"role": "user", "content": "Who?"}],
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    },
    "gemini": {
        "system_instruction": {"parts": [{"text": "Be short."}]},
        "contents": [{"role": "user", "parts": [{"text": "Who?"}]}],
        "generation_config": {"response_mime_type": "application/json", "response_json_schema": SCHEMA, "topK": 3},
        "safetySettings": [],
    },
}
OFFICIAL: dict[str, Callable[[bytes], Any]] = {
    "openai_chat": TypeAdapter(CompletionCreateParamsNonStreaming).validate_json,
    "openai_responses": TypeAdapter(ResponseCreateParamsNonStreaming).validate_json,
    "anthropic": TypeAdapter(MessageCreateParamsNonStreaming).validate_json,
    "gemini": check_request,
}
NAMES = tuple(ASKED)
WANTED = Wanted(name="person", schema=json.dumps(SCHEMA).encode())


async def send(
    caller: str,
    provider: str,
    *,
    wanted: Wanted | None = WANTED,
    body: Any = None,
    vendor: str | None = None,
    **facts_of: Any,
) -> Any:
    """What went out, and the attempt."""
    raw = json.dumps(ASKED[caller] if body is None else body).encode()
    request = dialect(caller).request.read(raw, "/v1beta/models/alias:generateContent" if caller == "gemini" else "")
    request.wanted = wanted
    call = Call("id", request.dialect, request, started_ns=0, started_at_ns=0, body=raw)
    known = {"schema_subset": SUBSETS[provider], **facts_of}
    call.open_attempt(Candidate(provider="p", model="theirs", **known), 0)
    transport = FakeTransport(default=answers.json({}, 503), clock=VirtualClock())
    there = HttpProvider(
        name="p",
        speaks=(dialect(provider),),
        vendor=facts.load().stand_ins[provider] if vendor is None else facts.load().vendors[vendor],
        transport=transport,
        host="h",
        base_path="/v1",
        credentials={"default": Secret("sk-own")},
        clock=VirtualClock(),
    )
    with pytest.raises(UpstreamError):
        await there.send(call)
    return transport.requests[-1].body, call.attempt


def schema_in(provider: str, sent: Any) -> Any:
    return {
        "openai_chat": lambda: sent["response_format"]["json_schema"]["schema"],
        "openai_responses": lambda: sent["text"]["format"]["schema"],
        "anthropic": lambda: sent["output_config"]["format"]["schema"],
        "gemini": lambda: sent["generationConfig"]["responseJsonSchema"],
    }[provider]()


def tool_in(provider: str, sent: Any) -> tuple[str, Any, Any]:
    """Its name, its schema, and which one has to be called."""
    (tool,) = sent["tools"]
    if provider == "openai_chat":
        return tool["function"]["name"], tool["function"]["parameters"], sent["tool_choice"]["function"]["name"]
    if provider == "openai_responses":
        return tool["name"], tool["parameters"], sent["tool_choice"]["name"]
    if provider == "anthropic":
        return tool["name"], tool["input_schema"], sent["tool_choice"]["name"]
    (function,) = tool["functionDeclarations"]
    (forced,) = sent["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"]
    return function["name"], function["parametersJsonSchema"], forced


def words_in(sent: Any) -> str:
    """All strings of a body."""
    if isinstance(sent, str):
        return sent + "\n"
    each = sent.values() if isinstance(sent, dict) else sent if isinstance(sent, list) else ()
    return "".join(map(words_in, each))


@pytest.mark.parametrize("name", NAMES)
async def test_without_a_wanted_schema_a_relay_is_a_relay(name):
    """Whatever is known of the model."""
    body, attempt = await send(name, name, wanted=None, structured="tool")
    fields = ASKED[name] | ({} if name == "gemini" else {"model": "theirs"})
    assert json.loads(body) == fields
    assert (attempt.structured, attempt.lost) == (None, ())


@pytest.mark.parametrize("name", NAMES)
async def test_a_schema_that_is_taken_as_it_is_leaves_a_relay_a_relay(name):
    """Byte for byte, but for the model's name."""
    unshaped, _ = await send(name, name, wanted=None)
    body, attempt = await send(name, name, structured="native", schema_subset="full")
    assert body == unshaped
    assert (attempt.structured, attempt.lost) == ("native", ())


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("caller", NAMES)
async def test_natively_a_schema_is_narrowed_to_what_the_provider_takes(caller, provider):
    """In the caller's dialect and in any other; the attempt knows what was lost."""
    body, attempt = await send(caller, provider, structured="native")
    OFFICIAL[provider](body)
    assert schema_in(provider, json.loads(body)) == NARROWED[provider]
    assert (attempt.structured, attempt.lost) == ("native", ("/properties/name/minLength",))


CLOSED = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("caller", NAMES)
async def test_the_attempt_knows_that_its_provider_enforces_the_schema(caller, provider):
    """All of it, natively, and by a provider that does so."""
    plain = Wanted(name="person", schema=json.dumps(CLOSED).encode())
    body = json.loads(json.dumps(ASKED[caller]).replace(json.dumps(SCHEMA), json.dumps(CLOSED)))
    _, attempt = await send(caller, provider, body=body, wanted=plain, structured="native")
    assert attempt.enforced
    for other in ({"structured": "native", "enforces": False}, {"structured": "tool"}, {"structured": "prompted"}):
        _, attempt = await send(caller, provider, body=body, wanted=plain, **other)
        assert not attempt.enforced
    _, attempt = await send(caller, provider, structured="native")
    assert not attempt.enforced


@pytest.mark.parametrize(("strict", "enforced"), [(None, False), (False, False), (True, True)])
async def test_openai_enforces_what_it_is_told_to_enforce(strict, enforced):
    """A relay does not change the caller's mind."""
    form = {"name": "person", "schema": CLOSED} | ({} if strict is None else {"strict": strict})
    body = ASKED["openai_chat"] | {"response_format": {"type": "json_schema", "json_schema": form}}
    wanted = Wanted(name="person", schema=json.dumps(CLOSED).encode())
    sent, attempt = await send("openai_chat", "openai_chat", body=body, wanted=wanted, structured="native")
    assert json.loads(sent)["response_format"]["json_schema"] == form
    assert attempt.enforced is enforced


def test_another_gateway_enforces_what_it_is_configured_to():
    """Which nobody here knows."""
    vendors = facts.load().vendors
    assert [name for name, vendor in vendors.items() if not vendor.enforces] == ["fairlead"]


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("caller", NAMES)
async def test_by_a_tool_the_schema_is_that_of_its_arguments(caller, provider):
    """And nothing else asks for it."""
    body, attempt = await send(caller, provider, structured="tool")
    OFFICIAL[provider](body)
    assert tool_in(provider, json.loads(body)) == ("person", SCHEMA, "person")
    with pytest.raises(KeyError):
        schema_in(provider, json.loads(body))
    assert attempt.structured == "tool"


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("caller", NAMES)
async def test_in_words_the_schema_stands_behind_the_callers_system_prompt(caller, provider):
    """And nothing else asks for it."""
    body, attempt = await send(caller, provider, structured="prompted")
    OFFICIAL[provider](body)
    sent = json.loads(body)
    words = words_in(sent)
    assert words.index("Be short.") < words.index(INSTRUCTION + msgspec.json.encode(SCHEMA).decode())
    assert words.count("JSON Schema:") == 1
    with pytest.raises(KeyError):
        schema_in(provider, sent)
    assert attempt.structured == "prompted"


@pytest.mark.parametrize("provider", ["openai_chat", "openai_responses", "gemini"])
async def test_in_words_a_json_object_is_asked_for_where_the_model_takes_that(provider):
    """By the dialect's own word for it."""
    body, _ = await send("openai_chat", provider, structured="prompted", asks_json=True)
    sent = json.loads(body)
    found = {
        "openai_chat": lambda: sent["response_format"]["type"],
        "openai_responses": lambda: sent["text"]["format"]["type"],
        "gemini": lambda: sent["generationConfig"]["responseMimeType"],
    }[provider]()
    assert found in {"json_object", "application/json"}


ANY_OBJECT: dict[str, dict[str, Any]] = {
    "openai_chat": {"response_format": {"type": "json_object"}},
    "openai_responses": {"text": {"format": {"type": "json_object"}}},
    "gemini": {"generationConfig": {"responseMimeType": "application/json"}},
}
ANY = Wanted(name="answer", schema=b'{"type":"object"}')


def any_object(caller: str) -> dict[str, Any]:
    asked = {name: value for name, value in ASKED[caller].items() if name not in {"text", "generation_config"}}
    if "system_instruction" in asked:
        asked["systemInstruction"] = asked.pop("system_instruction")
    return asked | ANY_OBJECT[caller]


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
@pytest.mark.parametrize("caller", ANY_OBJECT)
async def test_a_relay_of_a_call_for_any_json_object_is_a_relay(caller, mode):
    """Byte for byte, however else the model is asked."""
    unshaped, _ = await send(caller, caller, wanted=None, body=any_object(caller))
    for asks_json in (True, None):
        body, attempt = await send(
            caller, caller, wanted=ANY, body=any_object(caller), structured=mode, asks_json=asks_json
        )
        assert body == unshaped
        assert (attempt.structured, attempt.enforced) == ("native", False)


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("caller", ANY_OBJECT)
async def test_a_call_for_any_json_object_is_one_wherever_there_is_a_word_for_that(caller, provider):
    """In no dialect but Anthropic's an instruction is added."""
    body, attempt = await send(caller, provider, wanted=ANY, body=any_object(caller), structured="native")
    OFFICIAL[provider](body)
    words = words_in(json.loads(body))
    if provider == "anthropic":
        assert INSTRUCTION in words
        assert attempt.structured == "prompted"
    else:
        assert INSTRUCTION not in words
        assert ANY_OBJECT[provider].items() <= json.loads(body).items() or provider == "gemini"
        assert "json_schema" not in words
        assert attempt.structured == "native"


async def test_a_schema_that_openai_cannot_enforce_is_sent_as_it_is():
    """So that its model is told of it by OpenAI's own means; elsewhere as a JSON object, in words."""
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    wanted = Wanted(name="person", schema=json.dumps(schema).encode())
    body = json.loads(json.dumps(ASKED["anthropic"]).replace(json.dumps(SCHEMA), json.dumps(schema)))
    facts_of = {"structured": "native", "asks_json": True}
    for provider in ("openai_chat", "openai_responses"):
        sent, attempt = await send("anthropic", provider, wanted=wanted, body=body, unenforced=True, **facts_of)
        OFFICIAL[provider](sent)
        assert schema_in(provider, json.loads(sent)) == schema
        assert b'"strict":false' in sent
        assert (attempt.structured, attempt.enforced) == ("native", False)
        sent, attempt = await send("anthropic", provider, wanted=wanted, body=body, **facts_of)
        assert ANY_OBJECT[provider].items() <= json.loads(sent).items()
        assert INSTRUCTION in words_in(json.loads(sent))
        assert attempt.structured == "prompted"


async def test_an_older_form_of_anthropics_is_left_alone():
    """`output_format` at the top level, as its beta had it: nothing is held to it, and nothing of it is changed."""
    older = {"output_format": {"type": "json_schema", "schema": SCHEMA}}
    body = {name: value for name, value in ASKED["anthropic"].items() if name != "output_config"} | older
    sent, attempt = await send("anthropic", "anthropic", wanted=None, body=body, structured="native")
    assert json.loads(sent) == body | {"model": "theirs"}
    assert attempt.structured is None


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
@pytest.mark.parametrize("name", NAMES)
async def test_the_rest_of_a_relayed_request_stays_as_it_was_sent(name, mode):
    """Each field that need not change, also those that only this dialect or nobody knows."""
    asked = ASKED[name] | ({} if name == "gemini" else {"future": {"x": [1.50]}, "seed_of_something": None})
    body, _ = await send(name, name, body=asked, structured=mode)
    sent = json.loads(body)
    changed = {"model", "response_format", "text", "output_config", "messages", "system", "input", "contents"}
    changed |= {"instructions", "generation_config", "system_instruction", "seed_of_something"}
    kept = {field: value for field, value in asked.items() if field not in changed}
    assert kept.items() <= sent.items()
    assert not {"generation_config", "system_instruction"} & sent.keys() or name != "gemini"
    if name == "openai_responses":
        assert sent["text"]["verbosity"] == "low"
    if name == "anthropic":
        assert sent["output_config"]["effort"] == "low"
    if name == "gemini":
        assert sent["generationConfig"]["topK"] == 3
    if (name, mode) == ("openai_chat", "native"):
        assert sent["response_format"]["json_schema"]["description"] == "A person."


@pytest.mark.parametrize(("vendor", "options"), [("openai", {"include_usage": True}), ("mistral", None)])
async def test_a_streamed_relay_still_asks_for_its_usage_as_its_vendor_wants_that(vendor, options):
    """Or not at all, where that is an error."""
    streamed = ASKED["openai_chat"] | {"stream": True, "stream_options": {"include_usage": True}}
    for body in (streamed, ASKED["openai_chat"] | {"stream": True}):
        sent, _ = await send("openai_chat", "openai_chat", body=body, vendor=vendor, structured="prompted")
        assert json.loads(sent).get("stream_options") == options


async def test_a_request_that_cannot_be_read_is_refused():
    """It cannot be shaped then; a relay without a schema passes it on."""
    broken = ASKED["openai_chat"] | {"temperature": "warm"}
    body, _ = await send("openai_chat", "openai_chat", body=broken, wanted=None)
    assert json.loads(body)["temperature"] == "warm"
    with pytest.raises(InvalidRequest, match="temperature"):
        await send("openai_chat", "openai_chat", body=broken, structured="prompted")


@pytest.mark.parametrize(
    ("vendor", "model", "mode"),
    [
        ("openai", "gpt-4o", "native"),
        ("openai", "gpt-4o-2024-05-13", "tool"),
        ("openai", "gpt-4-turbo", "tool"),
        ("openai", "o1-mini", "prompted"),
        ("azure", "gpt-5-mini", "native"),
        ("anthropic", "claude-sonnet-4-5-20250929", "native"),
        ("anthropic", "claude-opus-4-1-20250805", "tool"),
        ("anthropic", "claude-3-5-haiku-latest", "tool"),
        ("gemini", "gemini-2.5-pro", "native"),
        ("groq", "openai/gpt-oss-120b", "native"),
        ("groq", "llama-3.3-70b-versatile", "prompted"),
        ("deepseek", "deepseek-chat", "prompted"),
        ("openrouter", "openai/gpt-4o", "prompted"),
        ("together", "gpt-4o", "prompted"),
        ("vllm", "anything", "native"),
        ("ollama", "anything", "native"),
        ("llamacpp", "anything", "native"),
        ("sim", "sim-small", "native"),
    ],
)
def test_how_a_model_is_asked_is_a_fact_of_its_vendor_or_family(vendor, model, mode):
    """What nobody knows is asked for in words, which every model takes."""
    known = facts.load()
    assert known.mode(known.vendors[vendor], model) == mode


@pytest.mark.parametrize(
    ("vendor", "model", "asks_json"),
    [
        ("openai", "gpt-4o", True),
        ("openai", "gpt-4-turbo", None),
        ("openai", "o1-mini", None),
        ("azure", "gpt-5-mini", True),
        ("gemini", "gemini-2.5-pro", True),
        ("gemini", "gemma-3-27b-it", None),
        ("mistral", "anything", True),
        ("groq", "llama-3.3-70b-versatile", True),
        ("deepseek", "deepseek-chat", True),
        ("ollama", "anything", True),
        ("vllm", "anything", True),
        ("llamacpp", "anything", True),
        ("openrouter", "openai/gpt-4o", None),
        ("together", "anything", None),
        ("lmstudio", "anything", False),
        ("perplexity", "sonar", False),
    ],
)
def test_whether_a_model_can_be_asked_for_any_json_object_is_a_fact_too(vendor, model, asks_json):
    """Or one that nobody knows."""
    known = facts.load()
    assert known.asks_json(known.vendors[vendor], model) is asks_json


def test_only_openais_own_take_schemas_that_they_do_not_enforce():
    """Others refuse what they have no form for."""
    vendors = facts.load().vendors
    assert [name for name, vendor in vendors.items() if vendor.unenforced] == ["openai", "azure"]


@pytest.mark.parametrize("spoken", facts.load().stand_ins)
def test_a_server_of_which_only_the_dialect_is_known_is_asked_in_words(spoken: DialectName):
    """It may take nothing else."""
    known = facts.load()
    assert known.mode(known.stand_ins[spoken], "gpt-4o") == "prompted"


async def test_what_is_no_chat_is_sent_as_it_is():
    """A schema that is wanted of embeddings means nothing."""
    raw = json.dumps({"model": "m", "input": "x"}).encode()
    request = dialect("openai_embeddings").request.read(raw)
    request.wanted = WANTED
    call = Call("id", request.dialect, request, started_ns=0, started_at_ns=0, body=raw)
    attempt = call.open_attempt(Candidate(provider="p", model="m", structured="tool"), 0)
    assert shaped_request(request, attempt, dialect("openai_embeddings")) is request
