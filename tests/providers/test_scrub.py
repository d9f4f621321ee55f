"""No part of a credential is left in what a provider says."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fairlead.call import Secret
from fairlead.errors import UpstreamRejected
from fairlead.providers.scrub import request_id, scrub

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60)


@given(KEYS, st.text(max_size=50), st.text(max_size=50), st.integers(min_value=4))
def test_neither_a_credential_nor_its_cut_beginning_is_left(key: str, before: str, after: str, cut: int):
    """Whole anywhere, or begun at the end, plain or as JSON writes it."""
    quoted = json.dumps(before + key + after)
    kept = min(cut, len(key))
    error = UpstreamRejected(before + key + after, detail=quoted, param=before + key[:kept])
    scrub(error, [Secret(key)])

    assert key not in error.message
    assert key not in str(error)
    assert json.dumps(key)[1:-1] not in (error.detail or "")
    assert not (error.param or "").endswith(key[:kept])


def test_an_escaped_slash_hides_nothing():
    r"""Some encoders write `\/`."""
    error = UpstreamRejected("no", detail='{"message": "sk-proj\\/abc is wrong"}')
    scrub(error, [Secret("sk-proj/abc")])
    assert error.detail == '{"message": "*** is wrong"}'


def test_other_text_stays_as_it_is():
    """A word that begins like the credential is no credential."""
    error = UpstreamRejected("sk-live is not sk-test", detail=None, param="model")
    scrub(error, [Secret("sk-live-0123456789")])
    assert (error.message, error.detail, error.param) == ("sk-live is not sk-test", None, "model")


def test_a_request_id_that_echoes_a_credential_is_none():
    """The provider's name for a request is kept, unless it is our key."""
    secrets = [Secret("sk-1234567890")]
    assert request_id({"x-request-id": "req_1"}, "x-request-id", secrets) == "req_1"
    assert request_id({"x-request-id": "a sk-1234567890"}, "x-request-id", secrets) is None
    assert request_id({}, "x-request-id", secrets) is None
