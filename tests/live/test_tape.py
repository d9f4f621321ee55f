"""What a tape remembers of a connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from live.tape import Tape

from fairlead.errors import UpstreamUnreachable
from fairlead.testing import FakeTransport, answers

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: example.com\r\n"


class Offering:
    """An incoming answer that offers each of its pieces to the tap before it hands it out."""

    status = 200
    headers = {"content-type": "text/event-stream"}  # noqa: RUF012 - as the real ones have it
    ended = False

    def __init__(self, *pieces: bytes) -> None:
        self.tap: Callable[[bytes], bool] | None = None
        self._pieces = list(pieces)

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> Offering:
        """It is its own transport."""
        return self

    async def aclose(self) -> None:
        """Nothing is open."""

    async def read(self, limit: int) -> bytes:
        """All of it."""
        return b"".join(self._pieces)

    def __aiter__(self) -> Offering:
        return self

    async def __anext__(self) -> bytes:
        while self._pieces:
            piece = self._pieces.pop(0)
            if self.tap is None or not self.tap(piece):
                return piece
        raise StopAsyncIteration

    def abort(self, error: BaseException | None = None) -> None:
        """Nothing runs."""


async def test_a_whole_answer_is_remembered() -> None:
    """Request and answer, to the byte; and once only."""
    tape = Tape(FakeTransport([answers.json({"a": 1}, headers={"x-request-id": "1"})]))

    incoming = await tape.send(HEAD, b"{}", 1.0)
    body = await incoming.read(1_000)

    [taped] = tape.take()
    assert (taped.head, taped.body, taped.status) == (HEAD, b"{}", 200)
    assert taped.headers["x-request-id"] == "1"
    assert bytes(taped.answer) == body == b'{"a":1}'
    assert tape.take() == []


async def test_a_stream_is_remembered_whether_it_is_read_or_tapped() -> None:
    """What a tap takes is part of it, and what it leaves is in it once."""
    tape = Tape(Offering(b"one ", b"two ", b"three"))
    incoming = await tape.send(HEAD, b"{}", 1.0)
    tapped: list[bytes] = []

    def tap(chunk: bytes) -> bool:
        if chunk == b"two ":
            tapped.append(chunk)
        return chunk == b"two "

    incoming.tap = tap
    read = [chunk async for chunk in incoming]

    assert (read, tapped) == ([b"one ", b"three"], [b"two "])
    assert bytes(tape.take()[0].answer) == b"one two three"


async def test_a_request_without_an_answer_is_remembered() -> None:
    """It has no status."""
    tape = Tape(FakeTransport([answers.refuse()]))

    with pytest.raises(UpstreamUnreachable):
        await tape.send(HEAD, b"{}", 1.0)

    assert [taped.status for taped in tape.take()] == [None]
