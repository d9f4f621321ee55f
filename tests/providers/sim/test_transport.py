"""The simulator in process: answers, bill, faults and time."""

from __future__ import annotations

import asyncio
import json

import jsonschema_rs
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from fairlead.core.estimate import estimate_tokens
from fairlead.dialects.openai_chat import stream
from fairlead.errors import UpstreamProtocol, UpstreamUnreachable
from fairlead.providers.sim import Fault, Rates, SimSettings, SimTransport, Simulator
from fairlead.providers.sim.bill import cost
from fairlead.testing.clock import VirtualClock

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 5}},
            "required": ["city", "days"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}


class Sim:
    """A simulator, its transport and its clock."""

    def __init__(self, **settings):
        self.clock = VirtualClock()
        self.simulator = Simulator(SimSettings(**settings))
        self.transport = SimTransport(self.simulator, self.clock)

    async def send(self, method="POST", path="/v1/chat/completions", body=b"", **headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: sim", *(f"{name}: {value}" for name, value in headers.items())]
        return await self.transport.send("".join(f"{line}\r\n" for line in lines).encode(), body, 5.0)

    async def ask(self, content="Say hello.", **fields):
        body = {"model": "sim-small", "messages": [{"role": "user", "content": content}], **fields}
        return await self.send(body=json.dumps(body).encode())

    async def answer(self, content="Say hello.", **fields):
        incoming = await self.ask(content, **fields)
        assert incoming.status == 200
        return ChatCompletion.model_validate_json(await incoming.read(10_000_000))

    @property
    def bill(self):
        return self.simulator.bill


async def test_an_answer_says_that_it_is_simulated():
    """In its first sentence, its fingerprint and a header."""
    incoming = await Sim().ask()
    completion = ChatCompletion.model_validate_json(await incoming.read(100_000))
    assert incoming.headers["x-fairlead-simulated"] == "true"
    assert completion.system_fingerprint == "fp_fairlead_sim"
    assert completion.choices[0].message.content.startswith("This is a simulated answer")


async def test_the_same_seed_gives_the_same_answers():
    """And another seed gives others."""
    texts = [
        [(await sim.answer(f"Question {number}", n=2)).model_dump() for number in range(5)]
        for sim in (Sim(seed=1), Sim(seed=1), Sim(seed=2))
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n": 3},
        {"logprobs": True, "top_logprobs": 2},
        {"tools": [WEATHER, TIME]},
        {"tools": [WEATHER], "tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
        {"model": "sim-reasoner"},
        {"model": "sim-long", "max_tokens": 30},
    ],
)
async def test_whole_and_streamed_answers_agree_with_the_bill(fields):
    """The SDK knows every field; usage, bill and text are the same in both forms."""
    sim = Sim()
    content = "What do get_weather and get_time say?"
    completion = await sim.answer(content, **fields)
    assert completion.model_extra == {}
    incoming = await sim.ask(content, stream=True, stream_options={"include_usage": True}, **fields)
    raw = await incoming.read(10_000_000)
    frames = raw.removesuffix(b"data: [DONE]\n\n").strip().split(b"\n\n")
    chunks = [ChatCompletionChunk.model_validate_json(frame.removeprefix(b"data: ")) for frame in frames]
    assert all(chunk.model_extra == {} for chunk in chunks)
    assert chunks[-1].usage == completion.usage
    calls = [call.function.arguments for choice in completion.choices for call in choice.message.tool_calls or ()]
    texts = [choice.message.content or "" for choice in completion.choices]
    assert stream.text(raw) == "".join([*texts, *calls])
    first, second = sim.bill.calls
    assert (first.usage, first.cost_nanousd, first.outcome) == (second.usage, second.cost_nanousd, "ok")
    assert first.usage.all_output_tokens == completion.usage.completion_tokens
    assert first.cost_nanousd == cost(completion.model, first.usage)


async def test_max_tokens_cuts_an_answer():
    """The reason says so, and the usage keeps to it."""
    completion = await Sim().answer(max_tokens=3)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 3
    assert len(completion.choices[0].message.content) == 12


async def test_a_stop_sequence_ends_an_answer_before_it():
    """The sequence itself is left out."""
    completion = await Sim().answer(stop=["simulated", "zzz"])
    assert completion.choices[0].message.content == "This is a "
    assert completion.choices[0].finish_reason == "stop"


async def test_reasoning_is_counted_apart():
    """Inside the completion tokens, as OpenAI does it, and bounded by the limit."""
    for fields in ({}, {"max_completion_tokens": 10}):
        usage = (await Sim().answer(model="sim-reasoner", **fields)).usage
        assert 0 < usage.completion_tokens_details.reasoning_tokens <= usage.completion_tokens
    assert usage.completion_tokens == 10


@pytest.mark.parametrize(
    ("content", "fields", "names"),
    [
        ("use get_weather", {}, ["get_weather"]),
        ("use get_weather and get_time", {}, ["get_weather", "get_time"]),
        ("use get_weather and get_time", {"parallel_tool_calls": False}, ["get_weather"]),
        ("hello", {}, []),
        ("use get_weather", {"tool_choice": "none"}, []),
        ("hello", {"tool_choice": "required"}, ["get_weather"]),
        ("hello", {"tool_choice": {"type": "function", "function": {"name": "get_time"}}}, ["get_time"]),
    ],
)
async def test_tools_are_called_where_they_are_named_or_forced(content, fields, names):
    """With arguments that fit their schema."""
    choice = (await Sim().answer(content, tools=[WEATHER, TIME], **fields)).choices[0]
    calls = choice.message.tool_calls or []
    assert [call.function.name for call in calls] == names
    assert choice.finish_reason == ("tool_calls" if names else "stop")
    validator = jsonschema_rs.validator_for(WEATHER["function"]["parameters"])
    assert all(
        validator.is_valid(json.loads(call.function.arguments)) for call in calls if call.function.name == "get_weather"
    )


async def test_a_tools_answer_is_answered_with_text():
    """The last message decides, so that an agent's loop ends."""
    messages = [
        {"role": "user", "content": "use get_time"},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "get_time"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "get_time says noon"},
    ]
    choice = (await Sim().answer(messages=messages, tools=[TIME])).choices[0]
    assert (choice.message.tool_calls, choice.finish_reason) == (None, "stop")


async def test_a_schema_is_fitted():
    """Structured output is what the schema says."""
    schema = WEATHER["function"]["parameters"]
    form = {"type": "json_schema", "json_schema": {"name": "w", "schema": schema, "strict": True}}
    content = (await Sim().answer(response_format=form)).choices[0].message.content
    assert jsonschema_rs.validator_for(schema).is_valid(json.loads(content))


async def test_text_in_any_script_streams_whole():
    """Characters are never torn between chunks, and the count is by bytes."""
    sim = Sim()
    form = {"type": "json_schema", "json_schema": {"name": "w", "schema": {"const": "Grüße 🎈 中文字符"}}}
    raw = await (await sim.ask(response_format=form, stream=True)).read(100_000)
    assert json.loads(stream.text(raw)) == "Grüße 🎈 中文字符"
    assert sim.bill.calls[0].usage.output_tokens == estimate_tokens('"Grüße 🎈 中文字符"')


async def test_arguments_that_do_not_fit_are_cut():
    """As a model does that runs out of tokens in the middle of a call."""
    choice = (await Sim().answer("get_weather get_time", tools=[WEATHER, TIME], max_tokens=2)).choices[0]
    assert choice.finish_reason == "length"
    assert [len(call.function.arguments) for call in choice.message.tool_calls] == [8, 0]


async def test_images_count_by_rule():
    """Each costs 85 tokens, whatever its bytes."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    completion = await Sim().answer([{"type": "text", "text": "abcd"}, image, image])
    assert completion.usage.prompt_tokens == 171


async def test_a_long_prompt_is_cached_the_second_time():
    """Its first 1,024 tokens are."""
    sim = Sim()
    used = [(await sim.answer("x" * 5_000)).usage.prompt_tokens_details.cached_tokens for _ in range(2)]
    assert used == [0, 1_024]
    assert sim.bill.calls[0].cost_nanousd - sim.bill.calls[1].cost_nanousd == 1_024 * 75


async def test_a_batch_is_billed_by_half():
    """By its service tier."""
    sim = Sim()
    for tier in ("default", "flex"):
        await sim.answer(service_tier=tier)
    full, half = (call.cost_nanousd for call in sim.bill.calls)
    assert half == (full + 1) // 2


async def test_an_unknown_model_is_refused():
    """In OpenAI's form, at no cost."""
    sim = Sim()
    incoming = await sim.ask(model="gpt-4o")
    assert incoming.status == 404
    assert json.loads(await incoming.read(10_000))["error"]["code"] == "model_not_found"
    assert sim.bill.calls == ()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("sim-embed", "`sim-embed` answers no chats; `sim-small`, `sim-large`, `sim-reasoner`, `sim-long` do."),
        (
            "gpt-4o",
            (
                "The model `gpt-4o` does not exist; "
                "the simulator has `sim-small`, `sim-large`, `sim-reasoner`, `sim-long`."
            ),
        ),
    ],
)
async def test_a_refusal_names_the_models_that_answer_chats(model, message):
    """No other would do."""
    incoming = await Sim().ask(model=model)
    assert json.loads(await incoming.read(10_000))["error"]["message"] == message


async def test_any_model_answers_under_a_name_that_shows_it():
    """It never passes for the model asked for."""
    assert (await Sim(any_model=True).answer(model="gpt-4o")).model == "sim:gpt-4o"


async def test_only_the_right_key_is_let_in():
    """Where one is set."""
    sim = Sim(api_key="secret")
    statuses = [
        (await sim.send("GET", "/v1/models", **headers)).status
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer secret"})
    ]
    assert statuses == [401, 401, 200]
    assert (await sim.send("GET", "/health")).status == 200


async def test_models_bill_and_unknown_paths():
    """The list, the bill, its reset, and a 404."""
    sim = Sim()
    await sim.answer()
    models = json.loads(await (await sim.send("GET", "/v1/models")).read(10_000))
    assert [row["id"] for row in models["data"]] == ["sim-small", "sim-large", "sim-reasoner", "sim-long", "sim-embed"]
    bill = json.loads(await (await sim.send("GET", "/sim/bill")).read(10_000))
    assert bill["total_nanousd"] == bill["calls"][0]["cost_nanousd"] > 0
    assert (await sim.send("DELETE", "/sim/bill")).status == 200
    assert sim.bill.total_nanousd == 0
    assert (await sim.send("GET", "/v2/other")).status == 404


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model":"sim-small","messages":[]}', b'{"messages":[{}]}'])
async def test_a_bad_request_is_a_400(body):
    """As OpenAI answers it."""
    assert (await Sim().send(body=body)).status == 400


FAILURES = [
    ("status", 500, None),
    ("rate_limit", 429, "rate_limit_exceeded"),
    ("quota", 429, "insufficient_quota"),
]


@pytest.mark.parametrize(("kind", "status", "code"), FAILURES)
async def test_an_error_fault_answers_with_its_status(kind, status, code):
    """At no cost, with the header that it was given, and so often."""
    sim = Sim(faults=(Fault(kind=kind, times=1, retry_after="7"),))
    incoming = await sim.ask()
    error = json.loads(await incoming.read(10_000))["error"]
    assert (incoming.status, incoming.headers["retry-after"]) == (status, "7")
    assert code in {None, error["code"]}
    assert sim.bill.calls == ()
    assert (await sim.ask()).status == 200


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("kind", ["html", "empty", "truncated_json", "error_event"])
async def test_a_broken_200_costs_nothing(kind, is_stream):
    """Neither whole nor streamed is it an answer."""
    sim = Sim(faults=(Fault(kind=kind),))
    incoming = await sim.ask(stream=is_stream)
    body = await incoming.read(10_000)
    assert incoming.status == 200
    assert b"[DONE]" not in body
    assert b"simulated" not in body
    assert sim.bill.calls == ()


async def test_a_reset_breaks_the_connection_before_an_answer():
    """As a dying server does."""
    with pytest.raises(UpstreamUnreachable):
        await Sim(faults=(Fault(kind="reset"),)).ask()


@pytest.mark.parametrize("kind", ["cut", "late_error_event"])
async def test_a_stream_that_broke_off_is_billed_for_what_was_sent(kind):
    """Exactly what can be estimated from the bytes that arrived."""
    sim = Sim(faults=(Fault(kind=kind, after_chunks=5),))
    raw = b""
    try:
        async for part in await sim.ask(stream=True):
            raw += part
    except UpstreamUnreachable:
        assert kind == "cut"
    (line,) = sim.bill.calls
    text = stream.text(raw)
    assert (len(text), line.outcome) == (20, "cut")
    assert line.usage.output_tokens == estimate_tokens(text)
    assert line.usage.input_tokens == estimate_tokens("Say hello.")


async def test_a_whole_answer_that_is_cut_is_not_billed():
    """Half a body is no answer."""
    sim = Sim(faults=(Fault(kind="cut"),))
    with pytest.raises(UpstreamUnreachable):
        await (await sim.ask()).read(10_000)
    assert sim.bill.calls == ()


async def test_a_stalled_stream_waits_until_it_is_given_up():
    """A pending read ends with the error given, and what was sent is billed."""
    sim = Sim(faults=(Fault(kind="stall", after_chunks=2),))
    incoming = await sim.ask(stream=True)
    reading = asyncio.ensure_future(incoming.read(10_000))
    while not incoming._waiting:  # noqa: ASYNC110 - until the read is pending
        await asyncio.sleep(0)
    incoming.abort(TimeoutError("idle"))
    with pytest.raises(TimeoutError, match="idle"):
        await reading
    assert [(line.outcome, line.usage.output_tokens) for line in sim.bill.calls] == [("cut", 2)]


@pytest.mark.parametrize("bills_after_disconnect", [True, False])
async def test_a_caller_who_leaves_pays_by_the_rule(bills_after_disconnect):
    """The whole answer, or what had been sent; once."""
    sim = Sim(bills_after_disconnect=bills_after_disconnect)
    whole = (await sim.answer()).usage.completion_tokens
    incoming = await sim.ask(stream=True)
    for _ in range(4):
        await anext(incoming)
    incoming.abort()
    incoming.abort()
    with pytest.raises(UpstreamUnreachable):
        await anext(incoming)
    line = sim.bill.calls[-1]
    assert (line.outcome, line.usage.output_tokens) == ("disconnected", whole if bills_after_disconnect else 3)


async def test_an_answer_that_was_read_is_not_abandoned_afterwards():
    """An abort at the end does nothing."""
    sim = Sim()
    incoming = await sim.ask()
    await incoming.read(10_000)
    incoming.abort()
    assert [line.outcome for line in sim.bill.calls] == ["ok"]


async def test_a_cancelled_wait_for_the_head_counts_as_leaving():
    """The provider had begun by then."""
    sim = Sim(latency_s=5.0)
    task = asyncio.ensure_future(SimTransport(sim.simulator, _Frozen()).send(*_request(), 1.0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [line.outcome for line in sim.bill.calls] == ["disconnected"]


async def test_latency_and_pace_are_kept_on_the_clock():
    """Two seconds to the first byte, then ten tokens a second; `slow` adds its delay to each."""
    for settings, fields, expected_s in (
        ({}, {"stream": True, "max_tokens": 20}, 4.0),
        ({}, {"max_tokens": 20}, 4.0),
        ({"faults": (Fault(kind="slow", delay_s=1.0),)}, {"stream": True, "max_tokens": 20}, 24.0),
    ):
        sim = Sim(latency_s=2.0, tokens_per_s=10.0, **settings)
        began_ns = sim.clock.monotonic_ns()
        await (await sim.ask(**fields)).read(100_000)
        assert (sim.clock.monotonic_ns() - began_ns) / 1e9 == pytest.approx(expected_s)


async def test_an_error_rate_fails_its_share():
    """The same calls for the same seed."""
    sim = Sim(error_rate=0.3, seed=3)
    statuses = [(await sim.ask()).status for _ in range(200)]
    assert 35 < statuses.count(500) < 85


async def test_a_body_over_the_limit_is_refused():
    """As the wire does it."""
    with pytest.raises(UpstreamProtocol):
        await (await Sim().ask()).read(10)


def _request():
    body = json.dumps({"model": "sim-small", "messages": [{"role": "user", "content": "x"}]}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\n", body


class _Frozen:
    """A clock that never gets anywhere."""

    async def sleep(self, seconds):
        await asyncio.get_running_loop().create_future()


async def test_limits_are_kept_and_told():
    """One request a second: the second is refused, with the time after which it is not."""
    sim = Sim(limits=Rates(rpm=60, bucket_s=1))
    sim.simulator = Simulator(sim.simulator.settings, sim.clock)
    sim.transport = SimTransport(sim.simulator, sim.clock)
    first, second = await sim.ask(), await sim.ask()
    assert (first.status, first.headers["x-ratelimit-limit-requests"]) == (200, "60")
    assert (second.status, second.headers["retry-after-ms"]) == (429, "1000")
    assert json.loads(await second.read(10_000))["error"]["code"] == "rate_limit_exceeded"
    other = await sim.ask(model="sim-large")
    key = await sim.send(body=json.dumps(HELLO).encode(), authorization="Bearer another")
    assert (other.status, key.status) == (200, 200), "each key and model has limits of its own"
    await sim.clock.advance(1.0)
    assert (await sim.ask()).status == 200


async def test_faults_follow_the_clock():
    """An outage has its time."""
    clock = VirtualClock()
    outage = Fault(kind="status", status=503, from_s=10, until_s=20)
    transport = SimTransport(Simulator(SimSettings(faults=(outage,)), clock), clock)
    found = []
    for _ in range(3):
        found.append((await transport.send(HEAD, json.dumps(HELLO).encode(), 5.0)).status)
        await clock.advance(10.0)
    assert found == [200, 503, 200]


async def test_a_hanging_call_has_no_answer_until_its_caller_leaves():
    """Whatever time passes."""
    sim = Sim(faults=(Fault(kind="hang"),))
    asking = asyncio.create_task(sim.ask())
    await sim.clock.advance(10_000)
    assert not asking.done()
    asking.cancel()
    await asyncio.wait({asking})
    assert sim.bill.calls == ()


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_slow_start_is_waited_for(is_stream):
    """A brown-out: the answer is good, and late."""
    sim = Sim(faults=(Fault(kind="slow_start", delay_s=8),))
    began_ns = sim.clock.monotonic_ns()
    incoming = await sim.ask(stream=is_stream)
    assert (incoming.status, sim.clock.monotonic_ns() - began_ns) == (200, 8 * 10**9)


async def test_a_refused_key_is_a_401():
    """With OpenAI's code."""
    incoming = await Sim(faults=(Fault(kind="unauthorized"),)).ask()
    assert (incoming.status, json.loads(await incoming.read(10_000))["error"]["code"]) == (401, "invalid_api_key")


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\n"
HELLO = {"model": "sim-small", "messages": [{"role": "user", "content": "Say hello."}]}
