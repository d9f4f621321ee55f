"""A dialect of which the simulator knows nothing but its codec."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import unquote

import msgspec
import pytest

from fairlead.call import Request
from fairlead.core.estimate import estimate_tokens
from fairlead.dialects.openai_chat import OPENAI_CHAT, errors, request, stream
from fairlead.providers.sim import Fault, SimSettings, Simulator
from fairlead.testing.clock import VirtualClock
from fairlead.types import Embed

QUESTION = json.dumps({"messages": [{"role": "user", "content": "sim:call=2 sim:think"}]}).encode()


def read(body, path=""):
    """Model and operation stand in the path."""
    assert path.startswith("/v9beta/models/")
    model, _, verb = path.removeprefix("/v9beta/models/").partition(":")
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    fields["model"] = msgspec.Raw(msgspec.json.encode(unquote(model)))
    operation = "count" if verb == "count" else "answer"
    return Request(dialect="elsewhere", fields=fields, model=unquote(model), stream=verb == "flow", operation=operation)


ELSEWHERE = replace(
    OPENAI_CHAT,
    name="elsewhere",
    paths=("/v9beta/models/",),
    upstream_path="/models/{model}:answer",
    stream_path="/models/{model}:flow?alt=sse",
    count_path="/models/{model}:count",
    count=lambda tokens: {"counted": tokens},
    models=lambda names: {"names": list(names)},
    model=lambda name: {"name": name},
    request=SimpleNamespace(read=read, decode=request.decode),
)
VECTORS = replace(
    ELSEWHERE,
    name="vectors",
    kind="embeddings",
    paths=("/v1/vectors",),
    upstream_path="/vectors",
    stream_path=None,
    count_path=None,
    stream=None,
    request=SimpleNamespace(
        read=lambda body, path: Request(dialect="vectors", fields={"all": msgspec.Raw(body)}, model="sim-small"),
        decode=lambda fields: msgspec.convert(json.loads(bytes(fields["all"])), Embed),
    ),
    reply=SimpleNamespace(encode=msgspec.json.encode),
)


def sim(**settings):
    return Simulator(SimSettings(**settings), VirtualClock(), dialects=(OPENAI_CHAT, ELSEWHERE, VECTORS))


@pytest.mark.parametrize("base", ["/v9beta", "/v1", "", "/v1/projects/p/locations/l"])
def test_its_paths_are_found_below_any_base(base):
    """Its reader is given the path that it knows."""
    script = sim(any_model=True).respond("POST", f"{base}/models/a%2Fb:answer", {}, QUESTION)
    assert (script.status, json.loads(script.body)["model"]) == (200, "sim:a/b")


def test_it_streams_where_its_path_says_so():
    """Reasoning is shown where nothing says that it is not."""
    raw = sim().respond("POST", "/v9beta/models/sim-small:flow", {}, QUESTION).body
    assert raw.endswith(b"data: [DONE]\n\n")
    assert b"reasoning_content" in raw


def test_it_counts_and_lists():
    """In its own form, by its path alone."""
    counted = sim().respond("POST", "/v9beta/models/sim-small:count", {}, QUESTION)
    listed = sim().respond("GET", "/v9beta/models", {}, b"")
    one = sim().respond("GET", "/v9beta/models/sim-long", {}, b"")
    assert json.loads(counted.body) == {"counted": estimate_tokens("sim:call=2 sim:think")}
    assert "sim-small" in json.loads(listed.body)["names"]
    assert json.loads(one.body) == {"name": "sim-long"}


@pytest.mark.parametrize(
    ("kind", "status"), [("rate_limit", 429), ("quota", 429), ("unauthorized", 401), ("status", 500)]
)
def test_it_refuses_as_its_codec_does(kind, status):
    """With that codec's own names."""
    script = sim(faults=(Fault(kind=kind),)).respond("POST", "/v9beta/models/sim-small:answer", {}, QUESTION)
    assert script.status == status
    assert json.loads(script.body)["error"]["code"] not in {None, "server_error"}


def test_its_errors_in_a_stream_are_its_codecs():
    """As the event that the codec writes."""
    script = sim(faults=(Fault(kind="error_event"),)).respond("POST", "/models/sim-small:flow", {}, QUESTION)
    scanner = stream.scanner(forward_usage=True)
    scanner.feed(script.body)
    assert type(scanner.error) is type(errors.decode(500, {}, b""))


def test_embeddings_are_answered():
    """The same text has the same vector, of length 1 and of the dimensions asked for."""
    asked = Embed(model="sim-embed", inputs=("one", "two", "one"), dimensions=8)
    simulator = sim()
    script = simulator.respond("POST", "/v1/vectors", {}, msgspec.json.encode(asked))
    script.sent(script.steps[0])
    script.ended()
    one, two, again = json.loads(script.body)["vectors"]
    assert one == again != two
    assert (len(one), sum(value * value for value in one)) == (8, pytest.approx(1.0))
    assert [(line.usage.input_tokens, line.outcome) for line in simulator.bill.calls] == [(3, "ok")]
