"""Request heads, origins and decoding, without sockets."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ConfigError
from fairlead.wire import Origin, head
from fairlead.wire.decoding import Decoder, DecodingError
from fairlead.wire.heads import status_head


def test_a_head_is_request_line_and_headers():
    """Lines end in CRLF; the length and the empty line are the pool's."""
    assert head("POST", "/v1/x?y=1", {"host": "a", "x-b": "c"}) == b"POST /v1/x?y=1 HTTP/1.1\r\nhost: a\r\nx-b: c\r\n"


def test_a_head_takes_pairs():
    """A header may be repeated."""
    assert head("GET", "/", [("a", "1"), ("a", "2")]) == b"GET / HTTP/1.1\r\na: 1\r\na: 2\r\n"


@pytest.mark.parametrize("bad", ["a\r\nb: c", "\n", "\r", "\0", "snow \N{SNOWMAN}"])
def test_a_value_cannot_end_its_line(bad):
    """CR, LF, NUL and what latin-1 cannot carry are refused, in values and names."""
    with pytest.raises(ValueError, match=r"."):
        head("GET", "/", {"a": bad})
    with pytest.raises(ValueError, match=r"."):
        head("GET", "/", {bad: "a"})


@pytest.mark.parametrize("target", ["", "x", "/a b", "/a\r\n", "/\N{SNOWMAN}", "/\x7f", "http://evil/"])
def test_a_target_is_an_encoded_path(target):
    """What is not a percent-encoded absolute path is refused."""
    with pytest.raises(ValueError, match="target"):
        head("GET", target, {})


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "get", "A B"])
def test_a_method_has_framing_of_its_own(method):
    """Methods whose answers cannot be framed by themselves are not sent."""
    with pytest.raises(ValueError, match="method"):
        head(method, "/", {})


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=10)), max_size=5))
def test_no_header_adds_a_line(headers):
    """Whatever the headers hold, a head that is built has one line for each."""
    try:
        built = status_head(200, headers)
    except ValueError:
        return
    assert built.count(b"\r\n") == built.count(b"\n") == built.count(b"\r") == len(headers) + 1


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "authority"),
    [
        ("https://API.openai.com/v1", "https", "api.openai.com", 443, "api.openai.com"),
        ("http://localhost:8000/v1/", "http", "localhost", 8000, "localhost:8000"),
        ("http://[::1]:80", "http", "::1", 80, "[::1]"),
        ("https://10.0.0.1:8443", "https", "10.0.0.1", 8443, "10.0.0.1:8443"),
    ],
)
def test_an_origin_comes_from_a_base_url(url, scheme, host, port, authority):
    """Scheme, host and port, and what goes into the `host` header."""
    origin = Origin.of(url)

    assert (origin.scheme, origin.host, origin.port, origin.authority) == (scheme, host, port, authority)


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "x", "", "https://", "https://user:pw@x/", "https://x:99999", "https://exa\N{FULLWIDTH FULL STOP}x"
     , "http://a b/", "http://x\\@y/", "http://[::1", "http://%31/"],
)  # fmt: skip
def test_other_urls_are_configuration_errors(url):
    """Another scheme, credentials, or a host that is not plain ASCII; the credentials are not repeated."""
    with pytest.raises(ConfigError) as caught:
        Origin.of(url)

    assert "pw" not in caught.value.message


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_decoding_gives_back_every_body(body, step):
    """Cut anywhere, a coded body decodes to what it was."""
    coded = zlib.compress(body)
    decoder = Decoder("deflate", 10_000)
    out = b"".join(decoder.decode(coded[i : i + step]) for i in range(0, len(coded), step))
    decoder.finish()

    assert out == body


def test_decoding_stops_at_its_cap():
    """A bomb costs no more than the cap."""
    decoder = Decoder("gzip", 1_000_000)
    decoder.decode(zlib.compress(bytes(100_000_000)))
    for _ in range(2):
        decoder.decode()
    with pytest.raises(DecodingError, match="more than 1000000"):
        decoder.decode()
