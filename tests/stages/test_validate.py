"""validate: an answer that fits, or an error that says what does not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fairlead.call import Held
from fairlead.errors import InvalidRequest, OutputInvalid, StreamTruncated, UpstreamUnavailable
from fairlead.testing import (
    FakeTransport,
    answers,
    assert_one_terminal_record,
    openai_reply,
    openai_stream,
    tokens,
)
from fairlead.testing.pipeline import candidate
from fairlead.validation.rules import Ladder
from fairlead.verdict import FieldError
from held import BAD, FENCED, FORM, GOOD, SCHEMA, TOOL, answered, bench, called, sent, streamed, text_of

# --- what passes ---


async def test_an_answer_that_fits_goes_out_byte_by_byte():
    """Nothing is decoded and written again that needs no change."""
    answer = openai_reply(GOOD)
    plain, held = bench(answer), bench(answer)

    assert await held.ask(response_format=FORM) == await plain.ask()
    assert held.sink.ended[0].validated is not None
    assert held.sink.ended[0].validated.rung == "parse"
    assert plain.sink.ended[0].validated is None


@pytest.mark.parametrize("fields", [{}, {"response_format": {"type": "text"}}, {"tools": []}])
async def test_a_call_that_names_no_schema_is_not_judged(fields: dict[str, Any]):
    """Prose stays prose."""
    found = bench(openai_reply("Hello!"))

    assert text_of(await found.ask(**fields)) == "Hello!"


async def test_a_model_without_validation_is_left_alone():
    """It is switched on for each model."""
    found = bench(openai_reply("no JSON"), aliases={"other": [candidate()]})

    assert text_of(await found.ask("other", response_format=FORM)) == "no JSON"


async def test_a_request_that_cannot_be_read_is_left_to_the_provider():
    """A field of a newer form than we know is no reason to refuse a call."""
    found = bench(answers.json({"error": {"message": "what is this"}}, code=400))

    with pytest.raises(Exception, match="what is this"):
        await found.ask(response_format=FORM, messages=[{"role": "new", "content": "x"}])


async def test_a_refusal_is_passed_on():
    """Clients know it by its own field."""
    body = json.loads(openai_reply("").body)
    body["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "No."}
    found = bench(answers.json(body))

    assert json.loads(await found.ask(response_format=FORM))["choices"][0]["message"]["refusal"] == "No."


async def test_a_schema_that_cannot_be_used_is_the_callers_mistake():
    """It is told before anything is spent."""
    found = bench(openai_reply(GOOD))
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 7}}}

    with pytest.raises(InvalidRequest, match="schema of the answer"):
        await found.ask(response_format=form)
    assert found.transports["fake"].requests == []


# --- what is changed ---


async def test_what_stands_around_the_json_is_taken_off():
    """The caller's parser gets JSON, and the record says what was done."""
    found = bench(openai_reply(FENCED))

    assert text_of(await found.ask(response_format=FORM)) == GOOD
    validated = found.sink.ended[0].validated
    assert validated is not None
    assert (validated.schema, validated.rung, validated.fits) == ("Booking", "extract", True)
    assert validated.edits


async def test_arguments_of_a_tool_are_held_to_its_schema():
    """In the place where the caller's loop reads them."""
    message = {"role": "assistant", "content": None, "tool_calls": [called(FENCED)]}
    found = bench(answered(message, "tool_calls"))

    body = json.loads(await found.ask(tools=[TOOL]))

    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == GOOD


async def test_a_bad_call_of_a_tool_is_asked_for_again():
    """The errors name the tool."""
    message = {"role": "assistant", "content": None, "tool_calls": [called(BAD)]}
    found = bench(answered(message, "tool_calls"), openai_reply("never mind"))

    assert text_of(await found.ask(tools=[TOOL])) == "never mind"
    assert "arguments of 'book'" in sent(found, 1)["messages"][-1]["content"]


# --- asking again ---


async def test_an_answer_that_does_not_fit_is_asked_for_again():
    """The caller sees the second one alone."""
    found = bench(openai_reply(BAD), openai_reply(GOOD))

    assert text_of(await found.ask(response_format=FORM)) == GOOD
    validated = found.sink.ended[0].validated
    assert validated is not None
    assert (validated.rung, validated.reasks, validated.fits) == ("reask", 1, True)
    assert validated.errors
    assert validated.output == BAD.encode()


async def test_every_attempt_is_in_usage_and_cost():
    """The bad one is billed like the good one."""
    found = bench(openai_reply(BAD, tokens(100, 10)), openai_reply(GOOD, tokens(150, 20)))

    await found.ask(response_format=FORM)

    ended = found.sink.ended[0]
    assert ended.usage is not None
    assert (ended.usage.all_input_tokens, ended.usage.all_output_tokens) == (250, 30)
    assert ended.cost_nanousd == 250 * 1_000 + 30 * 2_000
    assert [attempt.error_class for attempt in ended.attempts] == ["validation", None]
    assert ended.validated is not None
    assert ended.validated.reask_tokens == 170
    assert ended.validated.reask_nanousd == 150 * 1_000 + 20 * 2_000
    assert found.ledger.reserved_nanousd() == 0


async def test_a_re_ask_holds_the_last_output_and_its_errors_alone():
    """It is as long at the fifth attempt as at the first."""
    outputs = [f'{{"name":"{letter * 40}"}}' for letter in "abcde"]
    found = bench(*map(openai_reply, outputs), openai_reply(GOOD), ladder=Ladder(attempts=5))

    await found.ask(response_format=FORM)

    requests = found.transports["fake"].requests
    sizes = {len(request.body) for request in requests[1:]}
    assert len(requests) == 6
    assert len(sizes) == 1
    for number, letter in enumerate("abcde", start=1):
        last = sent(found, number)["messages"]
        assert len(last) == 2
        assert letter * 40 in last[-1]["content"]
        assert all(other * 40 not in last[-1]["content"] for other in "abcde" if other != letter)


async def test_fields_of_the_request_stay_as_they_were():
    """Also those that Fairlead does not know."""
    found = bench(openai_reply(BAD), openai_reply(GOOD))

    await found.ask(response_format=FORM, temperature=0.2, seed=7, brand_new={"a": [1, 2]})

    first, second = sent(found, 0), sent(found, 1)
    assert second.pop("messages")[:-1] == first.pop("messages")
    assert second == first


async def test_exhausted_is_an_error_that_names_the_fields():
    """422, not to be retried, with every attempt on the bill."""
    found = bench(*[openai_reply(BAD)] * 3)

    with pytest.raises(OutputInvalid, match=r"'Booking' after 2 more tries.*seats") as caught:
        await found.ask(response_format=FORM)

    assert caught.value.status == 422
    assert not caught.value.retryable
    assert caught.value.errors
    ended = found.sink.ended[0]
    assert (ended.outcome, ended.error_class, ended.error_code) == ("error", "validation", "output_invalid")
    assert ended.validated is not None
    assert (ended.validated.fits, ended.validated.reasks) == (False, 2)
    assert len(ended.attempts) == 3
    assert_one_terminal_record(found.sink.records)


@pytest.mark.parametrize("up_to", ["parse", "extract", "repair", "coerce"])
async def test_below_the_rung_of_re_asking_nobody_is_asked_again(up_to: Any):
    """`up_to` is the last rung."""
    found = bench(openai_reply(BAD), openai_reply(GOOD), ladder=Ladder(up_to=up_to))

    with pytest.raises(OutputInvalid):
        await found.ask(response_format=FORM)
    assert len(found.transports["fake"].requests) == 1


async def test_a_cut_output_is_never_repaired_silently():
    """The length ended it: what is missing is not known."""
    body = json.loads(openai_reply(GOOD).body)
    body["choices"][0]["finish_reason"] = "length"
    found = bench(answers.json(body), ladder=Ladder(up_to="coerce"))
    closing = bench(answers.json(body), ladder=Ladder(up_to="coerce", is_cut_repaired=True))

    with pytest.raises(OutputInvalid, match="ends before"):
        await found.ask(response_format=FORM)
    assert text_of(await closing.ask(response_format=FORM)) == GOOD


async def test_a_cut_output_is_closed_for_who_asks_for_that():
    """As far as it goes: what was being written is left out."""
    body = json.loads(openai_reply(GOOD[:-1] + ', "note": "as f').body)
    body["choices"][0]["finish_reason"] = "length"
    closing = bench(answers.json(body), ladder=Ladder(up_to="coerce", is_cut_repaired=True))

    assert text_of(await closing.ask(response_format=FORM)) == GOOD
    ended = closing.sink.ended[0].validated
    assert ended is not None
    assert [edit.confidence for edit in ended.edits if edit.kind == "closed_cut"] == [0.5]


async def test_tokens_of_all_re_asks_are_bounded():
    """One more of the size of the last would be too many."""
    script = [openai_reply(BAD, tokens(100, 10))] * 4
    found = bench(*script, ladder=Ladder(attempts=3, max_tokens=700))

    with pytest.raises(OutputInvalid):
        await found.ask(response_format=FORM)
    ended = found.sink.ended[0].validated
    assert ended is not None
    assert ended.reasks == 1
    assert ended.reask_tokens <= 700


async def test_money_of_all_re_asks_is_bounded():
    """One more of the price of the last would be too much."""
    script = [openai_reply(BAD, tokens(100, 10))] * 4
    found = bench(*script, ladder=Ladder(attempts=3, max_nanousd=850_000))

    with pytest.raises(OutputInvalid):
        await found.ask(response_format=FORM)
    ended = found.sink.ended[0].validated
    assert ended is not None
    assert (ended.reasks, ended.reask_nanousd) == (2, 240_000)


async def test_a_re_ask_shows_less_where_the_window_is_short():
    """And none is sent that would not fit."""
    long = json.dumps({"name": "x" * 3_000})
    usage = tokens(1_000, 700)
    wide = bench(openai_reply(long, usage), openai_reply(GOOD), window=100_000)
    short = bench(openai_reply(long, usage), openai_reply(GOOD), window=4_000)
    none = bench(openai_reply(long, usage), openai_reply(GOOD), window=2_000)

    await wide.ask(response_format=FORM)
    await short.ask(response_format=FORM)
    with pytest.raises(OutputInvalid):
        await none.ask(response_format=FORM)

    assert "x" * 2_500 in sent(wide, 1)["messages"][-1]["content"]
    assert "x" * 2_500 not in sent(short, 1)["messages"][-1]["content"]
    assert len(none.transports["fake"].requests) == 1


async def test_a_re_ask_that_fails_does_not_hide_what_was_wrong():
    """The first answer's fields stand beside the reason."""
    found = bench(openai_reply(BAD), answers.status(500))

    with pytest.raises(OutputInvalid, match="seats") as caught:
        await found.ask(response_format=FORM)
    assert any(error.kind == UpstreamUnavailable.code for error in caught.value.errors)


async def test_the_first_answers_error_stays_what_it_is():
    """Nobody answered: that is no fault of an output."""
    found = bench(answers.status(500))

    with pytest.raises(UpstreamUnavailable):
        await found.ask(response_format=FORM)


# --- beyond ---


async def test_a_stronger_model_is_asked_at_last():
    """With the request as it was."""
    strong = FakeTransport([openai_reply(GOOD)])
    found = bench(
        aliases={"gpt-4o-mini": [candidate()], "strong": [candidate("gpt-4o", provider="strong")]},
        transports={"fake": FakeTransport([openai_reply(BAD)] * 2), "strong": strong},
        ladder=Ladder(up_to="escalate", attempts=1, escalate="strong"),
    )

    assert text_of(await found.ask(response_format=FORM)) == GOOD
    assert len(sent(found, 0, "strong")["messages"]) == len(sent(found, 0)["messages"])
    validated = found.sink.ended[0].validated
    assert validated is not None
    assert (validated.rung, validated.reasks) == ("escalate", 2)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fixed_value_answers_at_the_very_end(*, stream: bool):
    """Marked as such."""
    say = openai_stream([BAD]) if stream else openai_reply(BAD)
    value = b'{"name":"nobody","seats":0}'
    found = bench(say, say, ladder=Ladder(up_to="fallback", attempts=1, fallback=value, stream="buffer"))

    call = found.call(response_format=FORM, stream=stream, stream_options={"include_usage": True} if stream else None)
    body = await found.see_through(await found.run(call))

    assert (streamed(body) if stream else text_of(body)) == value.decode()
    assert found.sink.ended[0].degraded == ("fallback-value",)
    assert call.answered_by == "fallback-value"
    assert b'"total_tokens":0' in body


async def test_a_fixed_value_that_does_not_fit_is_not_given():
    """It was meant for another schema."""
    found = bench(*[openai_reply(BAD)] * 3, ladder=Ladder(up_to="fallback", fallback=b'{"other":1}'))

    with pytest.raises(OutputInvalid):
        await found.ask(response_format=FORM)


# --- streams ---


async def test_a_stream_that_fits_goes_out_as_it_came():
    """Every byte of it, its end last."""
    answer = openai_stream([GOOD[:8], GOOD[8:]])
    plain, held = bench(answer), bench(answer)

    assert await held.ask(stream=True, response_format=FORM) == await plain.ask(stream=True)


async def test_a_stream_that_does_not_fit_ends_with_an_error():
    """In place of its terminator: what has gone out cannot be taken back."""
    found = bench(openai_stream([BAD]), ladder=Ladder(stream="final"))
    reply = await found.run(found.call(stream=True, response_format=FORM))
    chunks: list[bytes] = []

    with pytest.raises(OutputInvalid, match="seats"):  # noqa: PT012 - what came before the error counts
        async for chunk in reply.source:  # type: ignore[union-attr]
            chunks.append(chunk)  # noqa: PERF401

    assert streamed(b"".join(chunks)) == BAD
    assert b"[DONE]" not in b"".join(chunks)
    assert b'"finish_reason":"stop"' not in b"".join(chunks)
    reply.source.close()  # type: ignore[union-attr]


async def test_a_passing_stream_is_not_edited():
    """What would fit after an edit does not fit any more: the text has gone out."""
    found = bench(openai_stream([FENCED]), ladder=Ladder(stream="final"))

    with pytest.raises(OutputInvalid, match="edit"):
        await found.ask(stream=True, response_format=FORM)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_schema_whose_name_no_tool_may_have_is_found_by_the_tools_own(stream: bool):
    """The answer is the arguments of the tool that was asked for."""
    form = {"type": "json_schema", "json_schema": {"name": "2nd booking", "schema": SCHEMA}}
    message = {"role": "assistant", "content": None, "tool_calls": [called(GOOD, "answer")]}
    chunk = {"index": 0, "delta": {"tool_calls": [{"index": 0, **called(GOOD, "answer")}]}, "finish_reason": None}
    ended = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    events = [
        {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": [choice]}
        for choice in (chunk, ended)
    ]
    found = bench(answers.sse(events) if stream else answered(message, "tool_calls"), structured="tool")

    body = await found.ask(response_format=form, **({"stream": True} if stream else {}))

    assert (streamed(body) if stream else text_of(body)) == GOOD


@pytest.mark.parametrize("facts", [{"structured": "prompted"}, {"structured": "tool"}])
async def test_a_stream_is_held_back_where_the_model_is_not_held_to_its_schema(facts: dict[str, Any]):
    """It is edited, and asked for again, before anything goes out."""
    found = bench(openai_stream(["Sure! ", BAD]), openai_stream([FENCED[:9], FENCED[9:]]), **facts)

    body = await found.ask(stream=True, response_format=FORM, stream_options={"include_usage": True})

    assert streamed(body) == GOOD
    assert body.rstrip().endswith(b"data: [DONE]")
    assert b'"usage":{' in body
    validated = found.sink.ended[0].validated
    assert validated is not None
    assert (validated.rung, validated.reasks) == ("reask", 1)


async def test_a_called_answer_is_given_as_text():
    """The tool was ours; the caller has never heard of it."""
    message = {"role": "assistant", "content": None, "tool_calls": [called(GOOD, "Booking")]}
    found = bench(answered(message, "tool_calls"), structured="tool")

    choice = json.loads(await found.ask(response_format=FORM))["choices"][0]

    assert choice["message"]["content"] == GOOD
    assert not choice["message"].get("tool_calls")
    assert choice["finish_reason"] == "stop"


async def test_a_broken_stream_that_was_held_back_is_an_error():
    """Half an answer is none, and nothing of it has gone out: it is asked for again."""
    answer = openai_stream([GOOD], cut_at=openai_stream([GOOD]).offset(2))
    found = bench(*[answer] * 2, structured="prompted")

    with pytest.raises(StreamTruncated):
        await found.ask(stream=True, response_format=FORM)
    assert len(found.transports["fake"].requests) == 2
    assert_one_terminal_record(found.sink.records)
    assert found.ledger.reserved_nanousd() == 0


async def test_a_caller_who_leaves_while_a_stream_is_held_back_ends_it():
    """The provider is left, and the reservation given back."""
    answer = openai_stream([GOOD], stall_at=openai_stream([GOOD]).offset(2))
    found = bench(answer, structured="prompted")
    call = found.call(stream=True, response_format=FORM)
    task = asyncio.ensure_future(found.run(call))
    while call.attempt is None or call.attempt.first_token_ns is None:  # noqa: ASYNC110 - the stream has no event for it
        await asyncio.sleep(0)

    call.fate.abandoned = True
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert found.sink.ended[0].outcome == "cancelled"
    assert found.ledger.reserved_nanousd() == 0


# --- what a caller says ---


async def test_a_caller_may_turn_it_off_or_down():
    """For one call."""
    off, down = bench(openai_reply(BAD)), bench(openai_reply(BAD), openai_reply(GOOD))
    call = off.call(response_format=FORM)
    call.held = Held(up_to="off")
    lower = down.call(response_format=FORM)
    lower.held = Held(up_to="coerce")

    assert text_of(await off.see_through(await off.run(call))) == BAD
    with pytest.raises(OutputInvalid):
        await down.run(lower)


async def test_a_judge_has_the_last_word():
    """What it refuses is asked for again; what it makes of the value is the call's."""

    def judge(value: Any) -> tuple[Any, tuple[FieldError, ...]]:
        if value["seats"] > 8:
            return None, (FieldError(path="/seats", message="we have eight"),)
        return (value["name"], value["seats"]), ()

    found = bench(openai_reply('{"name":"Ada","seats":9}'), openai_reply(GOOD))
    call = found.call(response_format=FORM)
    call.held = Held(judge=judge)

    await found.see_through(await found.run(call))

    assert call.value == ("Ada", 2)
    assert "we have eight" in sent(found, 1)["messages"][-1]["content"]


async def test_a_refusal_is_no_value():
    """Whoever wants a value is never told that there is one; another try may have it."""
    refusal = answered({"role": "assistant", "content": None, "refusal": "No."}, "stop")
    found, again = bench(refusal, refusal, ladder=Ladder(attempts=1)), bench(refusal, openai_reply(GOOD))

    def judge(value: Any) -> tuple[Any, tuple[FieldError, ...]]:
        return value, ()

    calls = [each.call(response_format=FORM) for each in (found, again)]
    for call in calls:
        call.held = Held(judge=judge)
    with pytest.raises(OutputInvalid, match="refused") as refused:
        await found.run(calls[0])
    await again.see_through(await again.run(calls[1]))

    assert [error.kind for error in refused.value.errors] == ["refusal"]
    assert calls[1].value == json.loads(GOOD)
