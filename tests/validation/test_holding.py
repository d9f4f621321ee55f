"""One call on its way up: what counts as an answer, what asking again may take, and where it may go."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import msgspec
import pytest

from fairlead.call import Held
from fairlead.errors import Forbidden, InvalidRequest, OutputInvalid
from fairlead.testing import FakeTransport, answers, openai_reply, openai_stream, tokens
from fairlead.testing.pipeline import DOLLAR_A_MILLION, candidate
from fairlead.types import Principal
from fairlead.validation.rules import Ladder
from held import BAD, FENCED, FORM, GOOD, TOOL, answered, bench, called, sent, streamed, text_of

FORCED = {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "book"}}}
OTHER = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}


def call_of(body: bytes) -> tuple[str, Any, str]:
    """The tool that an answer calls, its arguments, and how the answer ended."""
    choice = json.loads(body)["choices"][0]
    (made,) = choice["message"]["tool_calls"]
    return made["function"]["name"], json.loads(made["function"]["arguments"]), choice["finish_reason"]


# --- tools that have to be called ---


@pytest.mark.parametrize(
    "written", [FENCED, GOOD, f'<tool_call>{{"name": "book", "arguments": {GOOD}}}</tool_call>'], ids=str
)
@pytest.mark.parametrize("choice", ["required", FORCED["tool_choice"]], ids=["required", "named"])
async def test_a_call_that_is_written_out_becomes_one(written: str, choice: Any):
    """As small models do it where a tool has to be called."""
    found = bench(openai_reply(written))

    body = await found.ask(tools=[TOOL], tool_choice=choice)

    assert call_of(body) == ("book", json.loads(GOOD), "tool_calls")
    assert json.loads(body)["choices"][0]["message"]["content"] is None
    record = found.sink.ended[0].validated
    assert record is not None
    assert "called_in_text" in {edit.kind for edit in record.edits}


async def test_a_streamed_call_that_is_written_out_becomes_one():
    """With an id, and the end that a call has."""
    found = bench(openai_stream([FENCED[:9], FENCED[9:]]))

    body = await found.ask(stream=True, **FORCED)

    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    (made,) = [each for delta in deltas for each in delta.get("tool_calls", ())]
    assert (made["function"]["name"], made["function"]["arguments"]) == ("book", GOOD)
    assert made["id"]
    assert streamed(body) == ""
    assert [choice["finish_reason"] for event in events for choice in event["choices"]][-1] == "tool_calls"


async def test_where_any_of_several_tools_has_to_be_called_text_is_asked_for_again():
    """Nobody knows which one was meant."""
    message = {"role": "assistant", "content": None, "tool_calls": [called(GOOD)]}
    found = bench(openai_reply(GOOD), answered(message, "tool_calls"))

    body = await found.ask(tools=[TOOL, OTHER], tool_choice="required")

    assert call_of(body)[0] == "book"
    assert "no tool is called" in sent(found, 1)["messages"][-1]["content"]


async def test_a_free_choice_of_tools_leaves_text_as_it_is():
    """An agent may just talk."""
    found = bench(openai_reply("Hello!"))

    assert text_of(await found.ask(tools=[TOOL])) == "Hello!"


async def test_a_bad_call_is_asked_for_as_a_call():
    """And text in place of it is read as one."""
    message = {"role": "assistant", "content": None, "tool_calls": [called(BAD)]}
    found = bench(answered(message, "tool_calls"), openai_reply(GOOD))

    body = await found.ask(**FORCED)

    assert call_of(body)[1] == json.loads(GOOD)
    assert "Call `book` again" in sent(found, 1)["messages"][-1]["content"]


async def test_a_tool_that_nobody_offered_excuses_no_text():
    """The schema is still what was asked for."""
    message = {"role": "assistant", "content": None, "tool_calls": [called("{}", "made_up")]}
    found = bench(answered(message, "tool_calls"), openai_reply(GOOD))

    assert text_of(await found.ask(response_format=FORM)) == GOOD


async def test_an_answer_without_choices_is_none():
    """It is asked for again."""
    empty = json.loads(openai_reply("").body) | {"choices": []}
    found = bench(answers.json(empty), openai_reply(GOOD))

    assert text_of(await found.ask(response_format=FORM)) == GOOD


# --- refusals ---


def refusal() -> Any:
    body = json.loads(openai_reply("").body)
    body["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "No."}
    return answers.json(body)


async def test_a_refusal_is_passed_on_and_counts_as_failed():
    """A client knows it by its own field; an alert on failures must see it."""
    found = bench(refusal())

    assert json.loads(await found.ask(response_format=FORM))["choices"][0]["message"]["refusal"] == "No."
    record = found.sink.ended[0].validated
    assert record is not None
    assert (record.fits, [error.kind for error in record.errors]) == (False, ["refusal"])


async def test_whoever_has_a_value_for_it_gets_that_for_a_refusal():
    """After the model was asked again."""
    found = bench(refusal(), refusal(), ladder=Ladder(up_to="fallback", attempts=1, fallback=GOOD.encode()))

    assert text_of(await found.ask(response_format=FORM)) == GOOD


# --- what asking again may take ---


async def test_a_re_ask_has_no_more_room_than_is_left():
    """The limit of its output is what remains of all that re-asks may use."""
    found = bench(openai_reply(BAD, tokens(100, 10)), openai_reply(GOOD), ladder=Ladder(max_tokens=900))

    await found.ask(response_format=FORM)

    assert "max_tokens" not in sent(found, 0)
    limit = sent(found, 1)["max_completion_tokens"]
    assert 10 <= limit <= 900 - 100 - len(sent(found, 1)["messages"][-1]["content"])


async def test_the_callers_own_limit_stays_where_it_is_less():
    """Nobody gets more than was asked for."""
    found = bench(openai_reply(BAD, tokens(100, 10)), openai_reply(GOOD), ladder=Ladder(max_tokens=5_000))

    await found.ask(response_format=FORM, max_tokens=50)

    assert sent(found, 1)["max_tokens"] == 50


async def test_a_dearer_model_is_counted_at_its_own_price():
    """Not at that of the one that has failed."""
    dear = msgspec.structs.replace(
        DOLLAR_A_MILLION,
        tiers=tuple(
            msgspec.structs.replace(tier, rates=msgspec.structs.replace(tier.rates, input=10**9))
            for tier in DOLLAR_A_MILLION.tiers
        ),
    )
    strong = FakeTransport([openai_reply(GOOD)])
    found = bench(
        aliases={"gpt-4o-mini": [candidate()], "strong": [candidate("gpt-4o", provider="strong", price=dear)]},
        transports={"fake": FakeTransport([openai_reply(BAD)]), "strong": strong},
        ladder=Ladder(up_to="escalate", attempts=0, escalate="strong", max_nanousd=1_000_000),
    )

    with pytest.raises(OutputInvalid, match="more than is allowed"):
        await found.ask(response_format=FORM)
    assert strong.requests == []


async def test_where_costs_are_limited_nothing_is_asked_at_an_unknown_price():
    """The error names the remedy."""
    found = bench(openai_reply(BAD), openai_reply(GOOD), ladder=Ladder(max_nanousd=10**12), price=None)

    with pytest.raises(OutputInvalid, match="give it a `price`"):
        await found.ask(response_format=FORM)
    assert len(found.transports["fake"].requests) == 1


# --- where it may go ---


@pytest.mark.parametrize("bound", ["an answer before it", "the caller's own key"])
async def test_a_call_that_is_bound_to_a_provider_does_not_leave_it(bound: str):
    """What a provider keeps lies with it, and a caller's key is for it alone."""
    strong = FakeTransport([openai_reply(GOOD)])
    found = bench(
        aliases={"gpt-4o-mini": [candidate()], "strong": [candidate("gpt-4o", provider="strong")]},
        transports={"fake": FakeTransport([openai_reply(BAD)]), "strong": strong},
        ladder=Ladder(up_to="escalate", attempts=0, escalate="strong"),
    )
    call = found.call(response_format=FORM)
    if bound == "an answer before it":
        call.request.goes_on_from = ("previous_response_id", "resp_1")
    else:
        from fairlead.call import Secret

        call.request.credential = Secret("sk-own")

    with pytest.raises(OutputInvalid):
        await found.run(call)
    assert strong.requests == []
    assert call.candidates[0].provider == "fake"


async def test_a_key_reaches_no_model_that_it_may_not_call():
    """By the name of one to escalate to either."""
    found = bench(openai_reply(BAD))
    call = found.call(response_format=FORM)
    call.principal = Principal(models=frozenset({"gpt-4o-mini"}))
    call.held = Held(up_to="escalate", escalate="strong")

    with pytest.raises(Forbidden, match="'strong'"):
        await found.run(call)
    assert found.transports["fake"].requests == []


# --- what a caller may say through the gateway ---


async def test_a_bounded_wish_raises_nothing():
    """The operator's line is the most."""
    found = bench(openai_reply(BAD), openai_reply(GOOD), ladder=Ladder(up_to="coerce"))
    call = found.call(response_format=FORM)
    call.held = Held(up_to="reask", is_bounded=True)

    with pytest.raises(OutputInvalid):
        await found.run(call)
    assert len(found.transports["fake"].requests) == 1


async def test_a_bounded_wish_needs_a_model_with_validation():
    """It would come to nothing."""
    found = bench(openai_reply(BAD), aliases={"other": [candidate()]})
    call = found.call("other", response_format=FORM)
    call.held = Held(up_to="coerce", is_bounded=True)

    with pytest.raises(InvalidRequest, match="no `validation`"):
        await found.run(call)


# --- ends ---


async def test_who_leaves_during_a_re_ask_leaves_the_verdict_on_the_first_answer():
    """With the output that was refused."""
    slow = openai_reply(GOOD).latency(60)
    found = bench(openai_reply(BAD), slow)
    call = found.call(response_format=FORM)
    task = asyncio.ensure_future(found.run(call))
    while len(found.transports["fake"].requests) < 2:  # noqa: ASYNC110 - the transport has no event for it
        await asyncio.sleep(0)

    call.fate.abandoned = True
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    record = found.sink.ended[0]
    assert record.outcome == "cancelled"
    assert record.validated is not None
    assert (record.validated.fits, record.validated.output, record.validated.reasks) == (False, BAD.encode(), 1)


async def test_a_terminator_without_an_end_waits_for_the_verdict_too():
    """Some servers send the one without the other."""
    whole = openai_stream([BAD])
    kept = [piece for piece in whole.pieces if b'"finish_reason":"stop"' not in piece]
    found = bench(dataclasses.replace(whole, pieces=tuple(kept)), ladder=Ladder(stream="final"))
    reply = await found.run(found.call(stream=True, response_format=FORM))
    chunks: list[bytes] = []

    with pytest.raises(OutputInvalid):  # noqa: PT012 - what came before the error counts
        async for chunk in reply.source:  # type: ignore[union-attr]
            chunks.append(chunk)  # noqa: PERF401
    assert b"[DONE]" not in b"".join(chunks)
    reply.source.close()  # type: ignore[union-attr]


async def test_a_passing_stream_may_write_a_value_in_a_form_of_its_own():
    """What fits as it is written is right, although the ladder would write it otherwise."""
    schema = {
        "type": "object",
        "properties": {"email": {"type": "string", "format": "email"}},
        "required": ["email"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "Contact", "schema": schema, "strict": True}}
    found = bench(openai_stream(['{"email": "Ada@Example.com"}']), ladder=Ladder(stream="final"))

    assert streamed(await found.ask(stream=True, response_format=form)) == '{"email": "Ada@Example.com"}'
