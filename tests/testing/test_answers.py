"""Scripted answers: what goes out, and where it breaks."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.testing import answers, openai_reply, openai_stream, tokens


@given(st.binary(max_size=200), st.lists(st.integers(1, 17), min_size=1, max_size=4))
def test_slices_are_the_whole_body(body: bytes, sizes: list[int]) -> None:
    """However a body is sliced, its pieces are the body again and none is longer than its size."""
    answer = answers.status(200, body=body).slice(*sizes)
    assert answer.body == body
    assert b"".join(answer.sent()) == body
    assert all(len(piece) <= size for piece, size in zip(answer.pieces, sizes * 200, strict=False))


@given(st.binary(max_size=60), st.integers(0, 80), st.integers(0, 80), st.integers(1, 9))
def test_the_first_position_decides(body: bytes, reset: int, limit: int, size: int) -> None:
    """Of several cuts the first inside the body counts, and no byte after it goes out."""
    answer = answers.status(200, body=body).slice(size).reset_after(reset).limit_data(limit)
    first = min(reset, limit)
    assert b"".join(answer.sent()) == body[:first]
    inside = first <= len(body)
    assert answer.ending == (("reset" if reset <= limit else "close") if inside else "complete")


def test_a_slice_needs_a_size() -> None:
    """Slices of no or of zero bytes are refused."""
    with pytest.raises(ValueError, match="at least 1"):
        openai_reply("x").slice(0)
    with pytest.raises(ValueError, match="at least 1"):
        openai_reply("x").slice()


def test_a_trickle_has_its_speed() -> None:
    """Pieces and pauses of a trickle make up the speed asked for."""
    answer = answers.status(200, body=b"x" * 1_000).trickle(100)
    assert len(answer.pieces) * answer.pause_s == pytest.approx(10)
    slow = answers.status(200, body=b"x" * 10).trickle(2)
    assert (len(slow.pieces), slow.pause_s) == (10, 0.5)


def test_a_scripted_framing_header_is_left_alone() -> None:
    """A `content-length` of the script goes out instead of the right one."""
    head = answers.status(200, {"Content-Length": "99"}, b"short").head()
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"


@pytest.mark.parametrize(("code", "line"), [(529, b"529 Unknown"), (204, b"204 No Content"), (999, b"999 Unknown")])
def test_any_status_can_be_sent(code: int, line: bytes) -> None:
    """Statuses that HTTP does not know go out too, and those without a body have no framing."""
    head = answers.status(code).head()
    assert head.startswith(b"HTTP/1.1 " + line + b"\r\n")
    assert (b"content-length" in head) == (code != 204)


def test_a_gzip_bomb_is_valid_gzip() -> None:
    """It is small, and unpacks in one member, checksum and length right, to the size it names."""
    size = 8 << 20
    answer = answers.gzip_bomb(size)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert len(unpacker.decompress(answer.body) + unpacker.flush()) == size
    assert unpacker.eof
    assert not unpacker.unused_data
    assert len(answer.body) < size // 500


def test_events_are_pieces() -> None:
    """Mappings, text and bytes become events, and `offset` counts the bytes of the first few."""
    answer = answers.sse([{"a": "ü"}, "plain", b": ping\n\n"])
    assert answer.pieces == (b'data: {"a":"\xc3\xbc"}\n\n', b"data: plain\n\n", b": ping\n\n", b"data: [DONE]\n\n")
    assert answer.offset(2) == len(answer.pieces[0]) + len(answer.pieces[1])


def test_a_stream_can_end_in_three_wrong_ways() -> None:
    """Without `[DONE]` the framing is whole, `cut_at` tears it, `stall_at` falls silent."""
    assert openai_stream(["a"], done=False).ending == "complete"
    assert not openai_stream(["a"], done=False).body.endswith(b"[DONE]\n\n")
    assert openai_stream(["a"], cut_at=20).ending == "close"
    assert openai_stream(["a"], stall_at=20).ending == "stall"
    assert openai_stream(["a"], cut_at=30, stall_at=20).ending == "stall"


def test_an_openai_stream_carries_its_texts_and_usage() -> None:
    """The texts come in order, then a finish, then usage with no choices."""
    lines = openai_stream(["Hel", "lo"], tokens(3, 2)).body.decode().split("\n\n")
    *events, done, rest = lines
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "Hello"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 5)
    assert (done, rest) == ("data: [DONE]", "")


def test_an_openai_reply_without_usage_has_no_such_field() -> None:
    """Absent is not null."""
    assert "usage" not in json.loads(openai_reply("x", None).body)
    assert json.loads(openai_reply("x").body)["usage"]["prompt_tokens"] == 10
