"""Bodies that mean two things, and numbers that mean nothing (FAULTS C3, L15)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.testing import FakeUpstream
from faults.front import BODY, CHAT, ENVIRON, UPSTREAM, Begin, ask, chat

TWICE = (
    b'{"model":"m","model":"m","messages":[]}',
    b'{"model":"cheap","messages":[],"model":"dear"}',
    b'{"model":"m","mod\\u0065l":"dear","messages":[]}',
    b'{"messages":[],"model":"m", "messages" : [] }',
    b'{"model":"m","messages":[],"max_tokens":1,"max_tokens":1000}',
)


async def test_c3_a_key_that_stands_twice_is_refused(begin: Begin) -> None:
    """Whichever of two values a parser believes, nobody gets to choose: the body is a 400 and goes nowhere."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        for body in TWICE:
            answer = await ask(gateway, "POST", CHAT, body)

            assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error"), body

    assert upstream.requests == []


async def test_c3_what_is_relayed_keeps_every_byte_that_may_matter(begin: Begin) -> None:
    """Order of keys, `1` and `1.0`, composed and decomposed letters and unknown fields reach the provider as sent."""
    values = b'"n":1,"temperature":1.0,"x":{"b":1e2,"a":100},"user":"e\xcc\x81 \xc3\xa9","messages":[ {"content":"\\u00e9","role":"user"} ]'
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        answer = await ask(gateway, "POST", CHAT, b'{"model":"m",' + values + b"}")

    assert answer.status == 200
    assert upstream.requests[0].body == b'{"model":"gpt-4o-mini",' + values + b"}"


async def test_c3_the_order_of_keys_changes_nothing_that_is_counted(begin: Begin) -> None:
    """Two spellings of one body get one answer and cost the same."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        fields = {**BODY, "max_tokens": 5, "temperature": 0.5}
        for names in (list(fields), list(reversed(fields))):
            body = json.dumps({name: fields[name] for name in names}).encode()
            assert (await ask(gateway, "POST", CHAT, body)).status == 200

    first, second = await gateway.records()
    assert first["cost_usd"] == second["cost_usd"] is not None
    assert first["attempts"][0]["reserved_nanousd"] == second["attempts"][0]["reserved_nanousd"]


NUMBERS = ["-1", "0", "NaN", "Infinity", "1e309", "-1e309", '"10"', "1.5", "true", "[]", "{}", "10000001", "9" * 400]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "n"])
async def test_l15_a_number_that_means_nothing_is_refused_before_anything_is_reserved(begin: Begin, field: str) -> None:
    """A 400 that names the field; no reservation, no attempt, no request upstream."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="keys", base_url=upstream.base_url), ENVIRON)
        key = await gateway.key("k1", budget_nanousd=1, budget_window="day", tpm=10)
        for number in NUMBERS:
            body = f'{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"{field}":{number}}}'.encode()

            answer = await ask(gateway, "POST", CHAT, body, {"authorization": f"Bearer {key}"})

            error = answer.json["error"]
            assert (answer.status, error["type"]) == (400, "invalid_request_error"), number
            assert error["param"] == field or "not valid JSON" in error["message"], number

    assert upstream.requests == []
    assert gateway.foundation.ledger.reserved_nanousd() == 0
    assert [record for record in await gateway.records() if record["attempts"]] == []


@pytest.mark.parametrize("fields", [{"n": 10_000}, {"n": 129}, {"max_tokens": 10_000_001}])
async def test_l15_more_than_any_model_writes_is_refused(begin: Begin, fields: dict[str, Any]) -> None:
    """Ten thousand choices are a 400, and so are more tokens than any model has."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        assert (await chat(gateway, **fields)).status == 400

    assert upstream.requests == []


async def test_l15_null_is_as_good_as_absent(begin: Begin) -> None:
    """SDKs send null for what was not set."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        assert (await chat(gateway, n=None, max_tokens=None, max_completion_tokens=None)).status == 200
