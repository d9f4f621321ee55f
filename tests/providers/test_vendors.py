"""Vendors as data: a table in a file is all that a call needs to find its way."""

from __future__ import annotations

from importlib.resources import files
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
import pytest

from fairlead.call import OK, Call, Candidate, Request, Secret
from fairlead.dialects import DIALECTS
from fairlead.dialects.codec import QUIRKS
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.testing import FakeTransport, LoopClock, openai_reply, openai_stream
from fairlead.testing.script import Received

FACTS = facts.load()
NEW = """
[acme]
base_url = "https://llm.acme.example/compat/v1"
env = "ACME_API_KEY"
auth_header = "x-acme-key"
auth_prefix = ""
"""
OPENAI = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ANTHROPIC = {**OPENAI, "max_tokens": 9}


def with_table(toml: str) -> facts.Facts:
    """The facts of the package with one more table among the vendors."""
    folder = files("fairlead.providers")
    return facts.parse((folder / "vendors.toml").read_text() + toml, (folder / "models.toml").read_text())


async def sent(
    vendor: facts.Vendor, base_url: str, body: dict[str, object], *, dialect: str = "openai_chat"
) -> tuple[Received, Call]:
    """What arrives at a vendor for a call in a dialect, and the call."""
    stream = bool(body.get("stream"))
    transport = FakeTransport(
        openai_stream(["a"], {"prompt_tokens": 3, "completion_tokens": 1}) if stream else openai_reply("a")
    )
    provider = HttpProvider(
        name="v",
        speaks=tuple(DIALECTS[name] for name in vendor.speaks if name in DIALECTS),
        vendor=vendor,
        transport=transport,
        host=urlsplit(base_url).netloc,
        base_path=urlsplit(base_url).path,
        credentials={"default": Secret("k-1")},
        clock=LoopClock(),
    )
    raw = msgspec.json.encode(body)
    request: Request = DIALECTS[dialect].request.read(raw)
    call = Call("id", request.dialect, request, started_ns=0, started_at_ns=0, body=raw)
    call.open_attempt(Candidate(provider="v", model="up"), 0)
    reply = await provider.send(call)
    if not isinstance(reply.source, bytes):
        async for _ in reply.source:
            pass
    reply.end(OK)
    (received,) = transport.requests
    return received, call


def test_a_new_compatible_vendor_is_five_lines():
    """Whatever they do not say is as with other servers of its dialect."""
    assert len(NEW.strip().splitlines()) == 5
    vendor = with_table(NEW).vendors["acme"]
    assert (vendor.speaks, vendor.quirks) == (
        ("openai_chat", "openai_embeddings"),
        FACTS.stand_ins["openai_chat"].quirks,
    )


async def test_its_calls_go_to_the_right_place_with_the_right_header():
    """Path below its base URL, key in its own header and nowhere else."""
    vendor = with_table(NEW).vendors["acme"]
    received, _ = await sent(vendor, vendor.base_url, OPENAI)
    assert (received.method, received.path) == ("POST", "/compat/v1/chat/completions")
    assert (received.headers["host"], received.headers["x-acme-key"]) == ("llm.acme.example", "k-1")
    assert "authorization" not in received.headers
    assert received.json["model"] == "up"


async def test_azure_takes_its_own_header_below_the_path_of_its_newer_api():
    """The resource is the user's, and no version is asked for."""
    received, _ = await sent(FACTS.vendors["azure"], "https://mine.openai.azure.com/openai/v1", OPENAI)
    assert received.path == "/openai/v1/chat/completions"
    assert received.headers["api-key"] == "k-1"
    assert "authorization" not in received.headers


@pytest.mark.parametrize(("body", "dialect"), [(OPENAI, "openai_chat"), (ANTHROPIC, "anthropic")])
async def test_mistral_is_not_asked_for_usage_which_it_sends_anyway(body, dialect):
    """Not by a caller's own options either, which it would refuse; the usage of the stream counts all the same."""
    asked = {**body, "stream": True} | ({"stream_options": {"include_usage": True}} if dialect == "openai_chat" else {})
    received, call = await sent(FACTS.vendors["mistral"], "https://api.mistral.ai/v1", asked, dialect=dialect)
    assert "stream_options" not in received.json
    assert (call.attempt.usage.input_tokens, call.attempt.usage_source) == (3, "final")


async def test_groq_takes_the_newer_name_of_the_limit_and_mistral_the_older():
    """Where a call is translated."""
    newer, _ = await sent(FACTS.vendors["groq"], "https://api.groq.com/openai/v1", ANTHROPIC, dialect="anthropic")
    older, _ = await sent(FACTS.vendors["mistral"], "https://api.mistral.ai/v1", ANTHROPIC, dialect="anthropic")
    assert (newer.json["max_completion_tokens"], older.json["max_tokens"]) == (9, 9)


@pytest.mark.parametrize("name", FACTS.vendors)
def test_quirks_are_known(name):
    """Others would do nothing."""
    assert FACTS.vendors[name].quirks <= QUIRKS


@pytest.mark.parametrize("name", FACTS.vendors)
def test_a_vendor_is_reached_safely(name):
    """HTTPS with a key from a variable, or a server on this machine."""
    vendor = FACTS.vendors[name]
    if vendor.base_url is None:
        return
    url = urlsplit(vendor.base_url)
    if vendor.local:
        assert ip_address(url.hostname).is_loopback
        assert url.port is not None
    else:
        assert url.scheme == "https"
        assert vendor.env is not None


def test_the_list_of_vendors():
    """What a user may expect to find."""
    assert {
        "openai", "azure", "anthropic", "mistral", "groq", "together", "fireworks", "deepseek", "xai", "perplexity",
        "openrouter", "cerebras", "ollama", "vllm", "llamacpp", "lmstudio", "sglang", "tgi", "sim", "fairlead",
    } <= FACTS.vendors.keys()  # fmt: skip


@pytest.mark.parametrize("vendor", ["openai", "azure"])
def test_limits_that_count_what_an_answer_may_become(vendor: str) -> None:
    """Both say so of their limits of tokens: a large `max_tokens` takes its share at once."""
    assert FACTS.vendors[vendor].counts_maximum


@pytest.mark.parametrize(("vendor", "keeps"), [("openai", True), ("anthropic", False), ("vllm", False), ("sim", False)])
def test_who_keeps_answers(vendor: str, keeps: bool) -> None:
    """Those whose dialect gives answers an id, but for the simulator, which forgets them."""
    assert FACTS.vendors[vendor].is_keeper is keeps
