"""The official clients against the simulator, by base URL and transport alone."""

from __future__ import annotations

import anthropic
import httpx
import httpx2
import openai
import pytest

from fairlead.providers.sim import Fault, Rates, SimSettings, Simulator
from fairlead.testing.clock import VirtualClock

HELLO = {"model": "sim-small", "messages": [{"role": "user", "content": "Say hello."}]}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def wired(kind, **settings):
    """An HTTP client, of the package that an SDK stands on, whose other end is a simulator."""
    simulator = Simulator(SimSettings(**settings), VirtualClock())

    def answer(request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        script = simulator.respond(request.method, request.url.path, headers, request.content)
        return kind.Response(script.status, headers=script.headers, content=script.body)

    return kind.Client(transport=kind.MockTransport(answer))


def of_openai(**settings):
    client = wired(httpx, **settings)
    return openai.OpenAI(api_key="k", base_url="http://sim/v1", max_retries=0, http_client=client)


def of_anthropic(**settings):
    client = wired(httpx2, **settings)
    return anthropic.Anthropic(api_key="k", base_url="http://sim", max_retries=0, http_client=client)


def test_anthropics_client_streams_thoughts_and_calls():
    """What it puts together is the whole answer."""
    tools = [{"name": "get_weather", "input_schema": SCHEMA}, {"name": "get_time", "input_schema": SCHEMA}]
    messages = [{"role": "user", "content": "sim:call=2"}]
    thinking = {"type": "enabled", "budget_tokens": 1_024}
    asked = {"model": "sim-small", "max_tokens": 2_000, "messages": messages, "tools": tools, "thinking": thinking}
    client = of_anthropic()
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    whole = client.messages.create(**asked)
    assert [block.type for block in whole.content] == ["thinking", "tool_use", "tool_use"]
    assert [block.model_dump(exclude={"parsed_output"}) for block in streamed.content] == [
        block.model_dump() for block in whole.content
    ]
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert (whole.stop_reason, streamed.stop_reason) == ("tool_use", "tool_use")


def test_anthropics_client_counts_and_lists():
    """And knows the id of each request."""
    client = of_anthropic()
    assert client.messages.count_tokens(**HELLO).input_tokens == 3
    assert [model.id for model in client.models.list()][:2] == ["sim-small", "sim-large"]
    assert client.models.retrieve("sim-long").lifecycle == "active"
    assert client.messages.create(**HELLO, max_tokens=10)._request_id == "req_sim0-2"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(kind="unauthorized"), anthropic.AuthenticationError),
        (Fault(kind="rate_limit"), anthropic.RateLimitError),
        (Fault(kind="quota"), anthropic.BadRequestError),
        (Fault(kind="status"), anthropic.InternalServerError),
        (Fault(kind="status", status=529), anthropic.InternalServerError),
    ],
)
def test_anthropics_client_raises_what_it_raises_for_its_own(fault, kind):
    """With the type of the error in its body, and the id of the request."""
    with pytest.raises(kind) as caught:
        of_anthropic(faults=(fault,)).messages.create(**HELLO, max_tokens=10)
    assert caught.value.body["error"]["type"].endswith("_error")
    assert caught.value.request_id == caught.value.body["request_id"]


def test_openais_client_reads_a_refusal_and_its_own_errors():
    """By field, by class and by code."""
    refusal = of_openai().chat.completions.create(
        model="sim-small", messages=[{"role": "user", "content": "sim:refuse"}]
    )
    assert (refusal.choices[0].message.content, refusal.choices[0].finish_reason) == (None, "stop")
    assert refusal.choices[0].message.refusal.startswith("This is a simulated refusal")
    for fault, kind, code in (
        (Fault(kind="unauthorized"), openai.AuthenticationError, "invalid_api_key"),
        (Fault(kind="rate_limit"), openai.RateLimitError, "rate_limit_exceeded"),
        (Fault(kind="quota"), openai.RateLimitError, "insufficient_quota"),
        (Fault(kind="status", status=503), openai.InternalServerError, None),
    ):
        with pytest.raises(kind) as caught:
            of_openai(faults=(fault,)).chat.completions.create(**HELLO)
        assert caught.value.code == code


def test_the_clients_are_told_to_wait():
    """In the headers that each of them reads."""
    limits = Rates(rpm=60, tpm=60_000, bucket_s=1)
    for client in (of_openai(limits=limits).chat.completions, of_anthropic(limits=limits).messages):
        client.create(**HELLO, max_tokens=10)
        with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as caught:
            client.create(**HELLO, max_tokens=10)
        assert caught.value.response.headers["retry-after"] == "1"
