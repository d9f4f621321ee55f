"""A transport that remembers what went over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fairlead.providers.transport import Incoming, Transport


@dataclass(slots=True, kw_only=True)
class Taped:
    """A request and what came back, as far as it came.  It holds credentials: see `live.mask`."""

    head: bytes
    body: bytes
    status: int | None = None
    """`None`: no answer came."""
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytearray = field(default_factory=bytearray)


class Tape:
    """Implements `Transport` over another one."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._kept: list[Taped] = []

    def take(self) -> list[Taped]:
        """All that was remembered since the last time."""
        kept, self._kept = self._kept, []
        return kept

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> Incoming:
        taped = Taped(head=bytes(head), body=bytes(body))
        self._kept.append(taped)
        incoming = await self._inner.send(head, body, connect_timeout_s)
        taped.status, taped.headers = incoming.status, dict(incoming.headers)
        return _TapedIncoming(incoming, taped)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _TapedIncoming:
    """Implements `Incoming` over another one."""

    def __init__(self, inner: Incoming, taped: Taped) -> None:
        self._inner = inner
        self._taped = taped
        self.status = inner.status
        self.headers = inner.headers

    @property
    def tap(self) -> Callable[[bytes], bool] | None:
        return self._inner.tap

    @tap.setter
    def tap(self, given: Callable[[bytes], bool] | None) -> None:
        def offered(chunk: bytes) -> bool:
            taken = given is not None and given(chunk)
            if taken:
                self._taped.answer += chunk
            return taken

        self._inner.tap = None if given is None else offered

    @property
    def ended(self) -> bool:
        return self._inner.ended

    async def read(self, limit: int) -> bytes:
        body = await self._inner.read(limit)
        self._taped.answer += body
        return body

    def __aiter__(self) -> _TapedIncoming:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._inner.__anext__()
        self._taped.answer += chunk
        return chunk

    def abort(self, error: BaseException | None = None) -> None:
        self._inner.abort(error)
