"""Errors of the Responses dialect."""

from __future__ import annotations

import json

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseErrorEvent

from fairlead.dialects.openai_responses import errors
from fairlead.errors import (
    ContentRefused,
    ContextWindowExceeded,
    FairleadError,
    InvalidRequest,
    QuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)


def failed(code, message="no"):
    error = {"code": code, "message": message}
    return {"type": "response.failed", "sequence_number": 3, "response": {"status": "failed", "error": error}}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (failed("server_error"), UpstreamUnavailable),
        (failed("rate_limit_exceeded"), UpstreamRateLimited),
        (failed("invalid_prompt"), UpstreamRejected),
        (failed("image_too_large"), UpstreamRejected),
        (failed("unsupported_image_media_type"), UpstreamRejected),
        (failed("failed_to_download_image"), UpstreamRejected),
        (failed("image_content_policy_violation"), ContentRefused),
        (failed("bio_policy"), ContentRefused),
        (failed("context_length_exceeded"), ContextWindowExceeded),
        (failed("insufficient_quota"), QuotaExhausted),
        (failed("invented"), UpstreamUnavailable),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "x"}}, UpstreamRateLimited),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "x", "param": None}, UpstreamRateLimited),
        ({"type": "error", "error": {"type": "invalid_request_error", "code": "x", "message": "x"}}, UpstreamRejected),
        ({"type": "response.failed", "response": {"error": None}}, UpstreamUnavailable),
        ({"type": "response.failed"}, UpstreamUnavailable),
    ],
)
def test_an_error_in_a_200_is_what_its_code_says(value, kind):
    """In a failed response, in the event of one, and in an event that is nothing else."""
    assert errors.is_error(value)
    assert type(errors.decode_in_band(json.dumps(value).encode())) is kind


def test_an_answer_is_no_error():
    """Though it has a place for one."""
    assert not errors.is_error({"status": "completed", "error": None, "type": "response.completed"})
    assert errors.is_error({}, b"error")


@given(st.binary(max_size=60) | st.recursive(st.none() | st.text(max_size=4), lambda x: st.dictionaries(st.sampled_from(["error", "response", "code"]), x)).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_decoding_is_total(source):
    """Whatever comes in, something fitting comes out."""
    assert isinstance(errors.decode_in_band(source), FairleadError)
    assert isinstance(errors.decode(500, {}, source), FairleadError)


def test_an_error_answer_has_openais_form():
    """As with chat completions."""
    body = json.loads(errors.encode(InvalidRequest("no", param="input")))
    assert body == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "input", "code": "invalid_request"}
    }


def read_by_the_sdk(frame, *, helper):
    """What the official client makes of a stream that ends so."""
    response = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "parallel_tool_calls": True,
        "tool_choice": "auto", "tools": [], "status": "in_progress",
    }  # fmt: skip
    created = {"type": "response.created", "sequence_number": 0, "response": response}
    source = f"event: response.created\ndata: {json.dumps(created)}\n\n".encode() + frame
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=source)
    transport = httpx2.MockTransport(lambda _: answer)
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))
    if helper:
        with client.responses.stream(model="m", input="x") as stream:
            return list(stream)
    return list(client.responses.create(model="m", input="x", stream=True))


@pytest.mark.parametrize("helper", [False, True])
def test_an_error_of_ours_in_a_stream_is_raised_by_the_official_client(helper):
    """It has the documented fields, and beside them the one that clients look at."""
    frame = errors.encode_event(UpstreamUnavailable("busy"))
    with pytest.raises(openai.APIError, match="busy") as caught:
        read_by_the_sdk(frame, helper=helper)
    assert caught.value.code == UpstreamUnavailable.code
    name, data = frame.decode().rstrip().split("\n")
    event = ResponseErrorEvent.model_validate_json(data.removeprefix("data: "), strict=True)
    assert name == "event: error"
    assert (event.code, event.message, set(event.model_extra)) == (UpstreamUnavailable.code, "busy", {"error"})


@pytest.mark.parametrize("helper", [False, True])
@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "x", "message": "busy", "param": None, "sequence_number": 1},
        {**failed("server_error"), "response": {"id": "resp_1", "output": [], **failed("server_error")["response"]}},
    ],
)
def test_the_documented_forms_alone_are_not_raised(event, helper):
    """To the official client they are events like any other, so that a caller might take the stream for a whole one."""
    frame = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    assert len(read_by_the_sdk(frame, helper=helper)) == 2
