"""Under which id an answer is kept, and what a request goes on from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.call import Resource
from fairlead.dialects.openai_responses import request
from fairlead.dialects.openai_responses.kept import ask, kept_id
from fairlead.errors import InvalidRequest, MethodNotAllowed, NotFound

CREATED = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1"}}\n\n'


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'{"id":"resp_1","output":[]}', "resp_1"),
        (b' \n{"id":"resp_1"}', "resp_1"),
        (b'{"output":[]}', None),
        (b'{"id":7}', None),
        (CREATED, "resp_1"),
        (b": hello\n\nevent: ping\ndata: {}\n\n" + CREATED + b"data: {", "resp_1"),
        (b'data: {"response":{}}\n\n' + CREATED, None),
        (b"data: x\n\n", None),
        (b"", None),
    ],
)
def test_the_id_stands_at_the_beginning(raw, found):
    """Of a whole answer and of a stream."""
    assert kept_id(raw) == found


@given(st.binary(max_size=60))
def test_looking_for_an_id_never_fails(raw):
    """Whatever came."""
    assert kept_id(raw) is None
    assert kept_id(b"{" + raw) is None
    assert kept_id(b"data: {" + raw + b"\n\n") is None


@pytest.mark.parametrize(
    ("fields", "is_kept"),
    [(b"", True), (b',"store":null', True), (b',"store":true', True), (b',"store":false', False)],
)
def test_an_answer_is_kept_unless_the_caller_says_no(fields, is_kept):
    """As the API does it."""
    assert request.read(b'{"model":"m","input":"x"' + fields + b"}").is_kept is is_kept


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (b"", None),
        (b',"previous_response_id":null,"conversation":null', None),
        (b',"previous_response_id":"resp_1"', ("previous_response_id", "resp_1")),
        (b',"conversation":"conv_1"', ("conversation", "conv_1")),
        (b',"conversation":{"id":"conv_1"}', ("conversation", "conv_1")),
        (b',"conversation":{}', None),
    ],
)
def test_what_a_request_goes_on_from_is_read(fields, found):
    """The answer before it, or the conversation."""
    assert request.read(b'{"model":"m","input":"x"' + fields + b"}").goes_on_from == found


@pytest.mark.parametrize(
    ("body", "is_partial"),
    [
        (b'"input":"x","previous_response_id":null,"prompt":null', False),
        (b'"input":"x","previous_response_id":"resp_1"', True),
        (b'"conversation":"conv_1"', True),
        (b'"prompt":{"id":"pmpt_1"}', True),
        (b'"input":[{"type":"item_reference","id":"x"}]', True),
        (b'"input":[{"id":"x"}]', True),
        (b'"input":[{"type":"item\\u005freference","id":"x"}]', True),
        (b'"input":[{"role":"user","content":"item_reference"},{"type":"reasoning","id":"x"}]', False),
        (b'"input":[1]', False),
        (b'"input":"\\"item_reference\\""', False),
    ],
)
def test_a_prompt_that_lies_with_the_provider_is_known_for_one(body, is_partial):
    """Its size is not known here."""
    assert request.read(b'{"model":"m",' + body + b"}").is_partial is is_partial


@pytest.mark.parametrize(
    "fields",
    [
        b'"previous_response_id":1',
        b'"conversation":1',
        b'"conversation":{"id":1}',
        b'"conversation":"conv_1","previous_response_id":"resp_1"',
        b'"store":1',
    ],
)
def test_what_cannot_be_read_is_refused_by_name(fields):
    """Before anybody is asked."""
    with pytest.raises(InvalidRequest) as caught:
        request.read(b'{"model":"m","input":"x",' + fields + b"}")
    assert caught.value.param in fields.decode()


@pytest.mark.parametrize(
    ("method", "below", "query", "path"),
    [
        ("GET", "resp_1", "", "/responses/resp_1"),
        ("DELETE", "resp_1", "", "/responses/resp_1"),
        ("POST", "resp_1/cancel", "", "/responses/resp_1/cancel"),
        ("GET", "resp_1/input_items", "limit=5&order=asc&after=msg_1", "/responses/resp_1/input_items?limit=5&order=asc&after=msg_1"),
        ("GET", "resp_1", "include%5B%5D=a.b&include[]=c", "/responses/resp_1?include%5B%5D=a.b&include[]=c"),
    ],
)  # fmt: skip
def test_what_is_kept_is_asked_for_by_its_id(method, below, query, path):
    """It writes nothing and costs nothing."""
    asked = ask(method, below, query)
    assert asked.resource == Resource(method=method, path=path)
    assert (asked.operation, asked.goes_on_from, asked.max_output_tokens) == ("kept", ("response_id", "resp_1"), 0)


@pytest.mark.parametrize(
    ("method", "below", "query", "error"),
    [
        ("GET", "", "", NotFound),
        ("GET", "../models", "", NotFound),
        ("GET", "a/b/input_items", "", NotFound),
        ("GET", "resp_1/", "", NotFound),
        ("GET", "resp%2f1", "", NotFound),
        ("GET", "x" * 201, "", NotFound),
        ("GET", "resp_1\n", "", NotFound),
        ("PUT", "resp_1", "", MethodNotAllowed),
        ("POST", "resp_1", "", MethodNotAllowed),
        ("GET", "resp_1/cancel", "", MethodNotAllowed),
        ("GET", "resp_1", "stream=true", InvalidRequest),
        ("GET", "resp_1", "starting_after=3", InvalidRequest),
        ("GET", "resp_1", "limit=1 HTTP/1.1", InvalidRequest),
        ("GET", "resp_1", "limit=1&api_key=x", InvalidRequest),
    ],
)
def test_nothing_else_is_asked_for(method, below, query, error):
    """A caller does not write the path that a provider sees."""
    with pytest.raises(error):
        ask(method, below, query)
