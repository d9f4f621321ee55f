"""What the simulator sends in each dialect: official, the same whole and streamed, and billed alike."""

from __future__ import annotations

import json

import jsonschema_rs
import msgspec
import pytest

from fairlead.core.estimate import estimate_tokens, prompt_tokens
from fairlead.dialects import DIALECTS
from fairlead.errors import (
    FairleadError,
    QuotaExhausted,
    UpstreamAuth,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from fairlead.providers.sim import Fault, Rates, Simulator
from fairlead.types import (
    CachePoint,
    ChatReply,
    Finished,
    ReasoningPart,
    RefusalPart,
    Started,
    TextDelta,
    TextPart,
    UsageReport,
)
from official import OFFICIAL
from sim_asking import CASES, CHATS, EMBED, EXPRESSIBLE, PIXEL, SCHEMA, Sim, chat, collected, path_of

each_dialect = pytest.mark.parametrize("name", DIALECTS)
each_chat = pytest.mark.parametrize("name", CHATS)
each_case = pytest.mark.parametrize(("name", "case"), EXPRESSIBLE)


def test_every_dialect_has_official_models():
    """One that registers without them is caught here."""
    assert set(DIALECTS) <= set(OFFICIAL)


def test_every_case_is_tried_in_some_dialect():
    """And all but the odd ones in each."""
    assert {case for _, case in EXPRESSIBLE} == set(CASES)
    for name in CHATS:
        missing = set(CASES) - {case for known, case in EXPRESSIBLE if known == name}
        assert missing <= {"choices", "logprobs", "json", "stop"}


@each_case
def test_a_whole_answer_is_official(name, case):
    """Every field of it is one that the SDK's models know, with a value that they allow."""
    OFFICIAL[name].reply(Sim().ask(name, CASES[case]).body)


@each_case
def test_a_stream_is_official(name, case):
    """Every event of it is, and the decoder sees its terminator."""
    raw = Sim().ask(name, CASES[case], is_stream=True).body
    OFFICIAL[name].events(raw)
    decoder = DIALECTS[name].streams.decoder()
    decoder.feed(raw)
    assert decoder.complete


@each_case
def test_an_answer_is_the_same_whole_and_streamed(name, case):
    """Its words, its calls, its reasons and its usage; and it costs the same."""
    sim = Sim()
    sim.ask(name, CASES[case])  # what is cached is cached by now
    reply = DIALECTS[name].reply.decode(sim.played(sim.ask(name, CASES[case])))
    events, said, calls = collected(name, sim.played(sim.ask(name, CASES[case], is_stream=True)))
    texts, called = {}, {}
    for choice in reply.choices:
        for part in choice.message.parts:
            kind = {TextPart: "TextDelta", ReasoningPart: "ReasoningDelta", RefusalPart: "RefusalDelta"}[type(part)]
            texts[kind, choice.index] = texts.get((kind, choice.index), "") + part.text
        for index, call in enumerate(choice.message.tool_calls):
            called[choice.index, index] = (call.name, call.arguments)
    assert said == {kind: text for kind, text in texts.items() if text}
    assert list(calls.values()) == list(called.values())
    reasons = {event.choice: event.reason for event in events if isinstance(event, Finished)}
    assert reasons == {choice.index: choice.finish_reason for choice in reply.choices}
    assert [event.usage for event in events if isinstance(event, UsageReport)][-1] == reply.usage
    whole, streamed = sim.bill.calls
    assert (whole.usage, whole.cost_nanousd, whole.outcome) == (streamed.usage, streamed.cost_nanousd, "ok")


@each_case
def test_the_bill_is_what_the_answer_counts(name, case):
    """To the token, in all buckets."""
    sim = Sim()
    reply = DIALECTS[name].reply.decode(sim.played(sim.ask(name, CASES[case])))
    (line,) = sim.bill.calls
    for total in ("all_input_tokens", "cache_read_tokens", "reasoning_tokens", "all_output_tokens"):
        assert getattr(line.usage, total) == getattr(reply.usage, total)
    assert line.id == reply.id


def answered(name, asked, sim=None, **fields) -> ChatReply:
    return DIALECTS[name].reply.decode((sim or Sim(**fields)).ask(name, asked).body)


@each_chat
@pytest.mark.parametrize(
    ("case", "calls"),
    [
        ("tool", ["get_weather"]),
        ("tool forced", ["get_time"]),
        ("two tools", ["get_weather", "get_time"]),
        ("one tool twice", ["get_weather", "get_weather"]),
        ("reasoning and a tool", ["get_weather"]),
        ("plain", []),
    ],
)
def test_tools_are_called_as_asked(name, case, calls):
    """With arguments that fit their schema, and an id for each call."""
    (choice,) = answered(name, CASES[case]).choices
    found = choice.message.tool_calls
    assert [call.name for call in found] == calls
    assert len({call.id for call in found}) == len(calls)
    assert (choice.finish_reason == "tool_calls") is bool(calls)
    validator = jsonschema_rs.validator_for(msgspec.json.decode(SCHEMA))
    assert all(validator.is_valid(json.loads(call.arguments)) for call in found if call.name == "get_weather")


@each_chat
def test_a_schema_is_fitted_in_every_dialect(name):
    """The text is JSON that it accepts."""
    text = answered(name, CASES["structured"]).choices[0].message.text
    assert jsonschema_rs.validator_for(msgspec.json.decode(SCHEMA)).is_valid(json.loads(text))


@each_chat
def test_a_limit_cuts_in_every_dialect(name):
    """The reason says so, and the count keeps to it; a call that does not fit is cut or left out."""
    reply = answered(name, CASES["length"])
    assert (reply.choices[0].finish_reason, reply.usage.all_output_tokens) == ("length", 3)
    assert answered(name, CASES["tool cut"]).choices[0].finish_reason == "length"


@each_chat
def test_a_refusal_says_that_it_is_one(name):
    """In words, and by its part or its reason."""
    (choice,) = answered(name, CASES["refusal"]).choices
    assert "simulated refusal" in "".join(part.text for part in choice.message.parts)
    refusals = [part for part in choice.message.parts if isinstance(part, RefusalPart)]
    assert refusals or choice.finish_reason == "content_filter"


@each_chat
@pytest.mark.parametrize("case", ["reasoning", "effort", "reasoner"])
def test_reasoning_is_counted_in_every_dialect(name, case):
    """Apart from what was said."""
    usage = answered(name, CASES[case]).usage
    assert 32 <= usage.reasoning_tokens < 128
    assert usage.output_tokens > 0


@each_chat
def test_reasoning_keeps_to_its_budget_and_is_shown_where_it_can_be(name):
    """Exactly as many tokens as are counted."""
    reply = answered(name, CASES["thinking shown"])
    shown = "".join(part.text for part in reply.choices[0].message.parts if isinstance(part, ReasoningPart))
    assert estimate_tokens(shown) in {0, reply.usage.reasoning_tokens}


@each_chat
def test_images_count_in_every_dialect(name):
    """By a rule, whatever their bytes."""
    one, three = (answered(name, chat(parts=(PIXEL,) * number)).usage.all_input_tokens for number in (1, 3))
    assert three - one == 2 * 85


@each_chat
def test_a_long_prompt_is_read_from_the_cache_the_second_time(name):
    """Where it was marked, too; the first time a dialect that has a word for it counts it as written."""
    sim = Sim()
    first, second = (answered(name, CASES["cached"], sim).usage for _ in range(2))
    written = first.cache_write_5m_tokens
    assert (first.cache_read_tokens, second.cache_read_tokens) == (0, 1_024)
    assert written in {0, 1_024}
    assert first.all_input_tokens == second.all_input_tokens


@each_dialect
@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
def test_a_key_counts_in_any_header(name, header):
    """Each vendor's SDK sends it in its own."""
    sim = Sim(api_key="secret", only=name)  # two of embeddings have the same path
    path = path_of(DIALECTS[name], "sim-small")
    wrong, right = (
        sim.simulator.respond("POST", path, {header: f"{'Bearer ' if header == 'authorization' else ''}{key}"}, b"{}")
        for key in ("other", "secret")
    )
    assert isinstance(DIALECTS[name].errors.decode(wrong.status, wrong.headers, wrong.body), UpstreamAuth)
    OFFICIAL[name].error(wrong.body)
    assert isinstance(DIALECTS[name].errors.decode(right.status, right.headers, right.body), UpstreamRejected)
    OFFICIAL[name].error(right.body)


FAILURES = [
    (Fault(kind="status"), UpstreamUnavailable, 500),
    (Fault(kind="status", status=503), UpstreamUnavailable, 503),
    (Fault(kind="status", status=529), UpstreamUnavailable, 529),
    (Fault(kind="rate_limit", retry_after="7"), UpstreamRateLimited, 429),
    (Fault(kind="quota"), QuotaExhausted, None),
    (Fault(kind="unauthorized"), UpstreamAuth, None),
]


@each_chat
@pytest.mark.parametrize(("fault", "kind", "status"), FAILURES, ids=lambda value: str(getattr(value, "kind", value)))
def test_a_failure_has_the_form_of_its_dialect(name, fault, kind, status):
    """Body and status are read as what they mean, and nothing is billed."""
    sim = Sim(faults=(fault,))
    script = sim.ask(name)
    error = DIALECTS[name].errors.decode(script.status, script.headers, sim.played(script))
    OFFICIAL[name].error(script.body)
    assert type(error) is kind
    assert script.status == (status or script.status)
    assert error.retry_after_s == (7.0 if fault.retry_after else None)
    assert sim.bill.calls == ()


@each_chat
def test_an_unknown_model_is_refused_in_every_dialect(name):
    """As a request that cannot succeed."""
    script = Sim().ask(name, chat(model="gpt-4o"))
    OFFICIAL[name].error(script.body)
    assert script.status == 404
    assert type(DIALECTS[name].errors.decode(404, script.headers, script.body)) is UpstreamRejected


@each_chat
def test_limits_are_told_as_each_provider_tells_them(name):
    """Whoever waits as long as the refusal says is let in."""
    sim = Sim(limits=Rates(rpm=60, tpm=60_000, bucket_s=1))
    first, second = sim.ask(name), sim.ask(name)
    assert (first.status, second.status) == (200, 429)
    error = DIALECTS[name].errors.decode(429, second.headers, second.body)
    OFFICIAL[name].error(second.body)
    assert (type(error), error.retry_after_s) == (UpstreamRateLimited, 1.0)


@each_chat
@pytest.mark.parametrize("is_stream", [True, False])
def test_an_error_inside_a_200_is_read_as_one(name, is_stream):
    """At no cost."""
    sim = Sim(faults=(Fault(kind="error_event", status=503),))
    script = sim.ask(name, is_stream=is_stream)
    body = sim.played(script)
    with pytest.raises(UpstreamUnavailable):
        DIALECTS[name].streams.decoder().feed(body) if is_stream else DIALECTS[name].reply.usage(body)
    assert (script.status, sim.bill.calls) == (200, ())


@each_chat
def test_an_error_after_content_ends_a_stream(name):
    """What came before it is billed."""
    sim = Sim(faults=(Fault(kind="late_error_event", after_chunks=5, status=503),))
    raw = sim.played(sim.ask(name, is_stream=True))
    scanner = DIALECTS[name].streams.scanner(forward_usage=True)
    scanner.feed(raw)
    assert (scanner.content, scanner.complete, type(scanner.error)) == (True, False, UpstreamUnavailable)
    (line,) = sim.bill.calls
    assert (line.outcome, line.usage.output_tokens) == ("cut", estimate_tokens(DIALECTS[name].streams.text(raw)))


@each_chat
@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("kind", ["html", "empty", "truncated_json"])
def test_a_broken_200_is_no_answer(name, kind, is_stream):
    """In no dialect, and at no cost."""
    sim = Sim(faults=(Fault(kind=kind),))
    body = sim.played(sim.ask(name, is_stream=is_stream))
    streams, failed = DIALECTS[name].streams, None
    try:
        events = streams.decoder().feed(body) if is_stream else [DIALECTS[name].reply.decode(body)]
    except FairleadError as error:
        events, failed = [], error
    assert failed is not None or not any(isinstance(event, TextDelta | Finished) for event in events)
    assert sim.bill.calls == ()


@each_chat
@pytest.mark.parametrize("case", ["plain", "thinking shown", "cached"])
def test_a_stream_that_is_cut_is_billed_for_what_arrived(name, case):
    """Its input as its beginning told it, where the dialect does; its output as can be estimated from its bytes."""
    sim = Sim(faults=(Fault(kind="cut", after_chunks=5),))
    script = sim.ask(name, CASES[case], is_stream=True)
    raw = sim.played(script)
    scanner = DIALECTS[name].streams.scanner(forward_usage=True)
    scanner.feed(raw)
    (line,) = sim.bill.calls
    told = scanner.prompt
    expected = prompt_tokens(CASES[case]) if told is None else told.all_input_tokens
    assert (script.end, line.outcome) == ("broken", "cut")
    assert line.usage.all_input_tokens == expected
    assert line.usage.output_tokens == estimate_tokens(DIALECTS[name].streams.text(raw))
    if told is not None:
        assert line.usage.cache_write_5m_tokens == told.cache_write_5m_tokens


@pytest.mark.parametrize("name", ["openai_chat", "anthropic"])
def test_arguments_that_are_cut_are_billed_for_what_arrived(name):
    """Where they come in pieces."""
    sim = Sim(faults=(Fault(kind="cut", after_chunks=3),))
    raw = sim.played(sim.ask(name, CASES["two tools"], is_stream=True))
    assert (sim.bill.calls[0].usage.output_tokens, len(DIALECTS[name].streams.text(raw))) == (3, 12)


@each_dialect
def test_models_are_listed_in_the_form_of_the_caller(name):
    """By its path, or by the header that only its SDKs send."""
    dialect = DIALECTS[name]
    base = next((path for path in dialect.paths if path.endswith("/models/")), "/v1/models/").removesuffix("/")
    headers = {} if dialect.sign is None else {dialect.sign: "1"}
    only = None if dialect.paths else name  # callers of the others cannot be told by what they send
    script = Sim(only=only).simulator.respond("GET", base, headers, b"")
    assert [row.removeprefix("models/") for row in OFFICIAL[name].models(script.body)][:2] == ["sim-small", "sim-large"]
    one = Sim(only=only).simulator.respond("GET", f"{base}/sim-small", headers, b"")
    assert json.loads(one.body) == json.loads(msgspec.json.encode(dialect.model("sim-small")))
    assert Sim(only=only).simulator.respond("GET", f"{base}/other", headers, b"").status == 404


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.count_path is not None])
def test_tokens_are_counted_where_the_dialect_counts_them(name):
    """At no cost."""
    sim, dialect = Sim(), DIALECTS[name]
    path = path_of(dialect, "sim-small", is_count=True)
    script = sim.simulator.respond("POST", path, {}, dialect.request.encode(chat("x" * 400)))
    assert (script.status, json.loads(script.body)) == (200, dialect.count(100))
    assert sim.bill.calls == ()


@each_chat
def test_a_stream_begins_with_who_answers(name):
    """The id is the whole answer's, and an answer never passes for a model's."""
    events, said, _ = collected(name, Sim().ask(name, is_stream=True).body)
    (start,) = [event for event in events if isinstance(event, Started)]
    assert start.model == "sim-small"
    assert said["TextDelta", 0].startswith("This is a simulated answer")


@each_dialect
def test_an_answer_of_any_kind_is_official_and_billed(name):
    """Of a chat and of embeddings alike."""
    sim = Sim()
    asked = chat() if name in CHATS else EMBED
    body = sim.played(sim.ask(name, asked))
    OFFICIAL[name].reply(body)
    assert sim.bill.calls[0].usage.all_input_tokens == prompt_tokens(asked)
    assert DIALECTS[name].reply.usage(body).all_input_tokens == prompt_tokens(asked)


def test_anthropic_caches_only_what_is_marked():
    """A long prompt without a point is read anew each time."""
    sim, unmarked = Sim(), chat("x" * 5_000)
    used = [answered("anthropic", unmarked, sim).usage for _ in range(2)]
    assert [(each.cache_read_tokens, each.cache_write_5m_tokens) for each in used] == [(0, 0), (0, 0)]
    marked = answered("anthropic", msgspec.structs.replace(unmarked, cache=CachePoint()), sim).usage
    assert marked.cache_write_5m_tokens == 1_024


def test_anthropic_says_which_stop_sequence_it_was():
    """Whole and at the end of a stream."""
    whole = json.loads(Sim().ask("anthropic", CASES["stop"]).body)
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("stop_sequence", "simulated")
    *_, delta, _ = OFFICIAL["anthropic"].events(Sim().ask("anthropic", CASES["stop"], is_stream=True).body)
    assert (delta.delta.stop_reason, delta.delta.stop_sequence) == ("stop_sequence", "simulated")


def test_anthropic_demands_max_tokens():
    """As the field without which it answers nothing; a count needs none."""
    body = b'{"model":"sim-small","messages":[{"role":"user","content":"hi"}]}'
    script = Sim().simulator.respond("POST", "/v1/messages", {}, body)
    assert (script.status, "max_tokens" in OFFICIAL["anthropic"].error(script.body).error.message) == (400, True)


def test_anthropic_thinks_in_secret_where_nothing_is_to_be_shown():
    """The block is there with its signature and without its text."""
    message = OFFICIAL["anthropic"].reply(Sim().ask("anthropic", CASES["thinking hidden"]).body)
    assert (message.content[0].thinking, bool(message.content[0].signature)) == ("", True)
    assert message.usage.output_tokens_details.thinking_tokens == 16


@pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
def test_nothing_is_gone_on_from(field):
    """No answer is kept, and to forget what was said before would be another answer."""
    body = {"model": "sim-small", "input": "and?", field: "resp_1"}
    script = Simulator().respond("POST", "/v1/responses", {}, json.dumps(body).encode())
    assert script.status == 400
    assert json.loads(script.body)["error"]["param"] == field


@pytest.mark.parametrize(
    ("name", "field", "nothing"),
    [
        ("openai_chat", "messages", {"model": "sim-small", "messages": []}),
        ("openai_responses", "input", {"model": "sim-small"}),
        ("anthropic", "messages", {"model": "sim-small", "max_tokens": 9, "messages": []}),
        ("gemini", "contents", {"contents": []}),
    ],
)
def test_a_request_that_says_nothing_is_refused_by_the_name_of_its_field(name, field, nothing):
    """In the words of its dialect."""
    path = path_of(DIALECTS[name], "sim-small")
    script = Simulator().respond("POST", path, {}, msgspec.json.encode(nothing))
    assert script.status == 400
    assert json.loads(script.body)["error"]["message"] == f"`{field}` must not be empty."
